"""The application: its commands in their groups, and what becomes of what was typed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import metadata
from typing import Literal

from cyclopts import App, CycloptsError, Group, Parameter

from . import commands
from .errors import DONE, CommandError, show_error
from .options import Executing
from .session import perform
from .terminal import Terminal

__all__ = ["app", "call"]

_HELP = """\
Run event-driven workflows, and look after those that a store keeps.

A workflow is named as module:attribute, and found as `python -m` finds modules. The result of a run
goes to standard output as JSON, everything else to standard error. Exit codes: 0 done, 1 failed,
2 usage, 3 suspended or waiting for input, 130 interrupted.
"""

_GROUPS: Mapping[str, Sequence[Callable[..., Awaitable[int]]]] = {
    "Execute a run": [commands.run, commands.resume, commands.fork],
    "Look at stored runs": [
        commands.ls,
        commands.show,
        commands.history,
        commands.watch,
        commands.report,
    ],
    "Change stored runs": [commands.send, commands.respond, commands.cancel, commands.rm],
}

app = App(
    name="blazen-anyio",
    help=_HELP,
    help_format="markdown",
    version=lambda: metadata.version("blazen-anyio"),
    default_parameter=Parameter(negative_iterable=""),
    suppress_keyboard_interrupt=False,
    group_commands=Group("Others", sort_key=len(_GROUPS)),
)
for _number, (_title, _commands) in enumerate(_GROUPS.items()):
    _group = Group(_title, sort_key=_number)
    for _place, _command in enumerate(_commands):
        app.command(_command, group=_group, sort_key=_place)
app.command(commands.check, sort_key=0)
app.command(commands.graph, sort_key=1)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the completion script of a shell.

    Args:
        shell: For bash: eval "$(blazen-anyio completion bash)".
    """
    Terminal.of_process().result(app.generate_completion(shell=shell))


app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType]
    help="Install completion for the shell in use."
)


def call(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and return its exit code."""
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
        if not inspect.iscoroutinefunction(command):  # --help and the like
            command(*bound.args, **bound.kwargs)
            return DONE
    except CycloptsError as error:
        place = " ".join(error.command_chain or ())
        hint = f"blazen-anyio {place}".strip() + " --help"
        return show_error(CommandError(str(error), hint), Terminal.of_process().err, full=False)
    given = bound.arguments
    options: Executing = given.get("options", Executing(traceback=given.get("traceback", False)))

    async def execute(terminal: Terminal) -> int:
        return int(await command(*bound.args, **bound.kwargs, terminal=terminal))

    return perform(execute, options.traceback, options.backend)

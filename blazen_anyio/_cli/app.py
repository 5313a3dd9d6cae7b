"""The commands as they are typed: names, options, and the help that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from importlib import metadata
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, validators

from . import executing, looking, steering
from .arguments import read_pairs
from .errors import DONE, CommandError, report
from .options import (
    Executing,
    OptionalStore,
    RunId,
    SnapshotFile,
    StoreName,
    Traceback,
    WorkflowName,
)
from .pictures import Draw, PictureFormat, Report
from .session import perform
from .terminal import Terminal

__all__ = ["app", "call"]

_HELP = """\
Run event-driven workflows, and look after those that a store keeps.

A workflow is named as module:attribute, and found as `python -m` finds modules. The result of a run
goes to standard output as JSON, everything else to standard error. Exit codes: 0 done, 1 failed,
2 usage, 3 suspended or waiting for input, 130 interrupted.
"""

app = App(
    name="blazen-anyio",
    help=_HELP,
    help_format="markdown",
    version=lambda: metadata.version("blazen-anyio"),
    default_parameter=Parameter(negative_iterable=""),
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType]
    help="Install completion for the shell in use."
)

_Renames = Annotated[
    list[str],
    Parameter(
        name="--rename",
        help="old=new: a step, event type, class or workflow has another name now. Repeatable.",
    ),
]
_Json = Annotated[bool, Parameter(name="--json", negative="", help="Lines of JSON, no table.")]
_Status = Literal["running", "suspended", "completed", "failed", "cancelled"]
_EXECUTING = Executing()


def call(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and return its exit code."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        place = " ".join(error.command_chain or ())
        hint = f"blazen-anyio {place}".strip() + " --help"
        problem = CommandError(str(error), hint)
        return report(problem, Terminal.of_process().err, full=False)
    except CommandError as error:
        return report(error, Terminal.of_process().err, full=False)
    return code if isinstance(code, int) else DONE


# ---- running -------------------------------------------------------------------------------------


@app.command
def run(
    workflow: WorkflowName,
    /,
    *,
    input: Annotated[str, Parameter(name=["--input", "-i"], allow_leading_hyphen=True)] = "{}",
    start: str | None = None,
    store: OptionalStore = None,
    run_id: str | None = None,
    snapshot: SnapshotFile = None,
    options: Executing = _EXECUTING,
) -> int:
    """Run a workflow to its end and print the result as JSON.

    On a terminal the run is shown live, and what it asks is asked at the prompt. Elsewhere what its
    steps write to the stream comes as lines of JSON on standard error.

    Ctrl-C suspends the run and prints the command that goes on with it; a second one cancels it.

    Args:
        input: The fields of the start event as JSON; @file reads a file, - standard input.
        start: The event that starts the run, if the workflow takes several.
        run_id: A name for the run. If the store has the run already, it is not begun again: it goes
            on, or its result is printed.
    """
    command = executing.Start(
        workflow=workflow,
        store=store,
        options=options,
        snapshot=snapshot,
        input=input,
        start=start,
        run_id=run_id,
    )
    return perform(command, options.traceback, options.backend)


@app.command
def resume(
    workflow: WorkflowName,
    run_id: str | None = None,
    /,
    *,
    store: OptionalStore = None,
    rename: _Renames | None = None,
    answer: list[str] | None = None,
    snapshot: SnapshotFile = None,
    options: Executing = _EXECUTING,
) -> int:
    """Go on with a run from a store, or from a file with --snapshot.

    A run that has failed or was cancelled goes on from what it had not handled. One that has
    completed gives its result.

    Args:
        run_id: The id of the run in the store.
        answer: request=text: the answer to an open request. Repeatable.
    """
    command = executing.Resume(
        workflow=workflow,
        store=store,
        options=options,
        snapshot=snapshot,
        run_id=run_id,
        renames=read_pairs("--rename", rename or ()),
        answers=read_pairs("--answer", answer or ()),
    )
    return perform(command, options.traceback, options.backend)


@app.command
def fork(
    workflow: WorkflowName,
    run_id: RunId,
    /,
    *,
    at: Annotated[int, Parameter(validator=validators.Number(gte=1))],
    store: StoreName,
    new_run_id: str | None = None,
    rename: _Renames | None = None,
    options: Executing = _EXECUTING,
) -> int:
    """Begin a new run as another was after one of its commits, and run it.

    Args:
        at: The number of the commit; history shows them.
        new_run_id: A name for the new run.
    """
    command = executing.Fork(
        workflow=workflow,
        store=store,
        options=options,
        run_id=run_id,
        at=at,
        new_run_id=new_run_id,
        renames=read_pairs("--rename", rename or ()),
    )
    return perform(command, options.traceback, options.backend)


# ---- looking -------------------------------------------------------------------------------------


@app.command
def ls(
    *,
    store: StoreName,
    status: _Status | None = None,
    workflow: str | None = None,
    limit: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    json: _Json = False,
    traceback: Traceback = False,
) -> int:
    """List the runs of a store, the last changed first.

    Args:
        status: Only runs of this status.
        workflow: Only runs of the workflow of this name.
        limit: At most so many.
    """
    command = looking.List(store=store, status=status, workflow=workflow, limit=limit, json=json)
    return perform(command, traceback)


@app.command
def show(
    run_id: RunId,
    /,
    *,
    store: StoreName,
    workflow: str | None = None,
    json: _Json = False,
    traceback: Traceback = False,
) -> int:
    """Show a run: what waits in it, what it asks, and its state.

    Args:
        workflow: module:attribute of its workflow. With it values are shown, too: it knows which
            are secret.
    """
    command = looking.Show(run_id=run_id, store=store, workflow=workflow, json=json)
    return perform(command, traceback)


@app.command
def history(
    run_id: RunId, /, *, store: StoreName, json: _Json = False, traceback: Traceback = False
) -> int:
    """Tell what happened in a run, commit by commit."""
    return perform(looking.History(run_id=run_id, store=store, json=json), traceback)


@app.command
def watch(
    run_id: RunId,
    /,
    *,
    store: StoreName,
    interval: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 0.5,
    traceback: Traceback = False,
) -> int:
    """Follow a run that another process executes, until it has ended or is suspended.

    The run is only read. The exit code is the one that executing it would have.

    Args:
        interval: How many seconds between two looks at the store.
    """
    command = looking.Watch(run_id=run_id, store=store, interval=interval)
    return perform(command, traceback)


@app.command(name="report")
def write_report(
    run_id: RunId,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    store: StoreName,
    workflow: str | None = None,
    traceback: Traceback = False,
) -> int:
    """Write a report on a run: one page that any browser opens, offline.

    Args:
        output: The file to write.
        workflow: module:attribute of its workflow, for the graph and for values.
    """
    command = Report(run_id=run_id, store=store, workflow=workflow, output=output)
    return perform(command, traceback)


# ---- steering ------------------------------------------------------------------------------------


@app.command
def send(
    workflow: WorkflowName,
    run_id: RunId,
    event: str,
    /,
    *,
    data: Annotated[str, Parameter(name=["--data", "-d"], allow_leading_hyphen=True)] = "{}",
    store: StoreName,
    traceback: Traceback = False,
) -> int:
    """Give an event to a stored run that nobody executes. No step runs.

    Args:
        event: The class of the event, or its type.
        data: Its fields as JSON; @file reads a file, - standard input.
    """
    command = steering.Send(workflow=workflow, run_id=run_id, event=event, data=data, store=store)
    return perform(command, traceback)


@app.command
def respond(
    workflow: WorkflowName,
    run_id: RunId,
    answer: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    request: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    store: StoreName,
    traceback: Traceback = False,
) -> int:
    """Answer a request of a stored run that nobody executes. No step runs.

    Args:
        answer: The answer, as text.
        request: The id of the request, if there are several; show tells it.
        json: The answer is JSON; @file reads a file, - standard input.
    """
    command = steering.Respond(
        workflow=workflow, run_id=run_id, answer=answer, request=request, json=json, store=store
    )
    return perform(command, traceback)


@app.command
def cancel(run_id: RunId, /, *, store: StoreName, traceback: Traceback = False) -> int:
    """Mark a stored run that nobody executes as cancelled.

    Where it is executed, Ctrl-C does it.
    """
    return perform(steering.Cancel(run_id=run_id, store=store), traceback)


@app.command
def rm(
    *run_ids: Annotated[str, Parameter(help="The ids of the runs.")],
    older_than: timedelta | None = None,
    store: StoreName,
    traceback: Traceback = False,
) -> int:
    """Remove runs with all that belongs to them.

    Args:
        older_than: Remove all that completed, failed or were cancelled so long ago: 90s, 12h, 7d.
    """
    seconds = None if older_than is None else older_than.total_seconds()
    return perform(steering.Remove(run_ids=run_ids, older_than=seconds, store=store), traceback)


# ---- workflows -----------------------------------------------------------------------------------


@app.command
def check(
    workflow: WorkflowName,
    /,
    *,
    store: OptionalStore = None,
    rename: _Renames | None = None,
    traceback: Traceback = False,
) -> int:
    """Find problems in the definition of a workflow, and stored runs that would not resume.

    The exit code is 1 if there are any: for use before a deployment.
    """
    renames = read_pairs("--rename", rename or ())
    return perform(steering.Check(workflow=workflow, store=store, renames=renames), traceback)


@app.command
def graph(
    workflow: WorkflowName,
    /,
    *,
    format: PictureFormat = "mermaid",
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    traceback: Traceback = False,
) -> int:
    """Draw the graph of a workflow.

    Args:
        format: What to write; svg needs Graphviz.
        output: A file; by default standard output.
    """
    return perform(Draw(workflow=workflow, format=format, output=output), traceback)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the completion script of a shell.

    Args:
        shell: For bash: eval "$(blazen-anyio completion bash)".
    """
    Terminal.of_process().result(app.generate_completion(shell=shell))
    return DONE

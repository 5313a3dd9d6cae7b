"""One command from its arguments to its exit code, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from importlib.util import find_spec

import anyio
import attrs

from .errors import FAILED, INTERRUPTED, CommandError, show_error
from .terminal import Terminal

__all__ = ["Command", "perform"]

Command = Callable[[Terminal], Awaitable[int]]


def perform(command: Command, traceback: bool, backend: str = "asyncio") -> int:
    """Run a command in an event loop.

    What the user's code prints goes to standard error, and so does what its child processes write:
    standard output is for the result.

    Args:
        command: what to run.
        traceback: show errors with their whole traceback.
        backend: ``"asyncio"`` or ``"trio"``.

    Returns:
        The exit code.

    Raises:
        SystemExit: a step has asked for it.
    """
    terminal = Terminal.of_process()
    try:
        if find_spec(backend) is None:
            raise CommandError(f"{backend} is not installed", f"pip install {backend}")
        with _only_results(terminal) as given, contextlib.redirect_stdout(terminal.err):
            return anyio.run(command, given, backend=backend)
    except BaseException as error:
        return _told(_single(error), terminal, traceback)


@contextlib.contextmanager
def _only_results(terminal: Terminal) -> Generator[Terminal]:
    """Keep the process's standard output for what is written to the terminal that this yields."""
    try:
        descriptors = sys.stdout.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError):  # closed, or somebody has put something else there
        descriptors = None
    if descriptors != (1, 2):
        yield terminal
        return
    with os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace") as out:
        os.dup2(2, 1)
        try:
            yield attrs.evolve(terminal, out=out)
        finally:
            os.dup2(out.fileno(), 1)


def _single(error: BaseException) -> BaseException:
    """What is alone in a group, which only says that it came out of a task."""
    if not issubclass(type(error), BaseExceptionGroup):
        return error
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if any(isinstance(_single(each), KeyboardInterrupt) for each in inner):
        return KeyboardInterrupt()
    return _single(inner[0]) if len(inner) == 1 else error


def _told(error: BaseException, terminal: Terminal, traceback: bool) -> int:
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        terminal.say("blazen-anyio: interrupted")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Nobody reads any more; nor shall Python complain about it when it ends.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return show_error(error, terminal.err, full=traceback)

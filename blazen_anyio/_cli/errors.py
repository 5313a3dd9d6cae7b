"""Errors: one line and a hint, and an exit code. The user's own exceptions as Python shows them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

from .._exceptions import (
    DefinitionError,
    RunBusyError,
    RunEndedError,
    SnapshotError,
    StepFailedError,
    StoreError,
    WorkflowError,
    WorkflowStalledError,
)
from .terminal import printable, printable_lines

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "USAGE",
    "WAITING",
    "CommandError",
    "UserCodeError",
    "show_error",
]

DONE, FAILED, USAGE, WAITING, INTERRUPTED = 0, 1, 2, 3, 130

_ENGINE = ("blazen_anyio", "anyio", "asyncio", "trio", "threading", "importlib", "outcome")

_NESTED = ("Already running ", "from a running event loop", "from inside a run()")
"""How anyio, asyncio and trio say that a thread runs one event loop at a time."""

_HINTS: tuple[tuple[type[WorkflowError], str], ...] = (
    (RunBusyError, "follow it with the command watch"),
    (RunEndedError, "show tells how; resume goes on with a run that failed or was cancelled"),
    (WorkflowStalledError, "the command graph draws where events can go"),
)


class CommandError(Exception):
    """A command that can't do what it was asked to.

    Args:
        message: what is wrong, in one line.
        hint: what to do; empty if the message says it.
        code: the exit code.
    """

    def __init__(self, message: str, hint: str = "", code: int = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class UserCodeError(Exception):
    """Code of the user's raised outside of a step: its module, or what makes its workflow."""

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__(f"{what} raised {type(error).__qualname__}")
        self.error = error


def show_error(error: BaseException, file: TextIO, *, full: bool, hint: str = "") -> int:
    """Show a person an error.

    Args:
        error: it.
        file: where to.
        full: with the traceback of the error itself.
        hint: what to do, if that is not known from the error.

    Returns:
        The exit code.
    """
    if full:
        file.write(printable_lines("".join(traceback.format_exception(error))))
    else:
        for own in _users_own(error):
            _print_as_python_does(own, file)
    file.write(f"blazen-anyio: {_message(error)}\n")
    if hint := hint or _hint(error):
        file.write(f"  hint: {hint}\n")
    file.flush()
    return error.code if isinstance(error, CommandError) else FAILED


def _message(error: BaseException) -> str:
    if isinstance(error, DefinitionError) and len(error.problems) > 1:
        lines = [f"{error.subject}: {len(error.problems)} problems", *error.problems]
        return "\n  - ".join(map(printable, lines))
    text = printable(" ".join(str(error).split()))
    if isinstance(error, (WorkflowError, CommandError, UserCodeError)):
        return text
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def _hint(error: BaseException) -> str:
    if isinstance(error, CommandError):
        return error.hint
    if isinstance(error, StoreError) and error.__cause__ is not None:
        return "what was acknowledged is intact; try again when the cause is gone"
    if isinstance(error, UserCodeError) and _runs_something(error.error):
        return "what runs it belongs behind: if __name__ == '__main__':"
    if isinstance(error, SnapshotError) and "renames" in str(error):
        return "names that have changed are mapped with --rename old=new"
    return next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")


def _runs_something(error: Exception) -> bool:
    """Whether an event loop was to be started where one runs: by a script that is no module."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NESTED)


def _users_own(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that code of the user's has raised."""
    if isinstance(error, StepFailedError):
        yield error.error
        yield from error.others
    elif isinstance(error, UserCodeError):
        yield error.error
    elif not isinstance(error, (WorkflowError, CommandError)):
        yield error


def _print_as_python_does(error: BaseException, file: TextIO) -> None:
    """Print a traceback that begins where the user's code does."""
    start = error.__traceback__
    while start is not None and _is_engine(start):
        start = start.tb_next
    if start is None and not isinstance(error, SyntaxError):  # which knows its place
        start = error.__traceback__
    lines = traceback.format_exception(type(error), error, start)
    file.write(printable_lines("".join(lines)))


def _is_engine(frame: TracebackType) -> bool:
    name: str = frame.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _ENGINE and not name.startswith("blazen_anyio.examples")

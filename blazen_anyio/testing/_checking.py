"""Checks: what must hold after a run, and what is wrong where it does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import attrs

from ._transcript import Transcript, told_error

__all__ = ["Check", "Problem", "check_callable", "leftovers", "violation"]

Check = Callable[[Transcript], object]
"""States what must always hold: raises, or returns ``False``, if it does not."""


@attrs.frozen
class Problem:
    """What is wrong with a run.

    Attributes:
        says: what to tell about it.
        cause: the exception that it comes from, if there is one.
    """

    says: str
    cause: BaseException | None = None

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """The problem that an exception is."""
        return cls(told_error(error), error)


def check_callable(what: str, given: object) -> None:
    """See to it that what is to be called can be.

    Raises:
        TypeError: it can't.
    """
    if not callable(given):
        raise TypeError(f"{what} takes a function, not {given!r}")


def violation(check: Check | None, transcript: Transcript) -> Problem | None:
    """What a check has against a run; ``None`` if it holds.

    Raises:
        TypeError: the check is an async function, of which nothing has run.
    """
    if check is None:
        return None
    try:
        verdict = check(transcript)
    except Exception as error:
        return Problem.of(error)
    if inspect.iscoroutine(verdict):
        verdict.close()
        raise TypeError(f"a check is a plain function, not async: {check!r}")
    return Problem("the check returned False") if verdict is False else None


def leftovers(transcript: Transcript) -> Problem | None:
    """The tasks that a run has left behind, if it has."""
    if not transcript.leftover:
        return None
    return Problem(f"tasks are left: {', '.join(transcript.leftover)}")

"""What a run that has ended returns, or raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._events import StopEvent
from .._exceptions import (
    InputRequiredError,
    RunCancelledError,
    RunSuspendedError,
    StepFailedError,
)

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["outcome_of", "result_of"]


def result_of(event: StopEvent | None) -> Any:
    """The result that a stop event stands for: a subclass is itself the result."""
    return event.result if type(event) is StopEvent else event


def outcome_of(runner: Runner) -> Any:
    """Return what a run that has ended returns, or raise what it raises."""
    outcome = runner.machine.outcome
    assert outcome is not None, "the run has ended"
    if outcome.kind == "completed":
        return result_of(outcome.event)
    if outcome.kind == "cancelled":
        raise RunCancelledError(f"run {runner.machine.run_id!r} was cancelled")
    if outcome.kind == "suspended":
        snapshot = runner.final_snapshot()
        if snapshot.requests and not runner.suspend_asked:
            raise InputRequiredError(snapshot, snapshot.requests)
        raise RunSuspendedError(snapshot)
    error = outcome.error
    assert error is not None
    if isinstance(error, StepFailedError):
        raise error from error.error
    raise error

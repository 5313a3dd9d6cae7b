"""Everything a user may catch.

::

    WorkflowError
     +-- DefinitionError (TypeError)      can't work as written; ``problems`` lists all
     +-- NoHandlerError                   an event that no step accepts
     +-- WorkflowFullError                an event for a step with ``max_pending`` deliveries
     +-- WorkflowStalledError             nothing left to do and no StopEvent
     +-- StepFailedError                  a step failed for good, from its exception
     +-- StepTimeoutError (TimeoutError)  one attempt ran longer than its step allows
     +-- WorkflowTimeoutError (TimeoutError) the run was active longer than it may be
     +-- StateConflictError               a key changed since this attempt read it
     +-- StateValueError (TypeError)      a value that could not be restored exactly
     +-- NonDeterministicStepError        a later attempt let other things out early
     +-- JoinIncompleteError              a scope ended with half a pair
     +-- RunCancelledError                ``run.cancel()`` ended the run
     +-- RunEndedError                    a handle used after its run
     +-- RunSuspendedError                the run stopped on purpose; ``snapshot`` goes on
     |    +-- InputRequiredError          ... because a human has to answer ``requests``
     +-- UnknownRequestError (LookupError) an answer to a request that is not open
     +-- StreamLagError                   a subscriber was too slow; ``missed`` events are gone
     +-- ContextClosedError               a context used after its attempt
     +-- SnapshotError (ValueError)       can't be read or does not fit; ``path``
     |    +-- SnapshotVersionError        ... because another version wrote it
     +-- AttemptLostError                 the process died in an attempt that may not be repeated
     +-- StoreError                       the store failed, or does not hold what was asked for
          +-- RunLostError                another process has taken the run over
          +-- RunBusyError                the run is being executed already

A user's own exception is never restated as text: it is the ``__cause__`` and the ``error``
attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._events import Event, InputRequestEvent
    from ._snapshot import Snapshot

__all__ = [
    "AttemptLostError",
    "ContextClosedError",
    "DefinitionError",
    "InputRequiredError",
    "JoinIncompleteError",
    "NoHandlerError",
    "NonDeterministicStepError",
    "RunBusyError",
    "RunCancelledError",
    "RunEndedError",
    "RunLostError",
    "RunSuspendedError",
    "SnapshotError",
    "SnapshotVersionError",
    "StateConflictError",
    "StateValueError",
    "StepFailedError",
    "StepTimeoutError",
    "StoreError",
    "StreamLagError",
    "UnknownRequestError",
    "WorkflowError",
    "WorkflowFullError",
    "WorkflowStalledError",
    "WorkflowTimeoutError",
]

RequestProblem = Literal["unknown", "answered", "withdrawn"]


def _label(event: Event) -> str:
    """Write the type of an event for people; a dynamic one has its name in the instance."""
    name = vars(event).get("event_type")
    return type(event).__qualname__ + (f" {name!r}" if name else "")


class WorkflowError(Exception):
    """The root of all errors that the engine raises on its own account."""


class DefinitionError(WorkflowError, TypeError):
    """A step or a workflow that can't work as it is written.

    Attributes:
        problems: every problem that was found, each with what to write instead.
    """

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            text = f"{subject}: {self.problems[0]}"
        else:
            text = f"{subject}: {len(self.problems)} problems\n" + "\n".join(
                f"  - {problem}" for problem in self.problems
            )
        super().__init__(text)


class NoHandlerError(WorkflowError):
    """An event that no step accepts.

    Attributes:
        event: the event itself.
        source: the name of the step that emitted it, or ``None`` if it came from outside.
    """

    def __init__(self, event: Event, source: str | None) -> None:
        self.event = event
        self.source = source
        origin = f"emitted by step {source!r}" if source else "sent from outside"
        super().__init__(
            f"no step accepts {_label(event)} ({origin}); add a step for it or say "
            "on_unhandled='ignore'"
        )


class WorkflowFullError(WorkflowError):
    """A step that accepts the event has ``max_pending`` deliveries waiting for it already.

    Attributes:
        event: the event; it was not taken, send it again later.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        super().__init__(
            f"a step that accepts {_label(event)} has max_pending deliveries waiting; "
            "send the event again later"
        )


class WorkflowStalledError(WorkflowError):
    """Nothing is queued, running, delayed or awaited, and no ``StopEvent`` was emitted.

    Attributes:
        waiting: what each join, batch or collect still waits for, one line each.
    """

    def __init__(self, workflow: str, waiting: Sequence[str]) -> None:
        self.workflow = workflow
        self.waiting = tuple(waiting)
        detail = "".join(f"\n  - {line}" for line in self.waiting)
        super().__init__(
            f"workflow {workflow!r} has nothing left to do and emitted no StopEvent"
            + (f"; still waiting:{detail}" if detail else "")
        )


class StepFailedError(WorkflowError):
    """A step failed for good. Raised from the user's exception, which is also ``error``.

    Attributes:
        step: the name of the step.
        event: the event it was handling (a list for a step that gathers several).
        attempts: how many attempts were made.
        error: the exception of the last attempt, the very object.
        others: failures of other steps that happened at the same time.
    """

    def __init__(
        self,
        step: str,
        event: Event | list[Event],
        attempts: int,
        error: BaseException,
        others: Sequence[BaseException] = (),
    ) -> None:
        self.step = step
        self.event = event
        self.attempts = attempts
        self.error = error
        self.others = tuple(others)
        kind = f"{len(event)} gathered events" if isinstance(event, list) else _label(event)
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        super().__init__(f"step {step!r} failed on {kind}{tries}: {type(error).__qualname__}")


class StepTimeoutError(WorkflowError, TimeoutError):
    """One attempt of a step ran longer than the step's ``timeout``.

    Attributes:
        step: the name of the step.
        event: the event it was handling.
        timeout: the limit in seconds.
    """

    def __init__(self, step: str, event: Event | list[Event], timeout: float) -> None:
        self.step = step
        self.event = event
        self.timeout = timeout
        super().__init__(f"step {step!r} did not finish within {timeout:g} s")


class WorkflowTimeoutError(WorkflowError, TimeoutError):
    """A run was active longer than the workflow's ``timeout``.

    Attributes:
        workflow: the name of the workflow.
        timeout: the limit in seconds of active time.
        running: the names of the steps that were running.
    """

    def __init__(self, workflow: str, timeout: float, running: Sequence[str]) -> None:
        self.workflow = workflow
        self.timeout = timeout
        self.running = tuple(running)
        steps = f"; running: {', '.join(self.running)}" if self.running else ""
        super().__init__(
            f"workflow {workflow!r} did not finish within {timeout:g} s of active time{steps}"
        )


class StateConflictError(WorkflowError):
    """Another attempt committed a key after this one had read it and before it wrote it.

    Attributes:
        step: the step whose attempt was refused.
        key: the state key.
    """

    def __init__(self, step: str, key: str) -> None:
        self.step = step
        self.key = key
        super().__init__(
            f"step {step!r} read state key {key!r}, which another attempt has changed since; "
            f"give the step a Retry, or use ctx.state.apply({key!r}, fn)"
        )


class StateValueError(WorkflowError, TypeError):
    """A value that could not be restored exactly from a snapshot.

    Attributes:
        key: the state key, or the field of an event.
        value_type: the offending type.
    """

    def __init__(self, key: str, value_type: type, reason: str = "") -> None:
        self.key = key
        self.value_type = value_type
        super().__init__(
            f"{key}: a value of type {value_type.__module__}.{value_type.__qualname__} "
            + (
                reason
                or "can't be restored exactly; use plain data, or name the class in "
                "Workflow(types=[...])"
            )
        )


class NonDeterministicStepError(WorkflowError):
    """A later attempt made another early effect than an earlier attempt had made.

    Attributes:
        step: the name of the step.
        number: which early effect differs, counted from 0.
    """

    def __init__(self, step: str, number: int, detail: str) -> None:
        self.step = step
        self.number = number
        super().__init__(f"step {step!r} does not repeat its early effect {number}: {detail}")


class JoinIncompleteError(WorkflowError):
    """A fan-out scope ended with events that wait for a partner.

    Attributes:
        step: the step that pairs them.
        waiting: the events that found no partner.
    """

    def __init__(self, step: str, waiting: Sequence[Event]) -> None:
        self.step = step
        self.waiting = tuple(waiting)
        names = ", ".join(map(_label, self.waiting))
        super().__init__(f"step {step!r} got no partner for {names} before the fan-out ended")


class RunCancelledError(WorkflowError):
    """``run.cancel()`` ended the run. Not raised on leaving the handle's block."""


class RunEndedError(WorkflowError):
    """The run has ended; its handle takes no more inputs."""


class RunSuspendedError(WorkflowError):
    """The run stopped on purpose and can go on from ``snapshot``.

    Attributes:
        snapshot: pass it to ``workflow.resume``.
    """

    def __init__(self, snapshot: Snapshot, reason: str = "the run was suspended") -> None:
        self.snapshot = snapshot
        super().__init__(f"{reason}; go on with workflow.resume(error.snapshot)")


class InputRequiredError(RunSuspendedError):
    """The run waits for answers and nobody is there to give them.

    Attributes:
        requests: the open requests; ``workflow.resume(snapshot, responses={request_id: value})``.
    """

    def __init__(self, snapshot: Snapshot, requests: Sequence[InputRequestEvent]) -> None:
        super().__init__(snapshot, f"the run waits for {len(requests)} answer(s)")
        self.requests = tuple(requests)


class UnknownRequestError(WorkflowError, LookupError):
    """An answer to a request that is not open.

    Attributes:
        request_id: the id that was given.
        reason: ``"unknown"``, ``"answered"`` or ``"withdrawn"``.
    """

    def __init__(self, request_id: str, reason: RequestProblem) -> None:
        self.request_id = request_id
        self.reason: RequestProblem = reason
        text = {
            "unknown": "was never made by this run",
            "answered": "has been answered already",
            "withdrawn": "was withdrawn: what asked it is gone",
        }[reason]
        super().__init__(f"input request {request_id!r} {text}")


class StreamLagError(WorkflowError):
    """A subscriber was too slow for its buffer. Iteration may go on after it.

    Attributes:
        missed: how many events this subscriber did not get.
    """

    def __init__(self, missed: int) -> None:
        self.missed = missed
        super().__init__(
            f"this subscriber was too slow and missed {missed} event(s); read faster, raise "
            "buffer=, or choose overflow='drop_oldest' or 'block'"
        )


class ContextClosedError(WorkflowError):
    """A step's context was used after its attempt had ended."""


class SnapshotError(WorkflowError, ValueError):
    """A snapshot that can't be read, or that does not fit the workflow.

    Attributes:
        path: where in the document, as in ``$.deliveries[3].step``.
        problems: everything that is wrong, where more than one thing can be told.
    """

    def __init__(self, message: str, path: str = "$", problems: Sequence[str] = ()) -> None:
        self.path = path
        self.problems = tuple(problems) or (message,)
        super().__init__(f"{path}: {message}")


class SnapshotVersionError(SnapshotError):
    """A snapshot of a version that this release does not read."""


class AttemptLostError(WorkflowError):
    """The process died, or was stopped, in an attempt that may not be repeated.

    It is the ``error`` of the :class:`StepFailed` that a resumed run begins with: of a step with
    ``delivery="at_most_once"``, or of an event that has been delivered ``max_deliveries`` times.

    Attributes:
        step: the name of the step.
        deliveries: how often the event was handed to the step.
    """

    def __init__(self, step: str, deliveries: int, *, at_most_once: bool) -> None:
        self.step = step
        self.deliveries = deliveries
        why = (
            "may run at most once, and what it has done is not known"
            if at_most_once
            else f"has been begun {deliveries} times and ended the process each time"
        )
        super().__init__(f"step {step!r} did not get to its end: this invocation {why}")


class StoreError(WorkflowError):
    """The store failed, or does not hold what it should; nothing has changed in it.

    The cause is chained. Acknowledged work is intact, and the run can be resumed.
    """


class RunLostError(StoreError):
    """Another process has taken the run over; this one has stopped working on it.

    Attributes:
        run_id: the id of the run.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id!r} has been taken over or removed; this process has stopped working on it"
        )


class RunBusyError(StoreError):
    """The run is being executed already, by a process that lives.

    Attributes:
        run_id: the id of the run.
        owner: who executes it, as the store names it.
    """

    def __init__(self, run_id: str, owner: str) -> None:
        self.run_id = run_id
        self.owner = owner
        super().__init__(
            f"run {run_id!r} is being executed by {owner}; wait for it, or until its lease is over"
        )


# In tracebacks and histories they go by the name that they are imported by, as in trio.
for _name in __all__:
    globals()[_name].__module__ = "blazen_anyio"

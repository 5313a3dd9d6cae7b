"""Observers: told what a run does, as it does it. They watch, and change nothing.

The rules, which the runner keeps:

* Every method is called in the event loop's thread, between two awaits, so it must not block.
* An observer that raises does not break the run: its first error in a run is logged, and it is told
  the rest all the same.
* What starts also ends, whatever happens: each ``..._started`` is followed by its ``..._ended``,
  innermost first. Only the death of the process leaves something open.
* A workflow without observers pays nothing for them.
* What is told has happened, and is perhaps not stored yet: a stored run may do it again after a
  crash, and tells it again then.

The objects that come with a call say what it is about. They hold no event and no result; each is
the same object from its start to its end, and may serve as a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Literal

import attrs

from ._events import InputRequestEvent

__all__ = [
    "AttemptEnd",
    "InvocationEnd",
    "ObservedAttempt",
    "ObservedInvocation",
    "ObservedRun",
    "Observer",
    "RunEnd",
]


@attrs.frozen(eq=False)
class ObservedRun:
    """A run, from its start or resumption in this process until it ends here.

    Attributes:
        run_id: the id of the run; the same after a resume.
        workflow: the name of the workflow.
        resumed: it goes on from a snapshot or from a store.
        attempt: the attempt that runs it, if it is a child run.
        carrier: small texts that stay with the run, in its snapshots and in its store. What an
            observer puts here in ``run_started`` is here again when the run is resumed.
        waiting: counts, by the name of the step, the deliveries that wait to be handled. It may be
            called from any thread while the run goes on.
    """

    run_id: str
    workflow: str
    resumed: bool
    attempt: ObservedAttempt | None = attrs.field(repr=False)
    carrier: MutableMapping[str, str] = attrs.field(repr=False)
    waiting: Callable[[], Mapping[str, int]] = attrs.field(repr=False)


@attrs.frozen(eq=False)
class ObservedInvocation:
    """One step handling one event, or the events that it gathers: all its attempts.

    Attributes:
        run: the run.
        number: unique in the run; the same after a resume, and that of the facts.
        step: the name of the step.
        event_type: the type of the event, or of the first of several.
        causes: the numbers of the invocations that sent the events; without those from outside.
    """

    run: ObservedRun = attrs.field(repr=False)
    number: int
    step: str
    event_type: str
    causes: tuple[int, ...]


@attrs.frozen(eq=False)
class ObservedAttempt:
    """One attempt of an invocation.

    Attributes:
        invocation: what it is an attempt of.
        number: counted from 1, over all processes.
        kind: of the step: ``"async"``, ``"sync"`` (it runs in a worker thread) or ``"generator"``.
    """

    invocation: ObservedInvocation
    number: int
    kind: str


@attrs.frozen(kw_only=True)
class AttemptEnd:
    """How an attempt has ended.

    Attributes:
        kind: ``"cancelled"`` if it counts as not made: it was interrupted, or what came of it
            was dropped.
        duration: seconds.
        error: what it failed with, or ran out of time with.
        retry_in: seconds until the next attempt; ``None`` if there is none.
    """

    kind: Literal["succeeded", "failed", "timed_out", "cancelled"]
    duration: float
    error: BaseException | None = None
    retry_in: float | None = None


@attrs.frozen(kw_only=True)
class InvocationEnd:
    """How an invocation has ended.

    Attributes:
        kind: ``"cancelled"`` if it counts no more, or if the run has ended before it was handled;
            a run that goes on from there handles it again.
        duration: seconds since its first attempt in this process.
        error: what its last attempt failed with.
    """

    kind: Literal["succeeded", "failed", "cancelled"]
    duration: float
    error: BaseException | None = None


@attrs.frozen(kw_only=True)
class RunEnd:
    """How a run has ended.

    Attributes:
        kind: what ``run.status`` says.
        duration: seconds since it was started or resumed in this process.
        error: why it failed.
    """

    kind: Literal["completed", "failed", "cancelled", "suspended"]
    duration: float
    error: BaseException | None = None


class Observer:
    """Watches runs. Subclass it, override what you want to know, pass it to the workflow.

    A child run is watched by the observers of the run around it, and by its own workflow's.

    Example::

        class Slow(Observer):
            def attempt_ended(self, attempt: ObservedAttempt, end: AttemptEnd) -> None:
                if end.duration > 1:
                    print(attempt.invocation.step, "took", end.duration, "seconds")

        Workflow("shop", steps, observers=[Slow()])
    """

    def run_started(self, run: ObservedRun) -> None:
        """A run starts or goes on.

        It is called in the context (``contextvars``) from which all tasks of the run are started,
        in a copy of the caller's: what it sets there is seen by the run's steps and input handlers,
        and by nobody else.
        """

    def run_ended(self, run: ObservedRun, end: RunEnd) -> None:
        """A run has ended, and everything of it has finished."""

    def invocation_started(self, invocation: ObservedInvocation) -> None:
        """An invocation is about to be tried for the first time in this process."""

    def invocation_ended(self, invocation: ObservedInvocation, end: InvocationEnd) -> None:
        """An invocation is done with, in this process."""

    def attempt_started(self, attempt: ObservedAttempt) -> AbstractContextManager[object] | None:
        """An attempt is about to begin.

        Returns:
            A context manager around the step's body, or ``None``. What it sets in context
            variables is seen by the step: also in its worker thread if it is a plain ``def``, in
            the tasks that it starts, and in its child runs. On leaving, put them back with
            ``ContextVar.reset``; the task runs other steps, too.
        """
        return None

    def attempt_ended(self, attempt: ObservedAttempt, end: AttemptEnd) -> None:
        """An attempt has ended; ``end.retry_in`` says whether there will be another."""

    def input_requested(self, run: ObservedRun, request: InputRequestEvent) -> None:
        """A human is asked."""

    def input_received(self, run: ObservedRun, request_id: str) -> None:
        """A request was answered."""

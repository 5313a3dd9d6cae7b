"""The watch: tells a run's observers what the run does.

The rule: the watch only looks. What an observer raises is logged and goes no further, and how an
attempt has ended is read off the machine after it was told, so that nobody else has to know that
somebody watches. A run without observers has no watch, and its lanes are plain ones.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context as ContextVars
from typing import TYPE_CHECKING, Any, cast

from .._events import InputRequestEvent
from .._exceptions import NoHandlerError, NonDeterministicStepError, StepTimeoutError
from .._machine import Delivery
from .._observer import (
    AttemptEnd,
    InvocationEnd,
    ObservedAttempt,
    ObservedInvocation,
    ObservedRun,
    Observer,
    RunEnd,
)
from ._lanes import Lane

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Watch", "WatchedLane"]

logger = logging.getLogger("blazen_anyio")

_LONGEST_CARRIER = 8192

_Failure = tuple[BaseException, float | None]
_Entered = tuple[Observer, AbstractContextManager[object]]


class WatchedLane(Lane):
    """A lane of a run that is watched."""

    __slots__ = ()

    async def attempt(self, delivery: Delivery) -> float:
        """Run one attempt inside what the observers put around it."""
        watch = self._runner.watch
        assert watch is not None, "a run that is not watched has plain lanes"
        with watch.around(delivery):
            return await super().attempt(delivery)


class Watch:
    """Tells the observers of one run.

    Args:
        runner: of the run.
        observers: whom to tell, in this order; at an end the other way round.

    Attributes:
        run: the run as observers see it; ``None`` before it has begun.
        resumed: the run goes on from before.
    """

    def __init__(self, runner: Runner, observers: Sequence[Observer]) -> None:
        self._runner = runner
        self._observers = tuple(observers)
        self.run: ObservedRun | None = None
        self.resumed = False
        self._since = 0.0
        self._open: dict[Delivery, tuple[ObservedInvocation, float]] = {}
        self._trying: dict[Delivery, ObservedAttempt] = {}
        self._failures: dict[Delivery, _Failure] = {}
        self._logged: list[Observer] = []

    # ---- the run -------------------------------------------------------------------------------

    def begin(self, context: ContextVars) -> None:
        """The run begins; ``context`` is the one from which its tasks are started."""
        runner, machine = self._runner, self._runner.machine
        kept = _read_carrier(machine.carrier)
        carrier = dict(kept)
        self._since = runner.clock()
        self.run = run = ObservedRun(
            run_id=machine.run_id,
            workflow=machine.plan.name,
            resumed=self.resumed,
            attempt=self._attempt_around(),
            carrier=carrier,
            waiting=self._waiting,
        )
        machine.tell_drops(self._dropped)
        context.run(self._tell, "run_started", run)
        if carrier != kept and (text := self._write_carrier(carrier)) is not None:
            machine.keep(text, runner.clock())

    def end(self) -> None:
        """Everything of the run has finished."""
        run, outcome = self.run, self._runner.machine.outcome
        if run is None:
            return  # it was cancelled before it began
        assert outcome is not None, "the run has ended"
        for delivery in list(self._open):
            self._end_invocation(delivery, "cancelled", None)
        kind = (
            "suspended" if outcome.kind == "cancelled" and self._goes_on_later() else outcome.kind
        )
        self._tell("run_ended", run, RunEnd(**self._how(kind, outcome.error, self._since)))

    def _goes_on_later(self) -> bool:
        """Whether this is a child run, and cancelled because a run around it is being suspended."""
        return any(runner.machine.suspending for runner in self._runner.line())

    def requested(self, request: InputRequestEvent) -> None:
        """A human is asked."""
        self._tell("input_requested", self.run, request)

    def received(self, request_id: str) -> None:
        """A request was answered."""
        if self.run is not None:  # else the answer came with the resume
            self._tell("input_received", self.run, request_id)

    def _attempt_around(self) -> ObservedAttempt | None:
        """The attempt that runs this run, if it is a child run and both are watched."""
        parent = self._runner.parent
        if parent is None or parent.watch is None:
            return None
        return parent.watch._trying.get(parent.children.delivery_of(self._runner))

    def _waiting(self) -> Mapping[str, int]:
        return {step.plan.name: step.pending for step in self._runner.machine.counts()}

    # ---- attempts ------------------------------------------------------------------------------

    def failed(self, delivery: Delivery, error: BaseException, retry_in: float | None) -> None:
        """An attempt has failed; the machine is about to be told."""
        self._failures[delivery] = error, retry_in

    @contextmanager
    def around(self, delivery: Delivery) -> Generator[None]:
        """Be around an attempt, from before its body until the machine has been told its end."""
        attempt = self._trying[delivery] = self._attempt(delivery)
        started = self._runner.clock()
        entered = [entry for each in self._observers for entry in self._enter(each, attempt)]
        try:
            yield
        finally:
            del self._trying[delivery]
            self._end_attempt(delivery, attempt, started)
            for observer, scope in reversed(entered):
                self._guard(observer, scope.__exit__, None, None, None)

    def _attempt(self, delivery: Delivery) -> ObservedAttempt:
        if delivery not in self._open:
            assert self.run is not None, "attempts are made while the run goes on"
            invocation = ObservedInvocation(
                run=self.run,
                number=delivery.id,
                step=delivery.step.name,
                event_type=delivery.origin()[0],
                causes=tuple(dict.fromkeys(each.cause for each in delivery.records if each.cause)),
            )
            self._open[delivery] = invocation, self._runner.clock()
            self._tell("invocation_started", invocation)
        kind = self._runner.steps[delivery.step.index].kind
        return ObservedAttempt(self._open[delivery][0], delivery.attempts + 1, kind)

    def _enter(self, observer: Observer, attempt: ObservedAttempt) -> list[_Entered]:
        """Tell an observer that an attempt begins; enter what it puts around it, if anything."""
        entered: list[_Entered] = []

        def enter() -> None:
            scope = observer.attempt_started(attempt)
            if scope is not None:
                scope.__enter__()
                entered.append((observer, scope))

        self._guard(observer, enter)
        return entered

    def _end_attempt(self, delivery: Delivery, attempt: ObservedAttempt, started: float) -> None:
        error, retry_in = self._failures.pop(delivery, (self._fault_of(delivery), None))
        how = self._how(_kind_of_attempt(delivery, error), error, started)
        if delivery.phase == "delayed":
            self._tell("attempt_ended", attempt, AttemptEnd(**how, retry_in=retry_in))
        else:
            self._tell("attempt_ended", attempt, AttemptEnd(**how))
            self._end_invocation(delivery, self._kind_of_invocation(delivery, error), error)

    def _kind_of_invocation(self, delivery: Delivery, error: BaseException | None) -> str:
        """How an invocation has ended with an attempt that is its last here."""
        if error is None:
            return _kind_of_attempt(delivery, error)
        outcome = self._runner.machine.outcome
        run_failed = outcome is not None and outcome.kind == "failed"
        final = delivery.doom != "discard" and (delivery.phase == "gone" or run_failed)
        return "failed" if final else "cancelled"

    def _fault_of(self, delivery: Delivery) -> BaseException | None:
        """Why the run failed over an attempt that did not fail itself."""
        outcome = self._runner.machine.outcome
        error = None if outcome is None or delivery.phase != "ready" else outcome.error
        name = delivery.step.name
        if isinstance(error, NoHandlerError) and error.source == name:
            return error
        if isinstance(error, NonDeterministicStepError) and error.step == name:
            return error
        return None

    def _end_invocation(self, delivery: Delivery, kind: str, error: BaseException | None) -> None:
        invocation, since = self._open.pop(delivery)
        self._tell("invocation_ended", invocation, InvocationEnd(**self._how(kind, error, since)))

    def _dropped(self, delivery: Delivery) -> None:
        """A delivery that no attempt was made of, or that waited for another, counts no more."""
        if delivery in self._open:
            self._end_invocation(delivery, "cancelled", None)

    def _how(self, kind: str, error: BaseException | None, since: float) -> dict[str, Any]:
        return {"kind": kind, "duration": self._runner.clock() - since, "error": error}

    # ---- telling -------------------------------------------------------------------------------

    def _tell(self, what: str, *about: object) -> None:
        observers = self._observers[::-1] if what.endswith("_ended") else self._observers
        for observer in observers:
            self._guard(observer, getattr(observer, what), *about)

    def _guard(self, observer: Observer, fn: Callable[..., Any], *args: object) -> Any:
        """Call what is an observer's; what it raises is its own affair."""
        try:
            return fn(*args)
        except Exception as error:
            if all(observer is not each for each in self._logged):
                self._logged.append(observer)
                name = type(observer).__qualname__
                self._runner.log(f"observer {name} failed; it is told the rest all the same", error)
            return None

    def _write_carrier(self, carrier: Mapping[str, str]) -> str | None:
        if _are_texts(carrier):
            text = json.dumps(carrier)
            if len(text) <= _LONGEST_CARRIER:
                return text
        logger.error(
            "run %s: what observers left in its carrier is not kept: it takes short texts only",
            self._runner.machine.run_id,
        )
        return None


def _kind_of_attempt(delivery: Delivery, error: BaseException | None) -> str:
    """How an attempt has ended, once the machine has been told."""
    if error is None:
        handled = delivery.doom != "discard" and delivery.phase == "gone"
        return "succeeded" if handled else "cancelled"
    if delivery.doom == "timeout" and isinstance(error, StepTimeoutError):
        return "timed_out"
    return "failed"


def _read_carrier(text: str) -> dict[str, str]:
    """Read what stayed with a run; what no watch has written is nothing."""
    try:
        data: Any = json.loads(text) if 0 < len(text) <= _LONGEST_CARRIER else None
    except (ValueError, RecursionError):
        data = None
    found = cast("dict[str, str]", data) if isinstance(data, dict) else {}
    return found if _are_texts(found) else {}


def _are_texts(carrier: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(text, str) for key, text in carrier.items())

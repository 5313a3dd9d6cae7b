"""The machine: decides what happens next in a run. Without clock, randomness, user code or I/O.

Inputs are method calls and carry their time; every verdict of user code (a retry policy, a
``where`` condition) and every random number comes in with them. Out come the next invocation
(``handling.take``), what the runner has to do (``orders``), facts (:meth:`tell`) and the deltas of
commits (``deltas``). The same inputs in the same order give the same run.

A run's life, as inputs::

    start -> (take -> succeeded | failed | released)* -> outcome

The rules, each at home in its module: dispatch (first come, first served, within limits), routing
(every acceptor, in order), scopes (when a gather fires), early effects (nothing let out twice),
ledger (what a commit changes, and the gate). Here are the rules of a run as a whole:

* An attempt takes effect when it is reported as succeeded, with all that it returned, sent and
  wrote, in one commit; or not at all.
* The first committed stop event ends the run. What is still running is to be cancelled; what comes
  of it is discarded.
* A run that fails, is cancelled or is suspended keeps everything that was not handled, in flight
  included, so that it can go on from its snapshot.
* With nothing queued, running, delayed or awaited the run has stalled, unless it may receive events
  from outside; a run that only the outside could move on is suspended once nobody is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from .._events import Event, InputRequestEvent, InputResponseEvent, StopEvent
from .._exceptions import (
    NoHandlerError,
    WorkflowTimeoutError,
)
from .dispatch import StepState
from .dumping import dump
from .early import Early
from .facts import Sink, both
from .handling import Handling
from .inside import Inside
from .ledger import Ledger
from .lifecycle import Lifecycle
from .live import Child, Delivery
from .outcome import Order, Outcome, Show
from .plan import Plan
from .records import Delta
from .restoring import load
from .routing import ROUTER, Routing
from .scopes import Scopes, is_dead
from .sheets import Sheets

__all__ = ["Machine"]


class Machine:
    """Decides what happens next in one run of a workflow.

    Args:
        plan: the workflow.
        run_id: the run's id; requests derive theirs from it.
        gated: hold the effects of each commit back until :meth:`committed`.
        journaled: make a delta of each commit even so (a gated run always does).

    Attributes:
        orders: what the runner has to do; it takes them out after each input.
        deltas: what was committed; the store takes them out after each input.
        handling: hands invocations out and hears how they ended; its methods are inputs, too.
        inside: hears what a running attempt does before it ends; likewise.
    """

    __slots__ = (
        "_dispatch",
        "_early",
        "_ledger",
        "_life",
        "_routing",
        "_scopes",
        "deltas",
        "handling",
        "inside",
        "orders",
        "plan",
        "run_id",
    )

    def __init__(
        self, plan: Plan, run_id: str, *, gated: bool = False, journaled: bool = False
    ) -> None:
        self.plan = plan
        self.run_id = run_id
        self._ledger = ledger = Ledger(plan, journaled=journaled, gated=gated)
        self._dispatch = ledger.dispatch
        self._scopes = Scopes(ledger)
        self._routing = Routing(ledger, self._scopes, run_id)
        self._early = Early(ledger, self._routing, self._scopes)
        life = Lifecycle(ledger, self._scopes)
        self.orders: deque[Order] = ledger.orders
        self.deltas: deque[Delta] = ledger.deltas
        self._life = life
        self.handling = Handling(ledger, life, self._scopes, self._routing, self._early)
        self.inside = Inside(ledger, life, self._routing, self._early)

    @classmethod
    def completed(cls, plan: Plan, run_id: str, stop: StopEvent) -> Machine:
        """Make a machine of a run that has completed with ``stop``."""
        machine = cls(plan, run_id)
        machine._ledger.end_now(Outcome("completed", event=stop))
        machine._ledger.stopped_by = stop
        return machine

    @classmethod
    def restore(
        cls,
        plan: Plan,
        run_id: str,
        sheets: Sheets,
        now: float,
        *,
        gated: bool = False,
        journaled: bool = False,
    ) -> Machine:
        """Make a machine that goes on from ``sheets``, which fit the plan."""
        machine = cls(plan, run_id, gated=gated, journaled=journaled)
        load(machine._ledger, sheets)
        machine._life.since = now
        return machine

    def go_on(self, now: float, *, abandoned: bool = False) -> None:
        """Begin to run what was restored.

        Args:
            now: the time.
            abandoned: the process that ran it has died, in whatever it was doing.
        """
        self._life.since = now
        self._life.tell_at_once("run_resumed", now)
        self.orders.extend(Show(request) for request in self.requests)
        for delivery in list(self._ledger.deliveries()):
            opened = delivery.opened
            if is_dead(delivery.scope) or (opened is not None and opened.closing):
                self._scopes.discard(delivery)  # it was being cancelled
            elif self._ledger.ending is None and delivery.phase == "ready":
                self.handling.redeliver(delivery, abandoned, now)
        self._life.commit(now)

    def snapshot(self, now: float) -> Sheets:
        """Write down all that the run needs to go on: what was not handled, and the state."""
        self._life.account(now)
        return dump(self._ledger)

    # ---- what can be read ----------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether dispatch is stopped."""
        return self._life.paused

    @property
    def suspending(self) -> bool:
        """Whether the run is being suspended, or has been."""
        outcome = self._ledger.ending
        return self._life.suspending or (outcome is not None and outcome.kind == "suspended")

    @property
    def late(self) -> list[BaseException]:
        """Errors of attempts that ended after the run had."""
        return self._life.late

    @property
    def answers_requests(self) -> bool:
        """Whether an input handler answers requests."""
        return self._life.answers_requests

    @answers_requests.setter
    def answers_requests(self, answers: bool) -> None:
        self._life.answers_requests = answers

    @property
    def at_rest(self) -> bool:
        """Whether the run does nothing before somebody outside has done something."""
        return self._life.at_rest

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, once it has."""
        return self._ledger.outcome

    @property
    def stopped_by(self) -> StopEvent | None:
        """The stop event that the run has committed, even if that is not durable yet."""
        return self._ledger.stopped_by

    @property
    def finished(self) -> bool:
        """Whether the run has ended and every attempt that was handed out has been reported."""
        return self._ledger.outcome is not None and not self._life.out

    def has_backlog(self) -> bool:
        """Say whether another ``handling.take`` might hand something out now."""
        return (
            not self._life.paused and self._ledger.ending is None and self._dispatch.has_backlog()
        )

    @property
    def sooner(self) -> bool:
        """Whether :attr:`next_deadline` may be earlier than when this was last asked."""
        return self._ledger.timers.sooner

    def wants_attention(self) -> bool:
        """Say whether the runner has something to do besides taking the next invocation."""
        ledger = self._ledger
        return bool(
            ledger.orders or ledger.deltas or ledger.timers.sooner or ledger.outcome is not None
        )

    @property
    def busy(self) -> bool:
        """Whether any attempt is running, and neither waits in the engine nor for the outside."""
        return self._dispatch.running > len(self._ledger.resting)

    @property
    def running(self) -> list[Delivery]:
        """The deliveries whose attempts run, in no particular order."""
        return [each for each in self._ledger.deliveries() if each.phase == "running"]

    @property
    def state(self) -> dict[str, Any]:
        """The committed state. To be read only; values are replaced, never changed in place."""
        return self._ledger.state

    @property
    def versions(self) -> dict[str, int]:
        """By state key, the number of the commit that last wrote it."""
        return self._ledger.versions

    def counts(self) -> list[StepState]:
        """The counts of each step, in the order of the workflow's list."""
        return self._dispatch.steps

    def active_time(self, now: float) -> float:
        """How many seconds the run has been active."""
        self._life.account(now)
        return self._ledger.active_time

    @property
    def requests(self) -> list[InputRequestEvent]:
        """The open requests in the order in which they were made."""
        return [request.event for request in self._ledger.requests.values()]

    @property
    def closed_requests(self) -> Mapping[str, Literal["answered", "withdrawn"]]:
        """By request id, why a request is open no more; only the newest are remembered."""
        return self._ledger.closed_requests

    @property
    def children(self) -> list[tuple[Delivery, Child]]:
        """The child runs that have not completed, with the invocation that each belongs to."""
        return [
            (delivery, child)
            for delivery in self._ledger.deliveries()
            if delivery.children is not None
            for child in delivery.children.runs
            if not child.has_ended
        ]

    def tell(self, told: Sink | None, log: Sink | None = None) -> None:
        """From now on tell facts; as long as nobody wants them they cost nothing.

        Args:
            told: told each fact as soon as it is true: those of a commit when it is durable.
            log: told facts that are in no delta, as they happen.
        """
        self._ledger.announce = told
        self._ledger.publish = both(told, log)

    @property
    def carrier(self) -> str:
        """What observers left with the run; see :meth:`keep`."""
        return self._ledger.carrier

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`tick` is next due, if nothing else happens."""
        self._ledger.timers.sooner = False
        if self._ledger.ending is not None:
            return None
        due, limit = self._ledger.timers.earliest(), self._life.time_limit()
        if due is None or limit is None:
            return limit if due is None else due
        return min(due, limit)

    # ---- events from outside -------------------------------------------------------------------

    def start(self, event: Event, now: float) -> None:
        """Begin the run with its first event."""
        self._life.since = now
        self._life.tell("run_started", now, event_type=event.event_type)
        self.send(event, now)

    def send(self, event: Event, now: float) -> None:
        """Take an event from outside."""
        self._life.account(now)
        ledger = self._ledger
        if self._routing.unaccepted(event, ledger.root) is not None:
            self._life.fail_run(NoHandlerError(event, None), now)
            return
        self._routing.emit(event, None, 0, ledger.root, 0)
        self._life.commit(now)

    def respond(self, request_id: str, response: Any, now: float) -> None:
        """Take the answer to a request.

        Raises:
            UnknownRequestError: the request is not open; nothing has changed.
        """
        self._life.account(now)
        request = self._routing.find_request(request_id)
        event = InputResponseEvent(request_id, response)
        if self._routing.unaccepted(event, request.scope) is not None:
            self._life.fail_run(NoHandlerError(event, None), now)
            return
        asking, invocation = request.asking
        self._life.tell("input_received", now, asking, event.event_type, invocation)
        self._routing.answer(event)
        self._life.commit(now)

    # ---- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Carry out what is due."""
        ledger, limit = self._ledger, self._life.time_limit()
        self._life.account(now)
        rung = False
        while ledger.ending is None and (timer := ledger.timers.pop_due(now)) is not None:
            rung = True
            self._ring(*timer, now)
        if rung:
            self._life.commit(now)
        if limit is not None and now >= limit and self.plan.timeout is not None:
            running = [delivery.step.name for delivery in self.running]
            self._life.fail_run(
                WorkflowTimeoutError(self.plan.name, self.plan.timeout, running), now
            )

    # ---- steering ------------------------------------------------------------------------------

    def pause(self, now: float) -> None:
        """Stop dispatch. What runs goes on; inputs are accepted and committed."""
        if not self._life.paused and self._ledger.ending is None:
            self._life.account(now)
            self._life.paused = True
            self._life.tell_at_once("run_paused", now)
            if self._ledger.take_back_marks():
                self._life.commit(now)
            self._life.check_idle(now)

    def resume(self, now: float) -> None:
        """Dispatch again."""
        if self._life.paused and self._ledger.ending is None and not self._life.suspending:
            self._life.account(now)
            self._life.paused = False
            self._life.tell_at_once("run_resumed", now)

    def suspend(self, now: float) -> None:
        """End the run so that it can go on from its snapshot: cancel what runs, deliver it again.

        An attempt that succeeds all the same counts.
        """
        if self._ledger.ending is not None or self._life.suspending:
            return
        self.pause(now)
        self._life.suspending = True
        for delivery in list(self._ledger.deliveries()):
            if delivery.phase == "running" or delivery.waiting_for is not None:
                delivery.doom = delivery.doom or "suspend"
                self._ledger.order_cancel(delivery)
        self._life.check_idle(now)

    def cancel(self, now: float) -> None:
        """End the run. What was not handled stays in its snapshot."""
        if self.outcome is None:
            self._life.account(now)
            self._life.end_now(Outcome("cancelled"), now)

    def fail(self, error: BaseException, now: float, *, overrule: bool = False) -> None:
        """End the run over an error that no step made (an input handler's, a store's).

        Args:
            error: it.
            now: the time.
            overrule: even if the run has ended: its end could not be stored.
        """
        if self.outcome is None:
            self._life.account(now)
            self._life.end_now(Outcome("failed", error=error), now)
        elif overrule:
            self._ledger.ending = self._ledger.outcome = Outcome("failed", error=error)
        else:
            self._life.late.append(error)

    def close(self, now: float) -> None:
        """Nobody is there any more who could send, answer or resume."""
        if self._life.open:
            self._life.account(now)
            self._life.open = False
            self._life.check_idle(now)

    def tell_drops(self, told: Callable[[Delivery], object]) -> None:
        """From now on tell of each delivery that is dropped while the runner does not have it."""
        self._ledger.on_drop = told

    def keep(self, carrier: str, now: float) -> None:
        """Keep a text of the observers with the run."""
        self._ledger.carrier = carrier
        if self._ledger.journal is not None and self._ledger.ending is None:
            self._life.account(now)
            self._life.commit(now)

    def committed(self, sequence: int, now: float) -> None:
        """All commits up to ``sequence`` are durable: let their effects out."""
        self._life.account(now)
        self._ledger.release(sequence)
        self._life.tell_end(now)
        self._life.check_idle(now)

    # ---- inside: time --------------------------------------------------------------------------

    def _ring(self, kind: str, delivery: Delivery, now: float) -> None:
        delivery.timer = None
        if kind == "timeout":
            if delivery.doom is None:
                delivery.doom = "timeout"
                self._ledger.order_cancel(delivery)
        elif kind == "wait":
            self._early.timed_out(delivery, self._ledger.waiting[delivery])
        elif delivery.step is ROUTER:
            self._emit_due(delivery, now)
        else:
            self._ledger.wake(delivery)
            self._ledger.admit(delivery)

    def _emit_due(self, delivery: Delivery, now: float) -> None:
        event = delivery.records[0].event
        if self._routing.unaccepted(event, delivery.scope) is not None:
            # Accepted when it was sent: the workflow has changed since. The event stays put off.
            self._life.fail_run(NoHandlerError(event, None), now)
            return
        self._ledger.wake(delivery)
        self._routing.emit_due(delivery)

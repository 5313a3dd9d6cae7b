"""Inside: what a running attempt does before it ends, seen from the run.

It lets events out early, waits for events and answers, asks, runs children and remembers results.
Each is an input and a commit of its own. An attempt that is being cancelled for good changes
nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._events import Event, InputRequestEvent, StopEvent
from .._exceptions import NoHandlerError, NonDeterministicStepError
from .early import Early
from .ledger import Ledger
from .lifecycle import Lifecycle
from .live import Child, Children, Delivery, Effect, EffectKind, Record
from .plan import StepPlan
from .routing import Routing

__all__ = ["Inside"]


class Inside:
    """The rules of what a running attempt does."""

    __slots__ = ("_early", "_ledger", "_life", "_routing")

    def __init__(self, ledger: Ledger, life: Lifecycle, routing: Routing, early: Early) -> None:
        self._ledger = ledger
        self._life = life
        self._routing = routing
        self._early = early

    def send_early(
        self, delivery: Delivery, event: Event, digest: str, delay: float, now: float
    ) -> None:
        """A running attempt lets an event out at once, to be routed after ``delay`` seconds.

        Raises:
            NonDeterministicStepError: an earlier attempt let out something else; the run has
                failed.
        """
        due = now + delay if delay > 0 else None
        self._let_out(
            delivery, event, None, now, lambda: self._early.send(delivery, event, digest, due)
        )

    def give(self, delivery: Delivery, event: Event, digest: str, now: float) -> bool:
        """A running generator yields an event.

        Returns:
            Whether there is room for more; if not, its attempt waits until it is handed out again.

        Raises:
            NonDeterministicStepError: see :meth:`send_early`.
        """
        opener = delivery.step if delivery.step.gathers else None
        self._let_out(
            delivery, event, opener, now, lambda: self._early.give(delivery, event, digest)
        )
        return self._find_room(delivery, event, now)

    def wait(self, delivery: Delivery, digest: str, timeout: float | None, now: float) -> Effect:
        """A running attempt waits for an event that it will :meth:`claim`.

        Returns:
            The wait. If it is ``settled`` the attempt goes on at once; otherwise it goes on when it
            is handed out again.

        Raises:
            NonDeterministicStepError: see :meth:`send_early`.
        """
        due = None if timeout is None else now + timeout
        return self._suspend(
            delivery, "wait", now, lambda: self._early.wait(delivery, digest, due, now)
        )

    def ask(
        self,
        delivery: Delivery,
        event: InputRequestEvent,
        digest: str,
        timeout: float | None,
        now: float,
    ) -> Effect:
        """A running attempt asks a human and waits for the answer; see :meth:`wait`."""
        due = None if timeout is None else now + timeout
        return self._suspend(
            delivery, "request", now, lambda: self._early.ask(delivery, event, digest, due, now)
        )

    def waits(self) -> list[tuple[Delivery, Effect]]:
        """The attempts that wait for an event, in the order in which they began to.

        One that is being cancelled waits no longer: it would take an event from the others.
        """
        return [
            (delivery, effect)
            for delivery, effect in self._ledger.waiting.items()
            if effect.kind == "wait" and delivery.doom is None
        ]

    def claim(self, delivery: Delivery, record: Record, now: float) -> None:
        """An event in the mailbox satisfies the wait of an attempt."""
        self._life.account(now)
        effect = self._ledger.waiting[delivery]
        self._early.claim(delivery, effect, record)
        self._life.commit(now)

    def leave_wait(self, delivery: Delivery, now: float) -> bool:
        """A running attempt has stopped waiting of its own accord: it queues for a slot.

        What it asked is withdrawn. A later attempt that comes to the wait waits again.

        Returns:
            Whether the attempt is to go on once it has its slot, and not being cancelled.
        """
        if self._ledger.ending is not None or delivery.doom is not None:
            return False
        if delivery.phase == "waiting":
            self._life.account(now)
            self._early.leave_wait(delivery)
            self._life.commit(now)
        return delivery.phase != "running"

    def judged(self, now: float) -> None:
        """The waiting attempts have judged what they were offered, and claimed what they want."""
        self._life.account(now)
        self._life.check_idle(now)

    def begin_child(self, delivery: Delivery, workflow: str, digest: str, now: float) -> Child:
        """A running attempt begins a child run, or goes on with one of an earlier delivery.

        That is the first one of this workflow with the same first event that was not asked for yet:
        child runs that go on side by side may be asked for in another order.
        """
        self._life.account(now)
        children = delivery.children = delivery.children or Children()
        wanted = (workflow, digest)
        for child in children.runs:
            if not child.begun and (child.workflow, child.digest) == wanted:
                break
        else:
            child = Child(delivery.id, len(children.runs), workflow, digest)
            children.runs.append(child)
        child.begun = True
        self._ledger.touch_child(child)
        self._life.commit(now)
        return child

    def answer_child(self, child: Child, request_id: str, response: Any, now: float) -> None:
        """Keep the answer to a request of a child run that has not begun again yet."""
        self._life.account(now)
        child.answers[request_id] = response
        self._ledger.touch_child(child)
        self._life.commit(now)

    def end_child(
        self, child: Child, result: StopEvent, write: Callable[[], Any], now: float
    ) -> None:
        """A child run has completed; ``write`` makes plain data of its stop event."""
        self._life.account(now)
        child.result, child.write_result = result, write
        self._ledger.touch_child(child)
        self._life.commit(now)

    def rest(self, delivery: Delivery, resting: bool, now: float) -> None:
        """The child runs of a running attempt can, or can't, go on without help from outside."""
        if delivery.phase == "running":
            self._life.account(now)
            self._ledger.rest(delivery, resting)
            self._life.check_idle(now)

    def remember(self, delivery: Delivery, name: str, value: Any, now: float) -> None:
        """Keep a result with an invocation, for its later attempts and deliveries."""
        self._life.account(now)
        self._ledger.remember(delivery, name, value)
        self._life.commit(now)

    def _let_out(
        self,
        delivery: Delivery,
        event: Event,
        opener: StepPlan | None,
        now: float,
        effect: Callable[[], None],
    ) -> None:
        if self._ledger.ending is not None or delivery.doom == "discard":
            return
        self._life.account(now)
        if self._routing.unaccepted(event, delivery.scope, opener) is not None:
            self._life.fail_run(NoHandlerError(event, delivery.step.name), now)
            return
        try:
            effect()
        except NonDeterministicStepError as error:
            self._life.fail_run(error, now)
            raise
        self._life.commit(now)

    def _suspend(
        self, delivery: Delivery, kind: EffectKind, now: float, wait: Callable[[], Effect]
    ) -> Effect:
        if self._ledger.ending is not None or delivery.doom == "discard":
            return Effect(delivery.id, -1, kind, "")  # nobody wakes it: it is being cancelled
        self._life.account(now)
        try:
            effect = wait()
        except NonDeterministicStepError as error:
            self._life.fail_run(error, now)
            raise
        self._life.commit(now)
        return effect

    def _find_room(self, delivery: Delivery, event: Event, now: float) -> bool:
        """Make a generator wait if a step that accepts what it yielded has enough to do."""
        effects = delivery.effects
        if self._ledger.ending is not None or delivery.doom is not None or not effects:
            return True
        if delivery.cursor < len(effects):
            return True  # an earlier attempt has waited for the room
        for step in self._ledger.plan.route(event).steps:
            state = self._ledger.dispatch.steps[step.index]
            if step.max_pending is not None and state.pending >= step.max_pending:
                self._ledger.suspend_attempt(delivery, effects[-1], now)
                state.wants_room.append((delivery, effects[-1]))
                self._life.check_idle(now)
                return False
        return True

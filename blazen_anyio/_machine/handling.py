"""Handling: an invocation, from the moment it is handed out until it is settled.

An attempt takes effect when it is reported as succeeded, with all that it returned, sent and wrote,
in one commit; or not at all. What nobody would accept is found before anything changes, so that a
run that fails over it can go on from its snapshot. A failed attempt is put off, handed to an error
step, or fails the run, in this order; a cancelled one goes back to its place in the queue with no
attempt used up. What comes of an attempt after the run or its scope has ended is discarded.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._events import Event, StepFailed
from .._exceptions import (
    AttemptLostError,
    NoHandlerError,
    NonDeterministicStepError,
    StepFailedError,
)
from .early import Early
from .facts import FactKind, Sink
from .joins import records_of
from .ledger import Ledger
from .lifecycle import Lifecycle
from .live import Delivery
from .outcome import Outcome, Outputs, Returned, leaving
from .routing import Routing
from .scopes import Scopes

__all__ = ["Handling"]


class Handling:
    """The rules of an invocation."""

    __slots__ = ("_dispatch", "_early", "_ledger", "_life", "_routing", "_scopes")

    def __init__(
        self, ledger: Ledger, life: Lifecycle, scopes: Scopes, routing: Routing, early: Early
    ) -> None:
        self._ledger = ledger
        self._dispatch = ledger.dispatch
        self._life = life
        self._scopes = scopes
        self._routing = routing
        self._early = early

    def take(self, now: float) -> Delivery | None:
        """Hand out the next invocation, or ``None`` if none may run now.

        A delivery that ``resumes`` is no new attempt: the one that waited has its slot back.
        Otherwise the runner calls the step and reports how it ended, exactly once.
        """
        ledger = self._ledger
        if self._life.paused or ledger.ending is not None:
            return None
        delivery = self._dispatch.take()
        while (
            delivery is not None
            and (delivery.deliveries or delivery.step.at_most_once)
            and not self._may_begin(delivery, now)
        ):
            delivery = self._dispatch.take()
        if delivery is None:
            if ledger.resting:
                self._life.check_idle(now)  # what was there waits for the slot of one that rests
            return None
        step = delivery.step
        if step.max_pending is not None:
            ledger.give_room(step)
        if delivery.waiting_for is not None:
            ledger.go_on(delivery, now)
            delivery.resumes = True
            return delivery
        self._life.out += 1
        delivery.started = now
        delivery.cursor = 0
        delivery.resumes = False
        delivery.doom = None
        if delivery.children is not None:
            delivery.children.begin_again()
        if step.timeout is not None:
            delivery.timer = ledger.timers.set(now + step.timeout, "timeout", delivery)
        if ledger.publish is not None:
            kind, cause = delivery.origin()
            attempt, number = delivery.attempts + 1, delivery.id
            ledger.publish(
                ("step_started", now, step.name, kind, attempt, None, None, number, cause)
            )
        return delivery

    def _may_begin(self, delivery: Delivery, now: float) -> bool:
        """Whether it is on record that a delivery is begun which has to be known later on."""
        if delivery.begun:
            return True
        limit = self._ledger.plan.max_deliveries
        last = limit is not None and delivery.deliveries >= limit - 1
        if last and not self._ledger.suspects.admit(delivery):
            return False
        may_begin = self._ledger.mark(delivery)
        self._life.account(now)
        self._life.commit(now)
        return may_begin

    def redeliver(self, delivery: Delivery, abandoned: bool, now: float) -> None:
        """A restored run goes on with a delivery that was ready, or in an attempt.

        What a process may have died of is delivered again so often, and no more. Most of it is
        innocent: it counts as delivered once, and from then on it is on record when it is begun.
        """
        step, limit = delivery.step, self._ledger.plan.max_deliveries
        begun = delivery.begun
        if abandoned and (begun or not delivery.deliveries):
            delivery.deliveries += 1
        lost = begun and step.at_most_once
        if not lost:
            lost = abandoned and limit is not None and delivery.deliveries >= limit
            delivery.begun = False
        if abandoned or begun:
            self._ledger.touch(delivery)
        if lost:
            self._lose(delivery, now)

    def _lose(self, delivery: Delivery, now: float) -> None:
        """An attempt is over of which nobody knows how."""
        step, deliveries = delivery.step, max(delivery.deliveries, 1)
        error = AttemptLostError(step.name, deliveries, at_most_once=step.at_most_once)
        self._ledger.unqueue(delivery)
        delivery.started = now
        self._life.tell_step("step_failed", delivery, now, error)
        delivery.attempts += 1
        self._give_up(delivery, error, now)

    def succeeded(
        self, delivery: Delivery, returned: Returned, outputs: Outputs | None, now: float
    ) -> None:
        """An attempt has succeeded: commit what it returned, sent and wrote.

        Args:
            delivery: the invocation.
            returned: ``None``, an event, a tuple of events, or a list of events (a fan-out).
            outputs: what it left besides; its state changes have been found free of conflicts.
            now: the time.
        """
        ledger = self._ledger
        if ledger.ending is not None or delivery.doom == "discard":
            self._life.tell_step("step_cancelled", delivery, now, at_once=True)
            self._discard(delivery, now)
            return
        if ledger.plan.timeout is not None:
            self._life.account(now)
        if (
            outputs is None
            and isinstance(returned, Event)
            and self._pass_on(delivery, returned, now)
        ):
            return
        unaccepted = self._find_unaccepted(delivery, returned, outputs)
        if unaccepted is not None:
            self._life.fail_run(NoHandlerError(unaccepted, delivery.step.name), now, delivery)
            return
        try:
            if delivery.has_early_effects:
                self._early.finish(delivery)
        except NonDeterministicStepError as error:
            self._life.fail_run(error, now, delivery)
            return
        self._life.end_attempt(delivery)
        if ledger.publish is not None:
            self._life.tell_step("step_completed", delivery, now)
        # What left early has the first positions.
        first = len(delivery.effects) if delivery.effects is not None else 0
        if outputs is not None:
            first = self._apply(delivery, outputs, first, now)
        if returned is not None:
            self._emit_returned(delivery, returned, first)
        ledger.dispatch.steps[delivery.step.index].done += 1
        ledger.settle(delivery)
        self._life.commit(now)

    def _pass_on(self, delivery: Delivery, event: Event, now: float) -> bool:
        """Commit an attempt that returned one event for one step, as nearly every attempt does.

        It does what the general way does without the detours that are there for everything else.

        Returns:
            Whether this was such an attempt; if not, nothing has changed.
        """
        ledger = self._ledger
        route = ledger.plan.routes.get(type(event))
        if (
            route is None  # the first of its type; the general way finds it
            or delivery.effects is not None  # has_early_effects, without the call
            or delivery.children is not None
            or delivery.step.generates
        ):
            return False
        gather = route.gathered
        scope = None if gather is None else delivery.scope.joined_by(gather.index)
        if route.straight is None and scope is None:
            return False
        self._life.out -= 1
        ledger.end_attempt(delivery)
        if ledger.publish is not None:
            note = ledger.publish if ledger.gate is None else ledger.note()
            self._tell_passed_on(delivery, event, note, now)
        if route.straight is not None:
            ledger.pass_on(delivery, event, route.straight)
        else:
            assert gather is not None and scope is not None, "else it was not passed on"
            ledger.pass_into(delivery, event, gather, scope)
        self._dispatch.steps[delivery.step.index].done += 1
        self._life.commit(now)
        return True

    def _tell_passed_on(self, delivery: Delivery, event: Event, note: Sink, now: float) -> None:
        kind, cause = delivery.origin()
        number, attempt, took = delivery.id, delivery.attempts + 1, now - delivery.started
        name = delivery.step.name
        note(("step_completed", now, name, kind, attempt, took, None, number, cause))
        note(("event_routed", now, None, event.event_type, None, None, None, None, number))

    def failed(
        self, delivery: Delivery, error: BaseException, retry_in: float | None, now: float
    ) -> None:
        """An attempt has failed.

        Args:
            delivery: the invocation.
            error: what it raised.
            retry_in: the verdict of its retry policy: seconds until the next attempt, or ``None``
                to give up.
            now: the time.
        """
        ledger = self._ledger
        kind: FactKind = "step_timed_out" if delivery.doom == "timeout" else "step_failed"
        no_commit = ledger.ending is not None or delivery.doom == "suspend"
        self._life.tell_step(kind, delivery, now, error, at_once=no_commit)
        if ledger.ending is not None or delivery.doom == "discard":
            self._life.late.append(error)
            self._discard(delivery, now)
            return
        if delivery.doom == "suspend":
            # A cleanup that failed while the run is put down uses up no attempt.
            self._life.late.append(error)
            self._put_back(delivery, now)
            return
        self._life.account(now)
        self._life.end_attempt(delivery)
        if delivery.first_tried is None:
            delivery.first_tried = delivery.started
        delivery.attempts += 1
        # It has ended, and not the process. What must not repeat does not after a resume either.
        delivery.deliveries, delivery.begun = 0, delivery.step.at_most_once
        ledger.forget_children(delivery)
        if retry_in is not None:
            ledger.dispatch.steps[delivery.step.index].retried += 1
            ledger.put_off(delivery, now + retry_in)
            self._life.commit(now)
        else:
            self._give_up(delivery, error, now)

    def released(self, delivery: Delivery, now: float) -> None:
        """An attempt was cancelled: it goes back to the queue, and no attempt is used up."""
        self._life.tell_step("step_cancelled", delivery, now, at_once=True)
        if self._ledger.ending is not None or delivery.doom == "discard":
            self._discard(delivery, now)
            return
        self._put_back(delivery, now)

    def _put_back(self, delivery: Delivery, now: float) -> None:
        self._life.account(now)
        self._life.end_attempt(delivery)
        self._dispatch.put_back(delivery)
        self._life.check_idle(now)

    def _discard(self, delivery: Delivery, now: float) -> None:
        """An attempt has ended that does not count."""
        self._life.account(now)
        self._life.end_attempt(delivery)
        if self._ledger.ending is None:
            self._early.give_up(delivery)
            self._ledger.settle(delivery)
            self._life.commit(now)
        else:
            self._dispatch.put_back(delivery)

    def _give_up(self, delivery: Delivery, error: BaseException, now: float) -> None:
        """All attempts are used up: an error step takes over, or the run fails."""
        step, attempts = delivery.step, delivery.attempts
        failure = StepFailed.of(step.name, delivery.events, error, attempts)
        self._ledger.dispatch.steps[step.index].failed += 1
        if self._routing.emit_failure(failure, delivery):
            self._early.give_up(delivery)
            self._ledger.settle(delivery)
            self._life.commit(now)
            return
        delivery.attempts = 0
        delivery.first_tried = None
        self._ledger.touch(delivery)
        self._dispatch.put_back(delivery)
        self._life.end_now(
            Outcome("failed", error=StepFailedError(step.name, delivery.events, attempts, error)),
            now,
        )
        self._life.commit(now)

    def _find_unaccepted(
        self, delivery: Delivery, returned: Returned, outputs: Outputs | None
    ) -> Event | None:
        """The first event of an attempt that nobody would accept; nothing has changed yet."""
        gathering = delivery.step if delivery.step.gathers else None
        for events, fanned_out in leaving(returned, outputs):
            opener = gathering if fanned_out else None
            if len(events) > 1 and self._routing.takes_anywhere(events):
                continue
            for event in events:
                if self._routing.unaccepted(event, delivery.scope, opener) is not None:
                    return event
        return None

    def _apply(self, delivery: Delivery, outputs: Outputs, position: int, now: float) -> int:
        """Carry out what an attempt leaves besides its return; return the next free position."""
        ledger = self._ledger
        if outputs.writes or outputs.removes:
            ledger.write_state(outputs.writes, outputs.removes)
        for kind, (deposited, taken) in outputs.collects.items():
            self._collect(delivery, kind, deposited, taken)
        for sent, delay in outputs.sends:
            if isinstance(sent, list):
                self._routing.fan_out(sent, delivery, position)
                position += len(sent)
                continue
            if delay > 0:
                self._routing.emit_later(sent, delivery, position, now + delay)
            else:
                self._routing.emit(sent, delivery, position, delivery.scope, delivery.branch)
            position += 1
        return position

    def _collect(self, delivery: Delivery, kind: str, deposited: bool, taken: int) -> None:
        ledger = self._ledger
        if deposited:
            ledger.join(delivery.step, ledger.root, 0, kind, delivery.records[0])
        key = (delivery.step.index, ledger.root.id, 0, kind)
        for record in records_of(ledger.unjoin(key, taken)) if taken else ():
            ledger.let_go(record)

    def collected(self, delivery: Delivery, kind: str) -> list[Event]:
        """The events that wait under ``kind`` for ``ctx.collect_events`` in the delivery's step."""
        ledger = self._ledger
        key = (delivery.step.index, ledger.root.id, 0, kind)
        return [record.event for record in ledger.joins.peek(key)]

    def _emit_returned(
        self, delivery: Delivery, returned: Event | Sequence[Event], first: int
    ) -> None:
        scope, branch = delivery.scope, delivery.branch
        if isinstance(returned, Event):
            self._routing.emit(returned, delivery, first, scope, branch)
        elif isinstance(returned, list):
            self._routing.fan_out(returned, delivery, first)
        else:
            for position, event in enumerate(returned, first):
                self._routing.emit(event, delivery, position, scope, branch)

    def has_room(self, event: Event) -> bool:
        """Whether every step that accepts ``event`` may have one more delivery waiting for it."""
        return all(
            step.max_pending is None or self._dispatch.steps[step.index].pending < step.max_pending
            for step in self._ledger.plan.route(event).steps
        )

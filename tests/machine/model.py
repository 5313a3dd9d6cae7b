"""A model of the machine that is slow and simple: lists, and questions answered by looking at all.

It has no counts, no index, no queue that is skipped lazily and no list of scopes that might have
drained: whether a scope is live, a step is full or the run is idle is found out from scratch each
time. So it can't go wrong where the machine could. It knows the rules of the contract, not how they
are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from blazen_anyio._events import Event, InputRequestEvent, InputResponseEvent, StepFailed
from blazen_anyio._machine import Mode

from .model_parts import MDelivery, MEffect, MEvent, MRequest, MScope, NotTheSame
from .model_rules import Rules, as_sends

__all__ = ["Model"]


class Model(Rules):
    """One run, as the contract has it: the inputs of the machine."""

    # ---- inputs --------------------------------------------------------------------------------

    def send(self, event: Event) -> None:
        if self._unaccepted([event], self.root, None):
            self._end_now("failed", "NoHandlerError")
            return
        self._emit(event, None, 0, self.root, 0)
        self._commit()

    def take(self) -> MDelivery | None:
        delivery = self.next_to_run()
        if delivery is None:
            return None
        assert delivery.step is not None
        delivery.state = "running"
        self._give_room(delivery.step)
        if delivery.resumed:
            self._go_on(delivery)
            return delivery
        self.out.append(delivery)
        delivery.cursor = 0
        delivery.doom = None
        if delivery.step.timeout is not None:
            delivery.timer = (self.now + delivery.step.timeout, self._next())
        return delivery

    def succeed(
        self,
        delivery: MDelivery,
        returned: Event | tuple[Event, ...] | list[Event] | None,
        sends: Sequence[tuple[Event | list[Event], float]],
        writes: dict[str, Any],
    ) -> None:
        if self._discards(delivery):
            return
        if self._any_unaccepted(delivery, returned, sends):
            self._back(delivery)
            self._end_now("failed", "NoHandlerError")
            return
        try:
            self._finish_effects(delivery)
        except NotTheSame:
            self._back(delivery)
            self._end_now("failed", "NonDeterministicStepError")
            return
        self._stop_attempt(delivery)
        self.state.update(writes)
        position = len(delivery.effects)
        outputs = list(sends) if returned is None else [*sends, *as_sends(returned)]
        for sent, delay in outputs:
            if isinstance(sent, list):
                self._fan_out(sent, delivery, position)
                position += len(sent)
                continue
            if delay > 0:
                self._emit_later(sent, delivery, position, self.now + delay)
            else:
                self._emit(sent, delivery, position, delivery.scope, delivery.branch)
            position += 1
        self._settle(delivery)
        self._commit()

    def fail(self, delivery: MDelivery, error: BaseException, retry_in: float | None) -> None:
        if self._discards(delivery):
            return
        if delivery.doom == "suspend":
            self._back(delivery)
            self._check_idle()
            return
        self._stop_attempt(delivery)
        delivery.attempts += 1
        if retry_in is not None:
            self._put_off(delivery, self.now + retry_in)
            self._commit()
            return
        assert delivery.step is not None
        called = [event.event for event in delivery.events]
        given = called if delivery.step.mode is not Mode.EACH else called[0]
        failure = StepFailed(delivery.step.name, given, error, delivery.attempts)
        if self._handle_failure(failure, delivery):
            self._give_up_scope(delivery)
            self._settle(delivery)
        else:
            delivery.attempts = 0
            self._requeue(delivery)
            self._end_now("failed", "StepFailedError")
        self._commit()

    def release(self, delivery: MDelivery) -> None:
        if self._discards(delivery):
            return
        self._back(delivery)
        self._check_idle()

    def early(self, delivery: MDelivery, kind: str, event: Event, digest: str) -> None:
        """A send or a yield of a running attempt."""
        if self.ending is not None or delivery.doom == "discard":
            return
        step = delivery.step
        assert step is not None
        opener = step if kind == "yield" and step.gathers else None
        if self._unaccepted([event], delivery.scope, opener):
            self._end_now("failed", "NoHandlerError")
            return
        self._or_fail(lambda: self._make_early(delivery, kind, event, digest))
        self._commit()
        if kind == "yield":
            self._wait_for_room(delivery, event)

    def wait(
        self, delivery: MDelivery, digest: str, timeout: float | None, ask: InputRequestEvent | None
    ) -> None:
        """A wait or a request inside a step."""
        if self.ending is not None or delivery.doom == "discard":
            return
        self._or_fail(lambda: self._make_wait(delivery, digest, timeout, ask))
        self._commit()

    def leave(self, delivery: MDelivery) -> None:
        """A scope of its own has ended its wait: the attempt queues for a slot."""
        if self.ending is not None or delivery.doom is not None or delivery.state != "waiting":
            return
        effect = delivery.waits_in
        assert effect is not None
        effect.due = None
        delivery.has_left = True
        self.requests = [each for each in self.requests if each.effect is not effect]
        self._wake(delivery)
        self._queue(delivery)
        self._commit()

    def _go_on(self, delivery: MDelivery) -> None:
        delivery.resumed = False
        delivery.waits_in = None
        if delivery.left is not None:
            delivery.timer = (self.now + delivery.left, self._next())
            delivery.left = None

    def claim(self, delivery: MDelivery, event: MEvent) -> None:
        assert delivery.waits_in is not None
        self.mailbox.remove(event)
        self._settle_effect(delivery, delivery.waits_in, "answered", event.event)
        self._commit()

    def respond(self, request: MRequest, response: InputResponseEvent) -> None:
        if request.effect is None and self._unaccepted([response], request.scope, None):
            self._end_now("failed", "NoHandlerError")
            return
        self._answer(request, response)
        self._commit()

    def tick(self, now: float) -> None:
        self.now = now
        rung = False
        while self.ending is None:
            due = [each for each in self.live() if each.timer is not None and each.timer[0] <= now]
            if not due:
                break
            rung = True
            self._ring(min(due, key=lambda each: each.timer or (0, 0)))
        if rung:
            self._commit()

    def next_deadline(self) -> float | None:
        if self.ending is not None:
            return None
        return min((each.timer[0] for each in self.live() if each.timer is not None), default=None)

    def pause(self) -> None:
        if self.ending is None and not self.paused:
            self.paused = True
            self._check_idle()

    def resume(self) -> None:
        if self.ending is None and not self.suspending:
            self.paused = False

    def suspend(self) -> None:
        if self.ending is not None or self.suspending:
            return
        self.pause()
        self.suspending = True
        for delivery in self.live():
            if delivery in self.out:
                delivery.doom = delivery.doom or "suspend"
                self.cancelled.append(delivery)
        self._check_idle()

    def cancel(self) -> None:
        if self.outcome is None:
            self._end_now("cancelled", None)

    def close(self) -> None:
        if self.open:
            self.open = False
            self._check_idle()

    def acknowledge(self, commit: int) -> None:
        self.acknowledged = max(self.acknowledged, commit)
        self._check_idle()

    def restore(self) -> None:
        """Go on from a snapshot: what is in flight starts again, what was being cut is gone."""
        self.ending, self.ending_gate = None, 0
        self.paused = self.suspending = False
        self.open = True
        self.commits = 0
        self.acknowledged = 0 if self.gated else math.inf
        self.out.clear()
        self.waiters.clear()
        self.cancelled.clear()
        for delivery in self.live():
            delivery.gate = 0
            if delivery.state != "delayed":
                delivery.state = "queued"
                delivery.timer = delivery.left = delivery.waits_in = delivery.room_of = None
                delivery.resumed = False
            else:
                delivery.timer = (delivery.timer or (0.0, 0))[0], delivery.place
        for delivery in self.live():
            opened = delivery.opened
            if delivery.scope.dead or (opened is not None and opened.closing):
                self._drop(delivery)
        self._commit()

    # ---- early effects -------------------------------------------------------------------------

    def _or_fail(self, effect: Any) -> None:
        try:
            effect()
        except NotTheSame:
            self._end_now("failed", "NonDeterministicStepError")
            raise

    def _make_early(self, delivery: MDelivery, kind: str, event: Event, digest: str) -> None:
        made = delivery.effects[delivery.cursor :]
        if made:
            if (made[0].kind, made[0].digest) == (kind, digest):
                delivery.cursor += 1
                return
            if kind != "yield":
                raise NotTheSame
            self._start_over(delivery)
        effect = MEffect(kind, digest, event)
        delivery.effects.append(effect)
        delivery.cursor += 1
        if kind == "send":
            position = len(delivery.effects) - 1
            self._emit(event, delivery, position, delivery.scope, delivery.branch)
        else:
            self._give(delivery, event, len(delivery.effects) - 1)

    def _give(self, delivery: MDelivery, event: Event, position: int) -> None:
        scope = self._yields_into(delivery)
        branch = delivery.branch
        if scope is not delivery.scope:
            branch = scope.items
            scope.items += 1
        self._emit(event, delivery, position, scope, branch)

    def _yields_into(self, delivery: MDelivery) -> MScope:
        step = delivery.step
        assert step is not None
        if delivery.opened is not None:
            return delivery.opened
        own = delivery.scope if not step.gathers else self._own(step, delivery.scope)
        if own is not None:
            return own
        opened = delivery.opened = self._open_scope(step, delivery)
        opened.holder = delivery
        return opened

    def _start_over(self, delivery: MDelivery) -> None:
        rest = delivery.effects[delivery.cursor :]
        if delivery.opened is None or any(effect.kind != "yield" for effect in rest):
            raise NotTheSame
        self._give_up_scope(delivery)
        del delivery.effects[delivery.cursor :]
        for position, effect in enumerate(delivery.effects):
            if effect.kind == "yield" and effect.event is not None:
                self._give(delivery, effect.event, position)

    def _finish_effects(self, delivery: MDelivery) -> None:
        if delivery.cursor < len(delivery.effects):
            self._start_over(delivery)
        if delivery.step is not None and delivery.step.generates:
            self._yields_into(delivery)
            if delivery.opened is not None:
                delivery.opened.holder = None
                delivery.opened = None

    def _make_wait(
        self, delivery: MDelivery, digest: str, timeout: float | None, ask: InputRequestEvent | None
    ) -> None:
        kind = "wait" if ask is None else "request"
        made = delivery.effects[delivery.cursor :]
        if made and (made[0].kind, made[0].digest) != (kind, digest):
            raise NotTheSame
        if not made:
            made = [MEffect(kind, digest, ask)]
            delivery.effects += made
        effect = made[0]
        delivery.cursor += 1
        if effect.settled is None:
            if ask is not None and all(each.effect is not effect for each in self.requests):
                request = MRequest(ask, delivery.scope, delivery.branch, delivery.recoveries)
                request.delivery, request.effect = delivery, effect
                self.requests.append(request)
            self._wait_in(delivery, effect)
            if effect.due is None and timeout is not None:
                effect.due = self.now + timeout
            if effect.due is not None:
                delivery.timer = (effect.due, self._next())

    def _wait_in(self, delivery: MDelivery, effect: MEffect) -> None:
        if delivery.timer is not None:
            delivery.left = delivery.timer[0] - self.now
        delivery.timer = None
        delivery.state = "waiting"
        delivery.waits_in = effect
        self.waiters.append(delivery)

    def _wait_for_room(self, delivery: MDelivery, event: Event) -> None:
        if self.ending is not None or delivery.doom is not None:
            return
        if delivery.cursor < len(delivery.effects):
            return
        for step in self._takers(event):
            if step.max_pending is not None and self.pending(step) >= step.max_pending:
                self._wait_in(delivery, delivery.effects[-1])
                delivery.room_of = step
                self._check_idle()
                return

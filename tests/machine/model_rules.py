"""The rules of the model: where events go, when scopes drain, how a run ends; see :mod:`.model`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from blazen_anyio._events import (
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._machine import Mode, Plan, StepPlan

from .model_parts import (
    Label,
    MDelivery,
    MEffect,
    MEvent,
    MJoined,
    MRequest,
    MScope,
    label,
)

__all__ = ["Rules", "as_sends"]


class Rules:
    """One run, as the contract has it."""

    def __init__(self, plan: Plan, *, gated: bool) -> None:
        self.plan = plan
        self.now = 0.0
        self.root = MScope(0, None, 0, None, 0)
        self.scopes: list[MScope] = []
        self.deliveries: list[MDelivery] = []
        self.requests: list[MRequest] = []
        self.joined: list[MJoined] = []
        self.mailbox: list[MEvent] = []
        self.waiters: list[MDelivery] = []
        self.state: dict[str, Any] = {}
        self.ending: Label | None = None
        self.ending_gate = 0
        self.paused = False
        self.open = True
        self.suspending = False
        self.out: list[MDelivery] = []
        self.cancelled: list[MDelivery] = []
        self.gated = gated
        self.commits = 0
        self.acknowledged: float = 0 if gated else math.inf
        self.fired: list[MScope] = []
        self._seq = 0

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    # ---- what can be asked ---------------------------------------------------------------------

    @property
    def outcome(self) -> Label | None:
        return self.ending if self.ending_gate <= self.acknowledged else None

    def live(self) -> list[MDelivery]:
        return [each for each in self.deliveries if each.state != "gone"]

    def running(self, step: StepPlan | None = None) -> list[MDelivery]:
        return [
            each
            for each in self.deliveries
            if each.state == "running" and step in (None, each.step)
        ]

    def pending(self, step: StepPlan) -> int:
        return sum(each.state == "queued" and each.step is step for each in self.deliveries)

    def active(self) -> int:
        return sum(each.state in ("queued", "running") for each in self.deliveries)

    def delayed(self) -> int:
        return sum(each.state == "delayed" for each in self.deliveries)

    def open_scopes(self) -> list[MScope]:
        return [scope for scope in self.scopes if not scope.over]

    def waits(self) -> list[MDelivery]:
        return [
            each
            for each in self.waiters
            if each.waits_in is not None and each.waits_in.kind == "wait" and each.doom is None
        ]

    def next_to_run(self) -> MDelivery | None:
        """The oldest delivery that limits and gate allow."""
        if self.paused or self.ending is not None:
            return None
        limit = self.plan.max_concurrency
        if limit is not None and len(self.running()) >= limit:
            return None
        ready = [
            each
            for each in self.deliveries
            if each.state == "queued"
            and each.gate <= self.acknowledged
            and each.step is not None
            and (
                each.step.max_concurrency is None
                or len(self.running(each.step)) < each.step.max_concurrency
            )
        ]
        return min(ready, key=lambda each: each.place, default=None)

    # ---- attempts ------------------------------------------------------------------------------

    def _discards(self, delivery: MDelivery) -> bool:
        if self.ending is not None:
            self._back(delivery)
            return True
        if delivery.doom != "discard":
            return False
        self._stop_attempt(delivery)
        self._give_up_scope(delivery)
        self._settle(delivery)
        self._commit()
        return True

    def _stop_attempt(self, delivery: MDelivery) -> None:
        self.out.remove(delivery)
        if delivery in self.waiters:
            self.waiters.remove(delivery)
        was_queued = delivery.state == "queued"
        delivery.state = "ending"
        delivery.timer = delivery.waits_in = delivery.room_of = delivery.left = None
        delivery.resumed = False
        if was_queued and delivery.step is not None:
            self._give_room(delivery.step)

    def _back(self, delivery: MDelivery) -> None:
        self._stop_attempt(delivery)
        self._requeue(delivery)

    def _requeue(self, delivery: MDelivery) -> None:
        delivery.state = "queued"
        delivery.gate = 0

    def _put_off(self, delivery: MDelivery, due: float) -> None:
        delivery.state = "delayed"
        delivery.due = due
        delivery.place = self._next()
        delivery.timer = (due, self._next())

    def _settle(self, delivery: MDelivery) -> None:
        delivery.state = "gone"
        self.requests = [each for each in self.requests if each.delivery is not delivery]

    def _drop(self, delivery: MDelivery) -> None:
        was_queued = delivery.state == "queued"
        delivery.timer = None
        if delivery.opened is not None:
            delivery.opened.holder = None
            delivery.opened = None
        self._settle(delivery)
        if was_queued and delivery.step is not None:
            self._give_room(delivery.step)

    def _queue(self, delivery: MDelivery) -> None:
        delivery.state = "queued"
        delivery.place = self._next()
        delivery.gate = self.commits + 1

    def _ring(self, delivery: MDelivery) -> None:
        delivery.timer = None
        if delivery.state == "running":
            if delivery.doom is None:
                delivery.doom = "timeout"
                self.cancelled.append(delivery)
        elif delivery.state == "waiting":
            assert delivery.waits_in is not None
            effect = delivery.waits_in
            self.requests = [each for each in self.requests if each.effect is not effect]
            self._settle_effect(delivery, effect, "timed_out", None)
        elif delivery.step is not None:
            delivery.due = None
            self._queue(delivery)
        else:
            delivery.state = "ending"
            self._emit_record(delivery.events[0])
            self._settle(delivery)

    def _give_room(self, step: StepPlan) -> None:
        if step.max_pending is None:
            return
        for delivery in list(self.waiters):
            if delivery.room_of is step and self.pending(step) < step.max_pending:
                self._wake(delivery)
                delivery.gate = 0

    def _wake(self, delivery: MDelivery) -> None:
        self.waiters.remove(delivery)
        delivery.state = "queued"
        delivery.timer = delivery.room_of = None
        delivery.resumed = True

    def _settle_effect(self, delivery: MDelivery, effect: MEffect, how: str, answer: Any) -> None:
        effect.settled = how
        effect.answer = answer
        if delivery.waits_in is effect and delivery.state == "waiting":
            self._wake(delivery)
            self._queue(delivery)

    def _answer(self, request: MRequest, response: InputResponseEvent) -> None:
        self.requests.remove(request)
        if request.effect is not None and request.delivery is not None:
            self._settle_effect(request.delivery, request.effect, "answered", response.response)
            return
        sent = MEvent(
            self._next(), response, 0, 0, request.scope, request.branch, request.recoveries
        )
        self._route(sent, self._takers(response))

    # ---- routing -------------------------------------------------------------------------------

    def _any_unaccepted(
        self,
        delivery: MDelivery,
        returned: Any,
        sends: Sequence[tuple[Event | list[Event], float]],
    ) -> bool:
        opener = delivery.step if delivery.step is not None and delivery.step.gathers else None
        for sent, _ in [*sends, *as_sends(returned)]:
            fanned = isinstance(sent, list)
            events = sent if isinstance(sent, list) else [sent]
            if self._unaccepted(events, delivery.scope, opener if fanned else None):
                return True
        return False

    def _unaccepted(self, events: Sequence[Event], scope: MScope, opener: StepPlan | None) -> bool:
        return any(not self._accepted(event, scope, opener) for event in events)

    def _accepted(self, event: Event, scope: MScope, opener: StepPlan | None) -> bool:
        if self.plan.ignore_unhandled or self._awaited(event):
            return True
        if isinstance(event, (StopEvent, InputRequestEvent)):
            return True
        return any(
            step.mode is not Mode.GATHER
            or (opener is not None and step.index in opener.gathers)
            or self._bound(step, scope) is not None
            for step in self._takers(event)
        )

    def _awaited(self, event: Event) -> bool:
        return any(isinstance(event, step.waits) for step in self.plan.steps)

    def _takers(self, event: Event) -> list[StepPlan]:
        return [
            step
            for step in self.plan.steps
            if step.takes(type(event), event.event_type)
            and (
                not isinstance(event, StepFailed)
                or step.for_steps is None
                or event.step in step.for_steps
            )
        ]

    def _bound(self, gather: StepPlan, scope: MScope) -> MScope | None:
        for each in scope.outwards():
            if each.opener is not None and gather.index in each.opener.gathers:
                return each
        return None

    def _emit(
        self, event: Event, cause: MDelivery | None, position: int, scope: MScope, branch: int
    ) -> None:
        recoveries = cause.recoveries if cause is not None else 0
        seq = cause.seq if cause is not None else 0
        self._emit_record(MEvent(0, event, seq, position, scope, branch, recoveries))

    def _emit_record(self, sent: MEvent) -> None:
        event = sent.event
        if sent.scope.dead:
            return
        if isinstance(event, StopEvent):
            self._end(*label(event))
            return
        if isinstance(event, InputRequestEvent):
            self.requests.append(MRequest(event, sent.scope, sent.branch, sent.recoveries))
        sent.seq = self._next()
        self._route(sent, self._takers(event))
        if self._awaited(event):
            self.mailbox.append(sent)

    def _emit_later(self, event: Event, cause: MDelivery, position: int, due: float) -> None:
        if cause.scope.dead:
            return
        scope, branch, recoveries = cause.scope, cause.branch, cause.recoveries
        sent = MEvent(self._next(), event, cause.seq, position, scope, branch, recoveries)
        delivery = self._deliver(None, [sent], scope, branch, recoveries)
        self._put_off(delivery, due)

    def _route(self, sent: MEvent, steps: Sequence[StepPlan]) -> None:
        full: list[MScope] = []
        for step in steps:
            if step.mode is Mode.EACH:
                self._deliver(step, [sent], sent.scope, sent.branch, sent.recoveries)
            elif step.mode is Mode.GATHER:
                scope = self._bound(step, sent.scope)
                if scope is not None:
                    self.joined.append(MJoined(self._next(), step, scope, 0, 0, sent))
                    if len(self._joined(step, scope)) == step.count:
                        full.append(scope)
            elif step.mode is Mode.BATCH:
                self.joined.append(MJoined(self._next(), step, sent.scope, 0, 0, sent))
                entries = self._joined(step, sent.scope)
                if len(entries) == step.size:
                    self._fire(entries)
            else:
                self._pair(step, sent)
        for scope in full:
            self._close(scope)

    def _pair(self, step: StepPlan, sent: MEvent) -> None:
        side = 0 if isinstance(sent.event, step.accepts[0]) else 1
        self.joined.append(MJoined(self._next(), step, sent.scope, sent.branch, side, sent))
        here = [each for each in self._joined(step, sent.scope) if each.branch == sent.branch]
        firsts = [next((each for each in here if each.side == side), None) for side in (0, 1)]
        if None not in firsts:
            self._fire([each for each in firsts if each is not None])

    def _joined(self, step: StepPlan, scope: MScope) -> list[MJoined]:
        return [each for each in self.joined if each.step is step and each.scope is scope]

    def _fire(self, entries: list[MJoined]) -> None:
        first = entries[0].event
        self._deliver_joined(entries, first.scope, first.branch, 0)

    def _deliver_joined(
        self, entries: list[MJoined], scope: MScope, branch: int, recoveries: int
    ) -> None:
        events = [each.event for each in entries]
        self.joined = [each for each in self.joined if each not in entries]
        recoveries = max([recoveries, *(event.recoveries for event in events)])
        self._deliver(entries[0].step, events, scope, branch, recoveries)

    def _deliver(
        self,
        step: StepPlan | None,
        events: list[MEvent],
        scope: MScope,
        branch: int,
        recoveries: int,
    ) -> MDelivery:
        seq = self._next()
        delivery = MDelivery(seq, seq, step, events, scope, branch, recoveries)
        delivery.gate = self.commits + 1
        self.deliveries.append(delivery)
        return delivery

    def _handle_failure(self, failure: StepFailed, failed: MDelivery) -> bool:
        assert failed.step is not None
        if failed.step.is_handler or failed.recoveries >= self.plan.max_recoveries:
            return False
        steps = [
            step
            for step in self._takers(failure)
            if (step.max_recoveries is None or failed.recoveries < step.max_recoveries)
            and (step.mode is not Mode.GATHER or self._bound(step, failed.scope))
        ]
        sent = MEvent(
            self._next(), failure, failed.seq, 0, failed.scope, failed.branch, failed.recoveries + 1
        )
        self._route(sent, steps)
        return bool(steps)

    # ---- fan-outs ------------------------------------------------------------------------------

    def _fan_out(self, events: list[Event], cause: MDelivery, first: int) -> None:
        step = cause.step
        assert step is not None
        scope = cause.scope if not step.gathers else self._own(step, cause.scope)
        if scope is None:
            scope = self._open_scope(step, cause)
        for position, event in enumerate(events, first):
            branch = cause.branch
            if scope is not cause.scope:
                branch = scope.items
                scope.items += 1
            self._emit(event, cause, position, scope, branch)

    def _own(self, step: StepPlan, scope: MScope) -> MScope | None:
        return next((each for each in scope.outwards() if each.opener is step), None)

    def _open_scope(self, step: StepPlan, cause: MDelivery) -> MScope:
        scope = MScope(self._next(), cause.scope, cause.branch, step, cause.recoveries)
        self.scopes.append(scope)
        return scope

    def _is_live(self, scope: MScope) -> bool:
        return (
            scope.holder is not None
            or any(each.scope is scope for each in self.live())
            or any(each.scope is scope for each in self.requests)
            or any(each.parent is scope for each in self.open_scopes())
        )

    def _drain(self) -> None:
        failed: list[MScope] = []
        while True:
            drained = [
                scope
                for scope in self.open_scopes()
                if not self._is_live(scope) and scope not in failed
            ]
            if not drained:
                return
            scope = drained[0]
            if scope.abandoned or (scope.parent is not None and scope.parent.dead):
                self._over(scope)
            elif scope.closing:
                self._fire_gathers(scope)
                self._over(scope)
            elif rest := self._left_in(scope, Mode.BATCH):
                self._fire(rest)
            elif self._left_in(scope, Mode.PAIR):
                self._end("failed", "JoinIncompleteError")
                failed.append(scope)
            else:
                self._fire_gathers(scope)
                self._over(scope)

    def _left_in(self, scope: MScope, mode: Mode) -> list[MJoined]:
        left = [each for each in self.joined if each.scope is scope and each.step.mode is mode]
        return [each for each in left if each.step is left[0].step]

    def _fire_gathers(self, scope: MScope) -> None:
        assert scope.opener is not None and scope.parent is not None
        assert scope not in self.fired, "a gather fires once per scope"
        self.fired.append(scope)
        for index in scope.opener.gathers:
            step = self.plan.steps[index]
            entries = sorted(self._joined(step, scope), key=_order_in(scope))
            if entries:
                self._deliver_joined(entries, scope.parent, scope.branch, scope.recoveries)
            else:
                self._deliver(step, [], scope.parent, scope.branch, scope.recoveries)

    def _over(self, scope: MScope) -> None:
        scope.over = True
        self.joined = [each for each in self.joined if each.scope is not scope]

    def _close(self, scope: MScope) -> None:
        scope.closing = True
        self._cut(scope)
        if scope.holder is not None:
            self._discard(scope.holder)

    def _abandon(self, scope: MScope) -> None:
        scope.abandoned = True
        self._cut(scope)

    def _cut(self, scope: MScope) -> None:
        inside = [each for each in self.scopes if scope in each.outwards()]
        for delivery in self.live():
            if delivery.scope in inside:
                self._discard(delivery)
        self.requests = [each for each in self.requests if each.scope not in inside]

    def _discard(self, delivery: MDelivery) -> None:
        if delivery in self.out:
            delivery.doom = "discard"
            self.cancelled.append(delivery)
        elif delivery.state in ("queued", "delayed"):
            self._drop(delivery)

    def _give_up_scope(self, delivery: MDelivery) -> None:
        opened = delivery.opened
        if opened is not None:
            opened.holder = delivery.opened = None
            if not opened.closing:
                self._abandon(opened)

    # ---- commits and the end -------------------------------------------------------------------

    def _commit(self) -> None:
        self._drain()
        self.commits += 1
        self._check_idle()

    def _end(self, kind: str, detail: Any) -> None:
        if self.ending is None:
            self.ending = (kind, detail)
            self.ending_gate = self.commits + 1

    def _end_now(self, kind: str, detail: Any) -> None:
        self.ending = (kind, detail)
        self.ending_gate = 0

    def _check_idle(self) -> None:
        if self.ending is not None or self.commits > self.acknowledged:
            return
        if self.suspending:
            if not self.out:
                self._end_now("suspended", None)
        elif self.paused and not self.open:
            if not self.running():
                self._end_now("suspended", None)
        elif not self.active() and not self.delayed():
            if any(each.timer is not None for each in self.waiters):
                return
            if self.requests or self.waiters or self.plan.external:
                if not self.open:
                    self._end_now("suspended", None)
            else:
                self._end_now("failed", "WorkflowStalledError")


def as_sends(returned: Any) -> list[tuple[Event | list[Event], float]]:
    if returned is None:
        return []
    if isinstance(returned, tuple):
        return [(event, 0.0) for event in returned]
    return [(returned, 0.0)]


def _order_in(outer: MScope) -> Any:
    """The order of a gather: of the items of the fan-out, of inner ones, of causes, as sent."""

    def order(entry: MJoined) -> list[int]:
        event, path = entry.event, [entry.event.cause, entry.event.position]
        scope, branch = event.scope, event.branch
        while scope is not outer:
            path[:0] = [scope.seq, branch]
            assert scope.parent is not None
            scope, branch = scope.parent, scope.branch
        return [branch, *path]

    return order

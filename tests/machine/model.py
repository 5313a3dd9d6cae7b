"""A model of the machine that is slow and simple: lists, and questions answered by looking at all.

It has no counts, no index, no queue that is skipped lazily and no list of scopes that might have
drained: whether a scope is live, a step is full or the run is idle is found out from scratch each
time. So it can't go wrong where the machine could. It knows the rules of the contract, not how they
are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from blazen_anyio._events import (
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._machine import Mode, Plan, StepPlan

__all__ = ["MDelivery", "MEffect", "Model", "NotTheSame", "label"]

Label = tuple[Any, ...]


class NotTheSame(Exception):
    """The attempt does not repeat its early effects; the run has failed over it."""


def label(event: Event) -> Label:
    """What makes an event this event, also where machine and model have an object each."""
    if isinstance(event, InputRequestEvent):
        return ("request", event.prompt)
    if isinstance(event, InputResponseEvent):
        return ("response", event.response)
    if isinstance(event, StopEvent):
        return ("stop", event.result)
    if isinstance(event, StepFailed):
        failed = event.event if isinstance(event.event, list) else [event.event]
        return ("failed", event.step, *map(label, failed))
    return (type(event).__name__, getattr(event, "n", None))


@attrs.define(eq=False)
class MScope:
    seq: int
    parent: MScope | None
    branch: int
    opener: StepPlan | None
    recoveries: int
    holder: MDelivery | None = None
    items: int = 0
    closing: bool = False
    abandoned: bool = False
    over: bool = False

    def outwards(self) -> Iterator[MScope]:
        scope: MScope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def dead(self) -> bool:
        return any(scope.closing or scope.abandoned for scope in self.outwards())


@attrs.define(eq=False)
class MEvent:
    seq: int
    event: Event
    cause: int
    position: int
    scope: MScope
    branch: int
    recoveries: int


@attrs.define(eq=False)
class MEffect:
    kind: str
    digest: str
    event: Event | None = None
    settled: str | None = None
    answer: Any = None
    due: float | None = None


@attrs.define(eq=False)
class MDelivery:
    """``step`` is ``None`` for an event that is sent with a delay."""

    seq: int
    place: int
    step: StepPlan | None
    events: list[MEvent]
    scope: MScope
    branch: int
    recoveries: int
    gate: int = 0
    state: str = "queued"
    attempts: int = 0
    doom: str | None = None
    due: float | None = None
    timer: tuple[float, int] | None = None
    left: float | None = None
    waits_in: MEffect | None = None
    room_of: StepPlan | None = None
    resumed: bool = False
    effects: list[MEffect] = attrs.field(factory=list)
    cursor: int = 0
    opened: MScope | None = None
    has_left: bool = False

    @property
    def is_its_own_master(self) -> bool:
        """Whether a copy of it would take another course.

        It waits at a yield for room, which a later attempt does not do again; or it has left a wait
        that a later attempt would wait in; or its time is up.
        """
        waits_for_room = self.waits_in is not None and self.waits_in.kind == "yield"
        return waits_for_room or self.has_left or self.doom == "timeout"

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(label(event.event) for event in self.events)

    @property
    def name(self) -> str:
        return self.step.name if self.step is not None else ""


@attrs.define(eq=False)
class MRequest:
    event: InputRequestEvent
    scope: MScope
    branch: int
    recoveries: int
    delivery: MDelivery | None = None
    effect: MEffect | None = None


@attrs.define(eq=False)
class MJoined:
    seq: int
    step: StepPlan
    scope: MScope
    branch: int
    side: int
    event: MEvent


class Model:
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
        outputs = list(sends) if returned is None else [*sends, *_as_sends(returned)]
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
        """It goes on without what it waits for."""
        if delivery.waits_in is None:
            return
        if delivery in self.waiters:
            self.waiters.remove(delivery)
        was_queued = delivery.state == "queued"
        delivery.state = "running"
        delivery.timer = delivery.room_of = None
        if was_queued and delivery.step is not None:
            self._give_room(delivery.step)
        self._go_on(delivery)
        delivery.has_left = True

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
            delivery.opened.holder = delivery.opened = None
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

    # ---- routing -------------------------------------------------------------------------------

    def _any_unaccepted(
        self,
        delivery: MDelivery,
        returned: Any,
        sends: Sequence[tuple[Event | list[Event], float]],
    ) -> bool:
        opener = delivery.step if delivery.step is not None and delivery.step.gathers else None
        for sent, _ in [*sends, *_as_sends(returned)]:
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
                delivery.opened.holder = delivery.opened = None

    def _make_wait(
        self, delivery: MDelivery, digest: str, timeout: float | None, ask: InputRequestEvent | None
    ) -> None:
        kind = "wait" if ask is None else "request"
        made = delivery.effects[delivery.cursor :]
        if made and (made[0].kind, made[0].digest) != (kind, digest):
            raise NotTheSame
        if made:
            effect = made[0]
        else:
            due = None if timeout is None else self.now + timeout
            effect = MEffect(kind, digest, ask, due=due)
            delivery.effects.append(effect)
            if ask is not None:
                request = MRequest(ask, delivery.scope, delivery.branch, delivery.recoveries)
                request.delivery, request.effect = delivery, effect
                self.requests.append(request)
        delivery.cursor += 1
        if effect.settled is None:
            self._wait_in(delivery, effect)
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


def _as_sends(returned: Any) -> list[tuple[Event | list[Event], float]]:
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

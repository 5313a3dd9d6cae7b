"""Scopes: fan-outs that are open, when they drain, and what happens then.

The token rule: an event counts once per step that accepts it. A scope is live while it has a
delivery (queued, behind a limit, running, delayed or waiting inside its step), an open request, a
child scope, or a generator that still adds to it. Reaching a gather, a batch or half a pair spends
the token; a retry keeps it; ``StepFailed`` inherits it.

When a scope has drained, what is left of its batches fires first (and may make it live again); half
a pair fails the run; then each gather bound to the opener fires exactly once, into the parent
scope. Scopes drain iteratively, however deeply they are nested.
"""

from __future__ import annotations

import heapq
from operator import attrgetter

from .._exceptions import JoinIncompleteError
from .items import Items
from .joins import in_order, path_within, records_of
from .ledger import Ledger
from .live import Delivery, Record, Request, Scope
from .outcome import Outcome
from .plan import Mode, StepPlan, matches

__all__ = ["Scopes"]

_recoveries = attrgetter("recoveries")


class Scopes:
    """The rules of fan-out scopes."""

    __slots__ = ("_ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # ---- joining -------------------------------------------------------------------------------

    def gather(self, step: StepPlan, scope: Scope, record: Record) -> bool:
        """An event reaches a gather of a scope; say whether it is the ``count``-th."""
        path = () if record.scope is scope else path_within(record, scope)
        return self._ledger.join(step, scope, 0, 0, record, path) == step.count

    def batch(self, step: StepPlan, record: Record) -> None:
        """An event reaches a batch, which fires when it is full."""
        ledger, scope = self._ledger, record.scope
        if ledger.join(step, scope, 0, 0, record) >= step.size:
            batch = ledger.unjoin((step.index, scope.id, 0, 0), step.size)
            self._fire_joined(step, records_of(batch))

    def pair(self, step: StepPlan, record: Record) -> None:
        """An event reaches one side of a pair, which fires when the other side is there."""
        joins, scope, branch = self._ledger.joins, record.scope, record.branch
        kind = type(record.event)
        sides = [side for side, accepted in enumerate(step.accepts) if matches(kind, accepted)]
        slot = min(sides, key=lambda side: self._fitness(step, record, side))
        self._ledger.join(step, scope, branch, slot, record)
        if joins.count((step.index, scope.id, branch, 1 - slot)):
            keys = [(step.index, scope.id, branch, side) for side in (0, 1)]
            pair = [self._ledger.unjoin(key, 1)[0] for key in keys]
            self._fire_joined(step, records_of(pair))

    def _fitness(self, step: StepPlan, record: Record, side: int) -> tuple[bool, bool, int]:
        """How well an event that fits both sides of a pair fits one; least is best.

        The side whose partner waits; else the narrower one, since the other can do without this
        event; else the shorter one.
        """
        keys = [(step.index, record.scope.id, record.branch, each) for each in (side, 1 - side)]
        own, partner = map(self._ledger.joins.count, keys)
        is_wider = step.accepts[side] is not step.accepts[1 - side] and issubclass(
            step.accepts[1 - side], step.accepts[side]
        )
        return not partner, is_wider, own

    def _fire_joined(self, step: StepPlan, records: tuple[Record, ...]) -> None:
        """Deliver joined events in the scope and the branch of the first of them."""
        first = records[0]
        self._deliver(step, records, first.scope, first.branch, first.recoveries)

    def _deliver(
        self,
        step: StepPlan,
        records: tuple[Record, ...],
        scope: Scope,
        branch: int,
        recoveries: int,
    ) -> None:
        # What several events cause is in the line of causes of each of them.
        recoveries = max(map(_recoveries, records), default=recoveries)
        delivery = self._ledger.deliver_joined(step, records, scope, branch, recoveries)
        self._ledger.admit(delivery)

    # ---- draining ------------------------------------------------------------------------------

    def drain(self) -> None:
        """Carry out what follows from scopes that have no tokens left."""
        drained = self._ledger.drained
        while drained:
            scope = heapq.heappop(drained)[1]
            parent = scope.parent
            # It may be live again by now, or closed already: one commit can spend the last token of
            # a scope more than once.
            if parent is not None and not scope.members and scope in parent.members:
                self._drain(scope, parent)

    def _drain(self, scope: Scope, parent: Scope) -> None:
        if scope.abandoned or is_dead(parent):
            self._forget_joins(scope)
        elif scope.closing:
            self._fire_gathers(scope, parent)
            self._forget_joins(scope)
        elif self._fire_rest_of_batch(scope) or self._fail_half_pair(scope):
            return
        else:
            self._fire_gathers(scope, parent)
        self._ledger.close_scope(scope)

    def _fire_rest_of_batch(self, scope: Scope) -> bool:
        ledger = self._ledger
        for key in ledger.joins.in_scope(scope):
            step = ledger.plan.steps[key[0]]
            if step.mode is Mode.BATCH:
                self._fire_joined(step, records_of(ledger.unjoin(key)))
                return True
        return False

    def _fail_half_pair(self, scope: Scope) -> bool:
        ledger = self._ledger
        for key in ledger.joins.in_scope(scope):
            step = ledger.plan.steps[key[0]]
            if step.mode is Mode.PAIR:
                halves = [record.event for record in ledger.joins.peek(key)]
                error = JoinIncompleteError(step.name, halves)
                ledger.end(Outcome("failed", error=error))
                return True
        return False

    def _fire_gathers(self, scope: Scope, parent: Scope) -> None:
        assert scope.opener is not None
        ledger = self._ledger
        for index in scope.opener.gathers:
            step = ledger.plan.steps[index]
            gathered = in_order(ledger.unjoin((index, scope.id, 0, 0)))
            self._deliver(step, gathered, parent, scope.branch, scope.recoveries)

    def _forget_joins(self, scope: Scope) -> None:
        ledger = self._ledger
        for key in ledger.joins.in_scope(scope):
            for record in records_of(ledger.unjoin(key)):
                ledger.let_go(record)

    # ---- cutting short -------------------------------------------------------------------------

    def close(self, scope: Scope) -> None:
        """A gather has all it wants: cancel the rest; it fires when the losers have cleaned up.

        The event that is the last has been handed to all who accept it before.
        """
        scope.closing = True
        self._ledger.touch_scope(scope)
        self._cancel_members(scope)
        if scope.held_by is not None:
            self.discard(scope.held_by)

    def abandon(self, scope: Scope) -> None:
        """Nothing that comes of a scope counts any more; its gathers never fire."""
        scope.abandoned = True
        self._ledger.touch_scope(scope)
        self._cancel_members(scope)

    def _cancel_members(self, outermost: Scope) -> None:
        scopes = [outermost]
        while scopes:
            scope = scopes.pop()
            for member in list(scope.members):
                if member not in scope.members:
                    continue  # it left with another: a request with the delivery that asked it
                if isinstance(member, Scope):
                    scopes.append(member)  # dead, because it is within one that is
                elif isinstance(member, Request):
                    self._ledger.close_request(member, "withdrawn")
                elif isinstance(member, Items):
                    self._ledger.drop(member)
                elif member.scope is scope:  # not the generator that holds this scope open
                    self.discard(member)

    def discard(self, delivery: Delivery) -> None:
        """A delivery counts no more: drop it, or have its running attempt cancelled."""
        ledger = self._ledger
        if delivery.phase == "running" or delivery.waiting_for is not None:
            delivery.doom = "discard"
            ledger.order_cancel(delivery)
        elif delivery.phase != "gone":
            ledger.unqueue(delivery)
            self.release(delivery)
            ledger.settle(delivery)

    def release(self, delivery: Delivery) -> None:
        """A generator adds no more to the scope that it opened."""
        opened = delivery.opened
        if opened is not None:
            delivery.opened = opened.held_by = None
            self._ledger.touch_scope(opened)
            self._ledger.leave(opened, delivery)


def is_dead(scope: Scope) -> bool:
    """Whether nothing that is emitted into a scope counts: it, or one around it, was cut short."""
    inner: Scope | None = scope
    while inner is not None:
        if inner.closing or inner.abandoned:
            return True
        inner = inner.parent
    return False

"""Restoring: from sheets back to the live state.

An attempt that was in flight is a delivery that is still to be handled. The live objects are made
in the order of their numbers, alike in every process; what only waits in the queue is put aside and
made when it is next.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, compress, islice
from operator import attrgetter
from typing import Any

from .items import Items
from .ledger import Ledger
from .live import Child, Children, Delivery, Effect, Record, Request, Scope
from .plan import StepPlan
from .records import ROOT
from .restored import Lines, Restored, stretches
from .routing import ROUTER
from .scopes import is_dead
from .sheets import Sheets, are_numbers, flat, rows_in, without

__all__ = ["load"]


def load(ledger: Ledger, sheets: Sheets) -> None:
    """Bring a fresh ledger to the state that the sheets describe. They have been checked to fit."""
    _Loader(ledger, sheets).load()


class _Loader:
    """Rebuilds the live objects in the order of their numbers, alike in every process."""

    def __init__(self, ledger: Ledger, sheets: Sheets) -> None:
        self._ledger = ledger
        self._sheets = sheets
        self._scopes: dict[int, Scope] = {ROOT: ledger.root}
        self._all_scopes = self._scopes
        self._records: dict[int, Record] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._items: list[Items] = []

    def load(self) -> None:
        ledger, state = self._ledger, self._sheets["state"]
        (run,) = rows_in(self._sheets, "run")
        ledger.next_id = run.next_id
        ledger.active_time = run.active
        ledger.carrier = run.carrier
        ledger.state.update(zip(state["key"], state["value"], strict=True))
        self._load_scopes()
        self._put_aside()
        self._load_records()
        self._load_deliveries()
        self._hold_scopes()
        self._load_effects()
        self._load_memos()
        self._load_children()
        self._load_joins()
        self._load_requests()
        self._queue()
        for scope in self._scopes.values():
            if not scope.members and scope.parent is not None:
                ledger.has_drained(scope)

    def _rows(self, name: str, *order: str) -> list[Any]:
        return sorted(rows_in(self._sheets, name), key=attrgetter(*order))

    def _step(self, name: str) -> StepPlan:
        return ROUTER if name == ROUTER.name else self._ledger.plan.step(name)

    def _load_scopes(self) -> None:
        # A scope is younger than the one around it, so its parent is there already.
        for row in self._rows("scopes", "id"):
            parent = self._scopes[row.parent]
            scope = Scope(row.id, parent, row.branch, self._step(row.opener), row.recoveries)
            scope.items = row.items
            scope.closing = row.closing
            scope.abandoned = row.abandoned
            parent.members[scope] = None
            self._scopes[row.id] = scope
        # An event may be the last that is left of a scope which is over.
        over = set(self._sheets["events"]["scope"]) - self._scopes.keys()
        self._all_scopes = {**self._scopes, **{id: _closed_scope(id) for id in over}}

    def _put_aside(self) -> None:
        """Leave lines to be made when they are next, and go on without them."""
        if self._ledger.journal is not None:
            return
        deliveries, events = self._sheets["deliveries"], self._sheets["events"]
        lines = Lines.of(deliveries, events, self._all_scopes)
        aside: list[int] = []
        for numbers in stretches(self._sheets, lines.deliveries["events"]):
            first = numbers[0]
            scope = self._scopes[deliveries["scope"][first]]
            if not is_dead(scope):
                step = self._step(deliveries["step"][first])
                taken = map(events["event"].__getitem__, lines.places_of(numbers))
                maker = Restored(step, numbers, lines)
                self._items.append(Items(step, scope, taken, maker))
                aside += numbers
        if aside:
            self._sheets = {
                **self._sheets,
                "deliveries": without(deliveries, aside),
                "events": without(events, lines.places_of(aside)),
            }

    def _load_records(self) -> None:
        sheet = self._sheets["events"]
        records = list(
            map(
                Record,
                sheet["id"],
                sheet["event"],
                sheet["cause"],
                sheet["position"],
                map(self._all_scopes.__getitem__, sheet["scope"]),
                sheet["branch"],
                sheet["recoveries"],
            )
        )
        self._records = dict(zip(sheet["id"], records, strict=True))
        for record in sorted(compress(records, sheet["mailbox"]), key=attrgetter("id")):
            record.mailbox = True
            record.holders += 1
            self._ledger.mailbox[record.id] = record

    def _load_deliveries(self) -> None:
        sheet = self._sheets["deliveries"]
        steps = {name: self._step(name) for name in set(sheet["step"])}
        deliveries = list(
            map(
                Delivery,
                sheet["id"],
                map(steps.__getitem__, sheet["step"]),
                self._records_of(sheet["events"]),
                map(self._scopes.__getitem__, sheet["scope"]),
                sheet["branch"],
                sheet["recoveries"],
            )
        )
        for name in ("order", "attempts", "first_tried", "due", "deliveries", "begun"):
            for delivery, value in zip(deliveries, sheet[name], strict=True):
                setattr(delivery, name, value)
        self._deliveries = dict(zip(sheet["id"], deliveries, strict=True))
        for delivery in sorted(deliveries, key=attrgetter("id")):
            delivery.scope.members[delivery] = None
        for record in chain.from_iterable(map(attrgetter("records"), deliveries)):
            record.holders += 1

    def _records_of(self, events: list[Any]) -> Iterable[tuple[Record, ...]]:
        records = map(self._records.__getitem__, flat(events))
        if are_numbers(events):
            return zip(records, strict=True)
        return [tuple(islice(records, len(ids))) for ids in events]

    def _hold_scopes(self) -> None:
        for row in rows_in(self._sheets, "scopes"):
            if row.held:
                scope, delivery = self._scopes[row.id], self._deliveries[row.held]
                scope.held_by = delivery
                scope.members[delivery] = None
                delivery.opened = scope

    def _load_effects(self) -> None:
        for row in self._rows("effects", "delivery", "number"):
            effect = Effect(row.delivery, row.number, row.kind, row.digest)
            effect.scope = self._scopes.get(row.scope)
            effect.request = row.request
            effect.due = row.due
            effect.settled = row.settled
            effect.answer = row.answer
            delivery = self._deliveries[row.delivery]
            delivery.effects = delivery.effects or []
            delivery.effects.append(effect)

    def _load_memos(self) -> None:
        for row in rows_in(self._sheets, "memos"):
            delivery = self._deliveries[row.delivery]
            delivery.memos = delivery.memos or {}
            delivery.memos[row.name] = row.value

    def _load_children(self) -> None:
        for row in self._rows("children", "delivery", "number"):
            delivery = self._deliveries[row.delivery]
            delivery.children = delivery.children or Children()
            child = Child(row.delivery, row.number, row.workflow, row.digest)
            child.saved = row.saved
            child.written_result = row.result
            child.answers.update(row.answers or ())
            delivery.children.runs.append(child)

    def _load_joins(self) -> None:
        for row in self._rows("joins", "id"):
            step, scope = self._step(row.step), self._scopes[row.scope]
            record = self._records[row.event]
            record.holders += 1
            place = self._ledger.joins.place(step, scope, row.branch, row.slot)
            place.entries.append((row.id, record, row.path))

    def _load_requests(self) -> None:
        for row in self._rows("requests", "number"):
            scope = self._scopes[row.scope]
            request = Request(row.event, row.number, scope, row.branch, row.recoveries)
            scope.members[request] = None
            self._ledger.requests[row.id] = request
            if row.delivery:
                delivery = request.delivery = self._deliveries[row.delivery]
                request.effect = next(
                    effect for effect in delivery.effects or () if effect.request == row.id
                )

    def _queue(self) -> None:
        ledger = self._ledger
        queue: list[Delivery | Items] = [*self._deliveries.values(), *self._items]
        for queued in sorted(queue, key=attrgetter("order")):
            if isinstance(queued, Items):
                queued.scope.members[queued] = None
                ledger.active += len(queued)
                ledger.dispatch.expect(queued)
                ledger.dispatch.add_items(queued)
            elif queued.due is None:
                ledger.active += 1
                ledger.dispatch.add(queued)
            else:
                ledger.delayed += 1
                queued.phase = "delayed"
                queued.timer = ledger.timers.set(queued.due, "delay", queued)


def _closed_scope(id: int) -> Scope:
    """A scope that is over: all that is left of it is its number in the rows of its events."""
    return Scope(id, None, 0, None, 0)

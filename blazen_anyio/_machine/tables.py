"""The live state as tables, and back: a snapshot and its restoration.

An attempt in flight counts as not handled: its delivery is stored as one that is still to be
handled, with the attempts that have failed before and the early effects that are out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, compress, islice, repeat
from operator import attrgetter
from typing import Any

from .items import Items
from .ledger import Ledger
from .live import Child, Children, Delivery, Effect, Record, Request, Scope
from .plan import Plan, StepPlan
from .records import (
    ROOT,
    ChildRow,
    EffectRow,
    JoinRow,
    MemoRow,
    RequestRow,
    RunRow,
    ScopeRow,
)
from .routing import ROUTER
from .sheets import Sheet, Sheets, rows_in, sheet_of

__all__ = ["dump", "load", "unknown_steps"]


def dump(ledger: Ledger) -> Sheets:
    """Write down all that a run needs to go on."""
    deliveries, requests, scopes = _live(ledger.root)
    entries = [(place, entry) for place in ledger.joins for entry in place.entries]
    memos = [
        MemoRow(delivery=delivery.id, name=name, value=value)
        for delivery in deliveries
        if delivery.memos is not None
        for name, value in delivery.memos.items()
    ]
    effects = chain.from_iterable(each.effects for each in deliveries if each.effects is not None)
    children = chain.from_iterable(
        each.children.runs for each in deliveries if each.children is not None
    )
    held = chain.from_iterable(delivery.records for delivery in deliveries)
    joined = [record for _, (_, record, _) in entries]
    records = dict.fromkeys(chain(held, joined, ledger.mailbox.values()))
    return {
        "run": sheet_of(RunRow, [ledger.run_row()]),
        "events": _event_sheet(list(records)),
        "deliveries": _delivery_sheet(deliveries),
        "scopes": sheet_of(ScopeRow, [scope.row() for scope in scopes]),
        "joins": sheet_of(JoinRow, [place.row(entry) for place, entry in entries]),
        "requests": sheet_of(RequestRow, [request.row() for request in requests]),
        "effects": sheet_of(EffectRow, [effect.row() for effect in effects]),
        "memos": sheet_of(MemoRow, memos),
        "children": sheet_of(ChildRow, [child.row() for child in children]),
        "state": {"key": list(ledger.state), "value": list(ledger.state.values())},
    }


def _live(root: Scope) -> tuple[list[Delivery], list[Request], list[Scope]]:
    """All that lives in the scopes of a run, scope by scope."""
    deliveries: dict[Delivery, None] = {}  # a generator is in the scope that it opened, too
    requests: list[Request] = []
    scopes: list[Scope] = []
    waiting = [root]
    while waiting:
        for member in waiting.pop().members:
            if isinstance(member, Delivery):
                deliveries[member] = None
            elif isinstance(member, Items):
                deliveries.update(dict.fromkeys(member))
            elif isinstance(member, Request):
                requests.append(member)
            else:
                scopes.append(member)
                waiting.append(member)
    return list(deliveries), requests, scopes


def _event_sheet(records: list[Record]) -> Sheet:
    """The rows of many records, as :meth:`Record.row` writes one."""
    return {
        "id": [record.id for record in records],
        "event": [record.event for record in records],
        "cause": [record.cause for record in records],
        "position": [record.position for record in records],
        "scope": [record.scope.id for record in records],
        "branch": [record.branch for record in records],
        "recoveries": [record.recoveries for record in records],
        "mailbox": [record.mailbox for record in records],
    }


def _delivery_sheet(deliveries: list[Delivery]) -> Sheet:
    """The rows of many deliveries, as :meth:`Delivery.row` writes one."""
    return {
        "id": [delivery.id for delivery in deliveries],
        "order": [delivery.order for delivery in deliveries],
        "step": [delivery.step.name for delivery in deliveries],
        "events": _ids_of([delivery.records for delivery in deliveries]),
        "scope": [delivery.scope.id for delivery in deliveries],
        "branch": [delivery.branch for delivery in deliveries],
        "recoveries": [delivery.recoveries for delivery in deliveries],
        "attempts": [delivery.attempts for delivery in deliveries],
        "due": [delivery.due for delivery in deliveries],
        "first_tried": [delivery.first_tried for delivery in deliveries],
        "deliveries": [delivery.deliveries for delivery in deliveries],
        "begun": [delivery.begun for delivery in deliveries],
    }


def _ids_of(records: list[tuple[Record, ...]]) -> list[tuple[int, ...]]:
    ids = [record.id for each in records for record in each]
    if _are_single(records):
        return list(zip(ids, strict=True))
    rest = iter(ids)
    return [tuple(islice(rest, len(each))) for each in records]


def _are_single(groups: Iterable[Sequence[Any]]) -> bool:
    """Say whether each holds one thing, as nearly always: then no Python code runs for each."""
    return {1}.issuperset(map(len, groups))


def unknown_steps(plan: Plan, sheets: Sheets) -> list[str]:
    """The names of steps that the sheets need and the plan does not have."""
    known = {ROUTER.name, *(step.name for step in plan.steps)}
    used = {
        *sheets["deliveries"]["step"],
        *sheets["scopes"]["opener"],
        *sheets["joins"]["step"],
    }
    return sorted(used - known)


def load(ledger: Ledger, sheets: Sheets) -> None:
    """Bring a fresh ledger to the state that the sheets describe. They have been checked to fit."""
    _Loader(ledger, sheets).load()


class _Loader:
    """Rebuilds the live objects in the order of their numbers, alike in every process."""

    def __init__(self, ledger: Ledger, sheets: Sheets) -> None:
        self._ledger = ledger
        self._sheets = sheets
        self._scopes: dict[int, Scope] = {ROOT: ledger.root}
        self._records: dict[int, Record] = {}
        self._deliveries: dict[int, Delivery] = {}

    def load(self) -> None:
        ledger, state = self._ledger, self._sheets["state"]
        (run,) = rows_in(self._sheets, "run")
        ledger.next_id = run.next_id
        ledger.active_time = run.active
        ledger.carrier = run.carrier
        ledger.state.update(zip(state["key"], state["value"], strict=True))
        self._load_scopes()
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

    def _load_records(self) -> None:
        sheet = self._sheets["events"]
        known = {id: self._scopes.get(id) or _closed_scope(id) for id in set(sheet["scope"])}
        records = list(
            map(
                Record,
                sheet["id"],
                sheet["event"],
                sheet["cause"],
                sheet["position"],
                map(known.__getitem__, sheet["scope"]),
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
        for name, fresh in _FRESH.items():
            values = sheet[name]
            if values.count(fresh) < len(values):
                deque(map(setattr, deliveries, repeat(name), values), maxlen=0)
        self._deliveries = dict(zip(sheet["id"], deliveries, strict=True))
        for delivery in sorted(deliveries, key=attrgetter("id")):
            delivery.scope.members[delivery] = None
        for record in chain.from_iterable(map(attrgetter("records"), deliveries)):
            record.holders += 1

    def _records_of(self, events: Sequence[tuple[int, ...]]) -> Iterable[tuple[Record, ...]]:
        records = map(self._records.__getitem__, chain.from_iterable(events))
        if _are_single(events):
            return zip(records, strict=True)
        return [tuple(islice(records, len(ids))) for ids in events]

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

    def _hold_scopes(self) -> None:
        for row in rows_in(self._sheets, "scopes"):
            if row.held:
                scope, delivery = self._scopes[row.id], self._deliveries[row.held]
                scope.held_by = delivery
                scope.members[delivery] = None
                delivery.opened = scope

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
        for delivery in sorted(self._deliveries.values(), key=attrgetter("order")):
            if delivery.due is None:
                ledger.active += 1
                ledger.dispatch.add(delivery)
            else:
                ledger.delayed += 1
                delivery.phase = "delayed"
                delivery.timer = ledger.timers.set(delivery.due, "delay", delivery)


_FRESH = {
    "order": -1,
    "attempts": 0,
    "first_tried": None,
    "due": None,
    "deliveries": 0,
    "begun": False,
}
"""What a delivery has in what its constructor does not take; but for its order, which is its id."""


def _closed_scope(id: int) -> Scope:
    """A scope that is over: all that is left of it is its number in the rows of its events."""
    return Scope(id, None, 0, None, 0)

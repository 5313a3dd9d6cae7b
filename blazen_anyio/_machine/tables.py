"""The live state as tables, and back: a snapshot and its restoration.

An attempt in flight counts as not handled: its delivery is stored as one that is still to be
handled, with the attempts that have failed before and the early effects that are out.
"""

from __future__ import annotations

from .items import Items
from .ledger import Ledger
from .live import Child, Children, Delivery, Effect, Record, Request, Scope
from .plan import Plan, StepPlan
from .records import ROOT, DeliveryRow, EffectRow, MemoRow, StateRow, Tables
from .routing import ROUTER

__all__ = ["dump", "load", "unknown_steps"]


def dump(ledger: Ledger) -> Tables:
    """Write down all that a run needs to go on."""
    tables = Tables(run={0: ledger.run_row()})
    _dump_scopes(tables, ledger.root)
    for place in ledger.joins:
        for entry in place.entries:
            number, record, _ = entry
            tables.joins[number] = place.row(entry)
            _dump_record(tables, record)
    for record in ledger.mailbox.values():
        _dump_record(tables, record)
    for key, value in ledger.state.items():
        tables.state[key] = StateRow(key=key, value=value)
    return tables


def _dump_scopes(tables: Tables, root: Scope) -> None:
    scopes = [root]
    while scopes:
        for member in scopes.pop().members:
            if isinstance(member, Delivery):
                _dump_delivery(tables, member)
            elif isinstance(member, Items):
                for delivery in member:
                    _dump_delivery(tables, delivery)
            elif isinstance(member, Request):
                tables.requests[member.id] = member.row()
            else:
                tables.scopes[member.id] = member.row()
                scopes.append(member)


def _dump_delivery(tables: Tables, delivery: Delivery) -> None:
    tables.deliveries[delivery.id] = delivery.row()
    for record in delivery.records:
        _dump_record(tables, record)
    for effect in delivery.effects or ():
        tables.effects[delivery.id, effect.number] = effect.row()
    for name, value in (delivery.memos or {}).items():
        tables.memos[delivery.id, name] = MemoRow(delivery=delivery.id, name=name, value=value)
    for child in delivery.children.runs if delivery.children is not None else ():
        tables.children[delivery.id, child.number] = child.row()


def _dump_record(tables: Tables, record: Record) -> None:
    if record.id not in tables.events:
        tables.events[record.id] = record.row()


def unknown_steps(plan: Plan, tables: Tables) -> list[str]:
    """The names of steps that the tables need and the plan does not have."""
    known = {step.name for step in plan.steps}
    used = [row.step for row in tables.deliveries.values() if row.step != ROUTER.name]
    used += [row.opener for row in tables.scopes.values()]
    used += [row.step for row in tables.joins.values()]
    return sorted({name for name in used if name not in known})


def load(ledger: Ledger, tables: Tables) -> None:
    """Bring a fresh ledger to the state that the tables describe. They have been checked to fit."""
    _Loader(ledger, tables).load()


class _Loader:
    """Rebuilds the live objects in the order of their numbers, alike in every process."""

    def __init__(self, ledger: Ledger, tables: Tables) -> None:
        self._ledger = ledger
        self._tables = tables
        self._scopes: dict[int, Scope] = {ROOT: ledger.root}
        self._records: dict[int, Record] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._effects: dict[int, list[EffectRow]] = {}

    def load(self) -> None:
        ledger, run = self._ledger, self._tables.run[0]
        ledger.next_id = run.next_id
        ledger.active_time = run.active
        ledger.carrier = run.carrier
        ledger.state.update((key, row.value) for key, row in self._tables.state.items())
        self._load_scopes()
        self._load_records()
        for (delivery, _), effect in sorted(self._tables.effects.items()):
            self._effects.setdefault(delivery, []).append(effect)
        for id in sorted(self._tables.deliveries):
            self._load_delivery(self._tables.deliveries[id])
        self._hold_scopes()
        self._load_memos()
        self._load_children()
        self._load_joins()
        self._load_requests()
        self._queue()
        for scope in self._scopes.values():
            if not scope.members and scope.parent is not None:
                ledger.has_drained(scope)

    def _step(self, name: str) -> StepPlan:
        return ROUTER if name == ROUTER.name else self._ledger.plan.step(name)

    def _load_scopes(self) -> None:
        # A scope is younger than the one around it, so its parent is there already.
        for id in sorted(self._tables.scopes):
            row = self._tables.scopes[id]
            parent = self._scopes[row.parent]
            scope = Scope(id, parent, row.branch, self._step(row.opener), row.recoveries)
            scope.items = row.items
            scope.closing = row.closing
            scope.abandoned = row.abandoned
            parent.members[scope] = None
            self._scopes[id] = scope

    def _load_records(self) -> None:
        for id in sorted(self._tables.events):
            row = self._tables.events[id]
            record = Record(
                id,
                row.event,
                row.cause,
                row.position,
                self._scopes.get(row.scope) or _closed_scope(row.scope),
                row.branch,
                row.recoveries,
            )
            self._records[id] = record
            if row.mailbox:
                record.mailbox = True
                record.holders += 1
                self._ledger.mailbox[id] = record

    def _load_delivery(self, row: DeliveryRow) -> None:
        scope = self._scopes[row.scope]
        records = tuple(self._records[id] for id in row.events)
        delivery = Delivery(
            row.id, self._step(row.step), records, scope, row.branch, row.recoveries
        )
        delivery.order = row.order
        delivery.attempts = row.attempts
        delivery.first_tried = row.first_tried
        delivery.due = row.due
        delivery.deliveries = row.deliveries
        delivery.begun = row.begun
        for record in records:
            record.holders += 1
        scope.members[delivery] = None
        self._deliveries[row.id] = delivery
        if row.id in self._effects:
            delivery.effects = [self._load_effect(effect) for effect in self._effects[row.id]]

    def _load_effect(self, row: EffectRow) -> Effect:
        effect = Effect(row.delivery, row.number, row.kind, row.digest)
        effect.scope = self._scopes.get(row.scope)
        effect.request = row.request
        effect.due = row.due
        effect.settled = row.settled
        effect.answer = row.answer
        return effect

    def _hold_scopes(self) -> None:
        for id, row in self._tables.scopes.items():
            if row.held:
                scope, delivery = self._scopes[id], self._deliveries[row.held]
                scope.held_by = delivery
                scope.members[delivery] = None
                delivery.opened = scope

    def _load_memos(self) -> None:
        for (id, name), row in self._tables.memos.items():
            delivery = self._deliveries[id]
            delivery.memos = delivery.memos or {}
            delivery.memos[name] = row.value

    def _load_children(self) -> None:
        for (id, number), row in sorted(self._tables.children.items()):
            delivery = self._deliveries[id]
            delivery.children = delivery.children or Children()
            child = Child(id, number, row.workflow, row.digest)
            child.saved = row.saved
            child.written_result = row.result
            child.answers.update(row.answers or ())
            delivery.children.runs.append(child)

    def _load_joins(self) -> None:
        for id in sorted(self._tables.joins):
            row = self._tables.joins[id]
            record = self._records[row.event]
            record.holders += 1
            place = self._ledger.joins.place(
                self._step(row.step), self._scopes[row.scope], row.branch, row.slot
            )
            place.entries.append((id, record, row.path))

    def _load_requests(self) -> None:
        for row in sorted(self._tables.requests.values(), key=lambda row: row.number):
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
        for delivery in sorted(self._deliveries.values(), key=lambda delivery: delivery.order):
            if delivery.due is None:
                ledger.active += 1
                ledger.dispatch.add(delivery)
            else:
                ledger.delayed += 1
                delivery.phase = "delayed"
                delivery.timer = ledger.timers.set(delivery.due, "delay", delivery)


def _closed_scope(id: int) -> Scope:
    """A scope that is over: all that is left of it is its number in the rows of its events."""
    return Scope(id, None, 0, None, 0)

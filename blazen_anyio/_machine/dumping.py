"""The live state as sheets: a snapshot. See ``restoring`` for the way back.

An attempt in flight counts as not handled: its delivery is stored as one that is still to be
handled, with the attempts that have failed before and the early effects that are out.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from .items import Items
from .ledger import Ledger
from .live import Delivery, Record, Request, Scope
from .records import (
    ChildRow,
    EffectRow,
    JoinRow,
    MemoRow,
    RequestRow,
    RunRow,
    ScopeRow,
)
from .sheets import Sheet, Sheets, sheet_of

__all__ = ["dump"]


def dump(ledger: Ledger) -> Sheets:
    """Write down all that a run needs to go on."""
    deliveries, requests, scopes = _live(ledger.root)
    effects = chain.from_iterable(each.effects for each in deliveries if each.effects is not None)
    children = chain.from_iterable(
        each.children.runs for each in deliveries if each.children is not None
    )
    return {
        "run": sheet_of(RunRow, [ledger.run_row()]),
        "events": _event_sheet(_records(ledger, deliveries)),
        "deliveries": _delivery_sheet(deliveries),
        "scopes": sheet_of(ScopeRow, [scope.row() for scope in scopes]),
        "joins": sheet_of(JoinRow, _join_rows(ledger)),
        "requests": sheet_of(RequestRow, [request.row() for request in requests]),
        "effects": sheet_of(EffectRow, [effect.row() for effect in effects]),
        "memos": sheet_of(MemoRow, _memo_rows(deliveries)),
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


def _records(ledger: Ledger, deliveries: list[Delivery]) -> list[Record]:
    """All that is held: by deliveries, joins and the mailbox."""
    held = chain.from_iterable(delivery.records for delivery in deliveries)
    joined = [record for place in ledger.joins for _, record, _ in place.entries]
    records = [*held, *joined, *ledger.mailbox.values()]
    if len({record.id for record in records}) < len(records):
        return list(dict.fromkeys(records))
    return records


def _join_rows(ledger: Ledger) -> list[JoinRow]:
    return [place.row(entry) for place in ledger.joins for entry in place.entries]


def _memo_rows(deliveries: list[Delivery]) -> list[MemoRow]:
    return [
        MemoRow(delivery=delivery.id, name=name, value=value)
        for delivery in deliveries
        if delivery.memos is not None
        for name, value in delivery.memos.items()
    ]


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


def _ids_of(records: list[tuple[Record, ...]]) -> list[Any]:
    ids = [record.id for record in chain.from_iterable(records)]
    if {1}.issuperset(map(len, records)):
        return ids
    rest = iter(ids)
    return [tuple(islice(rest, len(each))) for each in records]

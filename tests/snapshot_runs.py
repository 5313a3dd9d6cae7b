"""A run with something in every table, and its snapshot."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

from codec_values import CODEC, Box, Colour, Holding, Point, Typed
from sheets import in_sheets

from blazen_anyio._events import InputRequestEvent, StepFailed
from blazen_anyio._machine import in_rows
from blazen_anyio._machine.records import (
    ChildRow,
    DeliveryRow,
    EffectRow,
    EventRow,
    JoinRow,
    MemoRow,
    RequestRow,
    RunRow,
    ScopeRow,
    StateRow,
    Tables,
)
from blazen_anyio._snapshot import Snapshot

STOPPED = {"type": "blazen::StopEvent", "fields": {"result": 1}}
STEPS = ("split", "work", "gather", "ask")


def child_data() -> dict[str, Any]:
    """The content of the snapshot of a child run."""
    tables = Tables(
        run={0: RunRow(workflow="child", next_id=5)},
        events={1: EventRow(id=1, event=Typed("inner"))},
        deliveries={2: DeliveryRow(id=2, order=2, step="inner", events=(1,), due=2.0)},
        requests={
            "child-request": RequestRow(
                id="child-request",
                event=InputRequestEvent("and this?", request_id="child-request"),
                number=3,
            )
        },
    )
    return write_rows(tables, run_id="r/1", workflow="child").to_data()


def tables() -> Tables:
    """The rows of a run in the middle of everything."""
    return Tables(
        run={0: RunRow(workflow="flow", next_id=40, active=1.5)},
        events={
            1: EventRow(id=1, event=Typed("x", 3, 0.25, ["a"], Colour.RED)),
            2: EventRow(id=2, event=Holding((1, {2}, Point(3))), cause=10, scope=20, branch=1),
            3: EventRow(id=3, event=StepFailed("work", Typed("y"), None, 2, "E", "m", "t")),
            4: EventRow(id=4, event=Typed("waiting"), mailbox=True, position=2, recoveries=1),
        },
        deliveries={
            10: DeliveryRow(id=10, order=10, step="work", events=(1, 2), attempts=2, due=5.0),
            11: DeliveryRow(id=11, order=12, step="split", events=(3,), scope=20, first_tried=1.0),
            12: DeliveryRow(id=12, order=11, step="", events=(), scope=21, branch=3),
        },
        scopes={
            20: ScopeRow(id=20, parent=0, branch=0, opener="split", items=2),
            21: ScopeRow(id=21, parent=20, branch=1, opener="work", held=11, closing=True),
        },
        joins={
            30: JoinRow(id=30, step="gather", scope=20, branch=0, slot=0, event=2),
            31: JoinRow(id=31, step="gather", scope=0, branch=0, slot="Typed", event=1),
        },
        requests={
            "second": RequestRow(
                id="second",
                event=InputRequestEvent("sure?", {"point": Point(1)}, request_id="second"),
                number=33,
                delivery=10,
            ),
            "first": RequestRow(
                id="first", event=InputRequestEvent("why?", request_id="first"), number=32, scope=20
            ),
        },
        effects={
            (10, 0): EffectRow(delivery=10, number=0, kind="send", digest="d0"),
            (10, 1): EffectRow(
                delivery=10, number=1, kind="request", digest="d1", request="second"
            ),
            (10, 2): EffectRow(
                delivery=10,
                number=2,
                kind="wait",
                digest="d2",
                due=9.0,
                settled="answered",
                answer=Typed("claimed"),
            ),
        },
        memos={(10, "receipt"): MemoRow(delivery=10, name="receipt", value=b"paid")},
        children={
            (10, 0): ChildRow(
                delivery=10, number=0, workflow="child", digest="d", saved=child_data()
            ),
            (10, 1): ChildRow(delivery=10, number=1, workflow="child", digest="e", result=STOPPED),
        },
        state={
            "count": StateRow(key="count", value=2**70),
            "odd \ud83d\ude00": StateRow(key="odd \ud83d\ude00", value=[Box({1: float("nan")})]),
        },
    )


def snapshot(rows: Tables | None = None) -> Snapshot:
    """Its snapshot."""
    return write_rows(tables() if rows is None else rows)


def write_rows(rows: Tables, **options: Any) -> Snapshot:
    """The snapshot of a run with these rows."""
    options = {"run_id": "r", "workflow": "flow", "codec": CODEC, "offset": 100.0, **options}
    return Snapshot.of(in_sheets(rows), **options)


def read_rows(read: Snapshot, **options: Any) -> Tables:
    """The rows of a snapshot."""
    options = {"codec": CODEC, "offset": 100.0, **options}
    return in_rows(read.sheets(options.pop("codec"), **options))


def altered(change: Callable[[dict[str, Any]], Any]) -> str:
    """The document of the run after ``change``, with a digest that agrees."""
    content = copy.deepcopy(snapshot().to_data())
    change(content)
    return sealed(content)


def sealed(content: object) -> str:
    """Make a document as another writer would that knows how digests are made."""
    text = json.dumps(content, separators=(",", ":"))
    digest = hashlib.sha256(f"blazen-anyio/2\n{text}".encode()).hexdigest()
    head = {"format": "blazen-anyio", "version": 2, "digest": f"sha256:{digest}", "signature": None}
    return json.dumps(head)[:-1] + "," + text[1:]

"""Stored runs as data: what ``ls``, ``show`` and ``history`` tell about them.

The rule: values are shown only if a workflow says which of them are secret. Without one there are
names, counts, times and the prompts of open requests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from .._codec import Codec, unescape_text
from .._events import InputRequestEvent
from .._exceptions import StoreError
from .._snapshot import Snapshot
from .._store import RESULT, HistoryEntry, HistoryFact, Store, StoredRun, content_of, open_rows
from .plain import to_plain
from .terminal import clock_time

__all__ = [
    "StoredDetails",
    "describe",
    "entry_data",
    "fact_data",
    "fact_row",
    "queued",
    "read_details",
    "run_data",
]


@attrs.frozen
class StoredDetails:
    """A stored run with its rows.

    Attributes:
        run: as the store lists it.
        content: what it goes on from, as a snapshot has it; ``None`` if it has completed.
        result: its stop event, as it is written; ``None`` unless it has completed.
    """

    run: StoredRun
    content: dict[str, Any] | None
    result: dict[str, Any] | None

    @property
    def requests(self) -> tuple[InputRequestEvent, ...]:
        """Its open requests."""
        return () if self.content is None else Snapshot.from_data(self.content).requests


async def read_details(store: Store, run_id: str) -> StoredDetails:
    """Read a run and all its rows.

    Raises:
        StoreError: there is none, or a record was altered.
        SnapshotError: its rows do not agree with each other.
    """
    found = await store.read(run_id)
    if found is None:
        raise StoreError(f"there is no run {run_id!r} in the store")
    run, rows = found
    head, texts = open_rows(store.seal, run, rows)
    if run.status == "completed":
        return StoredDetails(run, None, json.loads(texts[RESULT]))
    return StoredDetails(run, content_of(run_id, head.run, texts), None)


def run_data(run: StoredRun) -> dict[str, Any]:
    """A run in a list, as plain data."""
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "status": run.status,
        "commits": run.sequence,
        "owner": run.owner,
        "created": clock_time(run.created),
        "updated": clock_time(run.updated),
        "note": run.note,
    }


def describe(details: StoredDetails, codec: Codec | None) -> dict[str, Any]:
    """A run with what there is to know of it, as plain data.

    Args:
        details: it.
        codec: of its workflow, to show values, too.

    Raises:
        SnapshotError: the codec does not know the class of a value.
    """
    data = run_data(details.run)
    if details.result is not None and codec is not None:
        data["result"] = to_plain(codec.decode_event(details.result, "$.result"), codec)
    content = details.content
    if content is None:
        return data
    data["queued"] = queued(content)
    data["requests"] = [
        {"request_id": request.request_id, "prompt": request.prompt} for request in details.requests
    ]
    data["children"] = [child["workflow"] for child in content["children"]]
    data["state"] = _state(content, codec)
    return data


def queued(content: Mapping[str, Any]) -> dict[str, int]:
    """Count what waits for each step or is in it."""
    steps = Counter(unescape_text(row["step"]) for row in content["deliveries"] if row["step"])
    return dict(sorted(steps.items()))


def _state(content: Mapping[str, Any], codec: Codec | None) -> Any:
    rows = {unescape_text(row["key"]): row["value"] for row in content["state"]}
    if codec is None:
        return sorted(rows)
    return {key: to_plain(codec.decode(rows[key], f"$.{key}"), codec) for key in sorted(rows)}


def entry_data(entry: HistoryEntry) -> list[dict[str, Any]]:
    """A commit in a history, as plain data: one item for each fact, or one for the commit alone."""
    commit = {"commit": entry.sequence, "status": entry.status}
    if not entry.facts:
        return [{"kind": "commit", **commit, "time": clock_time(entry.time)}]
    return [{**commit, **fact_data(fact)} for fact in entry.facts]


def fact_data(fact: HistoryFact) -> dict[str, Any]:
    """A fact as plain data, with a time for people."""
    return {**attrs.asdict(fact), "time": clock_time(fact.time)}


def fact_row(entry: HistoryEntry, data: Mapping[str, Any]) -> tuple[str, ...]:
    """A fact as a row of a table."""
    duration = data.get("duration")
    path = data.get("path") or ()
    return (
        str(entry.sequence),
        str(data["time"]),
        str(data["kind"]),
        "/".join([*path, data.get("step") or ""]) if path else data.get("step") or "",
        data.get("event_type") or "",
        str(data.get("attempt") or ""),
        "" if duration is None else f"{duration:.3f}",
        data.get("error") or "",
    )

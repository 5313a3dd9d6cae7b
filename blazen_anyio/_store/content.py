"""From a run's stored rows to the content of its snapshot.

A row's key is a path, the name of its table and its own key: ``events/17``, or for the first child
run of delivery 12 ``12.0>events/3``. So the rows of a child run lie beside those of the run around
it, and what a child commits costs no more than what it changes. The one row about the run itself
changes with every commit and is part of the head, with the sum of all rows' seals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from .._codec import canonical, escape_text
from .._exceptions import SnapshotError, StoreError
from .._machine.records import Tables
from .._snapshot import child_path
from .records import Row, StoredRun
from .seal import Seal

__all__ = ["RESULT", "Head", "content_of", "open_rows"]

RESULT = "result"
"""The key of the one row that a completed run leaves."""

_KEY = re.compile(r"((?:\d+\.\d+>)*)([a-z]+)/(.*)", re.DOTALL)
_TABLES = tuple(field.name for field in attrs.fields(Tables))


@attrs.frozen
class Head:
    """What the head of a stored run says.

    Attributes:
        run: the row about the run itself, as plain data; empty once it has completed.
        weights: the sum of what the seals of all rows weigh.
    """

    run: dict[str, Any]
    weights: int

    def write(self) -> str:
        """Write it as text."""
        return canonical({"run": self.run, "weights": str(self.weights)})

    @classmethod
    def read(cls, text: str) -> Head:
        """Read what ``write`` wrote; its seal has been checked.

        Raises:
            StoreError: another release has written it.
        """
        try:
            data = json.loads(text)
            return cls({**data["run"]}, int(data["weights"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError("the head of a run is not as this release writes it") from error


def open_rows(seal: Seal, run: StoredRun, rows: list[Row]) -> tuple[Head, dict[str, str]]:
    """Unseal a run's head and rows, and check that none is missing or from another time.

    Raises:
        StoreError: a record was altered, cut, swapped, removed or put back.
    """
    own = seal.for_run(run.run_id)
    text = own.open("head", run.sequence, run.head)
    try:
        head = Head.read(text)
    except StoreError as error:
        raise StoreError(f"run {run.run_id!r} can't be read: {error}") from error
    texts = {row.key: own.open(row.key, row.sequence, row.body) for row in rows}
    if own.total(sum(own.weight(row.body) for row in rows)) != head.weights:
        raise StoreError(
            f"run {run.run_id!r}: its records are not those of its last commit; one is missing, or "
            "was put back from an earlier time"
        )
    return head, texts


def content_of(run_id: str, run: dict[str, Any], rows: Mapping[str, str]) -> dict[str, Any]:
    """Put rows together as the content of a snapshot, as ``Snapshot.from_data`` takes it.

    Args:
        run_id: the id of the run.
        run: the row about it.
        rows: the text of the rows by their keys.

    Raises:
        SnapshotError: a record is not as any release writes it.
    """
    try:
        return _put_together(run_id, run, rows)
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise SnapshotError("its records are not as this release writes them") from error


def _put_together(run_id: str, run: dict[str, Any], rows: Mapping[str, str]) -> dict[str, Any]:
    tables: dict[str, dict[str, list[Any]]] = {"": _empty(run)}
    for key, text in rows.items():
        match = _KEY.fullmatch(key)
        if match is None or match[2] not in _TABLES:
            raise SnapshotError(f"a record with the unknown key {key!r}")
        path, table = match[1], match[2]
        tables.setdefault(path, _empty())[table].append(json.loads(text))
    # The deepest first, so that each is complete when it is put into the run around it.
    for path in sorted(tables, key=len, reverse=True):
        for child in tables[path]["children"]:
            inner = tables.get(child_path(path, child["delivery"], child["number"]))
            if inner is not None and child.get("result") is None:
                inner_id = f"{run_id}/{path.replace('>', '/')}{child['delivery']}.{child['number']}"
                child["saved"] = _content(inner_id, child["workflow"], inner)
    return _content(run_id, run["workflow"], tables[""])


def _empty(run: dict[str, Any] | None = None) -> dict[str, list[Any]]:
    tables: dict[str, list[Any]] = {name: [] for name in _TABLES}
    if run is not None:
        tables["run"].append(run)
    return tables


def _content(run_id: str, workflow: str, tables: dict[str, list[Any]]) -> dict[str, Any]:
    return {"run_id": escape_text(run_id), "workflow": workflow, **tables}

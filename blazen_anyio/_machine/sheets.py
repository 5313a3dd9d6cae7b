"""Sheets: tables column by column, the way a snapshot takes a run and a machine is restored.

A sheet has a list for each field of its row, and in it a value per row. Ten thousand queued events
are twenty lists instead of twenty thousand rows, and lists are made, checked and written at the
speed of C. A row and a line of a sheet say the same.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import attrs

from .records import Key, Tables

__all__ = ["KEYS", "ROWS", "Sheet", "Sheets", "in_rows", "in_sheets", "rows_in", "sheet_of"]

Sheet = dict[str, list[Any]]
"""The rows of a table: for each field a list with a value per row."""

Sheets = dict[str, Sheet]
"""All tables of a run, by name."""

ROWS: dict[str, type[Any]] = {
    name: typing.get_args(hint)[1] for name, hint in typing.get_type_hints(Tables).items()
}
"""The class of the rows of each table, in the order of the tables."""

KEYS: dict[str, tuple[str, ...]] = {
    "run": (),
    "events": ("id",),
    "deliveries": ("id",),
    "scopes": ("id",),
    "joins": ("id",),
    "requests": ("id",),
    "effects": ("delivery", "number"),
    "memos": ("delivery", "name"),
    "children": ("delivery", "number"),
    "state": ("key",),
}
"""The fields that make the key of a row. The one row about the run has key 0."""


def sheet_of(row: type[Any], rows: Iterable[Any]) -> Sheet:
    """Put rows into a sheet; any object will do that has the fields of ``row``."""
    rows = list(rows)
    return {field.name: list(map(attrgetter(field.name), rows)) for field in attrs.fields(row)}


def rows_in(sheets: Sheets, name: str) -> list[Any]:
    """The rows of a sheet, in its order."""
    row, sheet = ROWS[name], sheets[name]
    return [
        row(**dict(zip(sheet, line, strict=True))) for line in zip(*sheet.values(), strict=True)
    ]


def in_sheets(tables: Tables) -> Sheets:
    """Put tables into sheets."""
    return {name: sheet_of(row, getattr(tables, name).values()) for name, row in ROWS.items()}


def in_rows(sheets: Sheets) -> Tables:
    """Put sheets into tables."""
    tables = Tables()
    for name in ROWS:
        rows = rows_in(sheets, name)
        getattr(tables, name).update((_key_of(name, row), row) for row in rows)
    return tables


def _key_of(name: str, row: Any) -> Key:
    key = tuple(getattr(row, field) for field in KEYS[name])
    return 0 if not key else key[0] if len(key) == 1 else typing.cast("Key", key)

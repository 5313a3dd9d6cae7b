"""Sheets: tables column by column, the way a snapshot takes a run and a machine is restored.

A sheet has a list for each field of its row, and in it a value per row. Ten thousand queued events
are twenty lists instead of twenty thousand rows, and lists are made, checked and written at the
speed of C. A line of a sheet says what a row says; only where a row has a tuple of numbers, and
each row of the table has one number in it, the line has the number itself.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter
from typing import Any

import attrs

from .records import Key, Tables

__all__ = [
    "KEYS",
    "ROWS",
    "Sheet",
    "Sheets",
    "are_numbers",
    "flat",
    "in_rows",
    "in_tuples",
    "rows_in",
    "sheet_of",
    "without",
]

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

_TUPLES = frozenset({"events", "path"})
"""The fields that are tuples of numbers."""


def sheet_of(row: type[Any], rows: Iterable[Any]) -> Sheet:
    """Put rows into a sheet; any object will do that has the fields of ``row``."""
    rows = list(rows)
    return {field.name: list(map(attrgetter(field.name), rows)) for field in attrs.fields(row)}


def rows_in(sheets: Sheets, name: str) -> list[Any]:
    """The rows of a sheet, in its order."""
    row, sheet = ROWS[name], sheets[name]
    columns = (in_tuples(sheet[each]) if each in _TUPLES else sheet[each] for each in sheet)
    lines = zip(*columns, strict=True)
    return [row(**dict(zip(sheet, line, strict=True))) for line in lines]


def without(sheet: Sheet, lines: Iterable[int]) -> Sheet:
    """Leave out lines of a sheet, by their numbers."""
    gone = set(lines)
    kept = [number for number in range(len(next(iter(sheet.values())))) if number not in gone]
    return {name: list(map(values.__getitem__, kept)) for name, values in sheet.items()}


def are_numbers(column: Iterable[Any]) -> bool:
    """Say whether the lines have the number itself where the rows have a tuple."""
    return {int}.issuperset(map(type, column))


def in_tuples(column: list[Any]) -> list[tuple[int, ...]]:
    """The tuples of the rows."""
    return list(zip(column, strict=True)) if are_numbers(column) else column


def flat(column: list[Any]) -> list[int]:
    """The numbers in a column of tuples, one after the other."""
    return column if are_numbers(column) else list(chain.from_iterable(column))


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

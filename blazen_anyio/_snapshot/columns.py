"""Tables in columns, the way a document holds them.

A table is an object of its columns, each a list with a value per row, and a column in which all
have the default is left out: ``{"id": [1, 2], "order": [1, 2], "step": ["work", "work"]}``. One
without rows has no columns. That is shorter than rows, and written, checked and read column by
column, at the speed of C. A document has some of its columns in short; see ``short``. A table may
also be a list of rows, as a store has them: they are put into columns first. Errors name the row
and its column in either case: ``$.deliveries[1].step``.

Reading has two passes, because the classes of events are known only when a run is resumed: the form
of the columns is checked when a document is loaded (``check_tables``), and their values are read
when a codec is there (``read_tables``).
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

import attrs

from .._codec import Malformed, kind_of, under
from .._machine import Sheet, Sheets
from .form import Loading, Saving
from .forms import NAME
from .rows import TABLES, Table, want_keys
from .short import listed

__all__ = [
    "Columns",
    "check_tables",
    "count_of",
    "read_tables",
    "rows_of",
    "shorten_tables",
    "steps_in",
    "values_in",
    "write_tables",
]

Columns = dict[str, Any]
"""The columns of a table, by name."""


def write_tables(sheets: Sheets, saving: Saving) -> dict[str, Columns]:
    """Write all rows.

    Raises:
        StateValueError: a value that could not be restored.
    """
    return {name: _write_columns(table, sheets[name], saving) for name, table in TABLES.items()}


def _write_columns(table: Table, sheet: Sheet, saving: Saving) -> Columns:
    if not any(sheet.values()):
        return {}
    columns: Columns = {}
    labels = sheet["key"] if table.name == "state" else None
    for name, form in table.forms.items():
        values = sheet[name]
        if not _are_default(table, name, values):
            columns[name] = form.write_column(values, saving, labels or repeat(name))
    return columns


def _are_default(table: Table, name: str, values: list[Any]) -> bool:
    default = table.defaults[name]
    if default is attrs.NOTHING:
        return False
    if table.forms[name].holds_values:  # what == means is up to the user's class
        return all(map(operator.is_, values, repeat(default)))
    return values.count(default) == len(values)


def shorten_tables(data: Mapping[str, Columns]) -> dict[str, Columns]:
    """Write columns in short, for a document; all but those that tell the number of rows."""
    return {
        name: {
            column: values if column == table.counting else table.forms[column].shorten(values)
            for column, values in data[name].items()
        }
        for name, table in TABLES.items()
    }


def check_tables(data: dict[str, Any]) -> dict[str, Columns]:
    """Check that all tables have the right form. Child runs are not looked into.

    Args:
        data: all tables by name, and nothing else.

    Returns:
        Their columns, none of them in short.

    Raises:
        Malformed: they have another form.
    """
    want_keys(data, TABLES.keys(), TABLES.keys())
    checked: dict[str, Columns] = {}
    for name, table in TABLES.items():
        with under(name):
            checked[name] = _check_table(table, data[name])
    return checked


def _check_table(table: Table, data: Any) -> Columns:
    columns = _columns_of(table, data) if kind_of(data) is list else data
    if kind_of(columns) is not dict:
        raise Malformed("expected a table")
    if not columns:
        return {}
    want_keys(columns, table.required, table.forms.keys())
    with under(table.counting):
        count = len(listed(columns[table.counting]))
    checked = {
        name: table.forms[name].check(column, name, count) for name, column in columns.items()
    }
    _refuse_duplicates(table.keys(checked, count))
    return checked if count else {}


def _refuse_duplicates(keys: list[Any]) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[Any, int] = {}
    second = next(index for index, key in enumerate(keys) if first.setdefault(key, index) < index)
    with under(second):
        raise Malformed("a row with the key of an earlier one")


def _columns_of(table: Table, rows: list[Any]) -> Columns:
    """Put rows into columns."""
    if not rows:
        return {}
    shapes: set[tuple[str, ...]] = set()
    for index, row in enumerate(rows):
        with under(index):
            _check_row(table, row, shapes)
    columns: Columns = {}
    for name, form in table.forms.items():
        default = table.defaults[name]
        values = [row.get(name, default) for row in rows]
        for index, data in enumerate(values):
            form.check_value(data, name, index)
        if not _are_default(table, name, values):
            columns[name] = form.column_of(values)
    return columns


def _check_row(table: Table, row: Any, shapes: set[tuple[str, ...]]) -> None:
    if kind_of(row) is not dict:
        raise Malformed("expected a row")
    shape = tuple(row)
    if shape not in shapes:
        want_keys(row, table.required, table.forms.keys())
        shapes.add(shape)


def rows_of(name: str, columns: Columns) -> list[dict[str, Any]]:
    """Put columns that have been checked, and may be in short, into rows, as a store has them."""
    table, count = TABLES[name], count_of(name, columns)
    forms = [table.forms[column] for column in columns]
    full = [form.in_full(data, count) for form, data in zip(forms, columns.values(), strict=True)]
    values = [form.values_of(data) for form, data in zip(forms, full, strict=True)]
    defaults = [table.defaults[column] for column in columns]
    return [
        {
            column: value
            for column, value, default in zip(columns, row, defaults, strict=True)
            if value is not default
        }
        for row in zip(*values, strict=True)
    ]


def read_tables(data: Mapping[str, Columns], loading: Loading) -> Sheets:
    """Read the values of tables whose form has been checked.

    Raises:
        Malformed: a value or an event that can't be read.
    """
    sheets: Sheets = {}
    for name, table in TABLES.items():
        with under(name):
            sheets[name] = _read_table(table, data[name], loading)
    return sheets


def _read_table(table: Table, columns: Columns, loading: Loading) -> Sheet:
    count = count_of(table.name, columns)
    return {
        name: form.read_column(columns[name], loading, name)
        if name in columns
        else [table.defaults[name]] * count
        for name, form in table.forms.items()
    }


def count_of(name: str, columns: Columns) -> int:
    """The number of rows of a table that has been checked."""
    return len(columns[TABLES[name].counting]) if columns else 0


def steps_in(data: Mapping[str, Columns]) -> Iterator[tuple[str, str]]:
    """Find where the rows of this run, but not of its child runs, name steps.

    Yields:
        The path of the first row that names it, and the name.
    """
    for table in TABLES.values():
        columns = [column for column, form in table.forms.items() if form is NAME]
        for column in columns:
            names: list[str] = data[table.name].get(column, [])
            for name in dict.fromkeys(names):
                yield f"$.{table.name}[{names.index(name)}].{column}", name


def values_in(data: Mapping[str, Columns]) -> Iterator[tuple[str, Any]]:
    """Find where the rows of this run, but not of its child runs, hold events and values.

    Yields:
        The path and the plain data.
    """
    for table in TABLES.values():
        for name, form in table.forms.items():
            if form.holds_values and name in data[table.name]:
                for index, value in enumerate(form.values_of(data[table.name][name])):
                    yield f"$.{table.name}[{index}].{name}", value

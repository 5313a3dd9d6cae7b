"""Rows to plain data and back. A row is an object of the fields that differ from their defaults.

Reading has two passes, because the classes of events are known only when a run is resumed: the form
of the rows is checked when a document is loaded (``check_tables``), and they are built when a codec
is there (``read_tables``).
"""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable, Iterator, Set
from typing import Any

import attrs

from .._codec import Malformed, kind_of, shown, under
from .._machine.records import StateRow, Tables
from .forms import ANSWERS, CHILD, NAME, RESULT, WORKFLOW, Form, Loading, Saving, form_of

__all__ = ["check_tables", "read_tables", "steps_in", "values_in", "write_row", "write_tables"]

_KEYS: dict[str, tuple[str, ...]] = {
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
"""The columns that make the key of a row. The one row about the run has key 0."""

_SPECIAL = {
    ("deliveries", "step"): NAME,
    ("scopes", "opener"): NAME,
    ("joins", "step"): NAME,
    ("children", "workflow"): WORKFLOW,
    ("children", "saved"): CHILD,
    ("children", "answers"): ANSWERS,
    ("children", "result"): RESULT,
}
"""Columns of which the annotation does not tell all."""


@attrs.frozen
class _Table:
    """How the rows of one table are written and read.

    Attributes:
        name: as in ``Tables``.
        row: their class.
        forms: of the fields, in their order.
        key: finds the key of a row.
        key_of_data: finds it in plain data.
        values: reads all fields.
        defaults: of the fields; something else where there is none, or where it is always written.
        required: the fields that are always written.
        writers, readers: of the fields that are not written as they are.
    """

    name: str
    row: Callable[..., Any]
    forms: dict[str, Form]
    key: Callable[[Any], Any]
    key_of_data: Callable[[Any], Any]
    values: Callable[[Any], tuple[Any, ...]]
    defaults: tuple[Any, ...]
    required: frozenset[str]
    writers: tuple[tuple[str, Callable[[Any, Saving, str], Any]], ...]
    readers: tuple[tuple[str, Callable[[Any, Loading], Any]], ...]


def _table(name: str, row: type[Any]) -> _Table:
    hints = typing.get_type_hints(row).items()
    forms = {column: _SPECIAL.get((name, column)) or form_of(hint) for column, hint in hints}
    defaults = {field.name: _default(field) for field in attrs.fields(row)}
    key = _KEYS[name]
    items: Any = operator.itemgetter
    return _Table(
        name=name,
        row=row,
        forms=forms,
        key=operator.attrgetter(*key) if key else _only_key,
        key_of_data=items(*key) if key else _only_key,
        values=operator.attrgetter(*forms),
        defaults=tuple(defaults.values()),
        required=frozenset(column for column, value in defaults.items() if value is attrs.NOTHING),
        writers=tuple((name, form.write) for name, form in forms.items() if form.write),
        readers=tuple((name, form.read) for name, form in forms.items() if form.read),
    )


def _default(field: attrs.Attribute[Any]) -> Any:
    # Told by identity, which is only safe for the values of which there is one.
    default: Any = field.default
    return default if default in ("", None) or kind_of(default) in (int, bool) else attrs.NOTHING


def _only_key(row: object) -> int:
    return 0


_ALL = tuple(
    _table(name, typing.get_args(hint)[1]) for name, hint in typing.get_type_hints(Tables).items()
)

_BY_NAME = {table.name: table for table in _ALL}
_NAMES = frozenset(_BY_NAME)


def write_tables(tables: Tables, saving: Saving) -> dict[str, Any]:
    """Write all rows.

    Raises:
        StateValueError: a value that could not be restored.
    """
    return {
        table.name: [_write_row(table, row, saving) for row in getattr(tables, table.name).values()]
        for table in _ALL
    }


def write_row(name: str, row: Any, saving: Saving) -> dict[str, Any]:
    """Write one row of the table ``name``.

    Raises:
        StateValueError: a value that could not be restored.
    """
    return _write_row(_BY_NAME[name], row, saving)


def _write_row(table: _Table, row: Any, saving: Saving) -> dict[str, Any]:
    fields = zip(table.forms, table.values(row), table.defaults, strict=True)
    data = {column: value for column, value, default in fields if value is not default}
    for column, write in table.writers:
        if column in data:
            label = row.key if isinstance(row, StateRow) else column
            data[column] = write(data[column], saving, label)
    return data


def check_tables(data: dict[str, Any]) -> None:
    """Check that all rows have the right form. Child runs are not looked into.

    Args:
        data: all tables by name, and nothing else.

    Raises:
        Malformed: they have not.
    """
    _want_keys(data, _NAMES, _NAMES)
    for table in _ALL:
        with under(table.name):
            if kind_of(data[table.name]) is not list:
                raise Malformed("expected a list of rows")
            _check_rows(table, data[table.name])


def _check_rows(table: _Table, rows: list[Any]) -> None:
    index = 0
    seen: set[Any] = set()
    shapes: set[tuple[str, ...]] = set()
    try:
        for index, row in enumerate(rows):
            _check_row(table, row, shapes)
            seen.add(table.key_of_data(row))
            if len(seen) == index:
                raise Malformed("a row with the key of an earlier one")
    except Malformed as fault:
        fault.at(index)
        raise


def _check_row(table: _Table, row: Any, shapes: set[tuple[str, ...]]) -> None:
    if kind_of(row) is not dict:
        raise Malformed("expected a row")
    shape = tuple(row)
    if shape not in shapes:
        _want_keys(row, table.required, table.forms.keys())
        shapes.add(shape)
    for column, data in row.items():
        form = table.forms[column]
        if not form.fits(data):
            with under(column):
                raise Malformed(f"expected {form.expected}, got {shown(data)}")


def _want_keys(data: dict[str, Any], required: Set[str], allowed: Set[str]) -> None:
    if missing := required - data.keys():
        raise Malformed(f"{shown(min(missing))} is missing")
    if extra := data.keys() - allowed:
        raise Malformed(f"{shown(min(extra))} does not belong here")


def read_tables(data: dict[str, Any], loading: Loading) -> Tables:
    """Build the rows of tables whose form has been checked.

    Raises:
        Malformed: a value or an event that can't be read.
    """
    tables = Tables()
    for table in _ALL:
        rows = getattr(tables, table.name)
        with under(table.name):
            for row in _read_rows(table, data[table.name], loading):
                rows[table.key(row)] = row
    return tables


def _read_rows(table: _Table, rows: list[dict[str, Any]], loading: Loading) -> list[Any]:
    built: list[Any] = []
    for row in rows:
        values = row.copy()
        for column, read in table.readers:
            if column not in values:
                continue
            try:
                values[column] = read(values[column], loading)
            except Malformed as fault:
                fault.at(column)
                fault.at(len(built))
                raise
        built.append(table.row(**values))
    return built


def steps_in(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Find where the rows of this run, but not of its child runs, name steps.

    Yields:
        The path and the name.
    """
    for table in _ALL:
        columns = [column for column, form in table.forms.items() if form is NAME]
        for index, row in enumerate(data[table.name] if columns else ()):
            for column in columns:
                yield f"$.{table.name}[{index}].{column}", row[column]


def values_in(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Find where the rows of this run, but not of its child runs, hold events and values.

    Yields:
        The path and the plain data.
    """
    for table in _ALL:
        columns = [column for column, form in table.forms.items() if form.holds_values]
        for index, row in enumerate(data[table.name] if columns else ()):
            for column in columns:
                if column in row:
                    yield f"$.{table.name}[{index}].{column}", row[column]

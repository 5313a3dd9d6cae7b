"""Rows of tables in plain data. A row is an object of the fields that differ from their defaults.

A store keeps row by row. A document keeps whole columns; see ``columns``.
"""

from __future__ import annotations

import operator
import typing
from collections.abc import Callable, Set
from typing import Any

import attrs

from .._codec import Malformed, kind_of, shown
from .._machine.records import StateRow
from .._machine.sheets import KEYS, ROWS
from .form import Form, Saving
from .forms import ANSWERS, CHILD, NAME, RESULT, WORKFLOW, form_of

__all__ = ["TABLES", "Table", "want_keys", "write_row"]

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


@attrs.frozen(eq=False, repr=False)
class Table:
    """How the rows of one table are written and read.

    Attributes:
        name: as in ``Tables``.
        row: their class.
        forms: of the columns, in their order.
        key: the columns that make the key of a row.
        counting: a column that is always there in full, and so tells how many rows there are.
        values: reads all fields of a row.
        defaults: of the columns; ``NOTHING`` where there is none, or where it is always written.
        required: the columns that are always written.
        writers: of the columns that are not written as they are.
    """

    name: str
    row: type[Any]
    forms: dict[str, Form]
    key: tuple[str, ...]
    counting: str
    values: Callable[[Any], tuple[Any, ...]]
    defaults: dict[str, Any]
    required: frozenset[str]
    writers: tuple[tuple[str, Callable[[Any, Saving, str], Any]], ...]

    def keys(self, columns: typing.Mapping[str, list[Any]], count: int) -> list[Any]:
        """The keys of the rows."""
        if not self.key:
            return [0] * count
        if len(self.key) == 1:
            return columns[self.key[0]]
        return list(zip(*(columns[name] for name in self.key), strict=True))


def _table(name: str, row: type[Any]) -> Table:
    hints = typing.get_type_hints(row).items()
    forms = {column: _SPECIAL.get((name, column)) or form_of(hint) for column, hint in hints}
    defaults = {field.name: _default(field) for field in attrs.fields(row)}
    return Table(
        name=name,
        row=row,
        forms=forms,
        key=KEYS[name],
        counting=KEYS[name][0] if KEYS[name] else "workflow",
        values=operator.attrgetter(*forms),
        defaults=defaults,
        required=frozenset(column for column, value in defaults.items() if value is attrs.NOTHING),
        writers=tuple((name, form.write) for name, form in forms.items() if form.write),
    )


def _default(field: attrs.Attribute[Any]) -> Any:
    # Told by identity, which is only safe for the values of which there is one.
    default: Any = field.default
    return default if default in ("", None) or kind_of(default) in (int, bool) else attrs.NOTHING


TABLES: dict[str, Table] = {name: _table(name, row) for name, row in ROWS.items()}
"""All tables by name, in their order."""


def write_row(name: str, row: Any, saving: Saving) -> dict[str, Any]:
    """Write one row of the table ``name``.

    Raises:
        StateValueError: a value that could not be restored.
    """
    table = TABLES[name]
    fields = zip(table.forms, table.values(row), table.defaults.values(), strict=True)
    data = {column: value for column, value, default in fields if value is not default}
    for column, write in table.writers:
        if column in data:
            label = row.key if isinstance(row, StateRow) else column
            data[column] = write(data[column], saving, label)
    return data


def want_keys(data: dict[str, Any], required: Set[str], allowed: Set[str]) -> None:
    """Check the keys of an object.

    Raises:
        Malformed: one is missing, or does not belong there.
    """
    if missing := required - data.keys():
        raise Malformed(f"{shown(min(missing))} is missing")
    if extra := data.keys() - allowed:
        raise Malformed(f"{shown(min(extra))} does not belong here")

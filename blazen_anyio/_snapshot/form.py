"""``Form``: what a column of a table may hold, value by value and all at once.

A form says what holds for one value, as it lies in a row. A document holds whole columns, so a form
also writes, checks and reads those: the same, only quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

import attrs

from .._codec import (
    Codec,
    Malformed,
    Reader,
    check_packed,
    pack,
    read_packed,
    shown,
    under,
    unpack,
)
from .._machine.sheets import are_numbers
from .short import lengthen, listed, shorten

__all__ = ["EventForm", "Form", "Loading", "NumbersForm", "Saving"]


@attrs.frozen(eq=False, repr=False)
class Saving:
    """What writing takes.

    Attributes:
        codec: of the workflow.
        offset: wall-clock time minus the machine's, in seconds.
        prepared: plain data of events that were written in advance, by the ``id`` of the event.
    """

    codec: Codec
    offset: float
    prepared: dict[int, Any] = attrs.field(factory=dict[int, Any])


@attrs.frozen(eq=False, repr=False)
class Loading:
    """What reading takes: a reader of values, the offset of this process, and new names."""

    reader: Reader
    offset: float
    renames: Mapping[str, str]

    def renamed(self, name: str) -> str:
        """Find the name of today."""
        return self.renames.get(name, name)


_NOT_ALIKE = "expected columns of the same length"


def _cannot_tell(column: list[Any]) -> bool:
    return False


@attrs.frozen(eq=False, repr=False)
class Form:
    """What a column holds.

    Attributes:
        expected: what each value should be, for the error.
        fits: says whether plain data is of this form.
        write: makes the plain data; its third argument names the value in errors. ``None`` if the
            value is plain data as it is.
        read: makes the row's value of plain data that fits; ``None`` likewise.
        holds_values: it holds events or values of the user's.
        all_fit: says at once that every value fits; it may say no where only ``fits`` can tell.
        repeats: a column holds few different values, and each is written and read only once.
    """

    expected: str
    fits: Callable[[Any], bool]
    write: Callable[[Any, Saving, str], Any] | None = None
    read: Callable[[Any, Loading], Any] | None = None
    holds_values: bool = False
    all_fit: Callable[[list[Any]], bool] = _cannot_tell
    repeats: bool = False

    def column_of(self, values: list[Any]) -> Any:
        """Make a column of the plain data of its values."""
        return values

    def values_of(self, column: Any) -> list[Any]:
        """Take the plain data of the values out of a column; what ``column_of`` was given."""
        values: list[Any] = column
        return values

    def shorten(self, column: Any) -> Any:
        """Write a column in short, where that can be."""
        return column if self.holds_values else shorten(column)

    def in_full(self, column: Any, count: int) -> Any:
        """Write out a column that may be in short.

        Raises:
            Malformed: it is no column.
        """
        return listed(column) if self.holds_values else lengthen(column, count)

    def check(self, column: Any, name: str, count: int) -> Any:
        """Check the column ``name``, which has ``count`` values or is in short.

        Returns:
            The column, not in short.

        Raises:
            Malformed: it is no column, or one of the values does not fit.
        """
        with under(name):
            values = self.in_full(column, count)
        if len(values) != count:
            raise Malformed(_NOT_ALIKE)
        # What is in short fits if the first does: it repeats it, or counts on from it.
        self._check_values(values if values is column else values[:1], name)
        return values

    def _check_values(self, column: list[Any], name: str) -> None:
        if not self.all_fit(column):
            for index, data in enumerate(self.values_of(column)):
                self.check_value(data, name, index)

    def check_value(self, data: Any, name: str, index: int) -> None:
        """Check what the column ``name`` holds in one row.

        Raises:
            Malformed: it does not fit.
        """
        if not self.fits(data):
            with under(index), under(name):
                raise Malformed(f"expected {self.expected}, got {shown(data)}")

    def write_column(self, values: list[Any], saving: Saving, labels: Iterable[str]) -> Any:
        """Write a column; a label for each value names it in errors."""
        write = self.write
        if write is None:
            return values
        if self.repeats:
            written = {value: write(value, saving, "") for value in set(values)}
            return list(map(written.__getitem__, values))
        return [write(value, saving, label) for value, label in zip(values, labels, strict=False)]

    def read_column(self, column: Any, loading: Loading, name: str) -> list[Any]:
        """Read the column ``name``, which has been checked.

        Raises:
            Malformed: it holds a value that can't be read.
        """
        if self.read is None:
            values: list[Any] = column
            return values
        with suppress(Malformed):
            return self.read_at_once(column, loading)
        # Again, one by one: to find out which it is.
        return [
            self._read_value(data, loading, name, index)
            for index, data in enumerate(self.values_of(column))
        ]

    def read_at_once(self, column: Any, loading: Loading) -> list[Any]:
        """Read a column; a fault does not say where it is."""
        read = self.read
        assert read is not None, "else there is nothing to do"
        if self.repeats:
            known = {data: read(data, loading) for data in set(column)}
            return list(map(known.__getitem__, column))
        return [read(data, loading) for data in column]

    def _read_value(self, data: Any, loading: Loading, name: str, index: int) -> Any:
        assert self.read is not None, "else there is nothing to do"
        with under(index), under(name):
            return self.read(data, loading)


class NumbersForm(Form):
    """Lists of numbers. In a column, as in a sheet, the number may stand for a list of one.

    A list per delivery would be most of what the garbage collector sees of a large document.
    """

    def column_of(self, values: list[Any]) -> Any:
        return list(chain.from_iterable(values)) if _are_single(values) else values

    def values_of(self, column: Any) -> list[Any]:
        return [[data] if type(data) is int else data for data in column]

    def write_column(self, values: list[Any], saving: Saving, labels: Iterable[str]) -> Any:
        if are_numbers(values):
            return values
        if _are_single(values):
            return list(chain.from_iterable(values))
        return super().write_column(values, saving, labels)

    def read_at_once(self, column: Any, loading: Loading) -> list[Any]:
        if are_numbers(column):
            return list(column)
        return super().read_at_once(self.values_of(column), loading)


def _are_single(values: list[Any]) -> bool:
    return {1}.issuperset(map(len, values))


class EventForm(Form):
    """Events, which lie in columns of their own; see ``blazen_anyio._codec.packing``."""

    def column_of(self, values: list[Any]) -> Any:
        return pack(values)

    def values_of(self, column: Any) -> list[Any]:
        return list(unpack(column))

    def in_full(self, column: Any, count: int) -> Any:
        return column

    def check(self, column: Any, name: str, count: int) -> Any:
        with under(name):
            events = check_packed(column)
        if events != count:
            raise Malformed(_NOT_ALIKE)
        return column

    def write_column(self, values: list[Any], saving: Saving, labels: Iterable[str]) -> Any:
        return saving.codec.encode_events(values)

    def read_at_once(self, column: Any, loading: Loading) -> list[Any]:
        return read_packed(column, loading.reader)

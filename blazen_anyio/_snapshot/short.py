"""Columns of the engine's own in short, where they say the same in every row, or count.

    {"all": "hold"}          the same number or text in every row
    {"from": 4, "by": 2}     4, 6, 8 and so on

How many rows there are is told by a column that is never in short, so a small document can't ask
for a large run. What users put into events and state is written as it is.
"""

from __future__ import annotations

from typing import Any

from .._codec import Malformed, kind_of

__all__ = ["MOST", "lengthen", "listed", "shorten"]

MOST = 2**53
"""No number that the engine writes is larger: every JSON reader takes it for what it is."""

_FEW = 16
"""Fewer values than this are written one by one, which is easier to read."""

_REPEATED = frozenset({int, str})


def shorten(column: list[Any]) -> Any:
    """Write a column in short, if that can be.

    What is no ``int`` in it must not equal one, as ``True`` and ``1.0`` do; a form sees to that.
    """
    if len(column) < _FEW or kind_of(column[0]) not in _REPEATED:
        return column
    first, second, last = column[0], column[1], column[-1]
    if first == last:
        return {"all": first} if column.count(first) == len(column) else column
    if kind_of(first) is not int or kind_of(second) is not int or second <= first:
        return column
    by = second - first
    counted = range(first, first + by * len(column), by)
    return {"from": first, "by": by} if column == list(counted) else column


def lengthen(column: Any, count: int) -> list[Any]:
    """Write out a column of ``count`` values that may be in short.

    Raises:
        Malformed: it is neither a list nor what ``shorten`` writes.
    """
    if kind_of(column) is dict:
        if column.keys() == {"all"} and kind_of(column["all"]) in _REPEATED:
            return [column["all"]] * count
        if column.keys() == {"from", "by"} and _are_numbers(column["from"], column["by"]):
            first, by = column["from"], column["by"]
            if first + by * count <= MOST:
                return list(range(first, first + by * count, by))
    return listed(column)


def _are_numbers(first: Any, by: Any) -> bool:
    return kind_of(first) is int and kind_of(by) is int and first >= 0 and by > 0


def listed(column: Any) -> list[Any]:
    """Take a column that is not in short.

    Raises:
        Malformed: it is none.
    """
    if kind_of(column) is not list:
        raise Malformed("expected a list with a value for each row")
    values: list[Any] = column
    return values

"""The journal: which rows a commit has touched. Kept only for a run that somebody stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._events import StopEvent
from .facts import RawFact
from .records import Delta, Key, TableName

__all__ = ["Journal"]


class Journal:
    """Collects what changes between two commits and cuts it into a delta.

    Rows are made when the delta is cut, so an object touched twice costs one row, and one that came
    and went within a commit none.
    """

    __slots__ = ("_touched",)

    def __init__(self) -> None:
        self._touched: dict[tuple[TableName, Key], Callable[[], Any] | None] = {}

    def put(self, table: TableName, key: Key, row: Callable[[], Any]) -> None:
        """A row is new or has changed; ``row`` makes it."""
        self._touched[table, key] = row

    def remove(self, table: TableName, key: Key) -> None:
        """A row is gone."""
        self._touched[table, key] = None

    def cut(self, sequence: int, stop: StopEvent | None, facts: Iterable[RawFact] = ()) -> Delta:
        """Make the delta of all that was touched since the last cut."""
        puts: list[tuple[TableName, Key, Any]] = []
        removes: list[tuple[TableName, Key]] = []
        for (table, key), row in self._touched.items():
            if row is None:
                removes.append((table, key))
            else:
                puts.append((table, key, row()))
        self._touched.clear()
        return Delta(
            sequence=sequence,
            puts=tuple(puts),
            removes=tuple(removes),
            stop=stop,
            facts=tuple(facts),
        )

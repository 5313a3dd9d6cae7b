"""The journal: which rows a commit has touched. Kept only for a run that somebody stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._events import StopEvent
from .facts import RawFact
from .items import Items
from .records import Delta, Key, Put, TableName

__all__ = ["Journal"]


class Journal:
    """Collects what changes between two commits and cuts it into a delta.

    Rows are made when the delta is cut, so an object touched twice costs one row, and one that came
    and went within a commit none. Items are handed on as they are: their rows are made when
    they are stored.
    """

    __slots__ = ("_items", "_touched")

    def __init__(self) -> None:
        self._items: list[Items] = []
        self._touched: dict[tuple[TableName, Key], Callable[[], Any] | None] = {}

    def put(self, table: TableName, key: Key, row: Callable[[], Any]) -> None:
        """A row is new or has changed; ``row`` makes it."""
        self._touched[table, key] = row

    def remove(self, table: TableName, key: Key) -> None:
        """A row is gone."""
        self._touched[table, key] = None

    def put_items(self, items: Items) -> None:
        """The items of a fan-out are new."""
        self._items.append(items)

    def remove_items(self, items: Items) -> None:
        """What is left of the items of a fan-out is gone."""
        if items in self._items:
            self._items.remove(items)
            return
        for table, key, _ in items.rows():
            self._touched[table, key] = None

    def cut(self, sequence: int, stop: StopEvent | None, facts: Iterable[RawFact] = ()) -> Delta:
        """Make the delta of all that was touched since the last cut."""
        puts: list[Put] = []
        removes: list[tuple[TableName, Key]] = []
        for (table, key), row in self._touched.items():
            if row is None:
                removes.append((table, key))
            else:
                puts.append((table, key, row()))
        self._touched.clear()
        items, self._items = self._items, []
        return Delta(
            sequence=sequence,
            puts=tuple(puts),
            removes=tuple(removes),
            items=tuple(each.copy() for each in items),
            stop=stop,
            facts=tuple(facts),
        )

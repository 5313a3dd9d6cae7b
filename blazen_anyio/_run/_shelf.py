"""Where the rows of a stored run lie: their keys, and what each weighs.

A child run's rows lie beside those of the run around it, under keys that its path leads.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._machine.records import Key
from .._snapshot import child_path, row_key

__all__ = ["Shelf"]


class Shelf:
    """The rows of one run: of the outermost one, or of a child run.

    Attributes:
        path: leads the keys of its rows; empty for the outermost run.
        weights: what each row weighs, by its key.
        inner: the shelves of its child runs, by delivery and number.
    """

    __slots__ = ("inner", "path", "weights")

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.weights: dict[str, int] = {}
        self.inner: dict[tuple[int, int], Shelf] = {}

    def child(self, delivery: int, number: int) -> Shelf:
        """The shelf of a child run."""
        shelf = self.inner.get((delivery, number))
        if shelf is None:
            shelf = Shelf(child_path(self.path, delivery, number))
            self.inner[delivery, number] = shelf
        return shelf

    def key(self, table: str, key: Key) -> str:
        """The key under which a row of its run is stored."""
        return row_key(self.path, table, key)

    def keys(self) -> Iterator[str]:
        """The keys of all its rows, those of child runs too."""
        yield from self.weights
        for shelf in self.inner.values():
            yield from shelf.keys()

"""The book of a stored run: what the store holds of it, and the next change as a commit.

The rule: no I/O and no clock. The book knows the key and the weight of every live row, run by run
down to the innermost child, so that a commit costs what it changes: a row, its seal, and the
difference that makes to the sum in the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from .._store import (
    Commit,
    Head,
    HistoryFact,
    LogEntry,
    Row,
    RunSeal,
    StoredRun,
    StoredStatus,
)
from ._shelf import Shelf

__all__ = ["Book", "Change"]

_LONGEST_NOTE = 500


@attrs.define(eq=False, repr=False)
class Change:
    """What one commit changes, before it is sealed.

    Attributes:
        shelf: of the run that changes.
        puts: texts of rows by their keys.
        bodies: those of them that are sealed already; ``difference`` is what that makes to the sum.
        removes: keys of rows that go.
        status, note, clears: see :class:`~blazen_anyio._store.Commit`.
    """

    shelf: Shelf
    puts: dict[str, str] = attrs.field(factory=dict[str, str])
    bodies: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    difference: int = 0
    removes: list[str] = attrs.field(factory=list[str])
    status: StoredStatus | None = None
    note: str = ""
    clears: bool = False


class Book:
    """What a store holds of a run that this process executes.

    Args:
        run_id: the id of the run.
        seal: of its records.
        keep_log: whether commits come with an entry for the log.

    Attributes:
        shelf: of the outermost run.
        epoch: of the claim.
        run: the row about the run, as plain data.
        completed: the run has completed; nothing but the log changes any more.
        reopens: the next commit says that the run goes on.
    """

    def __init__(self, run_id: str, seal: RunSeal, *, keep_log: bool) -> None:
        self.run_id = run_id
        self.shelf = Shelf()
        self.epoch = 1
        self.run: dict[str, Any] = {}
        self.completed = False
        self.reopens = False
        self._seal = seal
        self._keep_log = keep_log
        self._sequence = 0
        self._sum = 0

    def open(self, run: StoredRun, head: Head, rows: Sequence[Row]) -> None:
        """Go on with what the store holds, which has been checked."""
        self.epoch, self._sequence = run.epoch, run.sequence
        self.run, self._sum = head.run, head.weights
        self.reopens = run.status != "running"
        for row in rows:
            self._shelf_of(row.key).weights[row.key] = self._seal.weight(row.body)

    def _shelf_of(self, key: str) -> Shelf:
        # The paths before any key of the user's: a state key may hold the same characters.
        shelf = self.shelf
        steps = key[: key.index("/")].split(">")[:-1] if "/" in key else []
        for step in steps:
            delivery, number = step.split(".")
            shelf = shelf.child(int(delivery), int(number))
        return shelf

    def write(self, change: Change, facts: Iterable[HistoryFact], time: float) -> Commit:
        """Make the next commit.

        Args:
            change: what it changes.
            facts: what had happened, for the log.
            time: wall-clock seconds, for the log.

        Raises:
            StoreError: a record is too large; the book is of no use any more.
        """
        sequence = self._sequence + 1
        self._take_away(change)
        for key, text in change.puts.items():
            if key not in change.bodies:
                self._put(change, key, text)
        total = self._seal.total(self._sum + change.difference)
        head = Head(self.run, total).write()
        entry = self._entry(change, head, facts, time) if self._keep_log else None
        commit = Commit(
            run_id=self.run_id,
            epoch=self.epoch,
            sequence=sequence,
            head=self._seal.close("head", sequence, head),
            puts=tuple(change.bodies.items()),
            removes=tuple(change.removes),
            status=change.status,
            note=" ".join(change.note.split())[:_LONGEST_NOTE],
            clears=change.clears,
            entry=None if entry is None else self._seal.close("log", sequence, entry),
        )
        self._sequence, self._sum = sequence, total
        return commit

    def put(self, change: Change, key: str, text: str) -> None:
        """Seal a row in advance, of many; ``change`` is the next to be written, and nothing before.

        Raises:
            StoreError: see :meth:`write`.
        """
        change.puts[key] = text
        self._put(change, key, text)

    def _put(self, change: Change, key: str, text: str) -> None:
        body = change.bodies[key] = self._seal.close(key, self._sequence + 1, text)
        weights, weight = change.shelf.weights, self._seal.weight(body)
        change.difference += weight - weights.get(key, 0)
        weights[key] = weight

    def _take_away(self, change: Change) -> None:
        if change.clears:
            change.difference -= self._sum
            self.shelf.weights.clear()
            self.shelf.inner.clear()
        weights = change.shelf.weights
        for key in change.removes:
            change.difference -= weights.pop(key, 0)

    def forget(self, shelf: Shelf, delivery: int, number: int) -> list[str]:
        """A child run is over: the keys of all its rows, which weigh nothing from now on."""
        inner = shelf.inner.pop((delivery, number), None)
        if inner is None:
            return []
        keys = list(inner.keys())
        shelf.weights.update((key, weight) for key, weight in _weights(inner))
        return keys

    def _entry(self, change: Change, head: str, facts: Iterable[HistoryFact], time: float) -> str:
        return LogEntry(
            time=time,
            head=head,
            puts=tuple(change.puts.items()),
            removes=tuple(change.removes),
            clears=change.clears,
            status=change.status,
            facts=tuple(facts),
        ).write()


def _weights(shelf: Shelf) -> Iterator[tuple[str, int]]:
    yield from shelf.weights.items()
    for inner in shelf.inner.values():
        yield from _weights(inner)

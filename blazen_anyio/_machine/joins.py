"""Joins: events that wait for others in a gather, a batch, a pair or a collect.

An entry is an event at one place of one joining step within one scope (and, for a pair, one
branch). Reaching a join spends the event's token: the scope no longer waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs

from .live import Record, Scope
from .plan import StepPlan
from .records import JoinRow

__all__ = ["Entry", "Joins", "gather_order", "path_within"]

Place = tuple[int, int, int, int | str]
"""(index of the step, id of the scope, branch, slot)"""


@attrs.define(eq=False, repr=False)  # frozen would cost every gathered event twice as much
class Entry:
    """One event that waits.

    ``id`` ascends in order of arrival; ``path`` is :func:`path_within`, or empty in its own scope.
    """

    id: int
    step: StepPlan
    scope: Scope
    branch: int
    slot: int | str
    record: Record
    path: tuple[int, ...] = ()

    @property
    def place(self) -> Place:
        return (self.step.index, self.scope.id, self.branch, self.slot)

    def row(self) -> JoinRow:
        return JoinRow(
            id=self.id,
            step=self.step.name,
            scope=self.scope.id,
            branch=self.branch,
            slot=self.slot,
            event=self.record.id,
            path=self.path,
        )


class Joins:
    """All entries of a run, oldest first in each place."""

    __slots__ = ("_places", "_scopes")

    def __init__(self) -> None:
        self._places: dict[Place, deque[Entry]] = {}
        self._scopes: dict[int, dict[Place, None]] = {}

    def add(self, entry: Entry) -> int:
        """Add an entry; return how many are now in its place."""
        place = entry.place
        queue = self._places.get(place)
        if queue is None:
            queue = self._places[place] = deque()
            self._scopes.setdefault(entry.scope.id, {})[place] = None
        queue.append(entry)
        return len(queue)

    def count(self, place: Place) -> int:
        """How many entries are in a place."""
        queue = self._places.get(place)
        return len(queue) if queue is not None else 0

    def peek(self, place: Place, count: int) -> list[Entry]:
        """The oldest ``count`` entries of a place, left there."""
        queue = self._places.get(place, ())
        return [entry for entry, _ in zip(queue, range(count), strict=False)]

    def take(self, place: Place, count: int | None = None) -> list[Entry]:
        """Take the oldest ``count`` entries of a place, or all."""
        queue = self._places.get(place)
        if queue is None:
            return []
        if count is None or count >= len(queue):
            self._forget(place)
            return list(queue)
        return [queue.popleft() for _ in range(count)]

    def in_scope(self, scope: Scope) -> list[Place]:
        """The places of a scope that hold entries, in the order in which they were first used."""
        return list(self._scopes.get(scope.id, ()))

    def __iter__(self) -> Iterator[Entry]:
        for queue in self._places.values():
            yield from queue

    def _forget(self, place: Place) -> None:
        del self._places[place]
        places = self._scopes[place[1]]
        del places[place]
        if not places:
            del self._scopes[place[1]]


def gather_order(entry: Entry) -> tuple[int, ...]:
    """The order within a gather: of the fan-out, not of completion.

    First the item of the fan-out; within it, for nested fan-outs, the inner scope and its item;
    then the cause, then the order in which that cause sent.
    """
    record = entry.record
    if not entry.path:
        return (record.branch, record.cause, record.position)
    return (*entry.path, record.cause, record.position)


def path_within(record: Record, outer: Scope) -> tuple[int, ...]:
    """Where an event of a nested fan-out stands within an outer one.

    The item of the outer fan-out, then the inner scope and its item, and so on inwards. Noted when
    the event is joined, because the inner scopes may be over before the outer one is.
    """
    path: list[int] = []
    scope, branch = record.scope, record.branch
    while scope is not outer:
        path += (branch, scope.id)
        assert scope.parent is not None, "an entry's scope encloses its event's"
        scope, branch = scope.parent, scope.branch
    path.append(branch)
    path.reverse()
    return tuple(path)

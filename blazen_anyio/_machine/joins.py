"""Joins: events that wait for others in a gather, a batch, a pair or a collect.

A place is one slot of one joining step within one scope (and, for a pair, one branch); what waits
in it is an entry. Reaching a join spends the event's token: the scope no longer waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter, itemgetter, lt

from .live import Record, Scope
from .plan import StepPlan
from .records import JoinRow

__all__ = ["Entry", "Joins", "Key", "Place", "in_order", "path_within", "records_of"]

Key = tuple[int, int, int, int | str]
"""Of a place: index of the step, id of the scope, branch, slot."""

Entry = tuple[int, Record, tuple[int, ...]]
"""One event that waits: a number that ascends in order of arrival; its record; and
:func:`path_within`, or ``()`` in its own scope. A bare tuple, since each gathered event is one."""


class Place:
    """One place of one joining step, and what waits in it, oldest first."""

    __slots__ = ("branch", "entries", "scope", "slot", "step")

    def __init__(self, step: StepPlan, scope: Scope, branch: int, slot: int | str) -> None:
        self.step = step
        self.scope = scope
        self.branch = branch
        self.slot = slot
        self.entries: deque[Entry] = deque()

    def row(self, entry: Entry) -> JoinRow:
        id, record, path = entry
        return JoinRow(
            id=id,
            step=self.step.name,
            scope=self.scope.id,
            branch=self.branch,
            slot=self.slot,
            event=record.id,
            path=path,
        )


class Joins:
    """All places of a run in which something waits."""

    __slots__ = ("_places", "_scopes")

    def __init__(self) -> None:
        self._places: dict[Key, Place] = {}
        self._scopes: dict[int, dict[Key, None]] = {}

    def place(self, step: StepPlan, scope: Scope, branch: int, slot: int | str) -> Place:
        """Find a place, or make it; the caller adds an entry."""
        key = (step.index, scope.id, branch, slot)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(step, scope, branch, slot)
            self._scopes.setdefault(scope.id, {})[key] = None
        return place

    def count(self, key: Key) -> int:
        """How many entries are in a place."""
        place = self._places.get(key)
        return len(place.entries) if place is not None else 0

    def peek(self, key: Key) -> list[Record]:
        """What waits in a place, left there."""
        place = self._places.get(key)
        return [record for _, record, _ in place.entries] if place is not None else []

    def take(self, key: Key, count: int | None = None) -> list[Entry]:
        """Take the oldest ``count`` entries of a place, or all."""
        place = self._places.get(key)
        if place is None:
            return []
        entries = place.entries
        if count is None or count >= len(entries):
            self._forget(key)
            return list(entries)
        return [entries.popleft() for _ in range(count)]

    def in_scope(self, scope: Scope) -> list[Key]:
        """The places of a scope that hold entries, in the order in which they were first used."""
        return list(self._scopes.get(scope.id, ()))

    def __iter__(self) -> Iterator[Place]:
        yield from self._places.values()

    def _forget(self, key: Key) -> None:
        del self._places[key]
        places = self._scopes[key[1]]
        del places[key]
        if not places:
            del self._scopes[key[1]]


_record, _path = itemgetter(1), itemgetter(2)
_branch = attrgetter("branch")
_flat_order = attrgetter("branch", "cause", "position")


def records_of(entries: Iterable[Entry]) -> tuple[Record, ...]:
    """What waited, in order of arrival."""
    return tuple(map(_record, entries))


def in_order(entries: list[Entry]) -> tuple[Record, ...]:
    """What a gather has gathered: in the order of the fan-out, not of completion.

    First the item of the fan-out; within it, for nested fan-outs, the inner scope and its item;
    then the cause, then the order in which that cause sent.
    """
    if any(map(_path, entries)):
        return records_of(sorted(entries, key=_nested_order))
    records = records_of(entries)
    items = list(map(_branch, records))
    if all(map(lt, items, islice(items, 1, None))):
        return records  # each came in its turn, as they do from steps that do not suspend
    return tuple(sorted(records, key=_flat_order))


def _nested_order(entry: Entry) -> tuple[int, ...]:
    _, record, path = entry
    return (*(path or (record.branch,)), record.cause, record.position)


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

"""The gate: what commits will let out once they are durable.

A commit's effects on the outside (dispatch of what it emitted, facts, shown requests, the end of
the run) are held here until ``committed(sequence)`` reports that the commit is durable. Commits
become durable in their order. A run that nobody stores has no gate, and effects follow at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .facts import RawFact
from .items import Items
from .live import Delivery
from .outcome import Outcome, Show

__all__ = ["Gate", "Held"]


class Held:
    """What one commit will let out.

    A delivery comes with its place in the queue: if it has another by then, a later commit lets it
    out.
    """

    __slots__ = ("deliveries", "facts", "marked", "outcome", "sequence", "shows")

    def __init__(self) -> None:
        self.sequence = 0
        self.deliveries: list[tuple[Delivery | Items, int]] = []
        self.marked: list[tuple[Delivery, int]] = []
        self.shows: list[Show] = []
        self.facts: list[RawFact] = []
        self.outcome: Outcome | None = None


class Gate:
    """The commits of a run that are not durable yet.

    Attributes:
        under_way: what the commit under way will let out.
    """

    __slots__ = ("_closed", "under_way")

    def __init__(self) -> None:
        self.under_way = Held()
        self._closed: deque[Held] = deque()

    def __bool__(self) -> bool:
        return bool(self._closed)

    def close(self, sequence: int) -> None:
        """The commit under way has this number, and the next begins."""
        self.under_way.sequence = sequence
        self._closed.append(self.under_way)
        self.under_way = Held()

    def open(self, sequence: int) -> Iterator[Held]:
        """All commits up to ``sequence`` are durable: what each lets out, in order."""
        while self._closed and self._closed[0].sequence <= sequence:
            yield self._closed.popleft()

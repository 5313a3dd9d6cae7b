"""Timers: what becomes due when. A heap with lazy removal, compacted so that it can't leak.

A step with a time limit sets a timer per attempt, and nearly all are dropped unfired: dropped
entries stay in the heap until they surface or outnumber the live ones.
"""

from __future__ import annotations

import heapq
from typing import Literal

from .live import Delivery

__all__ = ["Timer", "Timers"]

TimerKind = Literal["delay", "timeout", "wait"]


class Timer:
    """One thing that becomes due; ``delivery`` is ``None`` once it was dropped."""

    __slots__ = ("delivery", "due", "kind", "number")

    def __init__(self, due: float, number: int, kind: TimerKind, delivery: Delivery) -> None:
        self.due = due
        self.number = number
        self.kind: TimerKind = kind
        self.delivery: Delivery | None = delivery

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class Timers:
    """All timers of a run, earliest first; those due at the same time in the order of setting.

    Attributes:
        sooner: a timer was set that is due before all others; whoever looks for it clears this.
    """

    __slots__ = ("_dropped", "_heap", "_number", "sooner")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._dropped = 0
        self._number = 0
        self.sooner = False

    def set(self, due: float, kind: TimerKind, delivery: Delivery) -> Timer:
        """Add a timer."""
        self._number += 1
        timer = Timer(due, self._number, kind, delivery)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self.sooner = True
        return timer

    def drop(self, timer: Timer) -> None:
        """Forget a timer that has not fired; a fired or dropped one is ignored."""
        if timer.delivery is None:
            return
        timer.delivery = None
        self._dropped += 1
        if self._dropped > 64 and self._dropped * 2 > len(self._heap):
            self._heap = [kept for kept in self._heap if kept.delivery is not None]
            heapq.heapify(self._heap)
            self._dropped = 0

    def earliest(self) -> float | None:
        """When the next timer is due."""
        heap = self._heap
        while heap and heap[0].delivery is None:
            heapq.heappop(heap)
            self._dropped -= 1
        return heap[0].due if heap else None

    def pop_due(self, now: float) -> tuple[TimerKind, Delivery] | None:
        """Take the earliest timer that is due at ``now``, if any."""
        due = self.earliest()
        if due is None or due > now:
            return None
        timer = heapq.heappop(self._heap)
        delivery = timer.delivery
        assert delivery is not None, "earliest() leaves a live timer on top"
        timer.delivery = None
        return timer.kind, delivery

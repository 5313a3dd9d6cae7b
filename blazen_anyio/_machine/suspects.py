"""Suspects: what processes may have died of runs alone when it has one delivery left.

A process that dies takes down the attempts that run beside the guilty one, and all of them count as
delivered once more. So of those that would count as failed after another death, only one is begun
at a time: if the process dies again, it is known of what.
"""

from __future__ import annotations

import heapq

from .dispatch import Dispatch
from .live import Delivery

__all__ = ["Suspects"]


class Suspects:
    """The deliveries of a run that have one delivery left."""

    __slots__ = ("_begun", "_dispatch", "_held")

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._begun: Delivery | None = None
        self._held: list[tuple[int, Delivery]] = []

    def admit(self, delivery: Delivery) -> bool:
        """Let one that has been taken go on if no other is under way; if not, hold it."""
        if self._begun is None or self._begun is delivery:
            self._begun = delivery
            return True
        self._dispatch.free(delivery.step)
        self._dispatch.hold(delivery)
        heapq.heappush(self._held, (delivery.order, delivery))
        return False

    def release(self, delivery: Delivery) -> None:
        """One is not under way any more: the next may go on."""
        if delivery is not self._begun:
            return
        self._begun = None
        while self._held:
            held = heapq.heappop(self._held)[1]
            if held.phase == "held":  # else it counts no more
                self._begun = held  # should it be dropped before it is taken, the next may go on
                self._dispatch.put_first(held)
                return

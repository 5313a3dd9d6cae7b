"""The frontier of an exploration: the schedules that are to be tried.

A run follows its schedule and then the defaults; each option that it passed over, after the last
entry of its schedule, makes another schedule. So each schedule comes up exactly once.

The cheapest is tried first, but for one fault in an otherwise undisturbed run: these are few and
find much, while there may be a great many orders that cost nothing.
"""

from __future__ import annotations

from collections import deque

import attrs

from ._choosing import Schedule
from ._independence import is_redundant
from ._transcript import Transcript

__all__ = ["Frontier", "Plan"]


_SOON = -1
"""Comes before every price."""


@attrs.frozen
class Plan:
    """A schedule to try.

    Attributes:
        schedule: what it says.
        ends: the number of the choice point after its last entry.
        price: what its entries cost.
    """

    schedule: Schedule
    ends: int
    price: int


class Frontier:
    """The schedules that are to be tried: single faults, then the cheapest first, shortest first.

    Args:
        bound: what a schedule may cost; ``None`` for anything.
        room: how many schedules it holds at most.

    Attributes:
        pruned: how many options were left out because they can't make a difference.
        beyond: whether some were left out because they cost too much.
        overflown: whether some were left out because there was no room.
    """

    def __init__(self, bound: int | None, room: int) -> None:
        self._bound = bound
        self._room = room
        self._plans: dict[int, deque[Plan]] = {_SOON: deque([Plan({}, 0, 0)])}
        self._count = 1
        self.pruned = 0
        self.beyond = False
        self.overflown = False

    def __bool__(self) -> bool:
        return self._count > 0

    def pop(self) -> Plan:
        """Take the next one out."""
        rank = min(rank for rank, plans in self._plans.items() if plans)
        self._count -= 1
        return self._plans[rank].popleft()

    def extend(self, plan: Plan, transcript: Transcript) -> None:
        """Add what the run of a plan has passed over."""
        for number, choice in enumerate(transcript.choices[plan.ends :], plan.ends):
            for place, option in enumerate(choice.options):
                if place == choice.chosen:
                    continue
                if is_redundant(transcript._footprints, number, option):
                    self.pruned += 1
                    continue
                schedule = {**plan.schedule, number: option}
                price = plan.price + choice.prices[place]
                is_single_fault = choice.rate is not None and not plan.schedule
                rank = _SOON if is_single_fault else price
                self._add(Plan(schedule, number + 1, price), rank)

    def _add(self, plan: Plan, rank: int) -> None:
        if self._bound is not None and plan.price > self._bound:
            self.beyond = True
        elif self._count >= self._room:
            self.overflown = True
        else:
            self._plans.setdefault(rank, deque()).append(plan)
            self._count += 1

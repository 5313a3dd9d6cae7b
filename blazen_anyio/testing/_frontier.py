"""The frontier of an exploration: the schedules that are to be tried.

A run follows its schedule and then the defaults; each option that it passed over, after the last
entry of its schedule, makes another schedule. So each schedule comes up exactly once.
"""

from __future__ import annotations

from collections import deque

import attrs

from ._choosing import Schedule
from ._independence import is_redundant
from ._transcript import Transcript

__all__ = ["Frontier", "Plan"]


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
    """The schedules that are to be tried, cheapest first, shortest first.

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
        self._plans: dict[int, deque[Plan]] = {0: deque([Plan({}, 0, 0)])}
        self._count = 1
        self.pruned = 0
        self.beyond = False
        self.overflown = False

    def __bool__(self) -> bool:
        return self._count > 0

    def pop(self) -> Plan:
        """Take the next one out."""
        price = min(price for price, plans in self._plans.items() if plans)
        self._count -= 1
        return self._plans[price].popleft()

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
                self._add(Plan(schedule, number + 1, plan.price + choice.prices[place]))

    def _add(self, plan: Plan) -> None:
        if self._bound is not None and plan.price > self._bound:
            self.beyond = True
        elif self._count >= self._room:
            self.overflown = True
        else:
            self._plans.setdefault(plan.price, deque()).append(plan)
            self._count += 1

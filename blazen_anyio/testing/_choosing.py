"""Choosing: who decides at each choice point of a simulation, and what was decided.

A *choice point* is a moment at which more than one thing could happen next: several actors are
parked, time could pass although somebody is ready, or a fault could strike. Each has a *default*:
go on with the actor that ran last, else with the oldest; let nobody wait; no fault. A *schedule*
says where a simulation departs from the defaults, by the number of the choice point; an entry that
names nothing that could happen there is passed over. So schedules can be cut down, and each is one
run.

Departures have a price. To take another actor where the last one had to stop anyway is free, to
interrupt one that could go on, to let time pass, and each fault cost 1: explorations are bounded by
the sum.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

__all__ = ["ADVANCE", "Choice", "Chooser", "Schedule", "Scheduled", "Seeded"]

ADVANCE = "time passes"
"""The choice to let time pass although somebody is ready."""

Schedule = Mapping[int, str]
"""By the number of the choice point, what happens there instead of the default."""


@attrs.frozen
class Choice:
    """One choice point and what was chosen.

    Attributes:
        options: what could happen, in canonical order.
        prices: what each costs.
        default: the number of the default option.
        chosen: the number of the chosen one.
        rate: for a fault, how likely it is meant to be; ``None`` for other choices.
    """

    options: tuple[str, ...]
    prices: tuple[int, ...]
    default: int
    chosen: int
    rate: float | None = None


class Chooser(Protocol):
    """Decides at choice points."""

    def choose(self, number: int, options: Sequence[str], default: int, rate: float | None) -> int:
        """Return the number of the option to take.

        Args:
            number: of the choice point, from 0.
            options: what could happen.
            default: what happens if nobody wants anything else.
            rate: for a fault, how likely it is meant to be; the other options are then faults.
        """
        ...


class Scheduled:
    """Follows a schedule, and the defaults where that says nothing."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def choose(self, number: int, options: Sequence[str], default: int, rate: float | None) -> int:
        """See :class:`Chooser`."""
        wanted = self._schedule.get(number)
        return options.index(wanted) if wanted in options else default


_MANNERS = ("walk", "walk", "steady", "ranks", "ranks")
"""What a seed may draw: any option at any time; seldom another than the default; by the ranks of
the actors, so that some are far ahead of others."""


class Seeded:
    """Draws from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"order {seed}")
        self._manner = self._random.choice(_MANNERS)
        self._ranks: dict[str, float] = {}

    def choose(self, number: int, options: Sequence[str], default: int, rate: float | None) -> int:
        """See :class:`Chooser`."""
        draw = self._random.random
        if rate is not None:
            return 1 + int(draw() * (len(options) - 1)) if draw() < rate else default
        if options[-1] == ADVANCE:
            if draw() < 0.1:
                return len(options) - 1
            options = options[:-1]
        if self._manner == "ranks" and draw() < 0.9:
            return max(range(len(options)), key=lambda each: self._rank(options[each]))
        if self._manner == "steady" and draw() < 0.8:
            return default
        return int(draw() * len(options))

    def _rank(self, label: str) -> float:
        rank = self._ranks.get(label)
        if rank is None:
            rank = self._ranks[label] = self._random.random()
        return rank

"""What is measured: each workload once for each contender, with the result it must have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import attrs

from . import engine, floor, l2

__all__ = ["CONTENDERS", "WORKLOADS", "Work", "Workload"]

Work = Callable[[int], Awaitable[int]]

CONTENDERS = ("engine", "L2", "L2 nowait", "floor")


@attrs.frozen
class Workload:
    """The same work for each contender.

    Attributes:
        name: what it is.
        unit: what is counted.
        contenders: by name; the engine is compared with both forms of the hand-written loop.
        expected: from the count to the right result.
        target: what ``engine / L2`` is to be at most; ``None`` if it is only watched.
        share: the part of the units asked for to do: starting a run costs more than a hop.
    """

    name: str
    unit: str
    contenders: Mapping[str, Work]
    expected: Callable[[int], int]
    target: float | None = None
    share: float = 1.0


def _sum_of_numbers(count: int) -> int:
    return count * (count - 1) // 2


def _three_times(count: int) -> int:
    return 3 * count


def _contenders(name: str, **options: bool) -> dict[str, Work]:
    """The functions of that name, one from each module."""
    return {
        "engine": partial(getattr(engine, name), **options),
        "L2": partial(getattr(l2, name), **options),
        "L2 nowait": partial(getattr(l2, name), **options, nowait=True),
        "floor": partial(getattr(floor, name), **options),
    }


WORKLOADS = (
    Workload("chain", "hop", _contenders("chain"), int, target=0.25),
    Workload("chain, each step suspends", "hop", _contenders("chain", suspend=True), int),
    Workload("fan-out and gather", "item", _contenders("fan_out"), _sum_of_numbers, target=0.25),
    Workload(
        "fan-out, each step suspends",
        "item",
        _contenders("fan_out", suspend=True),
        _sum_of_numbers,
    ),
    Workload(
        "run of three steps",
        "run",
        _contenders("short_runs"),
        _three_times,
        target=1.2,
        share=0.02,
    ),
)

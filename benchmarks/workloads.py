"""What is measured: each workload with its unit, its size, and the result that it must have.

A contender is a module. It can do a workload if it has an async function of that name, which takes
the count of units and returns the result, or a :class:`Timed` where the workload takes its own
time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

__all__ = ["WORKLOADS", "Timed", "Work", "Workload", "find_workload", "percentile"]


@attrs.frozen
class Timed:
    """A result, with the number of seconds that counts instead of the whole time.

    Attributes:
        result: what the work gave.
        seconds: what was measured.
    """

    result: int
    seconds: float


Work = Callable[[int], Awaitable[int | Timed]]


@attrs.frozen
class Workload:
    """The same work for every contender.

    Attributes:
        name: of the function that does it.
        title: for people.
        unit: what is counted, in the singular.
        count: how many units.
        expected: from the count to the right result.
        base: the contender that the others are compared with.
        ideal: from the count to the seconds that it would take if nothing cost anything; then that
            is what all are compared with.
        target: what the engine may take of that, on asyncio and on trio; ``None`` if it is only
            watched.
        per_unit: whether the time is divided by the count. If not, it is one of the whole.
        waits: whether it waits for a clock or a disk, so that only the wall clock tells the time.
        ours: whether other engines are left out.
    """

    name: str
    title: str
    unit: str
    count: int
    expected: Callable[[int], int]
    base: str = "L2"
    ideal: Callable[[int], float] | None = None
    target: tuple[float, float] | None = None
    per_unit: bool = True
    waits: bool = False
    ours: bool = False

    def scaled(self, size: float) -> int:
        """How many units to do when all sizes are multiplied by this."""
        return max(1, round(self.count * size))


def percentile(samples: list[float], percent: int) -> float:
    """The smallest sample that so many percent of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _same(count: int) -> int:
    return count


def _three_times(count: int) -> int:
    return 3 * count


def _four_times(count: int) -> int:
    return 4 * count


def _a_tenth_of_milliseconds(count: int) -> float:
    return count * 0.0001


def _sum_of_numbers(count: int) -> int:
    return count * (count - 1) // 2


WORKLOADS = (
    Workload("chain", "chain of hops", "hop", 10_000, _same, target=(0.15, 0.12)),
    Workload("suspending_chain", "chain, each hop suspends", "hop", 10_000, _same),
    Workload(
        "fan_out", "fan-out and gather", "event", 10_000, _sum_of_numbers, target=(0.15, 0.15)
    ),
    Workload(
        "suspending_fan_out",
        "fan-out, each step suspends",
        "event",
        10_000,
        _sum_of_numbers,
        target=(0.30, 0.30),
    ),
    Workload(
        "short_runs", "runs of 3 steps, one by one", "run", 300, _three_times, target=(0.9, 0.9)
    ),
    Workload(
        "concurrent_runs", "runs of 3 steps, all at once", "run", 1_000, _three_times,
        target=(0.9, 0.9),
    ),
    Workload(
        "waits", "waits of 10 ms, 100 at a time", "wait", 1_000, _sum_of_numbers,
        ideal=_a_tenth_of_milliseconds, waits=True, target=(1.15, 1.2), per_unit=False,
    ),
    Workload(
        "lateness", "1 ms timer beside a chain, 99th percentile late by", "chain", 50_000, _same,
        per_unit=False, ours=True,
    ),
    Workload("stream", "stream to 1 reader", "event", 100_000, _same, target=(0.35, 0.35)),
    Workload(
        "stream_to_four", "stream to 4 readers", "event", 20_000, _four_times,
        target=(0.35, 0.35),
    ),
    Workload(
        "snapshot_dump", "snapshot of 10,000 events and 1 MB: dump", "snapshot", 10_000, _same,
        base="cattrs json", target=(0.5, 0.5), per_unit=False, ours=True,
    ),
    Workload(
        "snapshot_load", "the same: load", "snapshot", 10_000, _same,
        base="cattrs json", target=(0.5, 0.5), per_unit=False, ours=True,
    ),
    Workload(
        "durable_chain", "durable chain, SQLite (NORMAL)", "step", 1_000, _same,
        base="raw sqlite3", target=(1.3, 1.3), waits=True,
    ),
    Workload(
        "durable_runs", "10 durable runs at once", "step", 1_000, _same, base="raw sqlite3",
        waits=True,
    ),
)  # fmt: skip


def find_workload(name: str) -> Workload:
    """Look one up by its name."""
    return next(workload for workload in WORKLOADS if workload.name == name)

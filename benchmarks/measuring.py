"""How it is measured: the contenders take turns, and every result is checked."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Sequence

import attrs

from . import engine
from .workloads import Work, Workload

__all__ = ["Growth", "Measurement", "measure", "measure_growth"]


@attrs.frozen
class Measurement:
    """One contender at one workload.

    Attributes:
        workload, contender: their names.
        count: how many units each sample did.
        samples: microseconds per unit, one for each turn.
    """

    workload: str
    contender: str
    count: int
    samples: Sequence[float]

    @property
    def median(self) -> float:
        """Microseconds per unit."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """Half of the range between the quartiles, as a part of the median."""
        if len(self.samples) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.samples, n=4)
        return (high - low) / 2 / self.median


@attrs.frozen
class Growth:
    """What a long chain costs the engine, compared with a short one; the history is off.

    Attributes:
        short, long: their hops.
        short_cost, long_cost: microseconds per hop.
        short_peak, long_peak: the most bytes held at a time, in chains of ``short`` hops and of ten
            times as many (what is traced is slow).
    """

    short: int
    long: int
    short_cost: float
    long_cost: float
    short_peak: int
    long_peak: int


async def measure(workload: Workload, count: int, repeat: int) -> list[Measurement]:
    """Let the contenders take turns ``repeat`` times, after one turn that does not count."""
    count = max(1, int(count * workload.share))
    expected = workload.expected(count)
    samples: dict[str, list[float]] = {name: [] for name in workload.contenders}
    for turn in range(repeat + 1):
        for name, work in workload.contenders.items():
            cost = await _cost(work, count, expected)
            if turn:
                samples[name].append(cost)
    return [Measurement(workload.name, name, count, costs) for name, costs in samples.items()]


async def measure_growth(short: int, long: int, repeat: int) -> Growth:
    """Measure chains of ``short`` and of ``long`` hops, in turns."""
    short_costs: list[float] = []
    long_costs: list[float] = []
    for _ in range(repeat):
        rounds = max(1, min(20, long // short))
        costs = [await _cost(engine.unrecorded_chain, short, short) for _ in range(rounds)]
        short_costs.append(statistics.median(costs))
        long_costs.append(await _cost(engine.unrecorded_chain, long, long))
    return Growth(
        short=short,
        long=long,
        short_cost=statistics.median(short_costs),
        long_cost=statistics.median(long_costs),
        short_peak=await _peak_memory(short),
        long_peak=await _peak_memory(10 * short),
    )


async def _cost(work: Work, count: int, expected: int) -> float:
    """Microseconds per unit."""
    gc.collect()
    started = time.perf_counter()
    result = await work(count)
    seconds = time.perf_counter() - started
    if result != expected:
        raise AssertionError(f"{work} gave {result} instead of {expected}")
    return seconds / count * 1e6


async def _peak_memory(hops: int) -> int:
    await engine.unrecorded_chain(2)
    gc.collect()
    tracemalloc.start()
    try:
        await engine.unrecorded_chain(hops)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

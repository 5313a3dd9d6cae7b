"""Run the benchmarks: ``python -m benchmarks.run``.

All is measured in one process and one run. What counts is the ratio of medians, engine to L2: an
absolute time says more about the machine than about the code, so nothing here ever fails on one.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version

import anyio
import attrs

from .measuring import Growth, Measurement, measure, measure_growth
from .workloads import CONTENDERS, WORKLOADS, Workload

BACKENDS = ("asyncio", "trio")


@attrs.frozen
class Report:
    """What was measured on one backend."""

    backend: str
    measurements: Sequence[Measurement]
    growth: Growth

    def find(self, workload: str, contender: str) -> Measurement:
        """Look up one measurement."""
        return next(
            measurement
            for measurement in self.measurements
            if (measurement.workload, measurement.contender) == (workload, contender)
        )

    def ratio(self, workload: str, contender: str = "L2") -> float:
        """Say how the engine compares, by the medians."""
        return self.find(workload, "engine").median / self.find(workload, contender).median


async def take_report(backend: str, count: int, repeat: int, long: bool) -> Report:
    """Measure everything on the backend that is running."""
    measurements: list[Measurement] = []
    for workload in WORKLOADS:
        measurements += await measure(workload, count, repeat)
    short, longest = (1_000, 1_000_000) if long else (max(1, count // 10), count)
    growth = await measure_growth(short, longest, min(repeat, 3))
    return Report(backend, measurements, growth)


def render(report: Report) -> str:
    """Write a report for people."""
    heading = f"{report.backend}: microseconds, median and spread"
    columns = "".join(f"{name:>16}" for name in CONTENDERS)
    lines = [
        f"{heading:<38}{columns}  engine / L2, / L2 nowait",
        *(_render_workload(report, workload) for workload in WORKLOADS),
        *_render_growth(report.growth),
    ]
    return "\n".join(lines)


def _render_workload(report: Report, workload: Workload) -> str:
    found = [report.find(workload.name, contender) for contender in CONTENDERS]
    times = "".join(f"{f'{m.median:.2f} ±{m.spread:3.0%}':>16}" for m in found)
    ratios = ", ".join(f"{report.ratio(workload.name, c):.3f}" for c in ("L2", "L2 nowait"))
    limit = f"  (at most {workload.target:g})" if workload.target else ""
    title = f"{workload.name}, per {workload.unit}"
    return f"  {title:<36}{times}  {ratios}{limit}"


def _render_growth(growth: Growth) -> list[str]:
    cost, peak = growth.long_cost / growth.short_cost, growth.long_peak / growth.short_peak
    return [
        f"  history off, a chain of {growth.long:,} hops against one of {growth.short:,}: "
        f"{growth.long_cost:.2f} and {growth.short_cost:.2f} per hop, {cost:.3f} (at most 1.15)",
        f"  history off, a chain of {10 * growth.short:,} hops against one of {growth.short:,}: "
        f"peak memory {growth.long_peak:,} and {growth.short_peak:,} bytes, {peak:.3f}",
    ]


def describe_versions() -> dict[str, str]:
    """Say what was measured with what."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in ("anyio", "trio", "blazen-anyio")},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="default: both")
    parser.add_argument("--count", type=int, default=10_000, help="hops and items (10000)")
    parser.add_argument("--repeat", type=int, default=7, help="turns of each contender (7)")
    parser.add_argument("--long", action="store_true", help="a chain of a million hops, too")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(arguments)
    reports = [
        anyio.run(take_report, name, options.count, options.repeat, options.long, backend=name)
        for name in options.backend or BACKENDS
    ]
    if options.json:
        document = {"versions": describe_versions(), "reports": [attrs.asdict(r) for r in reports]}
        print(json.dumps(document, indent=2))
    else:
        print(", ".join(f"{name} {number}" for name, number in describe_versions().items()))
        print("\n\n".join(map(render, reports)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

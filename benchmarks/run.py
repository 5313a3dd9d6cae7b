"""Run the benchmarks: ``python -m benchmarks.run``; ``--help`` lists the options.

Each contender takes its turns in processes of its own, all in turn; see :mod:`.harness`. What
counts is the ratio: an absolute time says more about the machine than about the code, so nothing
here ever fails on one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .contenders import BACKENDS, CONTENDERS, OURS, PEERS, Contender
from .harness import Harness, load_average
from .plot import COUNTS, draw, lines_of
from .results import Result, Results
from .tables import render
from .workloads import WORKLOADS, Workload, find_workload

__all__ = ["main", "measure"]

_LONGEST_POINT = 60.0
"""Seconds that a point of the plot may be expected to take."""


def measure(
    harness: Harness,
    workloads: Sequence[Workload],
    backends: Sequence[str],
    contenders: Sequence[Contender],
    command: str = "python -m benchmarks.run",
) -> Results:
    """Measure all of these."""
    load = [load_average()]
    items: list[Result] = []
    for workload in workloads:
        for backend in backends:
            items += harness.measure(workload, backend, contenders)
            load.append(load_average())
    return Results(
        command=command,
        day=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        machine=f"{os.cpu_count()}-core {platform.machine().replace('_', '-')}",
        load=load,
        items=items,
    )


def measure_growth(
    harness: Harness, contenders: Sequence[Contender], backend: str = "asyncio"
) -> list[Result]:
    """Measure chains from a thousand to a million hops. Who would take too long stops before."""
    chain = find_workload("chain")
    points: list[Result] = []
    goes_on = list(contenders)
    for count in COUNTS:
        found = harness.measure(chain, backend, goes_on, count) if goes_on else []
        points += found
        slow = {
            result.contender
            for result in found
            if result.unable or 10 * result.cost * count > _LONGEST_POINT
        }
        goes_on = [contender for contender in goes_on if contender.name not in slow]
    return points


def draw_growth(points: Sequence[Result], day: str) -> str:
    """Draw what :func:`measure_growth` found."""
    versions: dict[str, str] = {}
    for point in points:
        versions |= point.versions
    note = f"asyncio; {day}; " + ", ".join(
        f"{name} {versions[name]}" for name in ("python", "anyio") if name in versions
    )
    return draw(lines_of(points), "A chain of steps: time per event", note)


def render_growth(points: Sequence[Result]) -> str:
    """Say how the cost at a million hops compares with that at a thousand."""
    lines: list[str] = []
    for name in dict.fromkeys(point.contender for point in points):
        mine = {point.count: point for point in points if point.contender == name}
        if COUNTS[0] in mine and COUNTS[-1] in mine and mine[COUNTS[-1]].unable is None:
            short, long = mine[COUNTS[0]], mine[COUNTS[-1]]
            lines.append(
                f"{name}: a hop of {long.count:,} against one of {short.count:,}: "
                f"{long.cost / short.cost:.2f}; memory {long.growth} and {short.growth} bytes"
            )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="default: both")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--workload", choices=names, action="append", help="default: all")
    everyone = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contender", choices=everyone, action="append", help="default: all")
    parser.add_argument("--peers", type=Path, help="the directory of the peers' environments")
    parser.add_argument("--size", type=float, default=1.0, help="factor of all sizes (1)")
    parser.add_argument("--turns", type=int, default=3, help="processes of each contender (3)")
    parser.add_argument("--samples", type=int, default=3, help="samples in a process (3)")
    parser.add_argument("--save", type=Path, help="write all numbers to this file, as JSON")
    parser.add_argument("--load", type=Path, help="measure nothing, show such a file")
    parser.add_argument("--plot", type=Path, help="draw the cost per event to this file, as SVG")
    return parser


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None, tell: Callable[[str], None] = _tell) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    if options.load is not None:
        print(render(Results.from_data(json.loads(options.load.read_text(encoding="utf-8")))))
        return 0
    harness = Harness(
        turns=options.turns,
        samples=options.samples,
        size=options.size,
        environments=options.peers.resolve() if options.peers is not None else None,
        tell=tell,
    )
    takes_part = OURS if options.peers is None else (*OURS, *PEERS)
    contenders = [c for c in takes_part if not options.contender or c.name in options.contender]
    if options.plot is not None:
        _plot(harness, contenders, options.plot)
        return 0
    workloads = [w for w in WORKLOADS if not options.workload or w.name in options.workload]
    command = " ".join(["python -m benchmarks.run", *(arguments or sys.argv[1:])])
    results = measure(harness, workloads, options.backend or BACKENDS, contenders, command)
    if options.save is not None:
        options.save.write_text(json.dumps(results.to_data(), indent=1), encoding="utf-8")
    print(render(results))
    return 0


def _plot(harness: Harness, contenders: Sequence[Contender], path: Path) -> None:
    points = measure_growth(harness, [c for c in contenders if c.name != "L2 nowait"])
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    path.write_text(draw_growth(points, day), encoding="utf-8")
    print(render_growth(points))


if __name__ == "__main__":
    sys.exit(main())

"""The guard: ``python -m benchmarks.guard`` fails where the engine became slower than it was.

It compares ratios, engine to L2, with those that ``baseline.json`` holds: never times, which say
more about the machine than about the code. Where valgrind is installed the ratios are of counted
instructions, which a busy machine does not change. Elsewhere they are of processor time; if the
turns differ too much to tell, the guard says so and lets it pass. It also lets pass, and says so,
what can't be compared: another Python, another anyio or trio.

``python -m benchmarks.guard --write`` takes down the ratios of today; do that with a change that is
meant to cost something, and say why.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from .contenders import find_contender
from .harness import ROOT, Harness
from .results import Results
from .turn import versions
from .workloads import find_workload

__all__ = ["Ratio", "judge", "main"]

BASELINE = Path(__file__).parent / "baseline.json"

LIMIT = 1.15
"""What a ratio may be of that in the baseline."""

MOST_SPREAD = 0.10
"""How far turns may lie from their median; a regression can't be told apart from more."""

WATCHED = (
    ("chain", "asyncio"),
    ("chain", "trio"),
    ("fan_out", "asyncio"),
    ("suspending_fan_out", "asyncio"),
    ("short_runs", "asyncio"),
)

_COUNTS: Mapping[str, tuple[int, int]] = {"short_runs": (10, 110)}
_DEFAULT_COUNTS = (200, 2_200)
_SECONDS_COUNT: Mapping[str, int] = {"short_runs": 200}
_TURNS = 7


@attrs.frozen
class Ratio:
    """How the engine compares with L2 at one workload.

    Attributes:
        value: engine / L2.
        spread: how far the turns lie from it, as a part of it; 0 for what is counted.
    """

    value: float
    spread: float = 0.0


def judge(found: Mapping[str, Ratio], known: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Compare ratios with the baseline.

    Args:
        found: those of today, by name.
        known: those of the baseline.

    Returns:
        All that is to be said, and of it what is a regression.
    """
    said: list[str] = []
    worse: list[str] = []
    for name, ratio in found.items():
        line = f"{name}: {ratio.value:.4f}"
        if name not in known:
            said.append(f"{line}, and the baseline has none: not compared")
            continue
        times = ratio.value / known[name]
        line = f"{line}, {times:.3f} of the baseline's {known[name]:.4f}"
        if ratio.spread > MOST_SPREAD:
            said.append(f"{line}; skipped: the turns differ by {ratio.spread:.0%}")
            continue
        said.append(line)
        if times > LIMIT:
            worse.append(f"{line}; at most {LIMIT:g}")
    return said, worse


def count_ratios() -> dict[str, Ratio]:
    """Ratios of instructions per unit. All processors count at a time: it does not matter here."""
    tasks = [_Counting(name, *what) for what in WATCHED for name in ("engine", "L2")]
    for task in tasks:
        task.run(1)  # writes the compiled files, which would be counted otherwise
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        counts = list(threads.map(_Counting.instructions, tasks))
    return {
        f"{engine.workload}, {engine.backend}": Ratio(mine / other)
        for engine, mine, other in zip(tasks[::2], counts[::2], counts[1::2], strict=True)
    }


@attrs.frozen
class _Counting:
    """Counts the instructions of one contender at one workload."""

    contender: str
    workload: str
    backend: str

    def instructions(self) -> float:
        """Instructions per unit: what a large count takes more than a small one."""
        small, large = _COUNTS.get(self.workload, _DEFAULT_COUNTS)
        return (self._counted(large) - self._counted(small)) / (large - small)

    def run(self, count: int, *before: str) -> str:
        """Take a turn in a process of its own; return what it wrote to standard error."""
        order = {**attrs.asdict(self), "count": count, "samples": 1}
        done = subprocess.run(
            [*before, sys.executable, "-m", "benchmarks.turn", json.dumps(order)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{order}:\n{done.stderr}")
        return done.stderr

    def _counted(self, count: int) -> int:
        with TemporaryDirectory() as directory:
            out = f"--cachegrind-out-file={directory}/out"
            said = self.run(count, "valgrind", "--tool=cachegrind", "--cache-sim=no", out)
        found = re.search(r"I\s+refs:\s+([\d,]+)", said)
        if found is None:
            raise RuntimeError(f"valgrind counted nothing:\n{said}")
        return int(found[1].replace(",", ""))


def time_ratios() -> dict[str, Ratio]:
    """Ratios of processor time per unit."""
    harness = Harness(turns=_TURNS, samples=3)
    return {
        f"{workload}, {backend}": _time_ratio(harness, workload, backend)
        for workload, backend in WATCHED
    }


def _time_ratio(harness: Harness, workload: str, backend: str) -> Ratio:
    contenders = [find_contender(name) for name in ("engine", "L2")]
    count = _SECONDS_COUNT.get(workload, 5_000)
    items = harness.measure(find_workload(workload), backend, contenders, count)
    ratios = sorted(items[0].ratios(items[1]))
    middle = ratios[len(ratios) // 2]
    low, high = ratios[1], ratios[-2]
    value = Results("", "", "", [], items).ratio(workload, "engine", backend, "L2")
    return Ratio(middle if value is None else value, (high - low) / 2 / middle)


def describe() -> dict[str, str]:
    """What has to be the same for ratios to be compared; of Python, the minor version."""
    found = versions(find_contender("engine"))
    found["python"] = ".".join(found["python"].split(".")[:2])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the baseline")
    parser.add_argument("--time", action="store_true", help="measure time though there is valgrind")
    options = parser.parse_args(arguments)
    timed = options.time or shutil.which("valgrind") is None
    kind, measure = ("time", time_ratios) if timed else ("instructions", count_ratios)
    if options.write:
        return _write(kind, measure)
    return compare(kind, measure, json.loads(BASELINE.read_text(encoding="utf-8")))


def compare(
    kind: str, measure: Callable[[], Mapping[str, Ratio]], baseline: Mapping[str, Any]
) -> int:
    """Compare what is measured with a baseline; 1 if anything became slower than it may."""
    if baseline["versions"] != describe():
        print(f"not compared: the baseline is of {baseline['versions']}, this is {describe()}")
        return 0
    print(f"engine / L2, {'instructions' if kind == 'instructions' else 'processor time'}")
    said, worse = judge(measure(), baseline.get(kind, {}))
    print("\n".join(said))
    for line in worse:
        print(f"slower: {line}")
    return 1 if worse else 0


def _write(kind: str, measure: Callable[[], Mapping[str, Ratio]]) -> int:
    known: dict[str, Any] = {}
    if BASELINE.exists():
        known = json.loads(BASELINE.read_text(encoding="utf-8"))
    if known.get("versions") != describe():
        known = {"versions": describe()}
    known[kind] = {name: round(ratio.value, 4) for name, ratio in measure().items()}
    BASELINE.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    print(BASELINE.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

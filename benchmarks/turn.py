"""One turn: a process that does one workload as one contender and prints what it measured.

``python -m benchmarks.turn '{"contender": ..., "workload": ..., "backend": ..., "count": ...,
"samples": ...}'`` prints one line of JSON, the last of its output. With a contender alone it prints
which workloads that can't do, and why. A process does nothing else, so that neither memory
nor garbage of another workload is measured. It imports only what the contender needs.

Time is the smaller of wall-clock and processor time: on a machine that others use, processor time
is what the work took; where an engine uses several threads at a time, wall-clock time is. Workloads
that wait, for a clock or a disk, are measured by the wall clock alone.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import platform
import sys
import time
from collections.abc import Coroutine
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from .contenders import Contender, find_contender
from .workloads import WORKLOADS, Timed, Work, Workload, find_workload

__all__ = ["main", "take_turn", "tell_abilities"]

_WARM_UP = 0.02
_PACKAGES = ("anyio", "trio")


def tell_abilities(contender: Contender) -> dict[str, str]:
    """For each workload that a contender can't do, why not."""
    try:
        module = importlib.import_module(f".{contender.module}", __package__)
    except ImportError as error:
        reason = f"does not run here: {_first_line(error)}"
        return {workload.name: reason for workload in WORKLOADS}
    reasons: dict[str, str] = getattr(module, "UNABLE", {})
    return {
        workload.name: reasons.get(workload.name, "has no such thing")
        for workload in WORKLOADS
        if not hasattr(module, workload.name)
    }


def take_turn(order: dict[str, Any]) -> dict[str, Any]:
    """Do what is ordered, and tell what was measured."""
    contender, workload = find_contender(order["contender"]), find_workload(order["workload"])
    module = importlib.import_module(f".{contender.module}", __package__)
    work = cast("Work", getattr(module, workload.name))
    most: dict[str, int] = getattr(module, "MOST", {})
    count = min(order["count"], most.get(workload.name, order["count"]))
    run = _on_trio if order["backend"] == "trio" else asyncio.run
    measured = run(_measure(work, workload, count, order["samples"]))
    return {"count": count, "versions": versions(contender), **measured}


async def _measure(work: Work, workload: Workload, count: int, samples: int) -> dict[str, Any]:
    warm_up = max(1, round(count * _WARM_UP))
    check(workload, warm_up, await work(warm_up))
    gc.collect()
    _forget_peak()
    before = _memory("VmRSS")
    seconds: list[float] = []
    processor: list[float] = []
    peak: int | None = None
    for sample in range(samples):
        gc.collect()
        wall, busy = time.perf_counter(), time.process_time()
        outcome = await work(count)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        check(workload, count, outcome)
        timed = outcome.seconds if isinstance(outcome, Timed) else None
        seconds.append(timed if timed is not None else wall if workload.waits else min(wall, busy))
        processor.append(busy)
        if sample == 0:
            peak = _memory("VmHWM")
    grown = None if before is None or peak is None else max(0, peak - before)
    return {"seconds": seconds, "processor": processor, "memory": grown}


def check(workload: Workload, count: int, outcome: int | Timed) -> None:
    """Refuse a wrong result: what is wrong may be fast."""
    result = outcome.result if isinstance(outcome, Timed) else outcome
    if result != workload.expected(count):
        raise AssertionError(f"{workload.name} gave {result} instead of {workload.expected(count)}")


def versions(contender: Contender) -> dict[str, str]:
    """The versions that a number depends on, of what is installed."""
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *contender.packages):
        try:
            found[package.partition("[")[0]] = metadata.version(package.partition("[")[0])
        except metadata.PackageNotFoundError:
            continue
    return found


def _on_trio(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    # Only here, since other engines have environments without it.
    trio: Any = importlib.import_module("trio")

    async def main() -> dict[str, Any]:
        return await work

    measured: dict[str, Any] = trio.run(main)
    return measured


def _memory(field: str) -> int | None:
    """Bytes of memory that this process has, or had at most; ``None`` where nobody tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split() for line in status.splitlines() if line.startswith(field)]
    return int(found[0][1]) * 1024 if found else None


def _forget_peak() -> None:
    """Begin anew to note the most memory that this process had."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def main() -> None:
    """Take the turn that the command line orders."""
    order = json.loads(sys.argv[1])
    asked = "workload" not in order
    told = tell_abilities(find_contender(order["contender"])) if asked else take_turn(order)
    print(json.dumps(told))


if __name__ == "__main__":
    main()

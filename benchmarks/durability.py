"""What durability costs: ``python -m benchmarks.durability``.

Against the standard library's sqlite3 doing the same commits through a worker thread, in the same
process and in turns. The engine's own statements are recorded, parameters and all, and the raw
contender executes them again on a file with the same schema and settings; what is left of the
difference is the engine. Ratios of medians; nothing here ever fails on a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import queue
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib.metadata import version
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import attrs
from anyio.lowlevel import current_token

from blazen_anyio import Context, Event, StartEvent, StopEvent, Workflow, step
from blazen_anyio.stores import SQLiteStore

__all__ = ["Comparison", "main", "take_report"]

BACKENDS = ("asyncio", "trio")

Statement = tuple[str, Any, bool]
"""The text, the parameters, and whether it is executed for each of several."""

Transaction = list[Statement]


class Chain(StartEvent, event_type="benchmark.Chain"):
    """Starts a chain of ``hops`` hops with ``parked`` timers beside it."""

    hops: int
    parked: int = 0


class Hop(Event, event_type="benchmark.Hop"):
    """One link of a chain."""

    number: int
    hops: int


class Parked(Event, event_type="benchmark.Parked"):
    """Live work that never comes up."""

    number: int


class Finish(StopEvent, event_type="benchmark.Finish"):
    """Ends a chain."""

    number: int


@step
async def begin(event: Chain, ctx: Context) -> Hop:
    """Park what is to be parked, and start the chain."""
    for number in range(event.parked):
        ctx.send_event(Parked(number), delay=1e6)
    return Hop(0, event.hops)


@step
async def park(event: Parked) -> None:
    """Never reached."""


CHAIN_TIMES: list[float] = []
"""When each hop began; emptied before each measurement."""

REACHED: list[Callable[[], object]] = []
"""What to call at the last hop, which then waits."""


@step
async def hop(event: Hop) -> Hop | Finish:
    """Pass it on."""
    CHAIN_TIMES.append(time.perf_counter())
    number = event.number + 1
    if number < event.hops:
        return Hop(number, event.hops)
    if REACHED:
        REACHED[0]()
        await anyio.sleep_forever()
    return Finish(number=number)


CHAIN = Workflow("durable chain", [begin, park, hop], stop=Finish, history=0)


@attrs.frozen
class Comparison:
    """One measurement: microseconds per step of each contender, or of each size.

    Attributes:
        name: what was measured.
        ours, other: medians.
        against: what ``other`` is.
        target: what the ratio is to be at most.
    """

    name: str
    ours: float
    other: float
    against: str
    target: float

    @property
    def ratio(self) -> float:
        """How they compare."""
        return self.ours / self.other


# ---- the raw contender ---------------------------------------------------------------------------


class RecordingConnection:
    """Passes statements on and notes those of transactions that write."""

    def __init__(self, connection: sqlite3.Connection, transactions: list[Transaction]) -> None:
        self._connection = connection
        self._transactions = transactions
        self._current: Transaction | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Pass a statement on."""
        if statement == "BEGIN IMMEDIATE":
            self._current = []
        elif statement == "COMMIT" and self._current is not None:
            self._transactions.append(self._current)
            self._current = None
        elif self._current is not None:
            self._current.append((statement, parameters, False))
        return self._connection.execute(statement, parameters)

    def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Pass a statement on that is executed several times."""
        if self._current is not None:
            self._current.append((statement, parameters, True))
        self._connection.executemany(statement, parameters)


class RecordingStore(SQLiteStore):
    """Notes the transactions that write."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self.transactions: list[Transaction] = []

    def _connect(self) -> Any:
        return RecordingConnection(super()._connect(), self.transactions)


class RawWorker:
    """A thread that executes transactions, as a careful programmer would write it."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], synchronous: str) -> None:
        self._connect = connect
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[tuple[Transaction, anyio.Event] | None] = queue.SimpleQueue()
        token: Any = current_token().native_token
        self._post = getattr(token, "run_sync_soon", None) or token.call_soon_threadsafe
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def execute(self, transaction: Transaction) -> None:
        """Execute a transaction and wait for it."""
        done = anyio.Event()
        self._queue.put((transaction, done))
        await done.wait()

    def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = self._connect()
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA cache_size = -8192")
        while (item := self._queue.get()) is not None:
            transaction, done = item
            connection.execute("BEGIN IMMEDIATE")
            for statement, parameters, many in transaction:
                if many:
                    connection.executemany(statement, parameters)
                else:
                    connection.execute(statement, parameters).fetchone()
            connection.execute("COMMIT")
            self._post(done.set)
        connection.close()


async def replay(path: Path, transactions: Iterable[Transaction], synchronous: str) -> float:
    """Execute transactions one after another on a new file; seconds."""
    async with SQLiteStore(path):
        pass  # makes the schema
    worker = RawWorker(lambda: sqlite3.connect(path, isolation_level=None), synchronous)
    try:
        started = time.perf_counter()
        for transaction in transactions:
            await worker.execute(transaction)
        return time.perf_counter() - started
    finally:
        worker.close()


async def record(path: Path, runs: int, hops: int, synchronous: str) -> list[Transaction]:
    """What some runs write, one transaction for each step of all of them."""
    grouped: list[Transaction] = []
    async with RecordingStore(path, synchronous=synchronous) as store:
        for number in range(runs):
            store.transactions.clear()
            await run_chain(store, f"run-{number}", hops)
            for place, transaction in enumerate(store.transactions):
                if place == len(grouped):
                    grouped.append([])
                grouped[place] += transaction
    return grouped


# ---- measuring -----------------------------------------------------------------------------------


async def run_chain(store: SQLiteStore, run_id: str, hops: int) -> None:
    """One durable chain, to its end."""
    report = await CHAIN.run(Chain(hops=hops), store=store, run_id=run_id)
    if report.number != hops:
        raise AssertionError(f"{report.number} instead of {hops}")


async def run_chains(path: Path, runs: int, hops: int, synchronous: Any) -> float:
    """Durable chains at once on a new file; seconds."""
    async with SQLiteStore(path, synchronous=synchronous) as store:
        CHAIN_TIMES.clear()
        started = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for number in range(runs):
                tasks.start_soon(run_chain, store, f"run-{number}", hops)
        return time.perf_counter() - started


async def in_turns(
    contenders: Sequence[Callable[[Path], Awaitable[float]]], repeat: int
) -> list[float]:
    """The median of each contender, each time on a new file; the first turn does not count."""
    samples: list[list[float]] = [[] for _ in contenders]
    with TemporaryDirectory() as directory:
        names = (Path(directory) / f"{number}.db" for number in count())
        for turn in range(repeat + 1):
            for place, contender in enumerate(contenders):
                gc.collect()
                seconds = await contender(next(names))
                if turn:
                    samples[place].append(seconds)
    return [statistics.median(each) for each in samples]


async def against_raw(
    runs: int, hops: int, synchronous: str, repeat: int, target: float
) -> Comparison:
    """Chains at once against the raw commits of all of them, step by step."""
    with TemporaryDirectory() as directory:
        transactions = await record(Path(directory) / "recorded.db", runs, hops, synchronous)

    async def ours(path: Path) -> float:
        return await run_chains(path, runs, hops, synchronous)

    async def raw(path: Path) -> float:
        return await replay(path, transactions, synchronous)

    mine, other = await in_turns([ours, raw], repeat)
    steps = runs * hops / 1e6
    what = "chain" if runs == 1 else f"{runs} chains at once"
    name = f"{what}, {hops} steps each, {synchronous}"
    return Comparison(name, mine / steps, other / steps, "raw sqlite3", target)


async def at_once(runs: int, hops: int, synchronous: str, repeat: int) -> Comparison:
    """Several chains at once against one, per step."""

    async def several(path: Path) -> float:
        return await run_chains(path, runs, hops, synchronous) / runs

    async def one(path: Path) -> float:
        return await run_chains(path, 1, hops, synchronous)

    many, single = await in_turns([several, one], repeat)
    name = f"{runs} chains at once, {synchronous}"
    return Comparison(name, many / hops * 1e6, single / hops * 1e6, "one chain", 0.35)


async def late_steps(hops: int) -> Comparison:
    """The last steps of a long chain against its hundredth."""
    with TemporaryDirectory() as directory:
        await run_chains(Path(directory) / "long.db", 1, hops, "NORMAL")
    window = max(10, min(1000, hops // 10))
    first = statistics.median(gaps(CHAIN_TIMES[50 : 50 + window]))
    last = statistics.median(gaps(CHAIN_TIMES[-window:]))
    name = f"the {hops:,}th step"
    return Comparison(name, last * 1e6, first * 1e6, "the 100th", 1.1)


def gaps(times: Sequence[float]) -> list[float]:
    """The time between each two."""
    return [later - earlier for earlier, later in pairwise(times)]


async def recovery(hops: int, repeat: int, parked: int = 200) -> Comparison:
    """Taking up a run after many steps against one after a hundred, with as much live work."""

    async def late(path: Path) -> float:
        return await take_up_after(path, hops, parked)

    async def early(path: Path) -> float:
        return await take_up_after(path, min(hops, 100), parked)

    mine, other = await in_turns([late, early], repeat)
    name = f"recovery after {hops:,} steps"
    return Comparison(name, mine * 1e6, other * 1e6, "after 100", 1.1)


async def take_up_after(path: Path, hops: int, parked: int) -> float:
    """Leave a run in its last step, and take it up again; seconds until that step has begun."""
    async with SQLiteStore(path, synchronous="NORMAL") as store:
        reached = anyio.Event()
        REACHED[:] = [reached.set]
        try:
            async with CHAIN.start(Chain(hops=hops, parked=parked), store=store, run_id="r") as run:
                await reached.wait()
                await run.suspend()
            gc.collect()
            reached = anyio.Event()
            REACHED[:] = [reached.set]
            started = time.perf_counter()
            async with CHAIN.resume_from(store, "r") as run:
                await reached.wait()
                seconds = time.perf_counter() - started
                await run.suspend()
        finally:
            REACHED.clear()
    return seconds


# ---- reporting -----------------------------------------------------------------------------------


@attrs.frozen
class Sizes:
    """How much is measured.

    Attributes:
        steps: of a single chain.
        at_once: steps of each of several.
        crowd: how many runs there are at once, where there are many.
        long: of the chain whose steps must not become dearer.
        repeat: turns.
    """

    steps: int
    at_once: int
    crowd: int
    long: int
    repeat: int


async def take_report(sizes: Sizes) -> list[Comparison]:
    """Measure everything on the backend that is running."""
    repeat = sizes.repeat
    return [
        await against_raw(1, sizes.steps, "FULL", repeat, 1.6),
        await against_raw(1, sizes.steps, "NORMAL", repeat, 1.6),
        await against_raw(sizes.crowd, sizes.at_once, "FULL", repeat, 2.5),
        await against_raw(sizes.crowd, sizes.at_once, "NORMAL", repeat, 2.5),
        await at_once(10, sizes.at_once, "FULL", repeat),
        await at_once(10, sizes.at_once, "NORMAL", repeat),
        await late_steps(sizes.long),
        await recovery(sizes.long, min(repeat, 3)),
    ]


def render(backend: str, comparisons: Sequence[Comparison]) -> str:
    """Write a report for people."""
    return "\n".join([f"{backend}: microseconds, medians", *map(_render, comparisons)])


def _render(comparison: Comparison) -> str:
    return (
        f"  {comparison.name:<42}{comparison.ours:>10.1f}   "
        f"{comparison.against:<12}{comparison.other:>10.1f}"
        f"   {comparison.ratio:.2f} (at most {comparison.target:g})"
    )


def describe_versions() -> dict[str, str]:
    """Say what was measured with what."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in ("anyio", "trio", "blazen-anyio")},
        "sqlite": sqlite3.sqlite_version,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="default: both")
    parser.add_argument("--steps", type=int, default=1_000, help="of a single chain (1000)")
    parser.add_argument("--at-once", type=int, default=100, help="of each of several (100)")
    parser.add_argument("--crowd", type=int, default=100, help="runs at once, where many (100)")
    parser.add_argument("--long", type=int, default=100_000, help="of the long chain (100000)")
    parser.add_argument("--repeat", type=int, default=5, help="turns of each contender (5)")
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(arguments)
    sizes = Sizes(options.steps, options.at_once, options.crowd, options.long, options.repeat)
    backends = options.backend or BACKENDS
    reports = {name: anyio.run(take_report, sizes, backend=name) for name in backends}
    if options.json:
        measured = {name: [attrs.asdict(c) for c in report] for name, report in reports.items()}
        print(json.dumps({"versions": describe_versions(), "reports": measured}, indent=2))
    else:
        print(", ".join(f"{name} {number}" for name, number in describe_versions().items()))
        print("\n\n".join(render(name, report) for name, report in reports.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

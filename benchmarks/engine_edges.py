"""The workloads at the engine's edges: streams, snapshots, and runs in a store."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel

from blazen_anyio import (
    Context,
    Event,
    EventStream,
    Run,
    Snapshot,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.stores import SQLiteStore

from .messages import large_state
from .workloads import Timed

_BURST = 100


class Tell(StartEvent):
    """Starts a run that writes so many events to its stream."""

    events: int


class Burst(Event):
    """Asks for the next events."""

    first: int
    events: int


class Progress(Event):
    """What a reader gets."""

    number: int


class Load(StartEvent):
    """Starts a run with so many queued events."""

    events: int


class Item(Event):
    """One queued event."""

    number: int
    name: str


class Link(Event):
    """One link of a durable chain."""

    number: int
    steps: int


class Chain(StartEvent):
    """Starts a durable chain."""

    steps: int


class Finish(StopEvent):
    """Ends a run with a number."""

    number: int


@step
async def tell(event: Tell) -> Burst:
    return Burst(0, event.events)


@step
async def burst(event: Burst, ctx: Context) -> Burst | Finish:
    end = min(event.first + _BURST, event.events)
    for number in range(event.first, end):
        ctx.write_event_to_stream(Progress(number))
    return Finish(number=end) if end == event.events else Burst(end, event.events)


@step
async def fill(event: Load, ctx: Context) -> tuple[Item, ...]:
    for key, value in large_state().items():
        ctx.state[key] = value
    return tuple(Item(number, f"item {number}") for number in range(event.events))


@step(max_concurrency=1)
async def hold(event: Item) -> Finish:
    await anyio.sleep_forever()
    raise AssertionError("it is cancelled before")


@step
async def begin(event: Chain) -> Link:
    return Link(0, event.steps)


@step
async def link(event: Link) -> Link | Finish:
    number = event.number + 1
    return Finish(number=number) if number == event.steps else Link(number, event.steps)


STREAM = Workflow("stream", [tell, burst], stop=Finish)
LOADED = Workflow("loaded", [fill, hold], stop=Finish)
DURABLE = Workflow("durable", [begin, link], stop=Finish)


async def stream(events: int, readers: int = 1) -> int:
    """Write events to the stream of a run and read them all, with a bounded buffer.

    The buffer is smaller than the number of events, and the run waits for its readers.
    """
    counts: list[int] = []

    async def read(source: EventStream) -> None:
        count = 0
        async with source as stream:
            async for _ in stream:
                count += 1
        counts.append(count)

    async with STREAM.start(Tell(events=events)) as run, anyio.create_task_group() as tasks:
        for source in [run.stream_events(overflow="block") for _ in range(readers)]:
            tasks.start_soon(read, source)
    return sum(counts)


async def stream_to_four(events: int) -> int:
    """Like :func:`stream`, to four readers."""
    return await stream(events, readers=4)


async def _come_to_hold(run: Run[Finish]) -> None:
    """Let the run come to where its events are queued and one is in flight."""
    while run.statistics().steps["hold"].running == 0:
        await anyio.lowlevel.checkpoint()


async def snapshot_dump(events: int) -> Timed:
    """Write a snapshot of a run with so many events in its queue, to JSON."""
    async with LOADED.start(Load(events=events)) as run:
        await _come_to_hold(run)
        gc.collect()
        started = time.process_time()
        text = run.snapshot().to_json()
        seconds = time.process_time() - started
        run.cancel()
    return Timed(text.count('"item '), seconds)


async def _saved(events: int) -> str:
    async with LOADED.start(Load(events=events)) as run:
        await _come_to_hold(run)
        text = run.snapshot().to_json()
        run.cancel()
    return text


async def snapshot_load(events: int) -> Timed:
    """Read such a snapshot from JSON and bring the run to life again.

    The garbage of the run that it is of is none of it.
    """
    text = await _saved(events)
    gc.collect()
    started = time.process_time()
    async with LOADED.resume(Snapshot.from_json(text)) as resumed:
        seconds = time.process_time() - started
        statistics = resumed.statistics().steps["hold"]
        resumed.cancel()
    return Timed(statistics.waiting + statistics.running, seconds)


async def durable_chain(steps: int) -> int:
    """Run a chain of which each step is committed to an SQLite file."""
    return await _durable(1, steps)


async def durable_runs(steps: int) -> int:
    """Run ten such chains at once; ``steps`` is of all together."""
    return await _durable(10, steps)


async def _durable(runs: int, steps: int) -> int:
    done: list[int] = []
    shares = [len(range(run, steps, runs)) for run in range(runs)]

    async def chain(store: SQLiteStore, share: int) -> None:
        done.append((await DURABLE.run(Chain(steps=share), store=store)).number)

    with TemporaryDirectory() as directory:
        store = SQLiteStore(Path(directory) / "runs.db", synchronous="NORMAL")
        async with store, anyio.create_task_group() as tasks:
            for share in filter(None, shares):
                tasks.start_soon(chain, store, share)
    return sum(done)

"""The workloads on the engine. Workflows are built once, as in a program; runs are made anew."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step

from .engine_edges import (
    durable_chain,
    durable_runs,
    snapshot_dump,
    snapshot_load,
    stream,
    stream_to_four,
)
from .lateness import lateness_beside
from .workloads import Timed

__all__ = [
    "chain",
    "concurrent_runs",
    "durable_chain",
    "durable_runs",
    "fan_out",
    "lateness",
    "short_runs",
    "snapshot_dump",
    "snapshot_load",
    "stream",
    "stream_to_four",
    "suspending_chain",
    "suspending_fan_out",
    "unrecorded_chain",
    "waits",
]


class Chain(StartEvent):
    """Starts a chain of ``hops`` hops."""

    hops: int


class Hop(Event):
    """One link of a chain."""

    number: int
    hops: int


class FanOut(StartEvent):
    """Starts a fan-out of ``items`` items."""

    items: int


class Work(Event):
    """One item of a fan-out."""

    number: int


class Done(Event):
    """The result of one item."""

    number: int


class Begin(StartEvent):
    """Starts a short run."""

    count: int


class Middle(Event):
    """Between the steps of a short run."""

    count: int


class Last(Event):
    """Between the steps of a short run."""

    count: int


class Finish(StopEvent):
    """Ends a run with a number."""

    number: int


@step
async def begin_chain(event: Chain) -> Hop:
    return Hop(0, event.hops)


@step
async def hop(event: Hop) -> Hop | Finish:
    number = event.number + 1
    return Finish(number=number) if number == event.hops else Hop(number, event.hops)


@step(name="hop")
async def suspending_hop(event: Hop) -> Hop | Finish:
    await anyio.lowlevel.checkpoint()
    number = event.number + 1
    return Finish(number=number) if number == event.hops else Hop(number, event.hops)


@step
async def split(event: FanOut) -> list[Work]:
    return [Work(number) for number in range(event.items)]


@step
async def work(event: Work) -> Done:
    return Done(event.number)


@step(name="work")
async def suspending_work(event: Work) -> Done:
    await anyio.lowlevel.checkpoint()
    return Done(event.number)


@step(name="work", max_concurrency=100)
async def waiting_work(event: Work) -> Done:
    await anyio.sleep(0.01)
    return Done(event.number)


@step
async def gather(events: list[Done]) -> Finish:
    return Finish(number=sum(event.number for event in events))


@step
async def first(event: Begin) -> Middle:
    return Middle(event.count + 1)


@step
async def second(event: Middle) -> Last:
    return Last(event.count + 1)


@step
async def third(event: Last) -> Finish:
    return Finish(number=event.count + 1)


CHAIN = Workflow("chain", [begin_chain, hop], stop=Finish)
SUSPENDING_CHAIN = Workflow("suspending chain", [begin_chain, suspending_hop], stop=Finish)
UNRECORDED_CHAIN = Workflow("unrecorded chain", [begin_chain, hop], stop=Finish, history=0)
FAN_OUT = Workflow("fan-out", [split, work, gather], stop=Finish)
SUSPENDING_FAN_OUT = Workflow("suspending fan-out", [split, suspending_work, gather], stop=Finish)
WAITS = Workflow("waits", [split, waiting_work, gather], stop=Finish)
SHORT = Workflow("short", [first, second, third], stop=Finish)


async def chain(hops: int) -> int:
    """Pass one event on from step to step, ``hops`` times."""
    return (await CHAIN.run(Chain(hops=hops))).number


async def suspending_chain(hops: int) -> int:
    """Like :func:`chain`, each step suspends once."""
    return (await SUSPENDING_CHAIN.run(Chain(hops=hops))).number


async def unrecorded_chain(hops: int) -> int:
    """Like :func:`chain`, with the history off."""
    return (await UNRECORDED_CHAIN.run(Chain(hops=hops))).number


async def fan_out(items: int) -> int:
    """Fan out to ``items`` events, do each, and gather the results."""
    return (await FAN_OUT.run(FanOut(items=items))).number


async def suspending_fan_out(items: int) -> int:
    """Like :func:`fan_out`, each step suspends once."""
    return (await SUSPENDING_FAN_OUT.run(FanOut(items=items))).number


async def waits(items: int) -> int:
    """Like :func:`fan_out`, each step waits for 10 ms, a hundred at a time."""
    return (await WAITS.run(FanOut(items=items))).number


async def short_runs(runs: int) -> int:
    """Start and finish ``runs`` runs of three steps, one after another."""
    total = 0
    for _ in range(runs):
        total += (await SHORT.run(Begin(count=0))).number
    return total


async def concurrent_runs(runs: int) -> int:
    """Start and finish ``runs`` runs of three steps, all at once."""
    results: list[int] = []

    async def run_once() -> None:
        results.append((await SHORT.run(Begin(count=0))).number)

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(run_once)
    return sum(results)


async def lateness(hops: int) -> Timed:
    """Tell how late a foreign timer is while a chain runs flat out."""
    return await lateness_beside(chain, hops)

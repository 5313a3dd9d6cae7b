"""The workloads on Blazen's Rust engine, through its Python binding."""

from __future__ import annotations

import asyncio

from blazen import Context, Event, StopEvent, Workflow, step

UNABLE = {
    "stream": "loses events without a word: its buffer holds 256",
    "stream_to_four": "two subscribers share one stream",
    "durable_chain": "its checkpoints can't be resumed",
    "durable_runs": "its checkpoints can't be resumed",
}


class Hop(Event):
    """One link of a chain."""


class Work(Event):
    """One item of a fan-out."""


class Done(Event):
    """The result of one item."""


class Middle(Event):
    """Between the steps of a short run."""


class Last(Event):
    """Between the steps of a short run."""


@step(accepts=["blazen::StartEvent"], emits=["Hop"])
async def begin_chain(ctx: Context, ev: Event) -> Event:
    return Hop(number=0, hops=ev.hops)


@step
async def hop(ctx: Context, ev: Hop) -> Event:
    number = ev.number + 1
    return StopEvent(result=number) if number == ev.hops else Hop(number=number, hops=ev.hops)


@step
async def suspending_hop(ctx: Context, ev: Hop) -> Event:
    await asyncio.sleep(0)
    number = ev.number + 1
    return StopEvent(result=number) if number == ev.hops else Hop(number=number, hops=ev.hops)


@step(accepts=["blazen::StartEvent"], emits=["Work"])
async def split(ctx: Context, ev: Event) -> list[Event]:
    return [Work(number=number, items=ev.items) for number in range(ev.items)]


@step
async def work(ctx: Context, ev: Work) -> Event:
    return Done(number=ev.number, items=ev.items)


@step
async def suspending_work(ctx: Context, ev: Work) -> Event:
    await asyncio.sleep(0)
    return Done(number=ev.number, items=ev.items)


@step(max_concurrency=100)
async def waiting_work(ctx: Context, ev: Work) -> Event:
    await asyncio.sleep(0.01)
    return Done(number=ev.number, items=ev.items)


def _gathering(name: str, worker: object) -> Workflow:
    """A workflow that counts by hand; its numbers lie outside the engine's state, which is slow."""
    numbers: list[int] = []

    @step(max_concurrency=1)
    async def gather(ctx: Context, ev: Done) -> Event | None:
        numbers.append(ev.number)
        return StopEvent(result=sum(numbers)) if len(numbers) == ev.items else None

    return Workflow(name, [split, worker, gather], timeout=600)


@step(accepts=["blazen::StartEvent"], emits=["Middle"])
async def first(ctx: Context, ev: Event) -> Event:
    return Middle(count=ev.count + 1)


@step
async def second(ctx: Context, ev: Middle) -> Event:
    return Last(count=ev.count + 1)


@step
async def third(ctx: Context, ev: Last) -> Event:
    return StopEvent(result=ev.count + 1)


CHAIN = Workflow("chain", [begin_chain, hop], timeout=600)
SUSPENDING_CHAIN = Workflow("suspending", [begin_chain, suspending_hop], timeout=600)
SHORT = Workflow("short", [first, second, third], timeout=600)


async def chain(hops: int) -> int:
    return (await CHAIN.run(hops=hops)).result


async def suspending_chain(hops: int) -> int:
    return (await SUSPENDING_CHAIN.run(hops=hops)).result


async def fan_out(items: int) -> int:
    return (await _gathering("fan-out", work).run(items=items)).result


async def suspending_fan_out(items: int) -> int:
    return (await _gathering("suspending fan-out", suspending_work).run(items=items)).result


async def waits(items: int) -> int:
    return (await _gathering("waits", waiting_work).run(items=items)).result


async def short_runs(runs: int) -> int:
    return sum([(await SHORT.run(count=0)).result for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    async def run_once() -> int:
        return (await SHORT.run(count=0)).result

    return sum(await asyncio.gather(*[run_once() for _ in range(runs)]))

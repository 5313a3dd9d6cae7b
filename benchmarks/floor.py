"""The floor: the same work with plain ``await``, without events on their way, tasks or routing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import anyio
import anyio.lowlevel

from .messages import Begin, Done, Finish, Hop, Middle, Work


async def chain(hops: int, *, suspend: bool = False) -> int:
    """Pass one event on from call to call, ``hops`` times."""

    async def hop(event: Hop) -> Hop | Finish:
        if suspend:
            await anyio.lowlevel.checkpoint()
        number = event.number + 1
        return Finish(number) if number == hops else Hop(number)

    event: Hop | Finish = Hop(0)
    while isinstance(event, Hop):
        event = await hop(event)
    return event.result


async def fan_out(items: int, *, suspend: bool = False) -> int:
    """Make ``items`` events, do one after another, and sum up."""

    async def work(event: Work) -> Done:
        if suspend:
            await anyio.lowlevel.checkpoint()
        return Done(event.number)

    async def gather(events: list[Done]) -> Finish:
        return Finish(sum(event.number for event in events))

    done = [await work(Work(number)) for number in range(items)]
    return (await gather(done)).result


async def short_runs(runs: int) -> int:
    """Call three functions one after another, ``runs`` times."""

    async def first(event: Begin) -> Middle:
        return Middle(event.count + 1)

    async def second(event: Middle) -> Hop:
        return Hop(event.count + 1)

    async def third(event: Hop) -> Finish:
        return Finish(event.number + 1)

    total = 0
    for _ in range(runs):
        finish = await third(await second(await first(Begin(0))))
        total += finish.result
    return total


async def waits(items: int) -> int:
    """A hundred workers wait for 10 ms at a time."""
    numbers = iter(range(items))
    done: list[int] = []

    async def worker() -> None:
        for number in numbers:
            await anyio.sleep(0.01)
            done.append(number)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(worker)
    return sum(done)


async def stream(events: int) -> int:
    """Iterate over an asynchronous generator."""

    async def generate() -> AsyncIterator[Work]:
        for number in range(events):
            yield Work(number)

    return sum([1 async for _ in generate()])


suspending_chain = partial(chain, suspend=True)
suspending_fan_out = partial(fan_out, suspend=True)

"""L2, the hand-written loop: one anyio task per event, events handed over a memory object stream.

What a competent programmer writes who needs typed events once and has no engine: a table from
event type to step, a task group, a stream, and ``await send.send(event)``, as anyio's manual shows
it. It has no limits, retries, state, scopes or snapshots. The fan-in counts, because that is what
one does by hand. ``nowait=True`` is the same loop by somebody who knows that the stream never fills
up, and saves the checkpoint of each send.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .lateness import lateness_beside
from .messages import Begin, Done, Finish, Hop, Middle, Work
from .workloads import Timed

Step = Callable[[Any], Awaitable[object]]


async def loop(steps: Mapping[type, Step], start: object, *, nowait: bool = False) -> int:
    """Handle events, each in a task of its own, until a ``Finish`` arrives."""
    send, receive = anyio.create_memory_object_stream[object](math.inf)
    handle = _handle_nowait if nowait else _handle
    async with send, receive, anyio.create_task_group() as tasks:
        send.send_nowait(start)
        async for event in receive:
            if isinstance(event, Finish):
                tasks.cancel_scope.cancel()
                return event.result
            tasks.start_soon(handle, steps[type(event)], event, send)
    raise AssertionError("the stream ended without a Finish")


async def _handle(step: Step, event: object, send: MemoryObjectSendStream[object]) -> None:
    outcome = await step(event)
    if isinstance(outcome, list):
        for item in cast("list[object]", outcome):
            await send.send(item)
    elif outcome is not None:
        await send.send(outcome)


async def _handle_nowait(step: Step, event: object, send: MemoryObjectSendStream[object]) -> None:
    outcome = await step(event)
    if isinstance(outcome, list):
        for item in cast("list[object]", outcome):
            send.send_nowait(item)
    elif outcome is not None:
        send.send_nowait(outcome)


async def chain(hops: int, *, suspend: bool = False, nowait: bool = False) -> int:
    """Pass one event on from step to step, ``hops`` times."""

    async def hop(event: Hop) -> Hop | Finish:
        if suspend:
            await anyio.lowlevel.checkpoint()
        number = event.number + 1
        return Finish(number) if number == hops else Hop(number)

    return await loop({Hop: hop}, Hop(0), nowait=nowait)


async def fan_out(items: int, *, suspend: bool = False, nowait: bool = False) -> int:
    """Fan out to ``items`` events, do each, and gather the results in the order of the items."""
    results: dict[int, int] = {}

    async def split(event: Begin) -> list[Work]:
        return [Work(number) for number in range(event.count)]

    async def work(event: Work) -> Done:
        if suspend:
            await anyio.lowlevel.checkpoint()
        return Done(event.number)

    async def gather(event: Done) -> Finish | None:
        results[event.number] = event.number
        if len(results) < items:
            return None
        return Finish(sum(results[number] for number in sorted(results)))

    steps: dict[type, Step] = {Begin: split, Work: work, Done: gather}
    return await loop(steps, Begin(items), nowait=nowait)


async def short_runs(runs: int, *, nowait: bool = False) -> int:
    """Start and finish ``runs`` runs of three steps, one after another."""

    async def first(event: Begin) -> Middle:
        return Middle(event.count + 1)

    async def second(event: Middle) -> Hop:
        return Hop(event.count + 1)

    async def third(event: Hop) -> Finish:
        return Finish(event.number + 1)

    steps: dict[type, Step] = {Begin: first, Middle: second, Hop: third}
    return sum([await loop(steps, Begin(0), nowait=nowait) for _ in range(runs)])


async def concurrent_runs(runs: int, *, nowait: bool = False) -> int:
    """Start and finish ``runs`` runs of three steps, all at once."""
    results: list[int] = []

    async def run_once() -> None:
        results.append(await short_runs(1, nowait=nowait))

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(run_once)
    return sum(results)


async def waits(items: int) -> int:
    """Like :func:`fan_out`, each step waits for 10 ms, a hundred at a time."""
    limit = anyio.CapacityLimiter(100)
    numbers: list[int] = []

    async def split(event: Begin) -> list[Work]:
        return [Work(number) for number in range(event.count)]

    async def work(event: Work) -> Done:
        async with limit:
            await anyio.sleep(0.01)
        return Done(event.number)

    async def gather(event: Done) -> Finish | None:
        numbers.append(event.number)
        return Finish(sum(numbers)) if len(numbers) == items else None

    return await loop({Begin: split, Work: work, Done: gather}, Begin(items))


async def lateness(hops: int) -> Timed:
    """Tell how late a foreign timer is while a chain runs flat out."""
    return await lateness_beside(chain, hops)


async def stream(events: int, readers: int = 1) -> int:
    """Hand events to readers, over a bounded memory object stream for each."""
    counts: list[int] = []

    async def read(receive: MemoryObjectReceiveStream[Work]) -> None:
        async with receive:
            counts.append(sum([1 async for _ in receive]))

    async with anyio.create_task_group() as tasks:
        pairs = [anyio.create_memory_object_stream[Work](1024) for _ in range(readers)]
        for _, receive in pairs:
            tasks.start_soon(read, receive)
        for number in range(events):
            event = Work(number)
            for send, _ in pairs:
                await send.send(event)
        for send, _ in pairs:
            send.close()
    return sum(counts)


suspending_chain = partial(chain, suspend=True)
suspending_fan_out = partial(fan_out, suspend=True)
stream_to_four = partial(stream, readers=4)

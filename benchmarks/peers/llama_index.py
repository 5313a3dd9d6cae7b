"""The workloads on llama-index-workflows."""

from __future__ import annotations

import asyncio

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

MOST = {"fan_out": 1_000, "suspending_fan_out": 1_000, "stream": 20_000}
"""A fan-out takes quadratic time."""

UNABLE = {
    "stream_to_four": "a stream has one reader",
    "durable_chain": "durability is in separate packages (a server, a dbos plugin)",
    "durable_runs": "durability is in separate packages (a server, a dbos plugin)",
}


class Hop(Event):
    number: int
    hops: int


class Work(Event):
    number: int


class Done(Event):
    number: int


class Middle(Event):
    count: int


class Last(Event):
    count: int


class Progress(Event):
    number: int


class Chain(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Hop:
        return Hop(number=0, hops=ev.hops)

    @step
    async def hop(self, ev: Hop) -> Hop | StopEvent:
        number = ev.number + 1
        return StopEvent(result=number) if number == ev.hops else Hop(number=number, hops=ev.hops)


class SuspendingChain(Workflow):
    @step
    async def begin(self, ev: StartEvent) -> Hop:
        return Hop(number=0, hops=ev.hops)

    @step
    async def hop(self, ev: Hop) -> Hop | StopEvent:
        await asyncio.sleep(0)
        number = ev.number + 1
        return StopEvent(result=number) if number == ev.hops else Hop(number=number, hops=ev.hops)


def _fan_out(seconds: float | None) -> type[Workflow]:
    class FanOut(Workflow):
        @step
        async def split(self, ev: StartEvent) -> list[Work]:
            return [Work(number=number) for number in range(ev.total)]

        @step(num_workers=100)
        async def work(self, ev: Work) -> Done:
            if seconds is not None:
                await asyncio.sleep(seconds)
            return Done(number=ev.number)

        @step
        async def gather(self, evs: list[Done]) -> StopEvent:
            return StopEvent(result=sum(ev.number for ev in evs))

    return FanOut


FanOut, SuspendingFanOut, Waits = map(_fan_out, (None, 0, 0.01))


class Short(Workflow):
    @step
    async def first(self, ev: StartEvent) -> Middle:
        return Middle(count=ev.count + 1)

    @step
    async def second(self, ev: Middle) -> Last:
        return Last(count=ev.count + 1)

    @step
    async def third(self, ev: Last) -> StopEvent:
        return StopEvent(result=ev.count + 1)


class Stream(Workflow):
    @step
    async def tell(self, ev: StartEvent, ctx: Context) -> StopEvent:
        for number in range(ev.events):
            ctx.write_event_to_stream(Progress(number=number))
        return StopEvent(result=ev.events)


async def chain(hops: int) -> int:
    return await Chain(timeout=None).run(hops=hops)


async def suspending_chain(hops: int) -> int:
    return await SuspendingChain(timeout=None).run(hops=hops)


async def fan_out(items: int) -> int:
    return await FanOut(timeout=None).run(total=items)


async def suspending_fan_out(items: int) -> int:
    return await SuspendingFanOut(timeout=None).run(total=items)


async def waits(items: int) -> int:
    return await Waits(timeout=None).run(total=items)


async def short_runs(runs: int) -> int:
    workflow = Short(timeout=None)
    return sum([await workflow.run(count=0) for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    workflow = Short(timeout=None)

    async def run_once() -> int:
        return await workflow.run(count=0)

    return sum(await asyncio.gather(*[run_once() for _ in range(runs)]))


async def stream(events: int) -> int:
    handler = Stream(timeout=None).run(events=events)
    read = sum([isinstance(ev, Progress) async for ev in handler.stream_events()])
    await handler
    return read

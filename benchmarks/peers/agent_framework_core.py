"""The workloads on agent-framework-core."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Never

from agent_framework import (
    Executor,
    FileCheckpointStorage,
    WorkflowBuilder,
    WorkflowContext,
    handler,
)

UNABLE = {
    "stream_to_four": "a stream has one reader",
    "durable_runs": "not measured",
}

_MOST_STEPS = 10**9


@dataclass
class Hop:
    number: int
    hops: int


@dataclass
class Work:
    number: int
    items: int


@dataclass
class Done:
    number: int
    items: int


class ChainOf(Executor):
    def __init__(self, suspend: bool) -> None:
        super().__init__(id="hop")
        self._suspend = suspend

    @handler
    async def hop(self, message: Hop, ctx: WorkflowContext[Hop, int]) -> None:
        if self._suspend:
            await asyncio.sleep(0)
        number = message.number + 1
        if number == message.hops:
            await ctx.yield_output(number)
        else:
            await ctx.send_message(Hop(number, message.hops))


class Split(Executor):
    @handler
    async def split(self, items: int, ctx: WorkflowContext[Work]) -> None:
        for number in range(items):
            await ctx.send_message(Work(number, items))


class Worker(Executor):
    def __init__(self, seconds: float | None) -> None:
        super().__init__(id="work")
        self._seconds = seconds

    @handler
    async def work(self, message: Work, ctx: WorkflowContext[Done]) -> None:
        if self._seconds is not None:
            await asyncio.sleep(self._seconds)
        await ctx.send_message(Done(message.number, message.items))


class Counting(Executor):
    """Counts by hand: a fan-in joins executors, not messages."""

    def __init__(self) -> None:
        super().__init__(id="gather")
        self._numbers: list[int] = []

    @handler
    async def gather(self, message: Done, ctx: WorkflowContext[Never, int]) -> None:
        self._numbers.append(message.number)
        if len(self._numbers) == message.items:
            await ctx.yield_output(sum(self._numbers))


class Count(Executor):
    @handler
    async def count(self, number: int, ctx: WorkflowContext[int]) -> None:
        await ctx.send_message(number + 1)


class Last(Executor):
    @handler
    async def count(self, number: int, ctx: WorkflowContext[Never, int]) -> None:
        await ctx.yield_output(number + 1)


class Tell(Executor):
    @handler
    async def tell(self, events: int, ctx: WorkflowContext[Never, int]) -> None:
        for number in range(events):
            await ctx.yield_output(number)


async def _chain(hops: int, *, suspend: bool) -> int:
    executor = ChainOf(suspend)
    builder = WorkflowBuilder(start_executor=executor, max_iterations=_MOST_STEPS)
    workflow = builder.add_edge(executor, executor).build()
    return (await workflow.run(Hop(0, hops))).get_outputs()[-1]


async def _fan_out(items: int, seconds: float | None) -> int:
    split, work, gather = Split(id="split"), Worker(seconds), Counting()
    builder = WorkflowBuilder(start_executor=split, max_iterations=_MOST_STEPS)
    workflow = builder.add_edge(split, work).add_edge(work, gather).build()
    return (await workflow.run(items)).get_outputs()[-1]


def _short() -> object:
    first, second, third = Count(id="first"), Count(id="second"), Last(id="third")
    return WorkflowBuilder(start_executor=first).add_chain([first, second, third]).build()


async def chain(hops: int) -> int:
    return await _chain(hops, suspend=False)


async def suspending_chain(hops: int) -> int:
    return await _chain(hops, suspend=True)


async def durable_chain(steps: int) -> int:
    """A checkpoint after each step, in a file: it has no store in SQLite."""
    with TemporaryDirectory() as directory:
        executor = ChainOf(False)
        storage = FileCheckpointStorage(directory)
        builder = WorkflowBuilder(
            start_executor=executor, max_iterations=_MOST_STEPS, checkpoint_storage=storage
        )
        workflow = builder.add_edge(executor, executor).build()
        return (await workflow.run(Hop(0, steps))).get_outputs()[-1]


async def fan_out(items: int) -> int:
    return await _fan_out(items, None)


async def suspending_fan_out(items: int) -> int:
    return await _fan_out(items, 0)


async def waits(items: int) -> int:
    """An executor handles one message after another: there is no limit to raise."""
    return await _fan_out(items, 0.01)


async def short_runs(runs: int) -> int:
    workflow = _short()
    return sum([(await workflow.run(0)).get_outputs()[-1] for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    """A workflow runs once at a time: each run needs one of its own."""

    async def run_once() -> int:
        return (await _short().run(0)).get_outputs()[-1]

    return sum(await asyncio.gather(*[run_once() for _ in range(runs)]))


async def stream(events: int) -> int:
    tell = Tell(id="tell")
    workflow = WorkflowBuilder(start_executor=tell).build()
    return sum([event.type == "output" async for event in workflow.run(events, stream=True)])

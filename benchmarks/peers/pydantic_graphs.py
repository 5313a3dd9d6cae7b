"""The workloads on pydantic-graph. It runs on trio, too."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.lowlevel
from pydantic_graph import (
    BaseNode,
    End,
    Graph,
    GraphBuilder,
    GraphRunContext,
    StepContext,
    reduce_list_append,
)

UNABLE = {
    "stream": "has no stream that steps write to",
    "stream_to_four": "has no stream that steps write to",
    "durable_chain": "has no store",
    "durable_runs": "has no store",
}


@dataclass
class Hop(BaseNode[None, None, int]):
    """One link of a chain."""

    number: int
    hops: int

    async def run(self, ctx: GraphRunContext[None]) -> Hop | End[int]:
        number = self.number + 1
        return End(number) if number == self.hops else Hop(number, self.hops)


@dataclass
class SuspendingHop(BaseNode[None, None, int]):
    """One link of a chain, which suspends."""

    number: int
    hops: int

    async def run(self, ctx: GraphRunContext[None]) -> SuspendingHop | End[int]:
        await anyio.lowlevel.checkpoint()
        number = self.number + 1
        return End(number) if number == self.hops else SuspendingHop(number, self.hops)


def _chain(kind: type) -> Graph:
    builder = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)

    @builder.step
    async def begin(ctx: StepContext[None, None, int]) -> kind:
        return kind(0, ctx.inputs)

    begin_again = builder.match_node(kind)
    builder.add(
        builder.node(kind),
        builder.edge_from(builder.start_node).to(begin),
        builder.edge_from(begin).to(builder.decision().branch(begin_again)),
    )
    return builder.build()


def _fan_out(seconds: float | None) -> Graph:
    builder = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)
    limit = anyio.CapacityLimiter(100) if seconds else None

    @builder.step
    async def split(ctx: StepContext[None, None, int]) -> list[int]:
        return list(range(ctx.inputs))

    @builder.step
    async def work(ctx: StepContext[None, None, int]) -> int:
        if limit is not None:
            async with limit:
                await anyio.sleep(seconds)
        elif seconds is not None:
            await anyio.lowlevel.checkpoint()
        return ctx.inputs

    @builder.step
    async def total(ctx: StepContext[None, None, list[int]]) -> int:
        return sum(ctx.inputs)

    gather = builder.join(reduce_list_append, initial_factory=list[int])
    builder.add(
        builder.edge_from(builder.start_node).to(split),
        builder.edge_from(split).map().to(work),
        builder.edge_from(work).to(gather),
        builder.edge_from(gather).to(total),
        builder.edge_from(total).to(builder.end_node),
    )
    return builder.build()


def _short() -> Graph:
    builder = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)

    @builder.step
    async def first(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @builder.step
    async def second(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    @builder.step
    async def third(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    builder.add(
        builder.edge_from(builder.start_node).to(first),
        builder.edge_from(first).to(second),
        builder.edge_from(second).to(third),
        builder.edge_from(third).to(builder.end_node),
    )
    return builder.build()


CHAIN = _chain(Hop)
SUSPENDING_CHAIN = _chain(SuspendingHop)
FAN_OUT = _fan_out(None)
SUSPENDING_FAN_OUT = _fan_out(0)
SHORT = _short()


async def chain(hops: int) -> int:
    return await CHAIN.run(inputs=hops)


async def suspending_chain(hops: int) -> int:
    return await SUSPENDING_CHAIN.run(inputs=hops)


async def fan_out(items: int) -> int:
    return await FAN_OUT.run(inputs=items)


async def suspending_fan_out(items: int) -> int:
    return await SUSPENDING_FAN_OUT.run(inputs=items)


async def waits(items: int) -> int:
    """It has no limit of its own: the step takes one."""
    return await _fan_out(0.01).run(inputs=items)


async def short_runs(runs: int) -> int:
    return sum([await SHORT.run(inputs=0) for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    results: list[int] = []

    async def run_once() -> None:
        results.append(await SHORT.run(inputs=0))

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(run_once)
    return sum(results)

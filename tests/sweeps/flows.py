"""Shapes of flow: chains, fan-outs and the many ways to bring together what was fanned out."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import Batch, Context, Gather, StartEvent, StopEvent, Workflow

from .kit import Kit
from .shape import (
    Done,
    Group,
    GroupDone,
    Hop,
    Left,
    Rest,
    Right,
    Wait,
    Work,
    count,
    joiner,
    shape,
    splitter,
)


@shape(result=[10, 10])
def chain(kit: Kit) -> Workflow[Any]:
    """Hops that do not suspend, between hops that do."""

    @kit.step
    async def begin(ev: StartEvent) -> Hop:
        with kit.attempt():
            return Hop(0)

    @kit.step
    async def hop(ev: Hop, ctx: Context) -> Hop | Rest | StopEvent:
        with kit.attempt():
            if ev.n == 10:
                return StopEvent(result=[ev.n, ctx.state["handled"]])
            count(ctx)
            return Rest(ev.n + 1) if ev.n % 3 == 0 else Hop(ev.n + 1)

    @kit.step
    async def rest(ev: Rest) -> Hop:
        async with kit.attempt():
            await (anyio.sleep(1) if ev.n % 2 else checkpoint())
            return Hop(ev.n)

    return kit.workflow("chain", [begin, hop, rest])


@shape(result=[0, 1, 2, 3, 4, 5, 6])
def fan(kit: Kit) -> Workflow[Any]:
    """A fan-out through a step with two slots, gathered in its order."""

    @kit.step(max_concurrency=2)
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(3 - ev.n % 3)
            count(ctx)
            return Done(ev.n)

    return kit.workflow("fan", [splitter(kit, 6), work, joiner(kit)])


@shape(result=[[0, 1, 3], 3])
def nested(kit: Kit) -> Workflow[Any]:
    """Fan-outs within a fan-out, one of them empty."""

    @kit.step
    async def split(ev: StartEvent) -> list[Group]:
        with kit.attempt():
            return [Group(0), Group(1), Group(2)]

    @kit.step
    async def part(ev: Group) -> list[Work]:
        async with kit.attempt():
            await checkpoint()
            return [Work(n + 1) for n in range(ev.n)]

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(ev.n)
            count(ctx)
            return Done(ev.n)

    @kit.step
    async def join_group(parts: list[Done]) -> GroupDone:
        with kit.attempt():
            return GroupDone(sum(part.n for part in parts))

    @kit.step
    async def join(groups: list[GroupDone], ctx: Context) -> StopEvent:
        async with kit.attempt():
            return StopEvent(result=[[group.n for group in groups], ctx.state["handled"]])

    return kit.workflow("nested", [split, part, work, join_group, join])


@shape(result=[0, 1], cancels=True, varies=True)
def race(kit: Kit) -> Workflow[Any]:
    """The first two of five are enough; of the others one waits for ever, one sends later."""

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            if ev.n == 2:
                ctx.send_event(Done(ev.n), immediate=True, delay=1e6)
            if ev.n >= 2:
                await anyio.sleep_forever()
            await anyio.sleep(ev.n)
            return Done(ev.n)

    @kit.step
    async def first_two(parts: Annotated[list[Done], Gather(count=2)]) -> Hop | None:
        with kit.attempt():
            return Hop(sum(part.n for part in parts))

    @kit.step
    async def finish(ev: Hop) -> StopEvent:
        async with kit.attempt():
            await anyio.sleep(1)
            return StopEvent(result=[0, ev.n])

    return kit.workflow("race", [splitter(kit, 5), work, first_two, finish])


@shape(result=[10, 5])
def batches(kit: Kit) -> Workflow[Any]:
    """Batches of two out of five, and the batches gathered."""

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(ev.n)
            count(ctx)
            return Done(ev.n)

    @kit.step
    async def batch(parts: Annotated[list[Done], Batch(2)]) -> GroupDone:
        async with kit.attempt():
            await checkpoint()
            return GroupDone(sum(part.n for part in parts))

    @kit.step
    async def join(groups: list[GroupDone], ctx: Context) -> StopEvent:
        with kit.attempt():
            return StopEvent(result=[sum(group.n for group in groups), ctx.state["handled"]])

    return kit.workflow("batches", [splitter(kit, 5), work, batch, join])


@shape(result=[0, 11, 22, 3])
def pairs(kit: Kit) -> Workflow[Any]:
    """In each branch two halves, one of them delayed, meet again."""

    @kit.step
    async def halve(ev: Work) -> tuple[Left, Wait]:
        with kit.attempt():
            return Left(ev.n), Wait(10 * ev.n)

    @kit.step
    async def grow(ev: Wait) -> Right:
        async with kit.attempt():
            await anyio.sleep(3 - ev.n / 10)
            return Right(ev.n)

    @kit.step
    async def meet(left: Left, right: Right, ctx: Context) -> Done:
        async with kit.attempt():
            count(ctx)
            return Done(left.n + right.n)

    return kit.workflow("pairs", [splitter(kit, 3), halve, grow, meet, joiner(kit)])


@shape(result=[[0, 1, 2, 3, 4, 5, 6], 7])
def crawler(kit: Kit) -> Workflow[Any]:
    """A step that fans out to its own input type."""

    @kit.step
    async def begin(ev: StartEvent) -> Work:
        with kit.attempt():
            return Work(0)

    @kit.step(max_concurrency=2)
    async def visit(ev: Work, ctx: Context) -> list[Work | Done]:
        async with kit.attempt():
            await (anyio.sleep(1) if ev.n % 2 else checkpoint())
            count(ctx)
            return [Work(n) for n in (2 * ev.n + 1, 2 * ev.n + 2) if n < 7] + [Done(ev.n)]

    @kit.step
    async def join(found: list[Done], ctx: Context) -> StopEvent:
        with kit.attempt():
            return StopEvent(result=[sorted(each.n for each in found), ctx.state["handled"]])

    return kit.workflow("crawler", [begin, visit, join])


@shape(result=[[1, 5], 4])
def by_hand(kit: Kit) -> Workflow[Any]:
    """``ctx.fan_out`` twice in one attempt, and ``ctx.collect_events``."""

    @kit.step
    async def split(ev: StartEvent, ctx: Context) -> list[Work] | None:
        async with kit.attempt():
            ctx.fan_out([Work(0), Work(1)])
            await checkpoint()
            ctx.fan_out([Work(2), Work(3)])
            return None

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)
            return Done(ev.n)

    @kit.step
    async def join(parts: list[Done]) -> GroupDone:
        with kit.attempt():
            return GroupDone(sum(part.n for part in parts))

    @kit.step(max_concurrency=1)
    async def collect(ev: GroupDone, ctx: Context) -> StopEvent | None:
        async with kit.attempt():
            await anyio.sleep(1)
            groups = ctx.collect_events(GroupDone, 2)
            if groups is None:
                return None
            return StopEvent(result=[sorted(each.n for each in groups), ctx.state["handled"]])

    return kit.workflow("by_hand", [split, work, join, collect])

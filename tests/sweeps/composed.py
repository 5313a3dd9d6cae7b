"""Shapes of more than steps: child runs, resources, remembered calls, slow watchers."""

# Without postponed annotations: resources are named by what opens them, which is local here.

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    Resource,
    Run,
    StopEvent,
    Workflow,
)

from .kit import Kit
from .outside import answer_by_hand
from .shape import Done, FlakyError, Hop, Note, Wait, Work, count, joiner, shape, splitter


def _child(kit: Kit) -> Workflow[Any]:
    @kit.step
    async def begin(ev: Hop) -> list[Wait]:
        with kit.attempt():
            return [Wait(ev.n), Wait(0)]

    @kit.step
    async def work(ev: Wait, ctx: Context) -> Done:
        async with kit.attempt():
            await (anyio.sleep(ev.n) if ev.n else checkpoint())
            ctx.write_event_to_stream(Note(ev.n))
            count(ctx)
            return Done(ev.n)

    return kit.workflow("child", [begin, work, joiner(kit)])


@shape(result=[2, 12, 22, 3], cancels=True, nests=True)
def children(kit: Kit) -> Workflow[Any]:
    """Each branch of a fan-out runs a child, two at a time, and fails once after it."""
    child = _child(kit)

    @kit.step(max_concurrency=2, retry=kit.retry(2))
    async def delegate(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            total, none, handled = await ctx.run_workflow(child, Hop(10 * ev.n))
            await checkpoint()
            if ctx.attempt == 1:
                raise FlakyError
            count(ctx)
            return Done(total + none + handled)

    return kit.workflow("children", [splitter(kit, 3), delegate, joiner(kit)])


@shape(result=[0, 30, 2], help=answer_by_hand, cancels=True, nests=True)
def asking_children(kit: Kit) -> Workflow[Any]:
    """Children that ask a human, by an event and inside a step."""

    @kit.step
    async def ask(ev: Hop) -> InputRequestEvent:
        async with kit.attempt():
            return InputRequestEvent("how many?", {"n": ev.n})

    @kit.step
    async def again(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        async with kit.attempt():
            more = await ctx.request_input("and now?", {"n": ev.response // 5})
            return StopEvent(result=ev.response + more)

    child = kit.workflow("asking", [ask, again])

    @kit.step
    async def delegate(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            total = await ctx.run_workflow(child, Hop(ev.n))
            await checkpoint()
            count(ctx)
            return Done(total)

    return kit.workflow("asking_children", [splitter(kit, 2), delegate, joiner(kit)])


class Pool:
    """What a resource of the shape is."""


class Client:
    """What another is, which needs the first."""


@shape(result=[0, 1, 2, 3])
def resources(kit: Kit) -> Workflow[Any]:
    """Steps share resources that open and close slowly, one of them through the other."""

    @asynccontextmanager
    async def open_pool() -> AsyncIterator[Pool]:
        async with kit.held():
            await checkpoint()
            yield Pool()

    @asynccontextmanager
    async def open_client(pool: Annotated[Pool, Resource(open_pool)]) -> AsyncIterator[Client]:
        async with kit.held():
            await anyio.sleep(1)
            yield Client()

    @kit.step
    async def work(
        ev: Work, client: Annotated[Client, Resource(open_client)], ctx: Context
    ) -> Wait:
        async with kit.attempt():
            assert isinstance(client, Client)
            await anyio.sleep(ev.n)
            count(ctx)
            return Wait(ev.n)

    @kit.step(max_concurrency=1)
    async def rest(
        ev: Wait,
        pool: Annotated[Pool, Resource(open_pool)],
        own: Annotated[Pool, Resource(open_pool, scope="step")],
    ) -> Done:
        async with kit.attempt():
            assert pool is not own
            await checkpoint()
            return Done(ev.n)

    return kit.workflow("resources", [splitter(kit, 3), work, rest, joiner(kit)])


@shape(result=[0, 1, 2, 6])
def remembered(kit: Kit) -> Workflow[Any]:
    """What was done once gives the same at each attempt: a number that nobody gets twice."""
    numbers = itertools.count()

    async def draw() -> int:
        await checkpoint()
        return next(numbers)

    @kit.step(retry=kit.retry(2))
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            number = await ctx.once("draw", draw)
            ctx.send_event(Note(number), immediate=True)
            await anyio.sleep(1)
            if ctx.attempt == 1:
                raise FlakyError
            count(ctx)
            return Done(ev.n)

    @kit.step
    async def note(ev: Note, ctx: Context) -> None:
        with kit.attempt():
            count(ctx)

    return kit.workflow("remembered", [splitter(kit, 3), work, note, joiner(kit)])


async def _watch_slowly(run: Run[Any]) -> None:
    async with run.stream_events(buffer=1, overflow="block") as stream:
        async for _ in stream:
            await anyio.sleep(1)


@shape(result=[0, 1, 2, 3, 4], help=_watch_slowly)
def watched(kit: Kit) -> Workflow[Any]:
    """Dispatch has to wait for a watcher that is slower than the steps."""

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            ctx.write_event_to_stream(Note(ev.n))
            await checkpoint()
            ctx.write_event_to_stream(Note(-ev.n))
            count(ctx)
            return Done(ev.n)

    return kit.workflow("watched", [splitter(kit, 4), work, joiner(kit)])

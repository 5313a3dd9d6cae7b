"""Shapes with ways to go wrong: retries, error steps, conflicts, threads, limits, time-outs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import Context, StartEvent, StepFailed, StopEvent, Workflow

from .kit import Kit
from .shape import Done, FlakyError, Note, Work, count, joiner, shape, splitter


@shape(result=[0, 1, 2, 3, 4], cancels=True)
def pages(kit: Kit) -> Workflow[Any]:
    """A generator that fails half-way once, and waits for the room that its slow reader makes."""

    @kit.step(retry=kit.retry(2))
    async def read(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        async with kit.attempt():
            for n in range(4):
                if n == 2:
                    await anyio.sleep(1)
                yield Work(n)
                if n == 2 and ctx.attempt == 1:
                    raise FlakyError

    @kit.step(max_concurrency=1, max_pending=1)
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)
            return Done(ev.n)

    return kit.workflow("pages", [read, work, joiner(kit)])


@shape(result=[10, 11], cancels=True, varies=True)
def changed_pages(kit: Kit) -> Workflow[Any]:
    """A generator whose second attempt yields something else: what came of the first is dropped."""

    @kit.step(retry=kit.retry(2))
    async def read(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        async with kit.attempt():
            first = ctx.attempt == 1
            for n in (9, 10, 11) if first else (10, 11):
                yield Work(n)
                await checkpoint()
            if first:
                raise FlakyError

    @kit.step
    async def work(ev: Work) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            return Done(ev.n)

    @kit.step
    async def join(parts: list[Done]) -> StopEvent:
        with kit.attempt():
            return StopEvent(result=[part.n for part in parts])

    return kit.workflow("changed_pages", [read, work, join])


@shape(result=[0, 1, 2, 3])
def retries(kit: Kit) -> Workflow[Any]:
    """Steps that succeed at their last attempt only; what the others sent and wrote is void."""

    @kit.step(retry=kit.retry(3))
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            count(ctx)
            ctx.send_event(Done(100 + ctx.attempt))
            await (anyio.sleep(ev.n) if ev.n else checkpoint())
            if ctx.attempt < 3:
                raise FlakyError
            return Done(ev.n)

    @kit.step
    async def join(parts: list[Done], ctx: Context) -> StopEvent:
        with kit.attempt():
            kept = [part.n for part in parts if part.n < 100]
            assert len(parts) == 2 * len(kept), "each kept attempt has sent one more"
            return StopEvent(result=[*kept, ctx.state["handled"]])

    return kit.workflow("retries", [splitter(kit, 3), work, join])


@shape(result=[0, 1, -2, 3, -4, 5])
def error_steps(kit: Kit) -> Workflow[Any]:
    """Two of five steps fail for good; an error step gives what takes their place."""

    @kit.step(retry=kit.retry(2))
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            if ev.n in (2, 4):
                raise FlakyError
            count(ctx)
            return Done(ev.n)

    @kit.step(for_steps=[work])
    async def mend(failure: StepFailed, ctx: Context) -> Done:
        async with kit.attempt():
            await checkpoint()
            assert failure.error_type.endswith(("FlakyError", "InjectedError"))
            count(ctx)
            assert isinstance(failure.event, Work)
            return Done(-failure.event.n)

    return kit.workflow("error_steps", [splitter(kit, 5), work, mend, joiner(kit)])


@shape(result=[2, 5, 2, 5, 6])
def recoveries(kit: Kit) -> Workflow[Any]:
    """An error step that has failed work done again, once; another then takes its place."""

    @kit.step(retry=kit.retry(1))
    async def work(ev: Work) -> Done:
        async with kit.attempt():
            await checkpoint()
            raise FlakyError

    @kit.step(max_recoveries=1)
    async def again(failure: StepFailed, ctx: Context) -> Work:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)
            return Work(5)

    @kit.step
    async def give_up(failure: StepFailed, ctx: Context) -> Done:
        async with kit.attempt():
            await checkpoint()
            count(ctx)
            assert isinstance(failure.event, Work)
            return Done(failure.event.n or 2)

    @kit.step
    async def split(ev: StartEvent) -> list[Work]:
        with kit.attempt():
            return [Work(2), Work(2)]

    return kit.workflow("recoveries", [split, work, again, give_up, joiner(kit)])


@shape(result=[10, [0, 1, 2, 3, 4]], varies=True)
def conflicts(kit: Kit) -> Workflow[Any]:
    """Steps that read, suspend and write the same key; those that lose try again."""

    @kit.step(retry=kit.retry(9))
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            total, seen = ctx.state.get("total", 0), ctx.state.get("seen", [])
            await checkpoint()
            ctx.state["total"] = total + ev.n
            seen.append(ev.n)
            ctx.state["seen"] = seen
            return Done(ev.n)

    @kit.step
    async def join(parts: list[Done], ctx: Context) -> StopEvent:
        with kit.attempt():
            return StopEvent(result=[ctx.state["total"], sorted(ctx.state["seen"])])

    return kit.workflow("conflicts", [splitter(kit, 5), work, join])


@shape(result=[[1, 2, 3, 4], 4])
def early(kit: Kit) -> Workflow[Any]:
    """Sends at once and sends with delays, from a step that fails once in between."""

    @kit.step(retry=kit.retry(2))
    async def send(ev: StartEvent, ctx: Context) -> Work:
        async with kit.attempt():
            ctx.send_event(Work(1), immediate=True)
            await anyio.sleep(1)
            ctx.send_event(Work(2), delay=2)
            ctx.send_event(Work(3), immediate=True, delay=2)
            if ctx.attempt == 1:
                raise FlakyError
            await checkpoint()
            return Work(4)

    @kit.step
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await checkpoint()
            count(ctx)
            return Done(ev.n)

    @kit.step(max_concurrency=1)
    async def collect(ev: Done, ctx: Context) -> StopEvent | None:
        async with kit.attempt():
            parts = ctx.collect_events(Done, 4)
            await checkpoint()
            if parts is None:
                return None
            return StopEvent(result=[sorted(part.n for part in parts), ctx.state["handled"]])

    return kit.workflow("early", [send, work, collect])


@shape(result=[0, 1, 2, 3, 8], cancels=True)
def threads(kit: Kit) -> Workflow[Any]:
    """Steps in worker threads, which write, send and show from there."""

    @kit.step(max_concurrency=2)
    def work(ev: Work, ctx: Context) -> Done:
        with kit.attempt():
            ctx.write_event_to_stream(Note(ev.n))
            count(ctx)
            ctx.send_event(Note(ev.n), immediate=True)
            return Done(ev.n)

    @kit.step
    async def note(ev: Note, ctx: Context) -> None:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)

    return kit.workflow("threads", [splitter(kit, 4), work, note, joiner(kit)])


@shape(result=[0, 1, 2, 3, 8])
def limits(kit: Kit) -> Workflow[Any]:
    """Two steps take each event, two run at once, and the run's time is limited."""

    @kit.step(max_concurrency=1)
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await (anyio.sleep(1) if ev.n else checkpoint())
            count(ctx)
            return Done(ev.n)

    @kit.step
    async def audit(ev: Work, ctx: Context) -> None:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)

    steps = [splitter(kit, 4), work, audit, joiner(kit)]
    return kit.workflow("limits", steps, max_concurrency=2, timeout=900)


@shape(result=[0, 1, 2], cancels=True)
def timeouts(kit: Kit) -> Workflow[Any]:
    """Steps whose first attempt never ends."""

    @kit.step(timeout=2, retry=kit.retry(2))
    async def work(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            count(ctx)
            if ctx.attempt == 1:
                await anyio.sleep_forever()
            await checkpoint()
            return Done(ev.n)

    return kit.workflow("timeouts", [splitter(kit, 2), work, joiner(kit)])

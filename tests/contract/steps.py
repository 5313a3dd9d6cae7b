"""Steps: their kinds, and what their options do."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio import from_thread
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, example
from .vocabulary import Approved, Done, Note, Work, collect, note, noted


@example(["from the thread", "and of it"])
def def_step_runs_in_a_thread() -> Workflow[Any]:
    """`def` runs in a worker thread (sends and writes are buffered; other `ctx` calls work)."""

    @step
    def work(ev: StartEvent, ctx: Context) -> Done:
        from_thread.check_cancelled()
        ctx.write_event_to_stream(Note("seen"))
        ctx.send_event(Note("from the thread"), immediate=True)
        ctx.send_event(Note("and of it"))
        return Done(1)

    return Workflow("thread", [work, note, noted])


@example([0, 1, 2])
def generator_step() -> Workflow[Any]:
    """`async def` with `yield` is a generator step; what it yields is routed at once."""

    @step(waits=[Approved])
    async def pages(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        for n in range(3):
            yield Work(n)
            await ctx.wait_for_event(Approved)

    @step
    async def work(ev: Work) -> tuple[Done, Approved]:
        await anyio.sleep(MINUTE)
        return Done(ev.n), Approved(ev.n)

    return Workflow("pages", [pages, work, collect(3)])


class Desk:
    """Some service with a name of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    @step
    async def fetch(self, ev: StartEvent) -> Note:
        await checkpoint()
        return Note(self.name)

    @step
    async def parse(self, ev: Note) -> StopEvent:
        await checkpoint()
        return StopEvent(result=f"{ev.text} at the {self.name}")


@example("front desk at the front desk")
def methods_are_steps() -> Workflow[Any]:
    """Methods work: `Workflow("x", [service.fetch, service.parse])`."""
    desk = Desk("front desk")
    return Workflow("desk", [desk.fetch, desk.parse])


# ---- options of steps --------------------------------------------------------------------------


@example([0, 1, 2, 3])
def first_come_first_served() -> Workflow[Any]:
    """A limit holds for one run and is fair, first come first served."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(4))

    @step(max_concurrency=1)
    async def work(ev: Work) -> Done:
        await anyio.sleep(HOUR / (1 + ev.n))
        return Done(ev.n)

    return Workflow("fair", [begin, work, collect(4)])


@example("quick")
def full_step_blocks_nobody() -> Workflow[Any]:
    """A step that is full never blocks another."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work, Approved]:
        return Work(0), Work(1), Approved(2)

    @step(max_concurrency=1)
    async def slow(ev: Work) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent(result="slow")

    @step
    async def quick(ev: Approved) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result="quick")

    return Workflow("full", [begin, slow, quick])


@example([1, 0])
def waiting_gives_the_slot_back() -> Workflow[Any]:
    """A workflow has limits of its own; waiting in the engine gives the slot back."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work]:
        return Work(0), Work(1)

    @step(max_concurrency=1, waits=[Approved])
    async def negotiate(ev: Work, ctx: Context) -> Done:
        if ev.n == 0:
            await ctx.wait_for_event(Approved)
        else:
            ctx.send_event(Approved(ev.n))
        await anyio.sleep(MINUTE)
        return Done(ev.n)

    return Workflow("slots", [begin, negotiate, collect(2)], max_concurrency=1)


@example(["StepFailedError", "work", 1, "StepTimeoutError"])
def cooperative_thread_times_out() -> Workflow[Any]:
    """`timeout` on a `def` step: `cooperative=True` (it calls `from_thread.check_cancelled`)."""

    @step(timeout=MINUTE, cooperative=True, own_task=True)
    def work(ev: StartEvent) -> StopEvent:
        while True:
            from_thread.check_cancelled()
            time.sleep(0.001)

    return Workflow("threads", [work])

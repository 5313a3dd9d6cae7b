"""Runs and their streams: the block of a handle, and who watches."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    EventStream,
    Run,
    RunCancelledError,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example
from .scripts import beside, leaving
from .vocabulary import Done, Note, Work, split, three, total

# ---- the block of a run ------------------------------------------------------------------------


@example([0, 1, 2], script=leaving)
def leaving_waits_for_the_run() -> Workflow[Any]:
    """Leaving the block waits for the run."""
    return three("waits")


async def _raise_inside(run: Run[Any], workflow: Workflow[Any]) -> Any:
    try:
        async with run:
            await anyio.sleep(MINUTE / 2)
            raise FlakyError("the block's own")
    except FlakyError as error:
        return [str(error), run.status]


@example(["the block's own", "cancelled"], script=_raise_inside)
def exception_in_the_block_cancels() -> Workflow[Any]:
    """An exception in the block cancels it (and is raised itself, unwrapped)."""
    return three("raises")


async def _cancel_from_outside(run: Run[Any], workflow: Workflow[Any]) -> Any:
    with anyio.move_on_after(MINUTE / 2) as scope:
        async with run:
            await run.result()
    return [scope.cancelled_caught, run.status]


@example([True, "cancelled"], script=_cancel_from_outside)
def outer_cancellation_cancels() -> Workflow[Any]:
    """An outer cancellation cancels it."""
    return three("outer")


async def _cancel(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        await anyio.sleep(MINUTE / 2)
        run.cancel()
    try:
        return await run.result()
    except RunCancelledError:
        return run.status


@example("cancelled", script=_cancel)
def cancel_is_no_failure() -> Workflow[Any]:
    """A `cancel()` is no failure."""
    return three("cancel")


@step
async def failing(ev: StartEvent) -> StopEvent:
    await anyio.sleep(MINUTE)
    raise FlakyError("broken")


async def _go_on_in_the_block(run: Run[Any], workflow: Workflow[Any]) -> Any:
    went_on = False
    try:
        async with run:
            await anyio.sleep(HOUR)
            went_on = True
    except Exception as error:
        return [went_on, type(error).__name__]
    return None


@example([True, "StepFailedError"], script=_go_on_in_the_block)
def unfetched_failure_is_raised_on_leaving() -> Workflow[Any]:
    """A failing run does not cancel the block; a failure nobody fetched is raised on leaving."""
    return Workflow("failing", [failing])


# ---- streams -----------------------------------------------------------------------------------


async def _watch_twice(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        one, other = run.stream_events(), run.stream_events()
        facts = run.stream_events(lifecycle=True)
        seen = [event async for event in one]
        assert seen == [event async for event in other]
        assert all(isinstance(event, Note) for event in seen)
        assert any(not isinstance(event, Note) for event in [event async for event in facts])
        return await run.result()


@example([0, 1, 2], script=_watch_twice)
def watchers() -> Workflow[Any]:
    """Any number of subscribers, each sees every event; the stream ends when the run does.

    It carries what steps write to it; lifecycle facts are published when asked for.
    """

    @step
    async def show(ev: Work, ctx: Context) -> Done:
        ctx.write_event_to_stream(Note(f"begun {ev.n}"))
        await anyio.sleep(MINUTE)
        ctx.write_event_to_stream(Note(f"done {ev.n}"))
        return Done(ev.n)

    return Workflow("watched", [split(3), show, total])


async def _watch_slowly(run: Run[Any], stream: EventStream) -> None:
    async with run.stream_events(buffer=1, overflow="block") as slow:
        async for _ in slow:
            await anyio.sleep(HOUR)


@example([0, 1, 2], script=beside(_watch_slowly))
def slow_watcher_holds_dispatch_up() -> Workflow[Any]:
    """... inside `async with`, `"block"` (dispatch waits for it)."""

    @step
    async def show(ev: Work, ctx: Context) -> Done:
        ctx.write_event_to_stream(Note("1"))
        await checkpoint()
        ctx.write_event_to_stream(Note("2"))
        return Done(ev.n)

    return Workflow("slow", [split(3), show, total])

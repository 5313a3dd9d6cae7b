"""A run that is over is freed at once; nothing of it waits for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator

import anyio.lowlevel
import pytest

from blazen_anyio import Context, StartEvent, StopEvent, Workflow, step
from blazen_anyio.stores import MemoryStore

from .kit import Done, Work

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@step
async def split(event: StartEvent, ctx: Context) -> list[Work]:
    ctx.state["split"] = True
    return [Work(n) for n in range(3)]


@step
async def spread(event: StartEvent) -> AsyncIterator[Work]:
    for n in range(3):
        yield Work(n)


@step
async def work(event: Work) -> Done:
    await anyio.lowlevel.checkpoint()
    return Done(event.n)


@step
async def gather(events: list[Done]) -> StopEvent:
    return StopEvent(result=len(events))


@pytest.mark.parametrize("first", [split, spread])
@pytest.mark.parametrize("is_stored", [False, True])
async def test_a_run_leaves_nothing_to_collect(
    first: object, is_stored: bool, no_collector: None
) -> None:
    workflow = Workflow("garbage", [first, work, gather])  # type: ignore[list-item]
    async with MemoryStore() as store:
        given = store if is_stored else None
        assert await workflow.run(store=given) == 3  # what is made once
        gc.collect()
        assert await workflow.run(store=given) == 3
        assert gc.collect() == 0

"""The engine never blocks the event loop for long, however little its steps suspend."""

from __future__ import annotations

import gc

import anyio
import anyio.lowlevel
import pytest

from benchmarks import engine

pytestmark = pytest.mark.anyio

LONGEST_BLOCK = 0.05
"""Seconds of processor time. A lane gives way after half a millisecond; the rest is reserve."""


@pytest.fixture(autouse=True)
def no_garbage_collection():
    """What the collector of the whole test suite's garbage takes is not the engine's."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_steps_that_never_suspend_do_not_block_the_loop(watch_loop) -> None:
    async with watch_loop() as watch:
        await engine.chain(5_000)
    assert watch.longest_block < LONGEST_BLOCK
    assert watch.beats > 10


async def test_a_fan_out_does_not_block_the_loop(watch_loop) -> None:
    async with watch_loop() as watch:
        await engine.fan_out(1_000)
    assert watch.longest_block < LONGEST_BLOCK


async def test_an_endless_chain_can_be_cancelled() -> None:
    """A deadline is noticed although no step ever suspends."""

    async def cancel_soon(scope: anyio.CancelScope) -> None:
        await anyio.lowlevel.checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel_soon, scope)
            await engine.chain(10**12)
    assert scope.cancelled_caught

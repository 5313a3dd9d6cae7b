"""The clock of the tests: hours pass at once, but not before work that is ready or in a thread."""

from __future__ import annotations

import threading
import time

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

pytestmark = pytest.mark.anyio


async def test_a_long_sleep_takes_no_real_time() -> None:
    real, virtual = time.perf_counter(), anyio.current_time()
    await anyio.sleep(86_400)
    assert anyio.current_time() - virtual == pytest.approx(86_400)
    assert time.perf_counter() - real < 5


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as tasks:
        for seconds in (30, 10, 20):
            tasks.start_soon(sleeper, seconds)
    assert woken == [10, 20, 30]


async def test_time_stands_still_while_something_is_ready() -> None:
    started = anyio.current_time()
    with anyio.fail_after(0.001):
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == started


async def test_a_deadline_does_not_overtake_a_worker_thread() -> None:
    started = anyio.current_time()
    with anyio.move_on_after(60):
        await anyio.to_thread.run_sync(threading.Event().wait, 0.005)
    assert anyio.current_time() == started


async def test_time_passes_while_a_thread_waits_for_the_event_loop() -> None:
    """A thread that waits for a sleeping task does not stop the clock for ever."""
    released = threading.Event()

    async def release() -> None:
        await anyio.sleep(3_600)
        released.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release)
        assert await anyio.to_thread.run_sync(released.wait, 30)


async def test_a_thread_may_call_back_into_the_event_loop() -> None:
    assert await anyio.to_thread.run_sync(anyio.from_thread.run_sync, anyio.current_time) >= 0


async def test_a_blocked_loop_is_noticed(watch_loop) -> None:
    async with watch_loop() as watch:
        busy_until = time.thread_time() + 0.05
        while time.thread_time() < busy_until:
            pass
    assert watch.longest_block >= 0.05


async def test_a_loop_that_is_not_blocked_is_not_blamed(watch_loop) -> None:
    async with watch_loop() as watch:
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
    assert watch.longest_block < 0.05
    assert watch.beats >= 100

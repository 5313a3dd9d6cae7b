"""Every async test runs on asyncio (debug mode) and on trio, on virtual time."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.lowlevel
import attrs
import pytest
from anyio.abc import TaskStatus
from hypothesis import HealthCheck, settings
from virtual_time import asyncio_options, trio_options

settings.register_profile(
    "ci", derandomize=True, max_examples=50, deadline=None, print_blob=True, database=None
)
settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "thorough",
    max_examples=5_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Both backends on virtual time; see ``virtual_time``."""
    options = asyncio_options() if request.param == "asyncio" else trio_options()
    return request.param, dict(options)


@attrs.define
class LoopWatch:
    """What a heartbeat saw of the event loop.

    Attributes:
        longest_block: seconds that the longest block took, of this thread's processor time: what
            else runs on the machine must not fail a test.
        beats: how often the loop came round.
    """

    longest_block: float = 0.0
    beats: int = 0

    async def beat(self, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        while True:
            last = time.thread_time()
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                self.longest_block = max(self.longest_block, time.thread_time() - last)
                self.beats += 1


@pytest.fixture
def watch_loop() -> Callable[[], AbstractAsyncContextManager[LoopWatch]]:
    """``async with watch_loop() as watch:`` tells how long the event loop was blocked inside."""

    @asynccontextmanager
    async def watching() -> AsyncIterator[LoopWatch]:
        watch = LoopWatch()
        async with anyio.create_task_group() as tasks:
            await tasks.start(watch.beat)
            yield watch
            tasks.cancel_scope.cancel()

    return watching

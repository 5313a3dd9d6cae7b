"""Virtual time for both backends: the clock jumps when there is nothing left to do.

Rule: time stands still while anything is ready and jumps to the next deadline when nothing is.
While worker threads are about, real time passes first (``PATIENCE``): a thread at work is something
to do that an event loop can't see. So no test sleeps really, and no deadline overtakes short work.

On asyncio, ``anyio.wait_all_tasks_blocked`` is itself a sleep of 0.1 s, which passes on this clock.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import trio
import trio.testing

PATIENCE = 0.01
"""Real seconds in which a worker thread may report before time jumps."""

A_LONG_TIME = (1000, 1e4)
"""Virtual time after which something is taken to hang, as a number of naps and their seconds.

In one piece it would not do: a worker thread is given a little real time only before time jumps.
"""

_THREAD_NAME = "AnyIO worker thread"


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector event loop whose ``time()`` starts at 0 and moves only by jumps."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait for a deadline, it jumps there instead."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, selectors._EventMask]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(PATIENCE if _has_worker_threads() else 0)
        if not ready:
            self._loop.jump(timeout)
        return ready


def _has_worker_threads() -> bool:
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())


class PatientClock(trio.abc.Instrument):
    """Makes a trio ``MockClock`` wait for worker threads before it jumps."""

    def __init__(self) -> None:
        self.clock = trio.testing.MockClock(autojump_threshold=0)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        threshold = PATIENCE if trio.testing.active_thread_count() else 0
        if self.clock.autojump_threshold != threshold:
            self.clock.autojump_threshold = threshold


def asyncio_options(*, debug: bool = True) -> Mapping[str, Any]:
    """Backend options for ``anyio.run`` and anyio's pytest plugin: asyncio on virtual time."""
    return {"debug": debug, "loop_factory": VirtualTimeLoop}


def trio_options() -> Mapping[str, Any]:
    """Backend options for ``anyio.run`` and anyio's pytest plugin: trio on virtual time."""
    patient = PatientClock()
    return {"clock": patient.clock, "instruments": [patient]}


@asynccontextmanager
async def failing_if_it_hangs(what: str) -> AsyncGenerator[None]:
    """Raise ``TimeoutError`` if the block has not ended after a long virtual time."""

    async def watch() -> None:
        naps, seconds = A_LONG_TIME
        for _ in range(naps):
            await anyio.sleep(seconds)
        raise TimeoutError(f"the {what} hangs")

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        yield
        group.cancel_scope.cancel()

"""Blocking: an async function called from plain synchronous code.

The rule: it runs in an event loop of its own, which has ended when the call returns or raises. In
this thread if no event loop is running in it; else in a fresh thread, and the loop here stands
still meanwhile. Ctrl-C cancels what runs, lets it clean up, and is raised then.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Generic, TypeVar

import anyio
from anyio import NoEventLoopError
from anyio import run as run_event_loop

__all__ = ["run_blocking"]

T = TypeVar("T")

_SECONDS_PER_LOOK = 0.05


def run_blocking(function: Callable[[], Awaitable[T]], backend: str) -> T:
    """Run an async function to its end and return what it returns.

    Args:
        function: to run, with this thread's context variables.
        backend: ``"asyncio"`` or ``"trio"``.

    Raises:
        LookupError: the backend is not installed, or unknown.
        KeyboardInterrupt: Ctrl-C; the function was cancelled and has ended.
    """

    async def run() -> T:
        return await function()

    if not _in_event_loop():
        return run_event_loop(run, backend=backend)
    return _Elsewhere(run, backend).result()


def _in_event_loop() -> bool:
    try:
        anyio.get_cancelled_exc_class()
    except NoEventLoopError:
        return False
    return True


class _Elsewhere(Generic[T]):
    """A call that runs in a thread of its own."""

    def __init__(self, function: Callable[[], Awaitable[T]], backend: str) -> None:
        self._function = function
        self._backend = backend
        # Before anything runs, so that no cancellation that comes from then on is overlooked.
        self._task = _asyncio_task()
        self._cancelled = 0 if self._task is None else self._task.cancelling()
        self._context = _context_without_loop()
        self._outcome: Future[T] = Future()
        self._results: list[T] = []
        self._cancel_soon: Callable[[], object] | None = None
        self._unwanted = False

    def result(self) -> T:
        """Run it, and wait for its end."""
        thread = threading.Thread(target=self._work, name="runs a workflow")
        try:
            thread.start()  # here already Ctrl-C may come
            return self._wait()
        except BaseException:
            self._cancel()
            raise
        finally:
            _join(thread)

    def _work(self) -> None:
        run = partial(run_event_loop, self._cancellable, backend=self._backend)
        try:
            self._context.run(run)
        except BaseException as error:
            self._outcome.set_exception(error)
        else:
            for result in self._results:  # none if it was cancelled, and then nobody waits
                self._outcome.set_result(result)

    async def _cancellable(self) -> None:
        with anyio.CancelScope() as scope:
            self._cancel_soon = partial(_call_soon(self._backend), scope.cancel)
            if self._unwanted:
                scope.cancel()
            self._results.append(await self._function())

    def _wait(self) -> T:
        """Wait here; a cancellation of the task that this is called in ends that."""
        task = self._task
        if task is None:
            return self._outcome.result()
        while True:
            wait([self._outcome], _SECONDS_PER_LOOK)
            if self._outcome.done():
                return self._outcome.result()
            if task.cancelling() > self._cancelled:
                # Ctrl-C in ``asyncio.run`` is such a cancellation, which could not arrive.
                raise asyncio.CancelledError

    def _cancel(self) -> None:
        self._unwanted = True
        if self._cancel_soon is not None:
            with suppress(RuntimeError):  # its loop has ended in between
                self._cancel_soon()


def _join(thread: threading.Thread) -> None:
    if thread.ident is not None:  # else it has not come to begin
        thread.join()


def _call_soon(backend: str) -> Callable[[Callable[[], object]], object]:
    """What has the event loop of this thread call a function soon, from any thread, at once.

    Not ``anyio.from_thread``, which waits: that is refused where an event loop is running.
    """
    if backend == "asyncio":
        return asyncio.get_running_loop().call_soon_threadsafe
    import trio  # it is running, so it is there

    return trio.lowlevel.current_trio_token().run_sync_soon


def _asyncio_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _context_without_loop() -> Context:
    """This thread's context, without the note that an event loop is running."""
    context = copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context

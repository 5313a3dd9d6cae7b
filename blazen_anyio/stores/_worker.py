"""The store's thread: all work on the database, one transaction for all that waits to be written.

While a transaction is being made durable, further requests queue up; the next one takes them all.
Each caller learns its own fate, and only after the commit: a refusal concerns nobody else, and when
a statement fails, the others are tried again without the one that failed. Only a commit that fails
fails for all of them.

The thread belongs to an ``async with`` block, whose end waits for what is queued and joins it.
Requests go through a queue; answers come back with the event loop's own thread-safe call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import anyio
from anyio.lowlevel import current_token

from .._exceptions import StoreError, WorkflowError
from ._database import Database, explain
from ._runs import Runs

__all__ = ["Session", "Worker"]

T = TypeVar("T")


class Session:
    """What the thread works with.

    Args:
        database: the open database.
        runs: the runs in it.
        leave: gives back what the store holds besides.
    """

    def __init__(self, database: Database, runs: Runs, leave: Callable[[], None]) -> None:
        self.database = database
        self.runs = runs
        self._leave = leave

    def close(self) -> None:
        """Close the database, whatever else fails."""
        try:
            self._leave()
        finally:
            self.database.close()


class _Signal(Protocol):
    """Wakes the one task that waits for it; as much of ``anyio.Event`` as is needed here."""

    def wait(self) -> Awaitable[object]: ...

    def set(self) -> None: ...


class _FutureSignal:
    """A signal on asyncio, at a third of what an event costs."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def wait(self) -> Awaitable[None]:
        return self._future

    def set(self) -> None:
        if not self._future.done():  # the task that waits may have been cancelled
            self._future.set_result(None)


class _Request(Generic[T]):
    """What one caller wants done."""

    __slots__ = ("done", "error", "result", "work", "writes")

    def __init__(self, work: Callable[[Runs], T], done: _Signal, *, writes: bool) -> None:
        self.work = work
        self.writes = writes
        self.done = done
        self.error: BaseException | None = None
        self.result: T | None = None

    def outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # set together with ``done``


class Worker:
    """Works on a database in a thread of its own.

    Args:
        path: of the database, for messages.
        open_session: opens it; called in the thread.
    """

    def __init__(self, path: str, open_session: Callable[[], Session]) -> None:
        self._path = path
        self._open_session = open_session
        self._queue: queue.SimpleQueue[_Request[Any]] = queue.SimpleQueue()
        self._post, self._signal = _event_loop()
        self._process = os.getpid()
        self._closed = False
        self._opened: _Request[None] = _Request(_nothing, anyio.Event(), writes=False)
        self._last: _Request[None] = _Request(_nothing, anyio.Event(), writes=False)
        # Should the event loop die without leaving the block, the interpreter must be able to end.
        self._thread = threading.Thread(
            target=self._run, name=f"blazen_anyio store {os.path.basename(path)}", daemon=True
        )

    async def start(self) -> None:
        """Start the thread and wait until it has opened the database."""
        self._thread.start()
        try:
            await self._opened.done.wait()
            self._opened.outcome()
        except BaseException:
            self._closed = True
            with anyio.CancelScope(shield=True):
                await self._join()
            raise

    async def stop(self) -> None:
        """Wait until all that is queued is done, close the database and end the thread."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._join()
        self._last.outcome()

    async def _join(self) -> None:
        self._queue.put(self._last)
        await self._last.done.wait()
        self._thread.join()

    async def ask(self, work: Callable[[Runs], T], *, writes: bool) -> T:
        """Have something done, and wait for it. What is queued is done even if nobody waits.

        Raises:
            StoreError: it failed, or the store is closed.
        """
        request = self._put(work, writes=writes)
        await request.done.wait()
        return request.outcome()

    async def take(self, work: Callable[[Runs], T], regret: Callable[[Runs, T], object]) -> T:
        """Have something done that gives the caller a run.

        Args:
            work: does it.
            regret: undoes it, in case the caller has been cancelled and will never know.
        """
        request = self._put(work, writes=True)
        try:
            await request.done.wait()
        except BaseException:

            def undo(runs: Runs) -> None:
                if request.error is None:
                    regret(runs, request.outcome())

            with contextlib.suppress(StoreError):  # closed, and with it the claim is gone
                self._put(undo, writes=True)
            raise
        return request.outcome()

    def _put(self, work: Callable[[Runs], T], *, writes: bool) -> _Request[T]:
        if self._closed:
            raise StoreError(
                f"{self._path}: the store is closed; runs that use it have to end before its "
                "`async with` block does"
            )
        if os.getpid() != self._process:
            raise StoreError(
                f"{self._path}: the store was opened before this process was forked; open it anew "
                "in each process"
            )
        request = _Request(work, self._signal(), writes=writes)
        self._queue.put(request)
        return request

    # ---- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        session = self._try(self._opened, lambda: self._open_session())
        self._answer([self._opened])
        if session is None:
            self._queue.get()
        else:
            self._serve_all(session)
            self._try(self._last, session.close)
        self._answer([self._last])

    def _try(self, request: _Request[Any], work: Callable[[], T]) -> T | None:
        try:
            return work()
        except BaseException as error:
            request.error = explain(error, self._path)
            return None

    def _serve_all(self, session: Session) -> None:
        more = True
        while more:
            batch = self._next_batch()
            if batch[-1] is self._last:
                batch.pop()
                more = False
            writes = [request for request in batch if request.writes]
            if writes:
                self._write(session, writes)
            for request in batch:
                if not request.writes:
                    self._read(session, request)
            self._answer(batch)

    def _next_batch(self) -> list[_Request[Any]]:
        batch = [self._queue.get()]
        # Only this thread takes anything out, so what is counted is there.
        batch.extend(self._queue.get() for _ in range(self._queue.qsize()))
        return batch

    def _write(self, session: Session, requests: Sequence[_Request[Any]]) -> None:
        """Do all of it in one transaction, or each by itself if a statement fails."""
        database, runs = session.database, session.runs
        divisible = False
        try:
            database.begin_writing()
            divisible = len(requests) > 1
            for request in requests:
                self._do(request, runs)
            divisible = False
            database.commit()
        except BaseException as error:
            database.roll_back()
            runs.settle(durable=False)
            if divisible:
                for request in requests:
                    self._write(session, [request])
            else:
                self._fail(requests, error)
        else:
            runs.settle(durable=True)

    def _do(self, request: _Request[Any], runs: Runs) -> None:
        """Do what one request says; one that is refused has changed nothing."""
        request.error = None
        try:
            request.result = request.work(runs)
        except WorkflowError as refusal:
            request.error = refusal

    def _read(self, session: Session, request: _Request[Any]) -> None:
        try:
            session.database.begin_reading()
            self._do(request, session.runs)
            session.database.commit()
        except BaseException as error:
            session.database.roll_back()
            self._fail([request], error)

    def _fail(self, requests: Sequence[_Request[Any]], error: BaseException) -> None:
        # An error for each: they are raised in different tasks.
        for request in requests:
            request.error = explain(error, self._path)

    def _answer(self, requests: list[_Request[Any]]) -> None:
        # Unless the event loop has ended, and all who waited with it.
        with contextlib.suppress(RuntimeError):
            self._post(_wake, requests)


def _nothing(runs: Runs) -> None:
    """The work of a request that only tells how far the thread is."""


def _wake(requests: list[_Request[Any]]) -> None:
    for request in requests:
        request.done.set()


def _event_loop() -> tuple[Callable[..., object], Callable[[], _Signal]]:
    """How the thread has something called in the event loop's, and what a caller waits for."""
    native: Any = current_token().native_token
    if isinstance(native, asyncio.AbstractEventLoop):
        return native.call_soon_threadsafe, partial(_FutureSignal, native)
    return native.run_sync_soon, anyio.Event

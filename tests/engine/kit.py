"""What many of the tests of the engine need: a few events, a note pad, and failing cleanups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel
import attrs
import trio

from blazen_anyio import Event

__all__ = [
    "Boom",
    "Done",
    "Log",
    "Note",
    "Other",
    "Work",
    "cleanup",
    "current_task",
    "pass_time",
    "settle",
]


class Work(Event):
    n: int = 0


class Done(Event):
    n: int = 0


class Note(Event):
    text: str = ""


class Other(Event):
    n: int = 0


class Boom(Exception):
    """What the steps of the tests raise."""


@attrs.define
class Log:
    """What happened, in order."""

    lines: list[str] = attrs.field(factory=list)

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Note the beginning and the end of something."""
        self(f"{name} begins")
        try:
            yield
        finally:
            self(f"{name} ends")


@asynccontextmanager
async def cleanup(log: Log, name: str = "cleanup", seconds: float = 5) -> AsyncIterator[None]:
    """Clean up in a shielded scope for some time, and note when that is done."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)
        log(name)


def current_task() -> object:
    """The backend's own object of the current task; keep it, or its identity may be used again."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return asyncio.current_task()
    return trio.lowlevel.current_task()


def pass_time(seconds: float) -> None:
    """Let virtual time pass without giving anybody a turn, as if something computed for so long."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        asyncio.get_running_loop().jump(seconds)  # type: ignore[attr-defined]
    else:
        trio.lowlevel.current_clock().jump(seconds)  # type: ignore[attr-defined]


async def settle() -> None:
    """Let everything that can run do so, without any time passing."""
    for _ in range(30):
        await anyio.lowlevel.checkpoint()

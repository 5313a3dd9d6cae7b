"""Suspension: where a coroutine waits, seen from the user's code.

A coroutine that is suspended is a chain of coroutines that await each other. Part of it is the
user's code, which ends in one await of something that a library provides. As long as that is the
same object, only the library's code has run: how many suspensions an ``await lock.acquire()`` takes
is the library's business, and differs between backends.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from .._run._bodies import run_generator

__all__ = ["awaited_tasks", "is_in", "suspension_of"]

_LIBRARIES = frozenset({"anyio", "asyncio", "blazen_anyio", "contextlib", "outcome", "trio"})
_STEPS = (
    "blazen_anyio.examples.",
    "blazen_anyio.testing._building",
    "blazen_anyio.testing._shapes",
)
"""Where the package has steps of its own."""

_ASYNCIO = "anyio._backends._asyncio"

_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")


def suspension_of(coroutine: Any) -> tuple[object, str | None]:
    """What the user's code in a suspended coroutine awaits, and at which file and line.

    Where there is none of the user's code in it there is no place, and it is what this package
    awaits of another library. ``None`` for what can't be seen.
    """
    awaited: object = None
    place: FrameType | None = None
    current: Any = coroutine
    while current is not None:
        frame = _first(current, _FRAMES)
        if frame is None:
            break
        if not _is_library(frame):
            awaited, place = None, frame
        elif place is None and _package(frame) == "blazen_anyio":
            awaited = None
        elif awaited is None:
            awaited = current
        current = _next(current, frame)
    if place is None:
        return awaited, None
    file = place.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return awaited, f"{file}:{place.f_lineno}"


def is_in(coroutine: Any, code: CodeType) -> bool:
    """Whether a coroutine is suspended in a call of a function, or in what that has called."""
    return any(frame.f_code is code for frame in _frames(coroutine))


def awaited_tasks(coroutine: Any) -> tuple[Any, ...] | None:
    """The tasks that a coroutine on asyncio waits for at the end of a task group of anyio's.

    None of them where it waits for a task to have started; ``None`` where it waits for neither.
    """
    for frame in _frames(coroutine):
        if _module(frame) == _ASYNCIO:
            if frame.f_code.co_qualname == "TaskGroup.__aexit__":
                return tuple(frame.f_locals["self"]._tasks)
            if frame.f_code.co_qualname == "TaskGroup.start":
                return ()
    return None


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, outermost first."""
    current: Any = coroutine
    while current is not None:
        frame = _first(current, _FRAMES)
        if frame is None:
            return
        yield frame
        current = _next(current, frame)


def _next(current: Any, frame: FrameType) -> Any:
    following = _first(current, _AWAITS)
    if frame.f_code is run_generator.__code__ and _first(following, _FRAMES) is None:
        # An asynchronous generator's step does not say which generator it is of.
        return frame.f_locals["generator"]
    return following


def _first(thing: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None


def _is_library(frame: FrameType) -> bool:
    return _package(frame) in _LIBRARIES and not _module(frame).startswith(_STEPS)


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))

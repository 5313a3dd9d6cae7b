"""Suspension: where a coroutine waits, seen from the user's code.

A coroutine that is suspended is a chain of coroutines that await each other. Part of it is the
user's code, which ends in one await of something that a library provides. As long as that is the
same object, only the library's code has run: how many suspensions an ``await lock.acquire()`` takes
is the library's business, and differs between backends.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any

from .._run._bodies import run_generator

__all__ = ["is_in", "suspension_of"]

_LIBRARIES = frozenset({"anyio", "asyncio", "blazen_anyio", "contextlib", "outcome", "trio"})
_STEPS = ("blazen_anyio.examples.", "blazen_anyio.testing._stages")
"""Where the package has steps of its own."""

_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")


def suspension_of(coroutine: Any) -> tuple[object, str | None]:
    """What the user's code in a suspended coroutine awaits, and at which file and line.

    Both are ``None`` if there is none of the user's code in it, or if what it awaits can't be seen.
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
        elif awaited is None and place is not None:
            awaited = current
        current = _next(current, frame)
    if place is None:
        return None, None
    file = place.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return awaited, f"{file}:{place.f_lineno}"


def is_in(coroutine: Any, code: CodeType) -> bool:
    """Whether a coroutine is suspended in a call of a function, or in what that has called."""
    current: Any = coroutine
    while current is not None:
        frame = _first(current, _FRAMES)
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        current = _next(current, frame)
    return False


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
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in _LIBRARIES and not module.startswith(_STEPS)

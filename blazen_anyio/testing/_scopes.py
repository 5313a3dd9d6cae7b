"""Scopes: whether a cancellation from outside reaches the place where a task is suspended.

Neither anyio nor trio says so in public: it is read off the cancel scopes that the task is in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from anyio._backends import _asyncio

__all__ = ["ParkingScope", "innermost_scope", "is_cancelled_outside"]


class ParkingScope(_asyncio.CancelScope):
    """A shield on asyncio through which others see that a cancellation is pending.

    Streams hand nothing over to a receiver that is being cancelled; being parked, as being late,
    does not change that.
    """

    @property
    def _effectively_cancelled(self) -> bool:
        return self._parent_scope is not None and self._parent_scope._effectively_cancelled


def innermost_scope(on_asyncio: bool) -> object:
    """The innermost cancel scope that the current task is in; ``None`` if there is none."""
    return next(_scopes(on_asyncio), None)


def is_cancelled_outside(boundary: object, on_asyncio: bool) -> bool:
    """Whether ``boundary`` or a scope around it is cancelled, and no shield is in between."""
    outside = False
    for scope in _scopes(on_asyncio):
        outside = outside or scope is boundary
        if outside and scope._cancel_called:
            return True
        if scope.shield:
            return False
    return False


def _scopes(on_asyncio: bool) -> Iterator[Any]:
    """The cancel scopes that the current task is in, from the inside."""
    if on_asyncio:
        backend: Any = _asyncio
        state = backend._task_states.get(asyncio.current_task())
        scope = None if state is None else state.cancel_scope
        while scope is not None:
            yield scope
            scope = scope._parent_scope
        return
    import trio

    task: Any = trio.lowlevel.current_task()
    status = task._cancel_status
    while status is not None:
        yield status._scope
        status = status._parent

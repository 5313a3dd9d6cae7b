"""What an exception that came out of a step means. Pure functions.

Cancellations and failures may arrive mixed: a cleanup that fails while it is cancelled comes as a
group of both on trio and as the bare error on asyncio. The cancellations are split out; a group
with a single error left is unwrapped, whoever made it; a larger one stays a group.
"""

from __future__ import annotations

import math
from typing import cast

import anyio

__all__ = ["cancelled_from_outside", "is_fatal", "without_cancellations"]

Group = BaseExceptionGroup[BaseException]


def without_cancellations(error: BaseException) -> BaseException | None:
    """What is left of ``error`` besides cancellations; ``None`` if nothing is."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, cancelled):
        return None
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("Group", error)
    found, rest = group.split(cancelled)
    if found is None:
        return _unwrap(group)  # not the copy: a user's exception stays the very object
    return None if rest is None else _unwrap(rest)


def _unwrap(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        first, *others = cast("Group", error).exceptions
        if others:
            return cast("Group", error)
        error = first
    return error


def is_fatal(error: BaseException) -> bool:
    """Whether an error is for the whole program: neither retried nor handled by an error step."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_fatal, cast("Group", error).exceptions))
    return isinstance(error, (KeyboardInterrupt, SystemExit))


def cancelled_from_outside() -> bool:
    """Whether a cancel scope around the current task has been cancelled."""
    return anyio.current_effective_deadline() == -math.inf

"""Leaving a task group without having an exception wrapped."""

from __future__ import annotations

import anyio
from anyio.abc import TaskGroup

__all__ = ["leave_group"]


async def leave_group(group: TaskGroup, error: BaseException | None) -> None:
    """Wait for the tasks of a group, none of which raises anything of its own.

    A task group wraps the exception that leaves its block into a group of one. So the exception is
    kept from it, and raised as it is by whoever has caught it; a cancellation that arrives while
    waiting gives way to it.

    Args:
        group: the group; its tasks have been told to end.
        error: the exception that leaves the block, if any.
    """
    try:
        await group.__aexit__(None, None, None)
    except anyio.get_cancelled_exc_class():
        if error is None:
            raise

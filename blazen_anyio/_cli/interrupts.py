"""Ctrl-C: the first puts the run down, the second cancels it, the third ends the process."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import attrs
from anyio.abc import TaskStatus

from .._exceptions import WorkflowError
from .._run import Run
from .terminal import seconds_text
from .view import View

__all__ = ["Interrupts"]


@attrs.define
class Interrupts:
    """Follows the signals of a person, or of who stops the service.

    Attributes:
        grace: how many seconds running steps have to finish.
        count: how many have come.
        scope: cancel it when there is nothing left to interrupt.
    """

    grace: float
    count: int = 0
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)

    async def follow(self, run: Run[Any], view: View, *, task_status: TaskStatus[None]) -> None:
        """Put the run down, then cancel it, as signals come."""
        if sys.platform == "win32":  # pragma: no cover  # Ctrl-C ends the process there
            task_status.started()
            return
        with self.scope, anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            await self._next(signals)
            view.say(
                f"suspending; steps have {seconds_text(self.grace)} to finish "
                "(Ctrl-C again cancels)"
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(suspend, run, self.grace)
                await self._next(signals)
                view.say("cancelling (Ctrl-C again ends the process as it is)")
                run.cancel()
                tasks.cancel_scope.cancel()
        # From here on the system's own way: whatever a step does about its cancellation.
        if not self.scope.cancel_called:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def _next(self, signals: AsyncIterator[signal.Signals]) -> None:
        await anext(signals)
        self.count += 1


async def suspend(run: Run[Any], grace: float) -> None:
    """Put a run down; how it has ended, and what can't be written down, is told by the run."""
    with suppress(WorkflowError):
        await run.suspend(grace=grace)

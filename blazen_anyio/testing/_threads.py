"""Worker threads: the one thing in a simulation that takes real time.

While a thread is busy that an actor waits for, virtual time stands still. But a thread may itself
wait for virtual time to go on, as one does that looks whether it has been cancelled; so nobody's
patience lasts for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio

from ._actors import Actor
from ._suspension import is_in

__all__ = ["Threads"]

_RUN_SYNC = anyio.to_thread.run_sync.__code__

_PATIENCE = 2.0
"""Real seconds for which worker threads are waited for before time goes on without them."""


class Threads:
    """The worker threads of one simulation.

    Attributes:
        limiters: of the threads.
    """

    def __init__(self) -> None:
        self.limiters: list[anyio.CapacityLimiter] = []
        self._waiting_since: float | None = None

    def somebody_went_on(self) -> None:
        """Begin to wait anew."""
        self._waiting_since = None

    def are_busy(self, suspended: Iterable[Actor]) -> bool:
        """Whether a thread is about to report; real time has to pass then.

        Args:
            suspended: the actors that wait for something. Who holds a place for a thread may also
                be parked before the thread has begun.
        """
        if not any(limiter.borrowed_tokens for limiter in self.limiters):
            return False
        if not any(is_in(actor.coroutine, _RUN_SYNC) for actor in suspended):
            return False
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since < _PATIENCE

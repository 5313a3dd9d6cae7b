"""The lease of a stored run: renewed as long as the run is executed, however little it commits."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from .._exceptions import RunLostError
from .._store import Store
from ._book import Book

__all__ = ["Lease"]

_RENEWALS_PER_LEASE = 3


class Lease:
    """Keeps the claim of this process on a run.

    Args:
        store: where the run is.
        book: what the store holds of it.
    """

    def __init__(self, store: Store, book: Book) -> None:
        self._store = store
        self._book = book
        self._is_renewed = False
        self._missed = 0
        self._scope = anyio.CancelScope(shield=True)

    def was_renewed(self) -> None:
        """Something was committed, which renews the lease too."""
        self._is_renewed = True

    def end(self) -> None:
        """Renew the lease no longer."""
        self._scope.cancel()

    async def keep(self, seconds: float, fail: Callable[[BaseException], object]) -> None:
        """Renew a lease while nothing is committed.

        Shielded: a run that is being cancelled keeps its lease until it has cleaned up.

        Args:
            seconds: for how long the store grants it.
            fail: told why the lease is lost.
        """
        with self._scope:
            while True:
                self._is_renewed = False
                await anyio.sleep(seconds / _RENEWALS_PER_LEASE)
                if self._is_renewed:
                    self._missed = 0
                else:
                    await self._renew(fail)

    async def _renew(self, fail: Callable[[BaseException], object]) -> None:
        """Renew the lease; a store that fails may do better next time, before the lease is over."""
        try:
            with anyio.CancelScope(shield=True):
                await self._store.renew(self._book.run_id, self._book.epoch)
            self._missed = 0
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            self._missed += 1
            if isinstance(error, RunLostError) or self._missed == _RENEWALS_PER_LEASE:
                fail(error)

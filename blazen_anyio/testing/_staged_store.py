"""The store of a simulation: another store, whose writes take turns, and fail where they are to.

A write is suspended before and after its effect, until it is the writer's turn. So others go on
while it lasts, and a process may die on either side of it.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Sequence

from .._exceptions import StoreError
from .._store import Claim, Commit, Row, Store, StoredRun, StoredStatus
from ._faults import StoreFails

__all__ = ["StagedStore"]


class StagedStore(Store):
    """Hands everything on to another store but the writes that are to fail.

    Args:
        store: does the work; it has been entered.
        faults: which writes fail, counted from 1.
        turn: waits for the writer's turn.
    """

    def __init__(
        self, store: Store, faults: Sequence[StoreFails], turn: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._turn = turn
        self._failing = {fault.on for fault in faults}
        self._writes = 0
        self.seal, self.lease, self.keep_log = store.seal, store.lease, store.keep_log

    async def _begin_write(self) -> None:
        await self._turn()
        self._writes += 1
        if self._writes in self._failing:
            raise StoreError(f"write {self._writes} fails, as this simulation wants it to")

    async def create(self, workflow: str, commit: Commit) -> bool:
        """See :meth:`Store.create`."""
        await self._begin_write()
        created = await self._store.create(workflow, commit)
        await self._turn()
        return created

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See :meth:`Store.commit`."""
        await self._begin_write()
        await self._store.commit(commits)
        await self._turn()

    async def claim(self, run_id: str) -> Claim | None:
        """See :meth:`Store.claim`."""
        return await self._store.claim(run_id)

    async def renew(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.renew`."""
        await self._store.renew(run_id, epoch)

    async def release(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.release`."""
        await self._store.release(run_id, epoch)

    async def read(self, run_id: str) -> tuple[StoredRun, builtins.list[Row]] | None:
        """See :meth:`Store.read`."""
        return await self._store.read(run_id)

    async def entries(
        self, run_id: str, *, after: int = 0, limit: int | None = None
    ) -> builtins.list[Row]:
        """See :meth:`Store.entries`."""
        return await self._store.entries(run_id, after=after, limit=limit)

    async def load(self, run_id: str) -> StoredRun | None:
        """See :meth:`Store.load`."""
        return await self._store.load(run_id)

    async def list(
        self,
        *,
        status: StoredStatus | None = None,
        workflow: str | None = None,
        limit: int | None = None,
    ) -> builtins.list[StoredRun]:
        """See :meth:`Store.list`."""
        return await self._store.list(status=status, workflow=workflow, limit=limit)

    async def delete(self, run_id: str) -> bool:
        """See :meth:`Store.delete`."""
        return await self._store.delete(run_id)

    async def prune(self, *, older_than: float) -> int:
        """See :meth:`Store.prune`."""
        return await self._store.prune(older_than=older_than)

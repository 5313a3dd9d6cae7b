"""The store protocol: what an engine needs of a place that keeps runs.

Subclass :class:`Store`, implement the abstract methods, and prove it with the conformance suite of
``blazen_anyio.testing.store_conformance``. Four promises make the rest of the engine true:

* **Whole.** A commit is durable as a whole or not at all, when :meth:`Store.commit` returns.
* **In order.** A commit counts only if its epoch is that of the run and its sequence the next one.
* **One owner.** :meth:`Store.claim` gives a run to nobody while its owner lives.
* **Honest.** What goes wrong is a :class:`StoreError` with its cause, and has changed nothing.
"""

from __future__ import annotations

import abc
import builtins
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio

from .._exceptions import RunEndedError, StoreError
from .journal import HistoryEntry, HistoryFact, LogEntry
from .records import Claim, Commit, Row, StoredRun, StoredStatus
from .seal import Seal

__all__ = ["Store"]


class Store(abc.ABC):
    """Keeps runs. Used from one event loop; an ``async with`` block is its life.

    Attributes:
        seal: how records are sealed.
        lease: for how many seconds a claim or a commit keeps a run; its executor renews it in
            time. ``None`` if a run is the executor's for as long as it lives.
        keep_log: whether commits come with an entry for the log.
    """

    seal: Seal
    lease: float | None
    keep_log: bool

    async def __aenter__(self) -> Self:
        """Open the store; override it if there is something to open."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store when what is under way is done; what it executes loses its owner."""
        return

    # ---- executing runs ------------------------------------------------------------------------

    @abc.abstractmethod
    async def create(self, workflow: str, commit: Commit) -> bool:
        """Begin a run with its first commit, as its owner, if there is none of this id.

        Args:
            workflow: the name of the workflow.
            commit: with epoch 1 and sequence 1.

        Returns:
            Whether it was begun; if not, nothing has changed.

        Raises:
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def claim(self, run_id: str) -> Claim | None:
        """Take a run over, by a new epoch and under a lease, unless it has completed.

        Its status stays as it is until a commit changes it.

        Returns:
            The claim, or ``None`` if there is no such run.

        Raises:
            RunBusyError: its owner lives.
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def commit(self, commits: Sequence[Commit]) -> None:
        """Make changes of one run durable, in order, all or none; renew its lease.

        What has been given back takes further commits of the same claim until somebody claims it.

        Not to be cancelled: it is called in a shielded scope.

        Raises:
            RunLostError: the run is somebody else's by now, or is gone.
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def renew(self, run_id: str, epoch: int) -> None:
        """Renew the lease of a run that has nothing to commit.

        Raises:
            RunLostError: the run is somebody else's by now, or is gone.
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def release(self, run_id: str, epoch: int) -> None:
        """Give a run back as it is: somebody else may go on with it. Not if it is another's.

        Raises:
            StoreError: the store failed; this store's next claim of the run succeeds all the same.
        """

    # ---- looking after runs --------------------------------------------------------------------

    @abc.abstractmethod
    async def read(self, run_id: str) -> tuple[StoredRun, builtins.list[Row]] | None:
        """A run and its rows in any order, as of one moment; ``None`` if there is no such run.

        Raises:
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def entries(
        self, run_id: str, *, after: int = 0, limit: int | None = None
    ) -> builtins.list[Row]:
        """The log of a run, ascending: the sequence and the sealed entry of each commit.

        Args:
            run_id: the id of the run.
            after: only what comes after this sequence.
            limit: at most so many; ``None`` for all.

        Raises:
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def load(self, run_id: str) -> StoredRun | None:
        """A run without its rows; ``None`` if there is none.

        Raises:
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def list(
        self,
        *,
        status: StoredStatus | None = None,
        workflow: str | None = None,
        limit: int | None = None,
    ) -> builtins.list[StoredRun]:
        """The runs, the last changed first.

        Args:
            status: only those of this status.
            workflow: only those of this workflow.
            limit: at most so many; ``None`` for all.

        Raises:
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def delete(self, run_id: str) -> bool:
        """Remove a run with all that belongs to it, its log included.

        Returns:
            Whether there was one.

        Raises:
            RunBusyError: somebody executes it.
            StoreError: the store failed.
        """

    @abc.abstractmethod
    async def prune(self, *, older_than: float) -> int:
        """Remove the completed, failed and cancelled runs last changed ``older_than`` seconds ago.

        Returns:
            How many were removed.

        Raises:
            StoreError: the store failed.
        """

    async def cancel(self, run_id: str) -> None:
        """Mark a run that nobody executes as cancelled; ``recover`` leaves it alone from then on.

        All that it had not handled stays: ``workflow.resume_from`` goes on with it all the same.

        Raises:
            RunBusyError: somebody executes it; only who does can cancel it.
            RunEndedError: it has completed.
            StoreError: there is no such run, its head was altered, or the store failed.
        """
        claim = await self.claim(run_id)
        if claim is None:
            raise StoreError(f"there is no run {run_id!r} in the store")
        run = claim.run
        if run.status == "completed":
            raise RunEndedError(f"run {run_id!r} has completed already")
        with anyio.CancelScope(shield=True):
            try:
                await self.commit([self._cancellation(run)])
            finally:
                await self.release(run_id, run.epoch)

    def _cancellation(self, run: StoredRun) -> Commit:
        seal, sequence, now = self.seal.for_run(run.run_id), run.sequence + 1, time.time()
        head = seal.open("head", run.sequence, run.head)
        fact = HistoryFact("run_cancelled", now)
        entry = LogEntry(time=now, head=head, status="cancelled", facts=(fact,))
        return Commit(
            run_id=run.run_id,
            epoch=run.epoch,
            sequence=sequence,
            head=seal.close("head", sequence, head),
            status="cancelled",
            entry=seal.close("log", sequence, entry.write()) if self.keep_log else None,
        )

    async def history(self, run_id: str) -> builtins.list[HistoryEntry]:
        """What happened in a run, commit by commit; empty unless a log is kept.

        Raises:
            StoreError: the store failed, or an entry was altered; the error names it.
        """
        seal = self.seal.for_run(run_id)
        return [
            LogEntry.read(seal.open("log", row.sequence, row.body)).history(row.sequence)
            for row in await self.entries(run_id)
        ]

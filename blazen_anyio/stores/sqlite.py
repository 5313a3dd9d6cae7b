"""A store in an SQLite file, through the standard library.

The public face: checks arguments and hands each call to the store's thread (:mod:`._worker`), where
:mod:`._runs` says it in SQL. The file may be used by several processes on one machine at a time.
"""

from __future__ import annotations

import builtins
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

from .._codec import escape_text
from .._exceptions import StoreError
from .._numbers import check_seconds
from .._store import Claim, Commit, Row, Seal, Store, StoredRun, StoredStatus
from ._change import Change
from ._database import Database, JournalMode, Settings, Synchronous
from ._owners import Owners
from ._rules import check_lease, check_limit, check_sequence
from ._runs import Query, Runs
from ._worker import Session, Worker

__all__ = ["SQLiteStore"]


class SQLiteStore(Store):
    """Keeps runs in an SQLite file.

    ::

        async with SQLiteStore("runs.db") as store:
            await workflow.run(order, store=store, run_id="order-17")

    One thread does all the work; it lives as long as the ``async with`` block. Commits that come in
    while the disk is busy become one transaction. Beside the file lie those of SQLite itself and,
    while the store is open, a directory ``<path>-owners`` with a lock for each process that
    executes runs: on one machine a process that has died is noticed at once.

    Args:
        path: of the file; it is made if it is not there. Not on a network file system.
        seal: how records are sealed: signed with a key, encrypted, how large they may be.
        keep_log: whether to keep a log of each run, for ``history`` and ``workflow.fork``.
        keep: for how many seconds completed runs are kept; ``None``, the default: until they are
            deleted.
        synchronous: ``"FULL"``, the default: what was committed survives a loss of power.
            ``"NORMAL"``: it survives a crash of the process; a loss of power may take the last
            commits, of all runs at once and without harm to the rest.
        journal_mode: ``"WAL"``, the default, or ``"DELETE"`` where a file system has no shared
            memory.
        lease: for how many seconds a claim or a commit keeps a run from other machines, and from
            everybody if its process hangs; 30 by default. ``None`` for as long as it lives.
        busy_timeout: for how many seconds to wait while another process writes; 5 by default.
        clock: tells the wall-clock time, in seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        seal: Seal | None = None,
        keep_log: bool = False,
        keep: float | None = None,
        synchronous: Synchronous = "FULL",
        journal_mode: JournalMode = "WAL",
        lease: float | None = 30.0,
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = _checked_path(path)
        if keep is not None:
            check_seconds("keep=", keep)
        _check_choice("synchronous=", synchronous, get_args(Synchronous))
        _check_choice("journal_mode=", journal_mode, get_args(JournalMode))
        check_lease(lease)
        check_seconds("busy_timeout=", busy_timeout)
        self.seal = seal or Seal()
        self.keep_log = keep_log
        self.lease = lease
        self._keep = keep
        self._clock = clock
        self._settings = Settings(
            path=self._path,
            connect=self._connect,
            synchronous=synchronous,
            journal_mode=journal_mode,
            busy_timeout=busy_timeout,
        )
        self._runs: Runs | None = None
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        """Open the file, and start the thread."""
        if self._worker is not None:
            raise StoreError(f"{self._path}: this store is open already; make another")
        self._worker = Worker(self._path, self._open)
        try:
            await self._worker.start()
        except BaseException:
            self._worker = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what is queued, close the file, and end the thread."""
        worker, self._worker = self._working(), None
        try:
            await worker.stop()
        except StoreError as failure:
            if error is None:
                raise
            error.add_note(f"besides, the store could not be closed: {failure}")

    # ---- executing runs ------------------------------------------------------------------------

    async def create(self, workflow: str, commit: Commit) -> bool:
        """See :meth:`Store.create`."""

        def work(runs: Runs) -> bool:
            return runs.create(workflow, Change([commit]))

        def regret(runs: Runs, created: bool) -> None:
            if created:
                runs.forget(escape_text(commit.run_id), commit.epoch)
                runs.release(escape_text(commit.run_id), commit.epoch)

        return await self._working().take(work, regret)

    async def claim(self, run_id: str) -> Claim | None:
        """See :meth:`Store.claim`."""
        key = escape_text(run_id)

        def regret(runs: Runs, claim: Claim | None) -> None:
            if claim is not None:
                runs.forget(key, claim.run.epoch)
                runs.release(key, claim.run.epoch)

        return await self._working().take(lambda runs: runs.claim(key), regret)

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See :meth:`Store.commit`."""
        check_sequence(commits)
        if commits:
            kept = tuple(commits)
            await self._working().ask(lambda runs: runs.commit(Change(kept)), writes=True)

    async def renew(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.renew`."""
        key = escape_text(run_id)
        await self._working().ask(lambda runs: runs.renew(key, epoch), writes=True)

    async def release(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.release`."""
        key = escape_text(run_id)
        if self._runs is not None:
            self._runs.forget(key, epoch)  # first, so that it counts even if the database fails
        await self._working().ask(lambda runs: runs.release(key, epoch), writes=True)

    # ---- looking after runs --------------------------------------------------------------------

    async def read(self, run_id: str) -> tuple[StoredRun, builtins.list[Row]] | None:
        """See :meth:`Store.read`."""
        key = escape_text(run_id)
        return await self._working().ask(lambda runs: runs.read(key), writes=False)

    async def entries(
        self, run_id: str, *, after: int = 0, limit: int | None = None
    ) -> builtins.list[Row]:
        """See :meth:`Store.entries`."""
        check_limit(limit)
        key = escape_text(run_id)
        return await self._working().ask(lambda runs: runs.entries(key, after, limit), writes=False)

    async def load(self, run_id: str) -> StoredRun | None:
        """See :meth:`Store.load`."""
        key = escape_text(run_id)
        return await self._working().ask(lambda runs: runs.load(key), writes=False)

    async def list(
        self,
        *,
        status: StoredStatus | None = None,
        workflow: str | None = None,
        limit: int | None = None,
    ) -> builtins.list[StoredRun]:
        """See :meth:`Store.list`."""
        check_limit(limit)
        query = Query(status=status, workflow=workflow, limit=limit)
        return await self._working().ask(lambda runs: runs.list(query), writes=False)

    async def delete(self, run_id: str) -> bool:
        """See :meth:`Store.delete`."""
        key = escape_text(run_id)
        return await self._working().ask(lambda runs: runs.delete(key), writes=True)

    async def prune(self, *, older_than: float) -> int:
        """See :meth:`Store.prune`; some at a time, so that commits need not wait for long."""
        check_seconds("older_than=", older_than)
        removed, after = 0, 0
        while True:
            work = partial(Runs.prune, older_than=older_than, after=after)
            count, last = await self._working().ask(work, writes=True)
            removed += count
            if last is None:
                return removed
            after = last

    # ---- opening -------------------------------------------------------------------------------

    def _working(self) -> Worker:
        if self._worker is None:
            raise StoreError(
                f"{self._path}: the store is closed; use it inside `async with store:`"
            )
        return self._worker

    def _connect(self) -> sqlite3.Connection:
        """Open a connection, in the store's thread."""
        return sqlite3.connect(
            self._path, timeout=self._settings.busy_timeout, isolation_level=None
        )

    def _open(self) -> Session:
        database = Database(self._settings)
        owners = Owners(Path(f"{self._path}-owners"))
        self._runs = Runs(database, owners, lease=self.lease, keep=self._keep, clock=self._clock)
        return Session(database, self._runs, owners.leave)


def _checked_path(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"SQLiteStore takes the path of a file, not {path!r}")
    text = os.fspath(path)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if not isinstance(text, str):
        raise TypeError(f"SQLiteStore takes a path that is text, not {text!r}")
    if text in ("", ":memory:"):
        raise ValueError(
            "SQLiteStore keeps runs in a file; for a store in memory use MemoryStore()"
        )
    return os.path.realpath(text)


def _check_choice(what: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{what} takes {' or '.join(map(repr, choices))}, not {value!r}")

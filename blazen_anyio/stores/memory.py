"""A store in memory, for tests: what it keeps lives as long as the objects that hold it.

It keeps the same promises as a store on disk. A handle stands for a process: :meth:`another` is a
second process on the same data, and :meth:`abandon` is the death of one. Everything happens within
one turn of the event loop, so a change is whole without a lock; the turn that each method gives
away comes after its change, as with a store that has to wait for a disk.
"""

from __future__ import annotations

import builtins
import itertools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import attrs
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

from .._exceptions import RunBusyError, RunLostError, StoreError
from .._store import ENDED, Claim, Commit, Row, Seal, Store, StoredRun, StoredStatus
from ._rules import check_lease, check_limit, check_sequence

__all__ = ["MemoryStore"]


@attrs.define
class _Kept:
    """All that is kept of one run."""

    run: StoredRun
    rows: dict[str, Row] = attrs.field(factory=dict[str, Row])
    log: dict[int, bytes] = attrs.field(factory=dict[int, bytes])

    def apply(self, commit: Commit, now: float) -> None:
        """Make a change that has been found to count."""
        if commit.clears:
            self.rows.clear()
        for key, body in commit.puts:
            self.rows[key] = Row(key=key, sequence=commit.sequence, body=bytes(body))
        for key in commit.removes:
            self.rows.pop(key, None)
        if commit.entry is not None:
            self.log[commit.sequence] = bytes(commit.entry)
        run = attrs.evolve(self.run, sequence=commit.sequence, updated=now, head=bytes(commit.head))
        if commit.status is not None:
            run = attrs.evolve(run, status=commit.status, note=commit.note)
            if commit.status != "running":
                run = attrs.evolve(run, owner=None, expires=None)
        self.run = run


@attrs.define
class _Data:
    """What the handles on the same data share."""

    runs: dict[str, _Kept] = attrs.field(factory=dict[str, _Kept])
    alive: set[str] = attrs.field(factory=set[str])
    processes: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))


class MemoryStore(Store):
    """Keeps runs in memory, for as long as the object lives; for tests.

    The data outlives the ``async with`` block: enter it again, and the runs are there, as after a
    restart.

    Args:
        seal: how records are sealed.
        keep_log: whether to keep a log of each run.
        lease: for how many seconds a claim or a commit keeps a run; ``None``, the default: for as
            long as the handle is open.
        clock: tells the wall-clock time, in seconds.
    """

    def __init__(
        self,
        *,
        seal: Seal | None = None,
        keep_log: bool = False,
        lease: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_lease(lease)
        self.seal = seal or Seal()
        self.keep_log = keep_log
        self.lease = lease
        self._clock = clock
        self._data = _Data()
        self._owner: str | None = None

    async def __aenter__(self) -> Self:
        """Open the store."""
        if self._owner is not None:
            raise StoreError("this store is open already; use another() for a second process")
        self._begin_process()
        await checkpoint()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store; runs that it still executes are anybody's."""
        self._end_process()
        await cancel_shielded_checkpoint()

    def another(self) -> MemoryStore:
        """Make a second handle on the same data: to the runs it is another process."""
        handle = MemoryStore(
            seal=self.seal, keep_log=self.keep_log, lease=self.lease, clock=self._clock
        )
        handle._data = self._data
        return handle

    def abandon(self) -> None:
        """Act as if the process had died, and another had opened the store at once.

        Whatever this handle executes has lost its owner: commits fail with ``RunLostError`` once
        the run has been claimed again, which anybody may do now, and giving it back does nothing.
        """
        self._end_process()
        self._begin_process()

    # ---- executing runs ------------------------------------------------------------------------

    async def create(self, workflow: str, commit: Commit) -> bool:
        """See :meth:`Store.create`."""
        owner, now = self._process(), self._clock()
        created = commit.run_id not in self._data.runs
        if created:
            kept = _Kept(
                StoredRun(
                    run_id=commit.run_id,
                    workflow=workflow,
                    status="running",
                    sequence=0,
                    epoch=commit.epoch,
                    owner=owner,
                    expires=self._expiry(now),
                    created=now,
                    updated=now,
                )
            )
            kept.apply(commit, now)
            self._data.runs[commit.run_id] = kept
        await cancel_shielded_checkpoint()
        return created

    async def claim(self, run_id: str) -> Claim | None:
        """See :meth:`Store.claim`."""
        owner = self._process()
        kept = self._data.runs.get(run_id)
        claim = None if kept is None else self._claim(kept, owner)
        await cancel_shielded_checkpoint()
        return claim

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See :meth:`Store.commit`."""
        check_sequence(commits)
        if commits:
            kept = self._own(commits[0].run_id, commits[0].epoch)
            if kept.run.sequence != commits[0].sequence - 1:
                raise RunLostError(commits[0].run_id)
            now = self._clock()
            self._renew(kept, now)
            for commit in commits:
                kept.apply(commit, now)
        await cancel_shielded_checkpoint()

    async def renew(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.renew`."""
        self._renew(self._own(run_id, epoch), self._clock())
        await cancel_shielded_checkpoint()

    async def release(self, run_id: str, epoch: int) -> None:
        """See :meth:`Store.release`."""
        owner = self._process()
        kept = self._data.runs.get(run_id)
        if kept is not None and (kept.run.owner, kept.run.epoch) == (owner, epoch):
            kept.run = attrs.evolve(kept.run, owner=None, expires=None)
        await cancel_shielded_checkpoint()

    # ---- looking after runs --------------------------------------------------------------------

    async def read(self, run_id: str) -> tuple[StoredRun, builtins.list[Row]] | None:
        """See :meth:`Store.read`."""
        await self._turn()
        kept = self._data.runs.get(run_id)
        return None if kept is None else (kept.run, [*kept.rows.values()])

    async def entries(
        self, run_id: str, *, after: int = 0, limit: int | None = None
    ) -> builtins.list[Row]:
        """See :meth:`Store.entries`."""
        check_limit(limit)
        await self._turn()
        kept = self._data.runs.get(run_id)
        log = {} if kept is None else kept.log
        found = [
            Row(key="log", sequence=sequence, body=entry)
            for sequence, entry in sorted(log.items())
            if sequence > after
        ]
        return found[:limit]

    async def load(self, run_id: str) -> StoredRun | None:
        """See :meth:`Store.load`."""
        await self._turn()
        kept = self._data.runs.get(run_id)
        return None if kept is None else kept.run

    async def list(
        self,
        *,
        status: StoredStatus | None = None,
        workflow: str | None = None,
        limit: int | None = None,
    ) -> builtins.list[StoredRun]:
        """See :meth:`Store.list`."""
        check_limit(limit)
        await self._turn()
        found = [
            kept.run
            for kept in reversed(self._data.runs.values())
            if status in (None, kept.run.status) and workflow in (None, kept.run.workflow)
        ]
        found.sort(key=lambda run: run.updated, reverse=True)
        return found[:limit]

    async def delete(self, run_id: str) -> bool:
        """See :meth:`Store.delete`."""
        self._process()
        kept = self._data.runs.get(run_id)
        if kept is not None:
            self._check_free(kept.run)
            del self._data.runs[run_id]
        await cancel_shielded_checkpoint()
        return kept is not None

    async def prune(self, *, older_than: float) -> int:
        """See :meth:`Store.prune`."""
        self._process()
        limit = self._clock() - older_than
        gone = [
            run_id
            for run_id, kept in self._data.runs.items()
            if kept.run.status in ENDED and kept.run.updated <= limit and not self._busy(kept.run)
        ]
        for run_id in gone:
            del self._data.runs[run_id]
        await cancel_shielded_checkpoint()
        return len(gone)

    # ---- owners --------------------------------------------------------------------------------

    def _begin_process(self) -> None:
        self._owner = f"process {next(self._data.processes)}"
        self._data.alive.add(self._owner)

    def _end_process(self) -> None:
        self._data.alive.discard(self._process())
        self._owner = None

    def _process(self) -> str:
        if self._owner is None:
            raise StoreError("this store is closed; use it inside `async with store:`")
        return self._owner

    async def _turn(self) -> None:
        self._process()
        await checkpoint()
        self._process()

    def _expiry(self, now: float) -> float | None:
        return None if self.lease is None else now + self.lease

    def _renew(self, kept: _Kept, now: float) -> None:
        if kept.run.owner is not None:
            kept.run = attrs.evolve(kept.run, expires=self._expiry(now))

    def _own(self, run_id: str, epoch: int) -> _Kept:
        """The run, if nobody has taken it over since this handle claimed it."""
        owner = self._process()
        kept = self._data.runs.get(run_id)
        if kept is None or kept.run.epoch != epoch or kept.run.owner not in (owner, None):
            raise RunLostError(run_id)
        return kept

    def _claim(self, kept: _Kept, owner: str) -> Claim:
        run = kept.run
        if run.status == "completed":
            return Claim(run=run)
        self._check_free(run)
        kept.run = attrs.evolve(
            run, epoch=run.epoch + 1, owner=owner, expires=self._expiry(self._clock())
        )
        return Claim(run=kept.run, abandoned=run.owner is not None)

    def _check_free(self, run: StoredRun) -> None:
        if run.owner is not None and self._busy(run):
            raise RunBusyError(run.run_id, run.owner)

    def _busy(self, run: StoredRun) -> bool:
        """Whether somebody who lives executes the run."""
        expired = run.expires is not None and run.expires <= self._clock()
        return run.owner in self._data.alive and not expired

"""The scribe: has what a stored run commits made durable, in order, and reports it to the machines.

One scribe serves the outermost run and all its child runs. What a machine commits is written down
as rows at once, before anything can change it, and queued; the queue is handed to the store, all
that has come together at a time and one batch after the other: by the scribe's own task, or by a
lane that has nothing else to do. With durability ``"sync"`` the machine's gate holds the
effects of a commit back until then; with ``"async"`` they are not waited for before the end.

What comes in large numbers, the items of a fan-out, is written down by whoever stores it, a few at
a time, so that the event loop is not held meanwhile; what is committed after it waits for its turn,
and is written down then, as it was checked before. How is the business of ``_drafting``.

Whoever stores is shielded: what was committed is stored even if the run is being cancelled. If the
store fails, the run fails with its error and nothing more is stored; what was stored can be
resumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import cancel_shielded_checkpoint

from .._exceptions import RunLostError, StateValueError, StoreError
from .._machine import Delta, RawFact
from .._snapshot import Saving
from .._store import Commit, HistoryFact, Store
from ._book import Book, Change
from ._drafting import Drafting
from ._failures import is_fatal
from ._groups import leave_group
from ._lease import Lease
from ._shelf import Shelf

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ._options import Durability
    from ._runner import Runner

__all__ = ["Scribe"]

_MOST_QUEUED = 1000
"""How many commits may be queued, behind those that are being stored, before dispatch waits."""


@attrs.frozen(eq=False, repr=False)
class _Committed:
    """What a machine has committed and nobody has written down.

    Attributes:
        runner: whose commit it is.
        delta: what it changes.
        saving: with what was written in advance of its events, which may be changed by now.
        facts: what had happened until then.
    """

    runner: Runner
    delta: Delta
    saving: Saving
    facts: list[HistoryFact]


@attrs.frozen(eq=False, repr=False)
class _Written:
    """A commit in the queue: whose it is, and the machine's own number of it; 0 for none."""

    commit: Commit
    runner: Runner | None
    sequence: int


@attrs.frozen(eq=False, repr=False)
class _Large:
    """A change with many rows that are still to be written down, part by part."""

    committed: _Committed
    change: Change
    parts: Iterator[None]


class Scribe:
    """Keeps the store up to date with one run and its child runs.

    Args:
        store: where.
        book: what the store holds of the run.
        durability: see :data:`Durability`.
        abandoned: the process that executed the run before has died.
        rewrites: what the store holds is to be replaced by the run as it was restored.

    Attributes:
        drafting: makes changes of the store of what the machines commit.
        gated: whether the machines wait for their commits.
        abandoned, rewrites: see above.
        root: the outermost run.
    """

    def __init__(
        self,
        store: Store,
        book: Book,
        durability: Durability,
        *,
        abandoned: bool = False,
        rewrites: bool = False,
    ) -> None:
        self._store = store
        self._book = book
        self.drafting = Drafting(book, hides=store.seal.cipher is not None)
        self.gated = durability == "sync"
        self.abandoned = abandoned
        self.rewrites = rewrites
        self.root: Runner | None = None
        self._committed: deque[_Committed] = deque()
        self._large: _Large | None = None
        self._queue: deque[_Written] = deque()
        self._facts: list[HistoryFact] = []
        self._taken = 0
        self._stored = 0
        self._completed_by = 0
        self._error: StoreError | None = None
        self._closing = False
        self._stirred = anyio.Event()
        self._writing = False
        self._flushing: list[anyio.Event] = []
        self._deferring = False
        self._group: TaskGroup | None = None
        self._lease = Lease(store, book)

    @property
    def shelf(self) -> Shelf:
        """Where the rows of the outermost run are."""
        return self._book.shelf

    # ---- writing down --------------------------------------------------------------------------

    def take(self, runner: Runner) -> None:
        """Write down what a machine has committed, and queue it."""
        deltas, saving = runner.machine.deltas, self.drafting.saving(runner)
        while deltas:
            self._taken += 1
            delta = deltas.popleft()
            if delta.stop is not None and runner.parent is None:
                self._completed_by = self._taken
            facts = self._facts_of(runner, delta)
            self._committed.append(_Committed(runner, delta, saving, facts))
        self._write_down()
        self.drafting.forget_checked(runner, is_needed=self._large is not None)

    def _facts_of(self, runner: Runner, delta: Delta) -> list[HistoryFact]:
        """Take what is told with a commit: what had happened, and what it makes true."""
        if self.keeps_log:
            for fact in delta.facts:
                self.note(runner, fact)
        return self._take_facts()

    def _take_facts(self) -> list[HistoryFact]:
        facts, self._facts = self._facts, []
        return facts

    def _write_down(self) -> None:
        """Write down what was committed, in order, as far as it takes no time."""
        while self._committed and self._large is None:
            committed = self._committed.popleft()
            if self._error is not None:
                continue
            try:
                self._write_down_one(committed)
            except Exception as error:
                self._fail(error)

    def _write_down_one(self, committed: _Committed) -> None:
        runner, delta, saving = committed.runner, committed.delta, committed.saving
        change = self.drafting.change(runner, delta, saving)
        if delta.items and delta.stop is None:
            parts = self.drafting.add_items(runner, delta, change, saving)
            self._large = _Large(committed, change, parts)
            self.stir()
        else:
            self._put(change, runner, delta.sequence, committed.facts)

    async def _write_down_large(self, large: _Large) -> None:
        """Write down many rows, and what was committed meanwhile."""
        for _ in large.parts:
            await cancel_shielded_checkpoint()
            if self._large is not large:
                return  # the store has failed meanwhile
        committed, self._large = large.committed, None
        self._put(large.change, committed.runner, committed.delta.sequence, committed.facts)
        self._write_down()

    @property
    def congested(self) -> bool:
        """Whether the store is so far behind that nothing more is to be begun meanwhile."""
        return len(self._queue) + len(self._committed) >= _MOST_QUEUED

    def _put(
        self, change: Change, runner: Runner | None, sequence: int, facts: list[HistoryFact]
    ) -> None:
        assert self.root is not None, "nothing is stored before there is a runner"
        commit = self._book.write(change, facts, self.root.options.wall())
        self._queue.append(_Written(commit, runner, sequence))
        if not self._deferring:
            self._stirred.set()

    def _put_own(self, change: Change) -> None:
        """Queue what no machine has committed."""
        self._taken += 1
        self._put(change, None, 0, self._take_facts())

    def adopt(self, runner: Runner) -> None:
        """Write down a run that is not in the store as it is: from a snapshot, or renamed.

        Its child runs are written down as they are, whole, and row by row when they go on.
        """
        change = self.drafting.whole(runner)
        self._put_own(change)

    # ---- facts ---------------------------------------------------------------------------------

    @property
    def keeps_log(self) -> bool:
        """Whether facts are wanted."""
        return self._store.keep_log

    def note(self, runner: Runner, fact: RawFact) -> None:
        """Note a fact for the next entry of the log."""
        kind, when, step, event_type, attempt, duration, error, invocation, cause = fact
        wall, path = when + self.drafting.saving(runner).offset, runner.path
        self._facts.append(
            HistoryFact(
                kind, wall, step, event_type, attempt, duration, error, path, invocation, cause
            )
        )

    # ---- the store -----------------------------------------------------------------------------

    async def create(self, runner: Runner) -> bool:
        """Begin the run in the store with all that it has committed; false if it is there.

        Raises:
            StoreError: the store failed.
        """
        self.take(runner)
        if self._error is not None:
            raise self._error
        first, *_ = self._queue
        if not await self._store.create(runner.machine.plan.name, first.commit):
            return False
        self._queue.popleft()
        self._stored += 1
        self._report([first])
        return True

    async def __aenter__(self) -> Scribe:
        """Begin to store what is queued."""
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work, name="scribe")
        if self._store.lease is not None:
            self._group.start_soon(self._lease.keep, self._store.lease, self._fail, name="lease")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Store what is left, and how the run has ended; then give the run back."""
        assert self._group is not None
        error = exc_info[1]
        assert error is None or isinstance(error, BaseException)
        assert self.root is not None
        self.take(self.root)
        self._closing = True
        self._stirred.set()
        await leave_group(self._group, error)

    async def flush(self) -> None:
        """Wait until everything committed so far is durable.

        Raises:
            StoreError: it could not be stored.
        """
        wanted = self._taken
        self.stir()
        while self._stored < wanted and self._error is None:
            progress = anyio.Event()
            self._flushing.append(progress)
            await progress.wait()
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        # Shielded: what is queued has been committed. It ends with the run.
        with anyio.CancelScope(shield=True):
            try:
                await self._store_all()
                # Only now is everything told that the log is to hold.
                self._end()
                await self._store_all()
            except GeneratorExit:  # pragma: no cover
                raise  # the event loop is gone; nothing may be awaited any more
            except BaseException as error:
                # A cancellation too: nobody cancels this but a store that does so itself.
                self._fail(error)
            self._lease.end()
            await self.give_back()

    async def _store_all(self) -> None:
        """Store what comes, until the run has ended and nothing is left."""
        while self._error is None and (self._has_some or self._writing or not self._closing):
            if self._has_some and not self._writing:
                await self._store_some(None)
            else:
                self._stirred = anyio.Event()
                await self._stirred.wait()

    async def _store_some(self, before_report: Callable[[], object] | None) -> None:
        self._writing = True
        try:
            while self._large is not None:
                await self._write_down_large(self._large)
            was_congested = self.congested
            batch = list(self._queue)
            self._queue.clear()
            if batch:  # else the store has failed meanwhile
                await self._store.commit([written.commit for written in batch])
                self._lease.was_renewed()
        finally:
            self._writing = False
        self._stored += len(batch)
        if before_report is not None:
            before_report()
        self._report(batch)
        if was_congested:
            assert self.root is not None, "nothing is stored before there is a runner"
            self.root.room_again()

    @property
    def _has_some(self) -> bool:
        """Whether there is something to store."""
        return bool(self._queue) or self._large is not None

    @property
    def may_write(self) -> bool:
        """Whether a lane with nothing else to do may store what is queued."""
        return self._has_some and not self._writing and self._error is None

    async def write(self, before_report: Callable[[], object]) -> None:
        """Store what is queued, in a lane: that saves two changes of tasks for every step.

        Args:
            before_report: called when it is stored, before the machines are told.
        """
        try:
            with anyio.CancelScope(shield=True):
                await self._store_some(before_report)
        except GeneratorExit:  # pragma: no cover
            raise  # the event loop is gone; nothing may be awaited any more
        except BaseException as error:
            self._fail(error)
        if self._has_some or self._closing:
            self._stirred.set()

    def report(self, runner: Runner) -> None:
        """A lane has told the machine how an attempt ended, and sees itself to storing that.

        So nobody else is woken for it.
        """
        self._deferring = True
        try:
            runner.after_input()
        finally:
            self._deferring = False

    def stir(self) -> None:
        """See to it that what is queued is stored, by whoever may."""
        if self._has_some:
            self._stirred.set()

    def _report(self, batch: list[_Written]) -> None:
        """Tell the machines which of their commits are durable, and those who wait for it."""
        self._wake_flushing()
        last = {each.runner: each.sequence for each in batch if each.runner is not None}
        if self.gated:
            for runner, sequence in last.items():
                runner.machine.committed(sequence, runner.clock())
            for runner in last:
                runner.after_input()

    def _wake_flushing(self) -> None:
        flushing, self._flushing = self._flushing, []
        for progress in flushing:
            progress.set()

    def _fail(self, error: BaseException) -> None:
        """The store has failed: nothing more can be stored, and the run fails."""
        runner = self.root
        assert runner is not None, "nothing is stored before there is a runner"
        fatal = is_fatal(error)
        if self._error is None:  # the first says why; what follows from it must not hide that
            self._error = _as_store_error(error)
        self._queue.clear()
        self._committed.clear()
        self._large = None
        self._lease.end()
        self._wake_flushing()
        self._stirred.set()
        runner.machine.fail(
            error if fatal else self._error, runner.clock(), overrule=fatal or self._overrules()
        )
        runner.after_input()

    def _overrules(self) -> bool:
        """Whether the run must not end as it has, because that is not in the store.

        A run that does not wait for its commits may have completed with a result that is not.
        """
        assert self.root is not None
        outcome = self.root.machine.outcome
        if outcome is None or outcome.kind in ("failed", "cancelled"):
            return False
        return outcome.kind == "suspended" or self._stored < self._completed_by

    async def give_back(self) -> None:
        """Let others execute the run, unless it is somebody else's already."""
        if isinstance(self._error, RunLostError):
            return
        try:
            await self._store.release(self._book.run_id, self._book.epoch)
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if self._error is None and self.root is not None:
                self.root.log("the store could not give the run back", error)

    def _end(self) -> None:
        """Queue how the run has ended, if it is not to be taken up again by itself."""
        runner = self.root
        assert runner is not None
        if self._error is not None:
            return
        outcome, change = runner.machine.outcome, Change(self._book.shelf)
        if outcome is not None and not self._book.completed:
            self.drafting.end(runner, outcome, change)
            self._book.run["active"] = runner.machine.active_time(runner.clock())
        if change.status is not None or self._facts:
            self._put_own(change)


def _as_store_error(error: BaseException) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, StateValueError):
        wrapped = StoreError(f"what the run has committed can't be stored: {error}")
    else:
        wrapped = StoreError(f"the store failed with {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped

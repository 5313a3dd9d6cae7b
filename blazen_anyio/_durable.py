"""Stored runs: begun, taken up, forked and checked.

The rule: what does not fit is found before anything changes in the store. A run that is to go on is
read and tried first, claimed then, and read again, since another process may have moved it on in
between; a claim that comes to nothing is given back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import attrs

from ._events import Event
from ._exceptions import (
    RunCancelledError,
    RunEndedError,
    SnapshotError,
    StoreError,
    WorkflowError,
)
from ._launch import Changes, Given, Launcher, Migration, check_names
from ._machine import Machine
from ._run import Durability, Runner, outcome_of
from ._run._book import Book
from ._run._scribe import Scribe
from ._snapshot import Snapshot
from ._store import (
    RESULT,
    UNFINISHED,
    Claim,
    Head,
    LogEntry,
    Row,
    Store,
    StoredRun,
    content_of,
    open_rows,
    replay,
)

__all__ = ["StoredMisfit", "StoredRuns"]


@attrs.frozen(eq=False, repr=False)
class StoredMisfit:
    """A stored run that would not resume.

    Attributes:
        run: the run.
        error: why.
    """

    run: StoredRun
    error: WorkflowError


class _Stored:
    """A run as a store holds it, unsealed and checked."""

    def __init__(self, run: StoredRun, rows: Sequence[Row], store: Store) -> None:
        self.run = run
        self.rows = rows
        self.head, self.texts = open_rows(store.seal, run, list(rows))
        completed = run.status == "completed"
        if completed != (RESULT in self.texts) or completed == bool(self.head.run):
            raise StoreError(
                f"run {run.run_id!r}: its records are not those of a run that is {run.status}"
            )

    def snapshot(self, changes: Changes) -> Snapshot:
        """What it goes on from.

        Raises:
            SnapshotError: its rows do not agree with each other.
        """
        return _snapshot(self.run.run_id, self.head.run, self.texts, changes.migrate)


def _snapshot(
    run_id: str, run: dict[str, Any], rows: Mapping[str, str], migrate: Migration | None
) -> Snapshot:
    content = content_of(run_id, run, rows)
    return Snapshot.from_data(content if migrate is None else migrate(content))


class StoredRuns:
    """Begins, takes up, steers and looks through the stored runs of one workflow.

    Args:
        launcher: makes the runners of the workflow's runs.
        store: where the runs are.
        durability: of the runs that are executed.
        changes: how stored runs are brought to the code of today.

    Raises:
        TypeError: ``store`` is none.
    """

    def __init__(
        self,
        launcher: Launcher,
        store: Store,
        durability: Durability = "sync",
        changes: Changes | None = None,
    ) -> None:
        if not isinstance(store, Store):
            raise TypeError(f"store= takes a Store, as blazen_anyio.stores has them, not {store!r}")
        self._launcher = launcher
        self._store = store
        self._durability: Durability = durability
        self._changes = changes or Changes()

    # ---- beginning -----------------------------------------------------------------------------

    async def begin(self, run_id: str, event: Event, given: Given) -> Runner:
        """Begin a run; or, if it is there, give its result or go on with it.

        Raises:
            RunBusyError: somebody executes it.
            RunCancelledError: it was cancelled.
            StoreError: the store failed.
            DefinitionError: the names of the workflow's events do not last.
        """
        check_names(self._launcher.graph)
        scribe = Scribe(self._store, self._new_book(run_id), self._durability)
        runner = self._launcher.begin(run_id, event, attrs.evolve(given, scribe=scribe))
        if await scribe.create(runner):
            return runner
        run = await self._store.load(run_id)
        if run is not None and run.status == "cancelled":
            raise RunCancelledError(f"run {run_id!r} was cancelled")
        return await self.take_up(run_id, given)

    async def adopt(self, snapshot: Snapshot, given: Given) -> Runner:
        """Begin a run with what a snapshot holds.

        Raises:
            SnapshotError: it does not fit the workflow.
            StoreError: the store has a run of this id, or failed.
        """
        check_names(self._launcher.graph)
        book = self._new_book(snapshot.run_id)
        scribe = Scribe(self._store, book, self._durability, rewrites=True)
        runner = self._resume(snapshot, given, scribe)
        if not await scribe.create(runner):
            raise StoreError(
                f"run {snapshot.run_id!r} is in the store already; take it up with resume_from"
            )
        return runner

    async def fork(self, run_id: str, at: int, new_id: str, given: Given) -> Runner:
        """Begin a run with what another was after one of its commits.

        Raises:
            StoreError: there is no log, or nothing to go on from.
            SnapshotError: what it was does not fit the workflow.
        """
        seal = self._store.seal.for_run(run_id)
        rows = [row for row in await self._store.entries(run_id) if row.sequence <= at]
        if [row.sequence for row in rows] != list(range(1, at + 1)):
            raise StoreError(
                f"run {run_id!r} has no log up to commit {at}; it is kept by a store made with "
                "keep_log=True, and store.history(run_id) shows it"
            )
        head, texts = replay(
            LogEntry.read(seal.open("log", row.sequence, row.body)) for row in rows
        )
        run = Head.read(head).run
        if not run:
            raise StoreError(f"run {run_id!r} had completed by commit {at}; fork an earlier one")
        return await self.adopt(_snapshot(new_id, run, texts, self._changes.migrate), given)

    def _new_book(self, run_id: str) -> Book:
        return Book(run_id, self._store.seal.for_run(run_id), keep_log=self._store.keep_log)

    def _resume(self, snapshot: Snapshot, given: Given, scribe: Scribe) -> Runner:
        return self._launcher.resume(snapshot, self._changes, attrs.evolve(given, scribe=scribe))

    # ---- taking up -----------------------------------------------------------------------------

    async def take_up(self, run_id: str, given: Given) -> Runner:
        """Go on with a run that nobody executes; or give the result of one that has completed.

        Raises:
            RunBusyError: somebody executes it.
            RunEndedError: it has come to an end meanwhile, and was to be taken up only if not.
            SnapshotError: it does not fit the workflow; nothing has changed in the store.
            StoreError: there is none, it was altered, or the store failed.
        """
        check_names(self._launcher.graph)
        stored = await self._read(run_id)
        if stored.run.status != "completed":
            self._check_fit(stored)
            claim = await self._store.claim(run_id)
            if claim is None:
                raise _missing(run_id)
            if claim.run.status != "completed":
                try:
                    return await self._claimed(claim, given)
                except BaseException as error:
                    await self._give_back(claim, error)
                    raise
            stored = await self._read(run_id)
        return self._completed(stored, given)

    async def _give_back(self, claim: Claim, why: BaseException) -> None:
        """Give a run back that was claimed in vain; that this fails must not hide why."""
        try:
            with anyio.CancelScope(shield=True):
                await self._store.release(claim.run.run_id, claim.run.epoch)
        except Exception as error:
            why.add_note(f"the run could not be given back: {error!r}")

    async def _claimed(self, claim: Claim, given: Given) -> Runner:
        stored = await self._read(claim.run.run_id)
        book = self._new_book(claim.run.run_id)
        book.open(stored.run, stored.head, stored.rows)
        scribe = Scribe(
            self._store,
            book,
            self._durability,
            abandoned=claim.abandoned,
            rewrites=self._changes.rewrites,
        )
        return self._resume(stored.snapshot(self._changes), given, scribe)

    def _completed(self, stored: _Stored, given: Given) -> Runner:
        launcher, renames, run = self._launcher, self._changes.renames, stored.run
        name = launcher.graph.name
        if renames.get(run.workflow, run.workflow) != name:
            raise SnapshotError(
                f"run {run.run_id!r} is of workflow {run.workflow!r}, not of {name!r}"
            )
        stop = launcher.stop_event(json.loads(stored.texts[RESULT]), renames)
        machine = Machine.completed(launcher.graph.plan, run.run_id, stop)
        return launcher.completed(machine, given)

    async def _read(self, run_id: str) -> _Stored:
        """Read a run that is there, and of a status that is wanted."""
        found = await self._store.read(run_id)
        if found is None:
            raise _missing(run_id)
        if self._changes.only_unfinished and found[0].status not in UNFINISHED:
            raise _ended(found[0])
        return _Stored(*found, self._store)

    # ---- steering from outside -----------------------------------------------------------------

    async def apply(self, run_id: str, act: Callable[[Runner], None]) -> None:
        """Do something to a run that nobody executes, without executing it.

        It is taken up, told, and put down as suspended; a step never begins. If what is done to it
        is refused, nothing has changed in the store but its epoch.

        Raises:
            RunBusyError: somebody executes it.
            RunEndedError: it has ended.
            SnapshotError: it does not fit the workflow.
            StoreError: there is none, it was altered, or the store failed.
        """
        runner = await self.take_up(run_id, Given(executes=False))
        scribe, machine = runner.scribe, runner.machine
        assert scribe is not None, "a run that has not ended is taken up to be stored"
        try:
            if machine.outcome is None:  # what a dead process had begun may have failed it
                act(runner)
            machine.suspend(runner.clock())
        except BaseException:
            with anyio.CancelScope(shield=True):
                await scribe.give_back()
            raise
        async with scribe:
            pass  # it stores what is queued, and gives the run back
        if machine.outcome is not None and machine.outcome.kind == "failed":
            outcome_of(runner)

    # ---- looking through the store -------------------------------------------------------------

    async def unfinished(self) -> list[StoredRun]:
        """The runs of the workflow that have not come to an end, the oldest first."""
        runs: list[StoredRun] = []
        for name in self._names():
            for status in UNFINISHED:
                runs += await self._store.list(workflow=name, status=status)
        # One that went from one status to the other between the two is in both.
        return sorted(
            {run.run_id: run for run in runs}.values(), key=lambda run: (run.created, run.run_id)
        )

    async def misfits(self) -> list[StoredMisfit]:
        """The runs of the workflow that could go on, and would not resume."""
        found: dict[str, StoredMisfit] = {}
        for name in self._names():
            for status in (*UNFINISHED, "failed"):
                for run in await self._store.list(workflow=name, status=status):
                    error = await self._misfit(run)
                    if error is not None:
                        found[run.run_id] = StoredMisfit(run, error)
        return list(found.values())

    async def _misfit(self, run: StoredRun) -> WorkflowError | None:
        """Why a run would not resume; ``None`` if it would, or need not any more."""
        try:
            found = await self._store.read(run.run_id)
            if found is not None and found[0].status != "completed":
                self._check_fit(_Stored(*found, self._store))
        except (SnapshotError, StoreError) as error:
            return error
        except Exception as error:
            if self._changes.migrate is None:
                raise
            refused = SnapshotError(f"migrate= failed on it: {type(error).__qualname__}")
            refused.__cause__ = error
            return refused
        return None

    def _names(self) -> list[str]:
        """The names under which runs of the workflow may be stored."""
        name = self._launcher.graph.name
        return [name, *(old for old, new in self._changes.renames.items() if new == name)]

    def _check_fit(self, stored: _Stored) -> None:
        self._launcher.sheets(stored.snapshot(self._changes), self._changes.renames)


def _missing(run_id: str) -> StoreError:
    return StoreError(f"there is no run {run_id!r} in the store")


def _ended(run: StoredRun) -> RunEndedError:
    hint = "" if run.status == "completed" else "; resume_from goes on with it all the same"
    return RunEndedError(f"run {run.run_id!r} has ended: {run.status}{hint}")

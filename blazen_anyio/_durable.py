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
    DefinitionError,
    RunCancelledError,
    RunEndedError,
    SnapshotError,
    StoreError,
    WorkflowError,
)
from ._launch import Given, Launcher
from ._machine import Machine
from ._run import Book, Durability, Runner, Scribe
from ._snapshot import Snapshot
from ._store import (
    RESULT,
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

__all__ = [
    "Changes",
    "Migration",
    "Source",
    "StoredMisfit",
    "adopt",
    "apply",
    "begin",
    "fork",
    "misfits",
    "take_up",
    "unfinished",
]

Migration = Callable[[dict[str, Any]], dict[str, Any]]


@attrs.frozen(kw_only=True)
class Changes:
    """How a stored run is brought to the code of today.

    Attributes:
        renames: old to new names of steps, event types, classes and workflows.
        migrate: gets the run as plain data and returns it as it should be.
        responses: answers to its open requests, by request id.
    """

    renames: Mapping[str, str] = attrs.field(factory=dict[str, str])
    migrate: Migration | None = None
    responses: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def rewrites(self) -> bool:
        """Whether the rows in the store are other rows from now on."""
        return bool(self.renames) or self.migrate is not None


@attrs.frozen
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


# ---- beginning -----------------------------------------------------------------------------------


async def begin(
    launcher: Launcher,
    store: Store,
    run_id: str,
    event: Event,
    durability: Durability,
    given: Given,
) -> Runner:
    """Begin a run in a store; or, if it is there, give its result or go on with it.

    Raises:
        RunBusyError: somebody executes it.
        RunCancelledError: it was cancelled.
        StoreError: the store failed.
        DefinitionError: the names of the workflow's events do not last.
    """
    check_names(launcher)
    scribe = Scribe(store, _new_book(store, run_id), durability)
    runner = launcher.begin(run_id, event, attrs.evolve(given, scribe=scribe))
    if await scribe.create(runner):
        return runner
    run = await store.load(run_id)
    if run is not None and run.status == "cancelled":
        raise RunCancelledError(f"run {run_id!r} was cancelled")
    return await take_up(launcher, store, run_id, durability, given, Changes())


async def adopt(
    launcher: Launcher,
    store: Store,
    snapshot: Snapshot,
    durability: Durability,
    given: Given,
    changes: Changes,
) -> Runner:
    """Begin a stored run with what a snapshot holds.

    Raises:
        SnapshotError: it does not fit the workflow.
        StoreError: the store has a run of this id, or failed.
    """
    check_names(launcher)
    scribe = Scribe(store, _new_book(store, snapshot.run_id), durability, rewrites=True)
    runner = launcher.resume(
        snapshot, changes.responses, changes.renames, attrs.evolve(given, scribe=scribe)
    )
    if not await scribe.create(runner):
        raise StoreError(
            f"run {snapshot.run_id!r} is in the store already; take it up with resume_from"
        )
    return runner


@attrs.frozen
class Source:
    """What a fork begins with: a run as it was after one of its commits."""

    run_id: str
    at: int


async def fork(
    launcher: Launcher,
    store: Store,
    source: Source,
    new_id: str,
    durability: Durability,
    given: Given,
    changes: Changes,
) -> Runner:
    """Begin a stored run with what another was after one of its commits.

    Raises:
        StoreError: there is no log, or nothing to go on from.
        SnapshotError: what it was does not fit the workflow.
    """
    run_id, at = source.run_id, source.at
    seal = store.seal.for_run(run_id)
    rows = [row for row in await store.entries(run_id) if row.sequence <= at]
    if [row.sequence for row in rows] != list(range(1, at + 1)) or at < 1:
        raise StoreError(
            f"run {run_id!r} has no log up to commit {at}; it is kept by a store made with "
            "keep_log=True, and store.history(run_id) shows it"
        )
    head, texts = replay(LogEntry.read(seal.open("log", row.sequence, row.body)) for row in rows)
    run = Head.read(head).run
    if not run:
        raise StoreError(f"run {run_id!r} had completed by commit {at}; fork an earlier one")
    snapshot = _snapshot(new_id, run, texts, changes.migrate)
    return await adopt(launcher, store, snapshot, durability, given, changes)


def check_names(launcher: Launcher) -> None:
    """See to it that the names under which events are stored mean the same in every process.

    Raises:
        DefinitionError: they do not.
    """
    problems = [
        f"{kind.__qualname__} is stored as {kind.event_type!r}, which another process may not "
        f'know; name it: class {kind.__name__}(..., event_type="app.{kind.__name__}")'
        for kind in launcher.graph.events
        if kind.event_type == f"{kind.__module__}.{kind.__qualname__}"
        and (kind.__module__ == "__main__" or "<locals>" in kind.__qualname__)
    ]
    if problems:
        raise DefinitionError(f"workflow {launcher.graph.name!r}", problems)


def _new_book(store: Store, run_id: str) -> Book:
    return Book(run_id, store.seal.for_run(run_id), keep_log=store.keep_log)


# ---- taking up -----------------------------------------------------------------------------------


async def take_up(
    launcher: Launcher,
    store: Store,
    run_id: str,
    durability: Durability,
    given: Given,
    changes: Changes,
) -> Runner:
    """Go on with a stored run that nobody executes; or give the result of one that has completed.

    Raises:
        RunBusyError: somebody executes it.
        SnapshotError: it does not fit the workflow; nothing has changed in the store.
        StoreError: there is none, it was altered, or the store failed.
    """
    check_names(launcher)
    stored = await _read(store, run_id)
    if stored.run.status != "completed":
        _check_fit(launcher, stored, changes)
        claim = await store.claim(run_id)
        if claim is None:
            raise _missing(run_id)
        if claim.run.status != "completed":
            try:
                return await _claimed(launcher, store, claim, durability, given, changes)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await store.release(run_id, claim.run.epoch)
                raise
        stored = await _read(store, run_id)
    return _completed(launcher, stored, given, changes)


async def _claimed(
    launcher: Launcher,
    store: Store,
    claim: Claim,
    durability: Durability,
    given: Given,
    changes: Changes,
) -> Runner:
    stored = await _read(store, claim.run.run_id)
    book = _new_book(store, claim.run.run_id)
    book.open(stored.run, stored.head, stored.rows)
    scribe = Scribe(store, book, durability, abandoned=claim.abandoned, rewrites=changes.rewrites)
    return launcher.resume(
        stored.snapshot(changes),
        changes.responses,
        changes.renames,
        attrs.evolve(given, scribe=scribe),
    )


def _completed(launcher: Launcher, stored: _Stored, given: Given, changes: Changes) -> Runner:
    run, name = stored.run, launcher.graph.name
    if changes.renames.get(run.workflow, run.workflow) != name:
        raise SnapshotError(f"run {run.run_id!r} is of workflow {run.workflow!r}, not of {name!r}")
    stop = launcher.stop_event(json.loads(stored.texts[RESULT]), changes.renames)
    machine = Machine.completed(launcher.graph.plan, run.run_id, stop)
    return launcher.completed(machine, given)


async def _read(store: Store, run_id: str) -> _Stored:
    found = await store.read(run_id)
    if found is None:
        raise _missing(run_id)
    return _Stored(*found, store)


def _missing(run_id: str) -> StoreError:
    return StoreError(f"there is no run {run_id!r} in the store")


# ---- steering from outside -----------------------------------------------------------------------


async def apply(
    launcher: Launcher,
    store: Store,
    run_id: str,
    changes: Changes,
    act: Callable[[Runner], None],
) -> None:
    """Do something to a stored run that nobody executes, without executing it.

    It is taken up, told, and put down as suspended; a step never begins. If what is done to it is
    refused, nothing has changed in the store but its epoch.

    Raises:
        RunBusyError: somebody executes it.
        RunEndedError: it has ended.
        SnapshotError: it does not fit the workflow.
        StoreError: there is none, it was altered, or the store failed.
    """
    stored = await store.load(run_id)
    if stored is not None and stored.status in ("completed", "failed", "cancelled"):
        raise _ended(stored)
    runner = await take_up(launcher, store, run_id, "async", Given(), changes)
    scribe, machine = runner.scribe, runner.machine
    if scribe is None:
        raise RunEndedError(f"run {run_id!r} has ended: completed")
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
    await scribe.flush()
    if machine.outcome is not None and machine.outcome.error is not None:
        raise machine.outcome.error


def _ended(run: StoredRun) -> RunEndedError:
    hint = "" if run.status == "completed" else "; resume_from goes on with it all the same"
    return RunEndedError(f"run {run.run_id!r} has ended: {run.status}{hint}")


# ---- looking through a store ---------------------------------------------------------------------


async def unfinished(launcher: Launcher, store: Store, changes: Changes) -> list[StoredRun]:
    """The stored runs of a workflow that have not come to an end, the oldest first."""
    runs: list[StoredRun] = []
    for name in _names(launcher, changes):
        runs += await store.list(workflow=name)
    ended = ("completed", "failed", "cancelled")
    return sorted(
        (run for run in runs if run.status not in ended), key=lambda run: (run.created, run.run_id)
    )


async def misfits(launcher: Launcher, store: Store, changes: Changes) -> list[StoredMisfit]:
    """The stored runs of a workflow that could go on, and would not resume."""
    found: list[StoredMisfit] = []
    for name in _names(launcher, changes):
        for run in await store.list(workflow=name):
            if run.status in ("completed", "cancelled"):
                continue
            try:
                _check_fit(launcher, await _read(store, run.run_id), changes)
            except (SnapshotError, StoreError) as error:
                found.append(StoredMisfit(run, error))
    return found


def _names(launcher: Launcher, changes: Changes) -> list[str]:
    """The names under which runs of the workflow may be stored."""
    name = launcher.graph.name
    return [name, *(old for old, new in changes.renames.items() if new == name)]


def _check_fit(launcher: Launcher, stored: _Stored, changes: Changes) -> None:
    launcher.tables(stored.snapshot(changes), changes.renames)

"""Stored runs: begun, taken up, forked and checked.

The rule: what does not fit is found before anything changes in the store. A run that is to go on is
read and tried first, claimed then, and read again, since another process may have moved it on in
between; a claim that comes to nothing is given back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

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
from ._launch import Given, Launcher, check_names
from ._machine import Machine
from ._run import Book, Durability, Runner, Scribe, outcome_of
from ._snapshot import Snapshot
from ._store import (
    ENDED,
    RESULT,
    UNFINISHED,
    Claim,
    Head,
    LogEntry,
    Row,
    Store,
    StoredRun,
    StoredStatus,
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
    "check_store",
    "check_storing",
    "fork",
    "misfits",
    "take_up",
    "unfinished",
]

Migration = Callable[[dict[str, Any]], dict[str, Any]]


def _is_mapping(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{attribute.name}= takes a mapping, not {value!r}")


def _is_function(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{attribute.name}= takes a function of the run's data, not {value!r}")


def check_storing(store: Store | None, durability: Durability) -> None:
    """Check what a run is to be stored with, before anything runs.

    Raises:
        TypeError: ``store`` is none.
        ValueError: ``durability`` is none.
    """
    if store is not None:
        check_store(store)
    if durability not in get_args(Durability):
        raise ValueError(f"durability= is 'sync' or 'async', not {durability!r}")


def check_store(store: Store) -> None:
    """Check that there is a store.

    Raises:
        TypeError: there is none.
    """
    if not isinstance(store, Store):
        raise TypeError(f"store= takes a Store, as blazen_anyio.stores has them, not {store!r}")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Changes:
    """How a stored run is brought to the code of today.

    Attributes:
        renames: old to new names of steps, event types, classes and workflows.
        migrate: gets the run as plain data and returns it as it should be.
        responses: answers to its open requests, by request id.
        only: the statuses of runs that are to be taken up at all.
    """

    renames: Mapping[str, str] = attrs.field(factory=dict[str, str], validator=_is_mapping)
    migrate: Migration | None = attrs.field(default=None, validator=_is_function)
    responses: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=_is_mapping)
    only: tuple[StoredStatus, ...] = (*UNFINISHED, *ENDED)

    @property
    def rewrites(self) -> bool:
        """Whether the rows in the store are other rows from now on."""
        return bool(self.renames) or self.migrate is not None


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
    check_names(launcher.graph)
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
    check_names(launcher.graph)
    scribe = Scribe(store, _new_book(store, snapshot.run_id), durability, rewrites=True)
    runner = launcher.resume(
        snapshot, changes.responses, changes.renames, attrs.evolve(given, scribe=scribe)
    )
    if not await scribe.create(runner):
        raise StoreError(
            f"run {snapshot.run_id!r} is in the store already; take it up with resume_from"
        )
    return runner


@attrs.frozen(eq=False, repr=False)
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
    if [row.sequence for row in rows] != list(range(1, at + 1)):
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
        RunEndedError: it has come to an end meanwhile, and was to be taken up only if not.
        SnapshotError: it does not fit the workflow; nothing has changed in the store.
        StoreError: there is none, it was altered, or the store failed.
    """
    check_names(launcher.graph)
    stored = await _read(store, run_id, changes)
    if stored.run.status != "completed":
        _check_fit(launcher, stored, changes)
        claim = await store.claim(run_id)
        if claim is None:
            raise _missing(run_id)
        if claim.run.status != "completed":
            try:
                return await _claimed(launcher, store, claim, durability, given, changes)
            except BaseException as error:
                await _give_back(store, claim, error)
                raise
        stored = await _read(store, run_id, changes)
    return _completed(launcher, stored, given, changes)


async def _give_back(store: Store, claim: Claim, why: BaseException) -> None:
    """Give a run back that was claimed in vain; that this fails must not hide why."""
    try:
        with anyio.CancelScope(shield=True):
            await store.release(claim.run.run_id, claim.run.epoch)
    except Exception as error:
        why.add_note(f"the run could not be given back: {error!r}")


async def _claimed(
    launcher: Launcher,
    store: Store,
    claim: Claim,
    durability: Durability,
    given: Given,
    changes: Changes,
) -> Runner:
    stored = await _read(store, claim.run.run_id, changes)
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


async def _read(store: Store, run_id: str, changes: Changes) -> _Stored:
    """Read a run that is there, and of a status that is wanted."""
    found = await store.read(run_id)
    if found is None:
        raise _missing(run_id)
    if found[0].status not in changes.only:
        raise _ended(found[0])
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
    changes = attrs.evolve(changes, only=UNFINISHED)
    runner = await take_up(launcher, store, run_id, "async", Given(executes=False), changes)
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


def _ended(run: StoredRun) -> RunEndedError:
    hint = "" if run.status == "completed" else "; resume_from goes on with it all the same"
    return RunEndedError(f"run {run.run_id!r} has ended: {run.status}{hint}")


# ---- looking through a store ---------------------------------------------------------------------


async def unfinished(launcher: Launcher, store: Store, changes: Changes) -> list[StoredRun]:
    """The stored runs of a workflow that have not come to an end, the oldest first."""
    runs: list[StoredRun] = []
    for name in _names(launcher, changes):
        for status in UNFINISHED:
            runs += await store.list(workflow=name, status=status)
    # One that went from one status to the other between the two is in both.
    return sorted(
        {run.run_id: run for run in runs}.values(), key=lambda run: (run.created, run.run_id)
    )


async def misfits(launcher: Launcher, store: Store, changes: Changes) -> list[StoredMisfit]:
    """The stored runs of a workflow that could go on, and would not resume."""
    found: dict[str, StoredMisfit] = {}
    for name in _names(launcher, changes):
        for status in (*UNFINISHED, "failed"):
            for run in await store.list(workflow=name, status=status):
                error = await _misfit(launcher, store, run, changes)
                if error is not None:
                    found[run.run_id] = StoredMisfit(run, error)
    return list(found.values())


async def _misfit(
    launcher: Launcher, store: Store, run: StoredRun, changes: Changes
) -> WorkflowError | None:
    """Why a run would not resume; ``None`` if it would, or need not any more."""
    try:
        found = await store.read(run.run_id)
        if found is not None and found[0].status != "completed":
            _check_fit(launcher, _Stored(*found, store), changes)
    except (SnapshotError, StoreError) as error:
        return error
    except Exception as error:
        if changes.migrate is None:
            raise
        refused = SnapshotError(f"migrate= failed on it: {type(error).__qualname__}")
        refused.__cause__ = error
        return refused
    return None


def _names(launcher: Launcher, changes: Changes) -> list[str]:
    """The names under which runs of the workflow may be stored."""
    name = launcher.graph.name
    return [name, *(old for old, new in changes.renames.items() if new == name)]


def _check_fit(launcher: Launcher, stored: _Stored, changes: Changes) -> None:
    launcher.tables(stored.snapshot(changes), changes.renames)

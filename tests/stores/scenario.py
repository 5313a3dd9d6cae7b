"""A small engine for the tests of faults: it works on one run until it is done, whatever fails.

What it commits follows from the sequence alone, so a look at the store tells whether a commit is
there whole, and the notes it takes tell which commits have to be there.
"""

from __future__ import annotations

import attrs

from blazen_anyio import StoreError
from blazen_anyio.stores import Commit, Store, StoredRun

__all__ = ["LAST", "RUN", "Notes", "check", "commit_of", "work"]

RUN = "run-1"
LAST = 8
"""The sequence with which the run completes."""


@attrs.define
class Notes:
    """What a worker knows of the store from its answers.

    Attributes:
        acknowledged: the last sequence that the store has said is durable.
        tried: the last sequence that it was asked to make durable.
        errors: what it has raised.
    """

    acknowledged: int = 0
    tried: int = 0
    errors: list[StoreError] = attrs.field(factory=list[StoreError])


def rows_at(sequence: int) -> dict[str, tuple[int, bytes]]:
    """The rows of the run after that commit: those of the last three, or the result."""
    if sequence == LAST:
        return {"result": (LAST, b"done")}
    return {f"row/{n}": (n, b"%d" % n * 300) for n in range(max(1, sequence - 2), sequence + 1)}


def commit_of(sequence: int, epoch: int) -> Commit:
    """The commit with that sequence."""
    last = sequence == LAST
    row = b"done" if last else b"%d" % sequence * 300
    return Commit(
        run_id=RUN,
        epoch=epoch,
        sequence=sequence,
        head=b"head %d" % sequence * 20,
        puts=(("result" if last else f"row/{sequence}", row),),
        removes=() if last or sequence < 4 else (f"row/{sequence - 3}",),
        clears=last,
        status="completed" if last else None,
        entry=b"entry %d" % sequence,
    )


async def work(store: Store, notes: Notes, *, tries: int = 5) -> bool:
    """Take the run to its end; after an error go on with what is stored.

    Returns:
        Whether it has been completed.
    """
    for _ in range(tries):
        epoch = None
        try:
            notes.tried = max(notes.tried, 1)
            run = await begin(store, notes)
            check_run(run, notes)
            epoch = run.epoch
            for sequence in range(run.sequence + 1, LAST + 1):
                notes.tried = max(notes.tried, sequence)
                await store.commit([commit_of(sequence, epoch)])
                notes.acknowledged = sequence
            await check(store, notes)
        except StoreError as error:
            notes.errors.append(error)
            await give_back(store, epoch, notes)
        else:
            return True
    return False


async def begin(store: Store, notes: Notes) -> StoredRun:
    """Begin the run, or take it over."""
    if await store.create("workflow", commit_of(1, 1)):
        notes.acknowledged = max(notes.acknowledged, 1)
        run = await store.load(RUN)
    else:
        claim = await store.claim(RUN)
        run = None if claim is None else claim.run
    assert run is not None
    return run


async def give_back(store: Store, epoch: int | None, notes: Notes) -> None:
    """Give the run back as the engine does, which may fail, too."""
    for each in range(1, 12) if epoch is None else (epoch,):
        try:
            await store.release(RUN, each)
        except StoreError as error:
            notes.errors.append(error)


def check_run(run: StoredRun, notes: Notes) -> None:
    """No acknowledged commit is missing, and none is there that nobody has asked for."""
    assert notes.acknowledged <= run.sequence <= notes.tried
    assert run.head == b"head %d" % run.sequence * 20


async def check(store: Store, notes: Notes) -> int:
    """The run is as after one of its commits, whole, and none that was acknowledged is missing.

    Returns:
        Its sequence.
    """
    found = await store.read(RUN)
    if found is None:
        assert notes.acknowledged == 0
        return 0
    run, rows = found
    check_run(run, notes)
    assert {row.key: (row.sequence, row.body) for row in rows} == rows_at(run.sequence)
    assert run.status == ("completed" if run.sequence == LAST else "running")
    entries = await store.entries(RUN)
    assert [entry.body for entry in entries] == [
        b"entry %d" % n for n in range(1, run.sequence + 1)
    ]
    return run.sequence

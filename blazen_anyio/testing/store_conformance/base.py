"""What the cases share: stores to work with, a clock to move, and short ways to write changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from ..._store import Claim, Commit, Store, StoredRun

__all__ = ["RUN", "Cases", "ManualClock", "begin", "claimed", "loaded", "rows_of", "write"]

RUN = "run-1"


class ManualClock:
    """A wall clock that moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Cases:
    """The base of all cases: how a store is made.

    Attributes:
        uses_clock: whether the stores go by the clock that they are given.
    """

    pytestmark = pytest.mark.anyio
    uses_clock: bool = True

    def make_store(self, place: Path, clock: Callable[[], float]) -> Store:
        """Make a store; to be overridden."""
        raise TypeError(f"{type(self).__name__} has to say how to make a store: def make_store")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock of the stores of a case."""
        return ManualClock()

    @pytest.fixture
    def make(self, tmp_path: Path, clock: ManualClock) -> Callable[[], Store]:
        """Make further stores on the same data."""
        return lambda: self.make_store(tmp_path, clock)

    @pytest.fixture
    async def store(self, make: Callable[[], Store]) -> AsyncGenerator[Store]:
        """An open store."""
        async with make() as store:
            yield store

    @pytest.fixture
    async def other(self, make: Callable[[], Store], store: Store) -> AsyncGenerator[Store]:
        """A second open store on the same data: to the runs, another process."""
        async with make() as other:
            yield other

    @pytest.fixture
    def leased(self, store: Store) -> float:
        """The seconds of a lease; a store without is spared the case."""
        if store.lease is None or not self.uses_clock:
            pytest.skip("the store has no leases, or no clock to move")
        return store.lease

    @pytest.fixture
    def timed(self) -> None:
        """A store without a clock to move is spared the case."""
        if not self.uses_clock:
            pytest.skip("the store has no clock to move")


def write(sequence: int, *, run_id: str = RUN, epoch: int = 1, **changes: Any) -> Commit:
    """A commit; its head says its sequence unless it is given."""
    changes.setdefault("head", b"head %d" % sequence)
    return Commit(run_id=run_id, epoch=epoch, sequence=sequence, **changes)


async def begin(
    store: Store, run_id: str = RUN, *, workflow: str = "workflow", **changes: Any
) -> None:
    """Begin a run, which must not be there."""
    assert await store.create(workflow, write(1, run_id=run_id, **changes)) is True


async def claimed(store: Store, run_id: str = RUN) -> Claim:
    """Claim a run, which must be there."""
    claim = await store.claim(run_id)
    assert claim is not None
    return claim


async def loaded(store: Store, run_id: str = RUN) -> StoredRun:
    """Load a run, which must be there."""
    run = await store.load(run_id)
    assert run is not None
    return run


async def rows_of(store: Store, run_id: str = RUN) -> dict[str, tuple[int, bytes]]:
    """The rows of a run: sequence and body by key."""
    found = await store.read(run_id)
    assert found is not None
    rows = {row.key: (row.sequence, row.body) for row in found[1]}
    assert len(rows) == len(found[1])
    return rows

"""A fault at every single call with which SQLite reads, writes or syncs, in both journal modes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from blazen_anyio import StoreError

from .hasty import HastyStore
from .scenario import LAST, Notes, check, work

pytest.importorskip("apsw")

from .apsw_connection import ApswStore
from .shim import FAULTS, FaultyFileSystem

pytestmark = [
    pytest.mark.anyio,
    # SQLite goes on after some of the failures, and APSW tells of each.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STRIDE = 1 if os.environ.get("BLAZEN_FAULTS") == "all" else 19


class FaultyStore(ApswStore):
    vfs = "faulty"


@pytest.fixture
def system() -> Iterator[FaultyFileSystem]:
    system = FaultyFileSystem("faulty")
    yield system
    system.unregister()


async def work_with(system: FaultyFileSystem, path: Path, journal_mode: str) -> tuple[Notes, bool]:
    """Work while the file system fails, then while it does not; whether the first was enough."""
    notes, done = Notes(), False
    options = {"journal_mode": journal_mode, "busy_timeout": 0.0}
    system.calls = 0
    try:
        async with FaultyStore(path, **options) as store:  # type: ignore[arg-type]
            done = await work(store, notes)
    except StoreError as error:
        notes.errors.append(error)
    async with HastyStore(path, journal_mode=journal_mode) as store:  # type: ignore[arg-type]
        await check(store, notes)
        assert await work(store, notes)
        assert await check(store, notes) == LAST
    return notes, done


@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
async def test_a_call_that_fails_loses_nothing(
    system: FaultyFileSystem, tmp_path: Path, journal_mode: str, stays: bool, fault: str
) -> None:
    notes, done = await work_with(system, tmp_path / "calm.db", journal_mode)
    assert (done, notes.errors) == (True, [])
    calls, failures = system.calls, 0
    assert calls > 100
    system.stays, system.fault = stays, fault
    for at in range(1 + (calls % STRIDE), calls + 1, STRIDE):
        system.fails_at = at
        notes, done = await work_with(system, tmp_path / f"{at}.db", journal_mode)
        failures += bool(notes.errors)
        assert done or notes.errors
    assert failures > calls / STRIDE / 4

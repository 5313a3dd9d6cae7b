"""Faults of the standard library's sqlite3: the n-th call raises, before or after it is done."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .hasty import HastyStore
from .scenario import LAST, Notes, check, work

pytestmark = pytest.mark.anyio

STRIDE = 1 if os.environ.get("BLAZEN_FAULTS") == "all" else 5

CODES = [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CORRUPT]


class Fault:
    """Decides which call fails, and how."""

    def __init__(self, at: int = 0, *, after: bool = False, stays: bool = False) -> None:
        self.at = at
        self.after = after
        self.stays = stays
        self.calls = 0

    def call(self, method: Any, *arguments: Any) -> Any:
        self.calls += 1
        fails = self.at and (self.calls == self.at or (self.stays and self.calls > self.at))
        if not fails or self.after:
            result = method(*arguments)
            if not fails:
                return result
            if isinstance(result, sqlite3.Cursor):
                result.close()  # a statement under way would keep a lock
        error = sqlite3.OperationalError(f"the {self.calls}th call fails")
        error.sqlite_errorcode = CODES[self.calls % len(CODES)]
        raise error


class FaultyConnection:
    def __init__(self, connection: sqlite3.Connection, fault: Fault) -> None:
        self._connection = connection
        self._fault = fault

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, *arguments: Any) -> Any:
        return self._fault.call(self._connection.execute, *arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self._fault.call(self._connection.executemany, *arguments)

    def close(self) -> None:
        self._connection.close()
        self._fault.call(lambda: None)


class FaultyStore(HastyStore):
    fault: Fault

    def _connect(self) -> Any:
        return FaultyConnection(super()._connect(), self.fault)


async def run_with(fault: Fault, path: Path) -> tuple[Notes, bool]:
    """Work with a fault, then without one; whether the first was enough."""
    notes, done = Notes(), False
    store = FaultyStore(path)
    store.fault = fault
    try:
        async with store:
            done = await work(store, notes)
    except Exception as error:  # opening or closing has failed, and says so
        notes.errors.append(error)  # type: ignore[arg-type]
    async with HastyStore(path) as store:
        await check(store, notes)
        assert await work(store, notes)
        assert await check(store, notes) == LAST
    return notes, done


async def count_calls(path: Path) -> int:
    fault = Fault()
    notes, done = await run_with(fault, path)
    assert (done, notes.errors) == (True, [])
    return fault.calls


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
async def test_one_call_that_fails_loses_nothing(tmp_path: Path, after: bool) -> None:
    """And the same store goes on, unless it could not be opened or closed."""
    calls = await count_calls(tmp_path / "calm.db")
    assert calls > 80
    for at in range(1 + calls % STRIDE, calls + 1, STRIDE):
        notes, done = await run_with(Fault(at, after=after), tmp_path / f"{at}.db")
        assert len(notes.errors) >= 1 or done
        assert done or at < 30, f"after a fault in call {at} the store did not go on"
        for error in notes.errors:
            assert isinstance(error.__cause__, sqlite3.Error)
            assert str(tmp_path) in str(error)


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
async def test_a_database_that_fails_from_some_call_on_loses_nothing(
    tmp_path: Path, after: bool
) -> None:
    calls = await count_calls(tmp_path / "calm.db")
    for at in range(1 + calls % STRIDE, calls + 1, STRIDE):
        fault = Fault(at, after=after, stays=True)
        notes, _ = await run_with(fault, tmp_path / f"{at}.db")
        assert notes.errors

"""The floor of a durable step: one transaction of the standard library's sqlite3 per step.

It is handed to a worker thread and awaited before the next step begins. The rows are those that a
careful programmer needs who wants to take a chain up again: the event that was handled goes, the
next one comes, and the run's row counts. Ten chains share a connection and take turns.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread

from .messages import Hop

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE run (id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
    CREATE TABLE event (
        run INTEGER NOT NULL, number INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
"""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def _commit(connection: sqlite3.Connection, run: int, event: Hop) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM event WHERE run = ? AND number = ?", (run, event.number - 1))
    data = json.dumps({"number": event.number})
    connection.execute("INSERT INTO event VALUES (?, ?, 'Hop', ?)", (run, event.number, data))
    connection.execute("UPDATE run SET sequence = sequence + 1 WHERE id = ?", (run,))
    connection.execute("COMMIT")


async def durable_chain(steps: int) -> int:
    """Run a chain of which each step is committed to an SQLite file."""
    return await _durable(1, steps)


async def durable_runs(steps: int) -> int:
    """Run ten such chains at once; ``steps`` is of all together."""
    return await _durable(10, steps)


async def _durable(runs: int, steps: int) -> int:
    limiter = anyio.CapacityLimiter(1)
    done: list[int] = []

    async def chain(connection: sqlite3.Connection, run: int, share: int) -> None:
        connection.execute("INSERT INTO run VALUES (?, 0)", (run,))
        event = Hop(0)
        for _ in range(share):
            event = Hop(event.number + 1)
            await anyio.to_thread.run_sync(_commit, connection, run, event, limiter=limiter)
        done.append(event.number)

    with TemporaryDirectory() as directory:
        connection = _open(Path(directory) / "raw.db")
        try:
            async with anyio.create_task_group() as tasks:
                for run in range(runs):
                    tasks.start_soon(chain, connection, run, len(range(run, steps, runs)))
        finally:
            connection.close()
    return sum(done)

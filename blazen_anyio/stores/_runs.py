"""The runs in a database: what each method of the store protocol does, in SQL.

Used by the store's thread, within a transaction. A request that is refused has changed nothing, so
that others in the same transaction are not touched by it: all checks come before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from .._codec import escape_text, unescape_text
from .._exceptions import RunBusyError, RunLostError, StoreError
from .._store import ENDED, Claim, Row, StoredRun, StoredStatus
from ._change import Change
from ._database import Database
from ._owners import Owners

__all__ = ["Query", "Runs"]

_COLUMNS = "run_id, workflow, status, sequence, epoch, owner, expires, created, updated, note, head"
_BY_ID = f"SELECT id, {_COLUMNS} FROM runs WHERE run_id = ?"
_ENDED = ", ".join(f"'{status}'" for status in ENDED)
_CHUNK = 500


@attrs.frozen
class _Held:
    """A claim: its epoch, and the row of the run."""

    epoch: int
    id: int


@attrs.frozen(kw_only=True)
class Query:
    """Which runs to list; see :meth:`Store.list`."""

    status: StoredStatus | None
    workflow: str | None
    limit: int | None


class Runs:
    """The runs in a database, as one of their owners sees them.

    Args:
        database: where they are.
        owners: who executes them.
        lease: for how many seconds a claim or a commit keeps a run.
        keep: for how many seconds completed runs are kept; ``None`` until they are deleted.
        clock: tells the wall-clock time.

    Attributes:
        held: the claims of the runs that this store executes. The database may know of more: those
            that could not be given back.
    """

    def __init__(
        self,
        database: Database,
        owners: Owners,
        *,
        lease: float | None,
        keep: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._owners = owners
        self._lease = lease
        self._keep = keep
        self._clock = clock
        self._next_sweep = 0.0
        self._taken: list[tuple[str, int]] = []
        self.held: dict[str, _Held] = {}

    def settle(self, *, durable: bool) -> None:
        """A transaction has ended; what was taken in it is this store's, or it is not."""
        if not durable:
            for run_id, epoch in self._taken:
                self.forget(run_id, epoch)
        self._taken.clear()

    # ---- executing runs ------------------------------------------------------------------------

    def create(self, workflow: str, change: Change) -> bool:
        """Begin a run, if there is none of its id."""
        self._owners.enter()
        database, now = self._database, self._clock()
        found = database.execute("SELECT 1 FROM runs WHERE run_id = ?", (change.run_id,)).fetchone()
        if found is not None:
            return False
        cursor = database.execute(
            f"INSERT INTO runs ({_COLUMNS}) VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, '', ?)",
            (
                change.run_id,
                escape_text(workflow),
                change.after,
                change.epoch,
                self._owners.name,
                self._expiry(now),
                now,
                now,
                change.head,
            ),
        )
        assert cursor.lastrowid is not None, "a row has been inserted"
        self._write_rows(cursor.lastrowid, change)
        self._hold(change.run_id, _Held(change.epoch, cursor.lastrowid))
        return True

    def claim(self, run_id: str) -> Claim | None:
        """Take a run over, unless it has completed or its owner lives."""
        self._owners.enter()
        row = self._database.execute(_BY_ID, (run_id,)).fetchone()
        if row is None:
            return None
        run = _stored_run(row[1:])
        if run.status == "completed":
            return Claim(run=run)
        now = self._clock()
        self._check_free(run, now)
        claimed = attrs.evolve(
            run, epoch=run.epoch + 1, owner=self._owners.name, expires=self._expiry(now)
        )
        self._database.execute(
            "UPDATE runs SET epoch = ?, owner = ?, expires = ? WHERE id = ?",
            (claimed.epoch, claimed.owner, claimed.expires, row[0]),
        )
        self._hold(run_id, _Held(claimed.epoch, row[0]))
        return Claim(run=claimed, abandoned=run.owner is not None)

    def commit(self, change: Change) -> None:
        """Make a change of a run that is this store's."""
        held = self.held.get(change.run_id)
        run = self._own(change.run_id, change.epoch) if held is None else held.id
        now = self._clock()
        if not self._move_on(run, change, now):
            raise self._lost(change.run_id, change.epoch)
        if change.status == "completed":
            self._sweep(now)

    def renew(self, run_id: str, epoch: int) -> None:
        """Renew the lease of a run that is this store's."""
        run = self._own(run_id, epoch)
        self._database.execute(
            "UPDATE runs SET expires = ? WHERE id = ? AND owner IS NOT NULL",
            (self._expiry(self._clock()), run),
        )

    def release(self, run_id: str, epoch: int) -> None:
        """Give a run back, if it is this store's."""
        self._database.execute(
            "UPDATE runs SET owner = NULL, expires = NULL "
            "WHERE run_id = ? AND epoch = ? AND owner = ?",
            (run_id, epoch, self._owners.name),
        )

    # ---- looking after runs --------------------------------------------------------------------

    def read(self, run_id: str) -> tuple[StoredRun, list[Row]] | None:
        """A run and its rows."""
        row = self._database.execute(_BY_ID, (run_id,)).fetchone()
        if row is None:
            return None
        rows = self._database.execute(
            "SELECT key, sequence, body FROM rows WHERE run = ?", (row[0],)
        ).fetchall()
        return _stored_run(row[1:]), [
            Row(key=_text(key), sequence=sequence, body=body) for key, sequence, body in rows
        ]

    def entries(self, run_id: str, after: int, limit: int | None) -> list[Row]:
        """Entries of a run's log."""
        rows = self._database.execute(
            "SELECT sequence, entry FROM log WHERE run = (SELECT id FROM runs WHERE run_id = ?) "
            "AND sequence > ? ORDER BY sequence LIMIT ?",
            (run_id, after, -1 if limit is None else limit),
        ).fetchall()
        return [Row(key="log", sequence=sequence, body=entry) for sequence, entry in rows]

    def load(self, run_id: str) -> StoredRun | None:
        """A run without its rows."""
        row = self._database.execute(_BY_ID, (run_id,)).fetchone()
        return None if row is None else _stored_run(row[1:])

    def list(self, query: Query) -> list[StoredRun]:
        """The runs, the last changed first."""
        conditions, parameters = ["1"], list[Any]()
        if query.status is not None:
            conditions.append("status = ?")
            parameters.append(query.status)
        if query.workflow is not None:
            conditions.append("workflow = ?")
            parameters.append(escape_text(query.workflow))
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(conditions)} "
            "ORDER BY updated DESC, id DESC LIMIT ?",
            (*parameters, -1 if query.limit is None else query.limit),
        ).fetchall()
        return [_stored_run(row) for row in rows]

    def delete(self, run_id: str) -> bool:
        """Remove a run that nobody executes."""
        row = self._database.execute(_BY_ID, (run_id,)).fetchone()
        if row is None:
            return False
        self._check_free(_stored_run(row[1:]), self._clock())
        self._remove([row[0]])
        self.held.pop(run_id, None)
        return True

    def prune(self, older_than: float, after: int) -> tuple[int, int | None]:
        """Remove some of the runs that have ended.

        Args:
            older_than: how many seconds ago they were last changed, at least.
            after: the last id of those that were seen before.

        Returns:
            How many were removed, and the last id that was seen; ``None`` for the end.
        """
        now = self._clock()
        rows = self._database.execute(
            f"SELECT id, owner, expires, run_id, epoch FROM runs WHERE status IN ({_ENDED}) "
            "AND updated <= ? AND id > ? ORDER BY id LIMIT ?",
            (now - older_than, after, _CHUNK),
        ).fetchall()
        gone = [row[0] for row in rows if not self._busy(*row[1:], now=now)]
        self._remove(gone)
        return len(gone), rows[-1][0] if len(rows) == _CHUNK else None

    # ---- parts ---------------------------------------------------------------------------------

    def _move_on(self, run: int, change: Change, now: float) -> bool:
        """Make a change, if the run is as it was when the change was made; whether it is."""
        cursor = self._database.execute(
            "UPDATE runs SET sequence = ?, head = ?, updated = ?, "
            "expires = CASE WHEN owner IS NULL THEN NULL ELSE ? END "
            "WHERE id = ? AND epoch = ? AND sequence = ? AND (owner = ? OR owner IS NULL)",
            (
                change.after,
                change.head,
                now,
                self._expiry(now),
                run,
                change.epoch,
                change.before,
                self._owners.name,
            ),
        )
        if cursor.rowcount != 1:
            return False
        self._write_rows(run, change)
        return True

    def _write_rows(self, run: int, change: Change) -> None:
        database = self._database
        if change.clears:
            database.execute("DELETE FROM rows WHERE run = ?", (run,))
        if change.removes:
            database.execute_many(
                "DELETE FROM rows WHERE run = ? AND key = ?",
                [(run, key) for key in change.removes],
            )
        if change.puts:
            database.execute_many(
                "REPLACE INTO rows (run, key, sequence, body) VALUES (?, ?, ?, ?)",
                [(run, *row) for row in change.puts],
            )
        if change.entries:
            database.execute_many(
                "INSERT INTO log (run, sequence, entry) VALUES (?, ?, ?)",
                [(run, *entry) for entry in change.entries],
            )
        if change.status is not None:
            self._set_status(run, change.status, change.note)

    def _set_status(self, run: int, status: StoredStatus, note: str) -> None:
        # Apart from the rest, for the indexes' sake; with any but "running" the run is given back.
        owner = "" if status == "running" else ", owner = NULL, expires = NULL"
        self._database.execute(
            f"UPDATE runs SET status = ?, note = ?{owner} WHERE id = ?", (status, note, run)
        )

    def _own(self, run_id: str, epoch: int) -> int:
        """The id of a run that nobody has taken over since it was claimed."""
        row: tuple[int] | None = self._database.execute(
            "SELECT id FROM runs WHERE run_id = ? AND epoch = ? AND (owner = ? OR owner IS NULL)",
            (run_id, epoch, self._owners.name),
        ).fetchone()
        if row is None:
            raise self._lost(run_id, epoch)
        return row[0]

    def _lost(self, run_id: str, epoch: int) -> RunLostError:
        self.forget(run_id, epoch)
        return RunLostError(_text(run_id))

    def _hold(self, run_id: str, held: _Held) -> None:
        self.held[run_id] = held
        self._taken.append((run_id, held.epoch))

    def forget(self, run_id: str, epoch: int) -> None:
        """The store executes a run no more, whatever the database says."""
        held = self.held.get(run_id)
        if held is not None and held.epoch == epoch:
            del self.held[run_id]

    def _check_free(self, run: StoredRun, now: float) -> None:
        name = escape_text(run.run_id)
        if run.owner is not None and self._busy(run.owner, run.expires, name, run.epoch, now=now):
            raise RunBusyError(run.run_id, run.owner)

    def _busy(
        self, owner: str | None, expires: float | None, run_id: str, epoch: int, *, now: float
    ) -> bool:
        """Whether somebody who lives executes a run."""
        if owner is None or (expires is not None and expires <= now):
            return False
        if owner == self._owners.name:
            held = self.held.get(run_id)
            return held is not None and held.epoch == epoch
        return self._owners.lives(owner)

    def _expiry(self, now: float) -> float | None:
        return None if self._lease is None else now + self._lease

    def _sweep(self, now: float) -> None:
        """Remove completed runs that have been kept for long enough, some at a time."""
        if self._keep is None or now < self._next_sweep:
            return
        self._next_sweep = now + min(self._keep / 10, 60.0)
        rows = self._database.execute(
            "SELECT id FROM runs WHERE status = 'completed' AND updated <= ? "
            "ORDER BY updated LIMIT ?",
            (now - self._keep, _CHUNK),
        ).fetchall()
        self._remove([row[0] for row in rows])

    def _remove(self, runs: Sequence[int]) -> None:
        parameters = [(run,) for run in runs]
        for statement in (
            "DELETE FROM rows WHERE run = ?",
            "DELETE FROM log WHERE run = ?",
            "DELETE FROM runs WHERE id = ?",
        ):
            self._database.execute_many(statement, parameters)


def _stored_run(columns: tuple[Any, ...]) -> StoredRun:
    (
        run_id, workflow, status, sequence, epoch, owner, expires, created, updated, note, head,
    ) = columns  # fmt: skip
    return StoredRun(
        run_id=_text(run_id),
        workflow=_text(workflow),
        status=status,
        sequence=sequence,
        epoch=epoch,
        owner=owner,
        expires=expires,
        created=created,
        updated=updated,
        note=_text(note),
        head=head,
    )


def _text(column: str) -> str:
    try:
        return unescape_text(column)
    except ValueError as error:
        raise StoreError(f"a text in the database is damaged: {error}") from error

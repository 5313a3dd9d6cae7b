"""One connection to the database file: its schema, its settings, its transactions, its errors.

Whatever SQLite raises leaves here as it is and is explained by :func:`explain` on its way to the
caller. A transaction that was not committed is rolled back; if even that fails, the connection is
closed and a new one is opened for the next.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from typing import Any, Literal

import attrs

from .._exceptions import StoreError

__all__ = ["Database", "JournalMode", "Settings", "Synchronous", "explain"]

Synchronous = Literal["FULL", "NORMAL"]
JournalMode = Literal["WAL", "DELETE"]

APPLICATION_ID = 0x626C7A6E
"""Marks a file as ours."""

SCHEMA_VERSION = 1

_TABLES = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a late commit must not find it
        run_id TEXT NOT NULL UNIQUE,
        workflow TEXT NOT NULL,
        status TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        owner TEXT,
        expires REAL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        note TEXT NOT NULL,
        head BLOB NOT NULL
    )""",
    """
    CREATE TABLE rows (
        run INTEGER NOT NULL,
        key TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (run, key)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE log (
        run INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        entry BLOB NOT NULL,
        PRIMARY KEY (run, sequence)
    ) WITHOUT ROWID""",
)
_INDEXES = (
    "CREATE INDEX runs_by_status ON runs (status, workflow)",
    # Of what has ended only: a run that goes on changes with every commit.
    "CREATE INDEX runs_ended ON runs (status, updated) "
    "WHERE status IN ('completed', 'failed', 'cancelled')",
)


@attrs.frozen(kw_only=True)
class Settings:
    """How to open the database.

    Attributes:
        path: of the file, absolute.
        connect: opens the connection.
        synchronous, journal_mode: SQLite's own.
        busy_timeout: for how many seconds to wait while another connection writes.
    """

    path: str
    connect: Callable[[], sqlite3.Connection]
    synchronous: Synchronous
    journal_mode: JournalMode
    busy_timeout: float


class Database:
    """An open database; used from one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._open()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # ---- statements ----------------------------------------------------------------------------

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Execute a statement within a transaction."""
        assert self._connection is not None, "statements are executed within a transaction"
        return self._connection.execute(statement, parameters)

    def execute_many(self, statement: str, parameters: list[tuple[Any, ...]]) -> None:
        """Execute a statement once for each tuple of parameters."""
        assert self._connection is not None, "statements are executed within a transaction"
        self._connection.executemany(statement, parameters)

    # ---- transactions --------------------------------------------------------------------------

    def begin_writing(self) -> None:
        """Begin a transaction that writes; wait for other connections that do."""
        self._begin("BEGIN IMMEDIATE")

    def begin_reading(self) -> None:
        """Begin a transaction that sees the database as of one moment."""
        self._begin("BEGIN")

    def commit(self) -> None:
        """Make the transaction durable."""
        self.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo the transaction, if there is one."""
        connection = self._connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._discard()

    def _begin(self, statement: str) -> None:
        self._check_file()
        if self._connection is None:
            self._open()
        self.execute(statement)

    def _check_file(self) -> None:
        """Commits to a file that has no name any more would be lost."""
        try:
            found = _identity(self._settings.path)
        except FileNotFoundError:
            found = None
        if found != self._identity:
            raise StoreError(
                f"{self._settings.path} was removed or replaced while it was open; close the "
                "store, put the file back, and open it again"
            )

    def _discard(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.close()

    # ---- opening -------------------------------------------------------------------------------

    def _open(self) -> None:
        self._connection = self._settings.connect()
        try:
            fresh = self._check_schema()
            self._configure()
            if fresh:
                self._create()
            self._identity = _identity(self._settings.path)
        except BaseException:
            self._discard()
            raise

    def _pragma(self, text: str) -> Any:
        row = self.execute(f"PRAGMA {text}").fetchone()
        return None if row is None else row[0]

    def _check_schema(self) -> bool:
        """Find out whose file this is, before anything in it is changed.

        Returns:
            Whether it is empty.
        """
        path, version = self._settings.path, self._pragma("user_version")
        if self._pragma("application_id") == APPLICATION_ID:
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"{path} was written by a newer release: its schema has version {version}, and "
                    f"this release reads up to {SCHEMA_VERSION}; upgrade blazen_anyio"
                )
            return False
        if version or self._pragma("application_id") or self._has_tables():
            raise StoreError(f"{path} is a database of another program; choose another path")
        # SQLite takes a file that is shorter than a page for an empty database.
        if not self._pragma("page_count") and os.path.getsize(path):
            raise StoreError(f"{path} is no SQLite database; choose another path")
        return True

    def _has_tables(self) -> bool:
        return self.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None

    def _configure(self) -> None:
        settings = self._settings
        full = settings.synchronous == "FULL"
        # "FULL" would not wait until the journal's removal, which is the commit, is durable.
        extra = full and settings.journal_mode == "DELETE"
        for pragma in (
            f"synchronous = {'EXTRA' if extra else settings.synchronous}",
            # Where a plain sync leaves data in the drive's own buffer (macOS), ask for more.
            f"fullfsync = {int(full)}",
            "checkpoint_fullfsync = 1",
            "cache_size = -8192",  # kibibytes
            f"journal_size_limit = {16 * 2**20}",
            "temp_store = MEMORY",
            "cell_size_check = 1",
            "trusted_schema = 0",
        ):
            self._pragma(pragma)
        mode = str(self._pragma(f"journal_mode = {settings.journal_mode}")).upper()
        if mode != settings.journal_mode:
            raise StoreError(
                f"{settings.path} can't be used with journal_mode={settings.journal_mode!r}, only "
                f"with {mode!r}: its file system does not allow it"
            )

    def _create(self) -> None:
        self.execute("BEGIN IMMEDIATE")
        if self._check_schema():  # nobody else was quicker
            strict = sqlite3.sqlite_version_info >= (3, 37)
            for table in _TABLES:
                self.execute(_strictly(table) if strict else table)
            for index in _INDEXES:
                self.execute(index)
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self.execute("COMMIT")


def _strictly(table: str) -> str:
    return table + (", STRICT" if table.endswith("WITHOUT ROWID") else " STRICT")


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


_EXPLANATIONS = {
    sqlite3.SQLITE_FULL: "the disk is full, or the file has reached its size limit; make room",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its directory writable",
    sqlite3.SQLITE_PERM: "access is denied; make the file and its directory writable",
    sqlite3.SQLITE_BUSY: "another connection has locked it; find out which program keeps it open, "
    "or raise busy_timeout=",
    sqlite3.SQLITE_LOCKED: "another connection has locked it; find out which program keeps it open",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; see whether its directory exists, and whether "
    "both may be read and written",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database, or is encrypted; choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a copy, or save what can be read with the "
    "command .recover of the sqlite3 shell",
    sqlite3.SQLITE_IOERR: "the operating system failed to read or write it; look after the disk",
}


def explain(error: BaseException, path: str) -> BaseException:
    """Turn what SQLite or the operating system says into what a person can act on.

    Anything else is returned as it is.
    """
    if not isinstance(error, (sqlite3.Error, OSError)):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    why = "" if code is None else _EXPLANATIONS.get(code & 0xFF, "")
    explained = StoreError(
        f"{path}: {f'{why} ' if why else ''}({error}). Nothing has changed; runs can be resumed"
    )
    explained.__cause__ = error
    return explained

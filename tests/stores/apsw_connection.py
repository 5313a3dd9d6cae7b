"""A connection of APSW that passes for one of the standard library's ``sqlite3``.

APSW lets Python code stand between SQLite and its files. It brings an SQLite of its own, so the
stand-in serves only the connections that are made here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import apsw

from blazen_anyio.stores import SQLiteStore

__all__ = ["ApswStore"]


class ApswStore(SQLiteStore):
    """An SQLite store whose file is reached through one of APSW's virtual file systems."""

    vfs: str = ""

    def _connect(self) -> Any:
        return Connection(self._path, self.vfs, self._settings.busy_timeout)


def as_sqlite3(error: apsw.Error) -> sqlite3.Error:
    translated = sqlite3.OperationalError(str(error))
    translated.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
    return translated


class Connection:
    """As much of ``sqlite3.Connection`` as the store uses."""

    def __init__(self, path: str, vfs: str, timeout: float) -> None:
        try:
            self._connection = apsw.Connection(path, vfs=vfs)
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        self._connection.set_busy_timeout(int(timeout * 1000))

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Cursor:
        try:
            return Cursor(self._connection.execute(statement, parameters), self._connection)
        except apsw.Error as error:
            raise as_sqlite3(error) from error

    def executemany(self, statement: str, parameters: Iterable[tuple[Any, ...]]) -> None:
        try:
            self._connection.executemany(statement, parameters)
        except apsw.Error as error:
            raise as_sqlite3(error) from error

    def close(self) -> None:
        try:
            self._connection.close()
        except apsw.Error as error:
            raise as_sqlite3(error) from error


class Cursor:
    """As much of ``sqlite3.Cursor`` as the store uses."""

    def __init__(self, cursor: apsw.Cursor, connection: apsw.Connection) -> None:
        self._cursor = cursor
        self.lastrowid = connection.last_insert_rowid()
        self.rowcount = connection.changes()

    def fetchone(self) -> Any:
        try:
            return self._cursor.fetchone()
        except apsw.Error as error:
            raise as_sqlite3(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return self._cursor.fetchall()
        except apsw.Error as error:
            raise as_sqlite3(error) from error

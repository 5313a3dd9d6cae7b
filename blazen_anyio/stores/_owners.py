"""Who executes runs: a lock file for each open store, held by its process as long as it lives.

An owner's name says on which host it lives. On the same host whether it lives is asked of the
kernel: the lock of a process that has died, however it died, can be taken. Of owners elsewhere only
their leases tell.

The locks are those of ``flock``, which belong to one opening of a file. Record locks would be gone
as soon as anything in this process opened and closed the file.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import sys
import weakref
from collections.abc import Generator
from pathlib import Path

from .._exceptions import StoreError

__all__ = ["Owners"]

_NAME = re.compile(r"(?P<host>[A-Za-z0-9.-]+)-\d+-[0-9a-f]{16}")
_ATTEMPTS = 100

if sys.platform == "win32":  # pragma: no cover  # the tests run elsewhere
    import msvcrt

    def _try_lock(file: int, *, shared: bool = False) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Owners:
    """The owners of the runs in one database, and this store as one of them.

    Args:
        directory: where the lock files are.

    Attributes:
        name: this store's own; it has to :meth:`enter` before it uses it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._host = _host()
        self._file: int | None = None
        self.name = f"{self._host}-{os.getpid()}-{secrets.token_hex(8)}"

    def enter(self) -> None:
        """Take this store's lock, if it has not been taken; remove those of the dead.

        Raises:
            OSError: the file can't be written or locked.
        """
        if self._file is None:
            self._file = self._lock_new()
            _open.add(self)
            for name in os.listdir(self._directory):
                if name != self.name:
                    self.lives(name)

    def leave(self) -> None:
        """Give this store's lock back."""
        if self._file is not None:
            # The name first: who finds no file knows as much as who can lock it.
            with contextlib.suppress(OSError):
                (self._directory / self.name).unlink()
            self.forget()
            with contextlib.suppress(OSError):
                self._directory.rmdir()  # the last one to leave

    def forget(self) -> None:
        """Close the file without a word; in a forked child the lock stays with the parent."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def lives(self, owner: str) -> bool:
        """Whether an owner may be alive; the file of one that is dead is removed."""
        match = _NAME.fullmatch(owner)
        if owner == self.name or match is None or match["host"] != self._host:
            return True
        path = self._directory / owner
        try:
            with _opened(path) as file:
                # Shared: two who look at the same time must not take each other for the owner.
                dead = _try_lock(file, shared=True)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # another user's, say: its lease tells
        if dead:
            with contextlib.suppress(OSError):
                path.unlink()
        return not dead

    def _lock_new(self) -> int:
        path = self._directory / self.name
        for _ in range(_ATTEMPTS):
            self._directory.mkdir(exist_ok=True)
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError:
                continue  # the last one to leave has removed the directory
            # Before it was locked, somebody may have taken it for a dead one's and removed it.
            if _try_lock(file) and _is_at(file, path):
                return file
            os.close(file)
        raise StoreError(f"{path} is removed again and again; nothing else may write there")


_open: weakref.WeakSet[Owners] = weakref.WeakSet()
"""Who holds a lock in this process. A forked child shares the opened files, and the locks would
live on in it."""


def _forget_all() -> None:
    for owners in list(_open):
        owners.forget()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows knows no fork
    os.register_at_fork(after_in_child=_forget_all)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "localhost"


def _is_at(file: int, path: Path) -> bool:
    """Whether the file that was opened is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _opened(path: Path) -> Generator[int]:
    file = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        yield file
    finally:
        os.close(file)

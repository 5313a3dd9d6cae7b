"""Virtual file systems between SQLite and its files: one fails at a call, one knows what is safe.

Every call that reads, writes, syncs, cuts, asks for the size, locks, opens, looks for or deletes a
file counts. Two kinds of calls can't fail: what releases something, and what asks for constants.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import attrs

__all__ = ["FAULTS", "FaultyFileSystem", "RecordingFileSystem"]

CRASH_SIZE = 512
"""Bytes that a disk writes as a whole."""

FAULTS: dict[str, Callable[[], apsw.Error]] = {
    "input/output error": apsw.IOError,
    "disk full": apsw.FullError,
}


class FaultyFileSystem(apsw.VFS):
    """Fails at one call, or from one call on.

    Attributes:
        calls: how many there were.
        fails_at: which one fails, counted from 1; 0 for none.
        stays: whether all that come after it fail, too.
        armed: whether calls count.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.fails_at = 0
        self.stays = False
        self.fault = "input/output error"
        super().__init__(name, "")

    def pass_by(self) -> None:
        """Count a call, or fail."""
        self.calls += 1
        if self.fails_at and (
            self.calls == self.fails_at or (self.stays and self.calls > self.fails_at)
        ):
            raise FAULTS[self.fault]()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FaultyFile:
        self.pass_by()
        return FaultyFile(self, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        self.pass_by()
        super().xDelete(name, sync)

    def xAccess(self, name: str, flags: int) -> bool:
        self.pass_by()
        return super().xAccess(name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(
        self, system: FaultyFileSystem, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self.system = system
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self.system.pass_by()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.system.pass_by()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self.system.pass_by()  # and no more: nobody turns the power off

    def xTruncate(self, size: int) -> None:
        self.system.pass_by()
        super().xTruncate(size)

    def xFileSize(self) -> int:
        self.system.pass_by()
        return super().xFileSize()

    def xLock(self, level: int) -> None:
        self.system.pass_by()
        super().xLock(level)

    def xCheckReservedLock(self) -> bool:
        self.system.pass_by()
        return super().xCheckReservedLock()


@attrs.define
class Content:
    """A file on the disk, whatever its name: what was done to it, and how much of that is safe.

    Attributes:
        notes: what was written where, or ``None`` and the size to which it was cut.
        safe: how many of the notes were synced.
    """

    notes: list[tuple[bytes | None, int]] = attrs.field(factory=list)
    safe: int = 0

    def after_crash(self, chance: random.Random) -> bytearray:
        """What may be left: all that is safe, and any part of the rest, writes torn."""
        data, keep = bytearray(), chance.choice([0.0, 0.5, 1.0])
        for number, (written, offset) in enumerate(self.notes):
            if number < self.safe:
                put(data, written, offset)
            elif chance.random() < keep:
                for start, part in parts(written):
                    if chance.random() < 0.9:
                        put(data, part, offset + start)
        return data


def parts(written: bytes | None) -> Iterator[tuple[int, bytes | None]]:
    """What the disk writes as a whole."""
    if written is None:
        yield 0, None
    else:
        for start in range(0, len(written), CRASH_SIZE):
            yield start, written[start : start + CRASH_SIZE]


def put(data: bytearray, written: bytes | None, offset: int) -> None:
    data.extend(bytes(max(0, offset - len(data))))
    if written is None:
        del data[offset:]
    else:
        data[offset : offset + len(written)] = written


@attrs.define
class Disk:
    """The files as the operating system sees them, and what of that a loss of power would leave.

    Attributes:
        names: the files of the directory.
        safe_names: those at the last sync of the directory. SQLite syncs it with the first sync of
            a journal that it has made, and when it deletes one for good.
    """

    names: dict[str, Content] = attrs.field(factory=dict[str, Content])
    safe_names: dict[str, Content] = attrs.field(factory=dict[str, Content])

    def after_crash(self, chance: random.Random) -> dict[str, bytearray]:
        """What may be left of the directory."""
        left: dict[str, bytearray] = {}
        for name in {*self.names, *self.safe_names}:
            content = chance.choice([self.names, self.safe_names]).get(name)
            if content is not None:
                left[name] = content.after_crash(chance)
        return left


class RecordingFileSystem(apsw.VFS):
    """Keeps a :class:`Disk`, and calls ``on_change`` after each thing that is done to it."""

    def __init__(self, name: str, on_change: Callable[[], None]) -> None:
        self.name = name
        self.disk = Disk()
        self.on_change = on_change
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> RecordedFile:
        return RecordedFile(self, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        self.disk.names.pop(os.path.basename(name), None)
        if sync:
            self.disk.safe_names = dict(self.disk.names)
        self.on_change()


class RecordedFile(apsw.VFSFile):
    def __init__(
        self, system: RecordingFileSystem, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self.system = system
        path: Any = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = os.path.basename(path)
        self.new_journal = file not in system.disk.names and file.endswith(("-wal", "-journal"))
        self.content = system.disk.names.setdefault(file, Content())
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self.content.notes.append((bytes(data), offset))
        self.system.on_change()

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self.content.notes.append((None, size))
        self.system.on_change()

    def xSync(self, flags: int) -> None:
        self.content.safe = len(self.content.notes)
        if self.new_journal:
            self.system.disk.safe_names = dict(self.system.disk.names)
            self.new_journal = False
        self.system.on_change()

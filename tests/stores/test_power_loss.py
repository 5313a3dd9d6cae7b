"""A loss of power at any point: what was synced is there, of the rest any part, and no more.

The commits of a run are made with a file system that knows what a loss of power would leave. At
chosen moments, after a write, a sync or a deletion, what might be left is put into a directory of
its own, together with what the worker knew by then, and opened as after a restart.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .hasty import HastyStore
from .scenario import LAST, RUN, Notes, check, commit_of, work

pytest.importorskip("apsw")

from .apsw_connection import ApswStore
from .shim import RecordingFileSystem

pytestmark = pytest.mark.anyio

CUTS = 1000 if os.environ.get("BLAZEN_FAULTS") == "all" else 40


class RecordedStore(ApswStore):
    vfs = "recording"


class Crashes:
    """Writes down what crashes would leave.

    Attributes:
        left: directories with the files that are left, and what the worker knew.
        known: what the worker knows now.
    """

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.left: list[tuple[Path, Notes]] = []
        self.known = Notes()
        self._directory = directory
        self._chance = chance
        self._each = 1.0
        self.moments = 0
        self.system = RecordingFileSystem("recording", self._changed)

    async def record(self, journal_mode: str, synchronous: str, crashes: int) -> None:
        """Make all commits of the scenario and close the store, with so many crashes on the way."""
        options = {"journal_mode": journal_mode, "synchronous": synchronous}
        await self._commit_all(options, "rehearsal.db", 0)
        await self._commit_all(options, "runs.db", crashes / self.moments)

    async def _commit_all(self, options: dict[str, str], name: str, each: float) -> None:
        self.known, self._each = Notes(), each
        store = RecordedStore(self._directory / name, **options)  # type: ignore[arg-type]
        async with store:
            for sequence in range(1, LAST + 1):
                self.known.tried = sequence
                commit = commit_of(sequence, 1)
                if sequence == 1:
                    assert await store.create("workflow", commit)
                else:
                    await store.commit([commit])
                self.known.acknowledged = sequence
                self._changed()

    def _changed(self) -> None:
        self.moments += self._each == 0
        count = int(self._each) + (self._chance.random() < self._each % 1)
        for _ in range(count):
            path = self._directory / str(len(self.left))
            path.mkdir()
            for name, content in self.system.disk.after_crash(self._chance).items():
                if name.startswith("runs.db"):
                    (path / name).write_bytes(content)
            notes = Notes(acknowledged=self.known.acknowledged, tried=self.known.tried)
            self.left.append((path / "runs.db", notes))


@pytest.fixture
def crashes(tmp_path: Path) -> Iterator[Callable[[int], Crashes]]:
    made: list[Crashes] = []

    def make(seed: int) -> Crashes:
        made.append(Crashes(tmp_path, random.Random(seed)))
        return made[-1]

    yield make
    for each in made:
        each.system.unregister()


@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
async def test_after_a_loss_of_power_every_acknowledged_commit_is_there(
    crashes: Callable[[int], Crashes], journal_mode: str
) -> None:
    recorded = crashes(17)
    await recorded.record(journal_mode, "FULL", CUTS)
    assert len(recorded.left) > CUTS / 2
    found: set[int] = set()
    for number, (path, notes) in enumerate(recorded.left):
        async with HastyStore(path) as store:
            found.add(await check(store, notes))
            if number % 10 == 0:
                assert await work(store, notes)
    assert len(found) > LAST / 2


async def test_without_full_sync_a_loss_of_power_leaves_an_earlier_commit(
    crashes: Callable[[int], Crashes],
) -> None:
    """With the write-ahead log; and what is left is whole."""
    recorded = crashes(18)
    await recorded.record("WAL", "NORMAL", CUTS)
    lost = 0
    for path, notes in recorded.left:
        async with HastyStore(path) as store:
            run = await store.load(RUN)
            lost += (0 if run is None else run.sequence) < notes.acknowledged
            await check(store, Notes(acknowledged=0, tried=notes.tried))
    assert lost

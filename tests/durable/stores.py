"""Stores that do to a run what a test wants: hold its commits, fail, or keep a copy of each state.

All are in memory and keep the promises of a store in everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from engine.kit import settle

from blazen_anyio._exceptions import StoreError
from blazen_anyio._store import Commit
from blazen_anyio.stores import MemoryStore
from blazen_anyio.stores.memory import _Data, _Kept

__all__ = ["CopyingStore", "FailingStore", "HeldStore", "contents", "image_of"]


def contents(store: MemoryStore) -> dict[str, Any]:
    """All that a store keeps, to be compared."""
    return {
        run_id: (kept.run, dict(kept.rows), dict(kept.log))
        for run_id, kept in store._data.runs.items()
    }


def image_of(store: MemoryStore, **options: Any) -> MemoryStore:
    """A store that holds what another holds now, as after the death of its process."""
    image = MemoryStore(seal=store.seal, keep_log=store.keep_log, **options)
    image._data = _Data(
        runs={
            run_id: _Kept(kept.run, dict(kept.rows), dict(kept.log))
            for run_id, kept in store._data.runs.items()
        },
        processes=store._data.processes,
    )
    return image


class HeldStore(MemoryStore):
    """Makes commits wait until the test lets them go on.

    Attributes:
        waiting: how many calls of ``commit`` wait.
        commits: all commits that were handed over.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waiting = 0
        self.commits: list[Commit] = []
        self._go: anyio.Event | None = None

    def hold(self) -> None:
        """Hold what comes from now on."""
        self._go = anyio.Event()

    def let_go(self) -> None:
        """Let what waits, and what comes, go on."""
        go, self._go = self._go, None
        if go is not None:
            go.set()

    async def let_go_until(self, condition: Callable[[], bool]) -> None:
        """Let go what waits, call by call, until something is the case; hold what follows."""
        for _ in range(50):
            if condition():
                return
            self.let_go()
            self.hold()
            await settle()
        raise AssertionError("it does not come to that")

    async def commit(self, commits: Sequence[Commit]) -> None:
        self.commits += commits
        if self._go is not None:
            self.waiting += 1
            try:
                with anyio.move_on_after(1e6):  # a test that fails must not hang
                    await self._go.wait()
            finally:
                self.waiting -= 1
        await super().commit(commits)


class FailingStore(MemoryStore):
    """Fails at one call that changes something, and at all after it until it is mended.

    Args:
        at: which call fails, counted from 1; 0 for none.
        make: makes the error.
    """

    def __init__(
        self,
        at: int = 0,
        make: Callable[[], BaseException] = lambda: StoreError("the disk is full"),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.at = at
        self.calls = 0
        self._make = make

    def _count(self) -> None:
        self.calls += 1
        if 0 < self.at <= self.calls:
            raise self._make()

    def mend(self) -> None:
        self.at = 0

    async def create(self, workflow: str, commit: Commit) -> bool:
        self._count()
        return await super().create(workflow, commit)

    async def commit(self, commits: Sequence[Commit]) -> None:
        self._count()
        await super().commit(commits)

    async def renew(self, run_id: str, epoch: int) -> None:
        self._count()
        await super().renew(run_id, epoch)


class CopyingStore(MemoryStore):
    """Commits one by one and keeps an image of itself after each.

    Attributes:
        images: after each commit, the first one included.
        rows: how many rows each commit wrote and removed.
        sizes: how many calls of ``commit`` there were, by the number of commits in them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.images: list[MemoryStore] = []
        self.rows: list[int] = []
        self.sizes: list[int] = []

    def _copy(self, commit: Commit) -> None:
        self.images.append(image_of(self))
        self.rows.append(len(commit.puts) + len(commit.removes))

    async def create(self, workflow: str, commit: Commit) -> bool:
        created = await super().create(workflow, commit)
        if created:
            self._copy(commit)
        return created

    async def commit(self, commits: Sequence[Commit]) -> None:
        self.sizes.append(len(commits))
        for commit in commits:
            await super().commit([commit])
            self._copy(commit)

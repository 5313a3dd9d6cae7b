"""Our stores pass the suite that we publish, with and without leases, in both journal modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blazen_anyio.stores import AESGCMCipher, MemoryStore, Seal, Store
from blazen_anyio.testing.store_conformance import StoreConformance

from .hasty import HastyStore

Clock = Callable[[], float]


class InMemory(StoreConformance):
    lease: float | None = None

    @pytest.fixture(autouse=True)
    def forget_places(self) -> None:
        self.places: dict[Path, MemoryStore] = {}

    def make_store(self, place: Path, clock: Clock) -> Store:
        if place not in self.places:
            self.places[place] = MemoryStore(lease=self.lease, clock=clock)
        return self.places[place].another()


class TestMemoryStore(InMemory):
    lease = 30.0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
class TestMemoryStoreWithoutLeases(InMemory):
    pass


class TestSQLiteStore(StoreConformance):
    def make_store(self, place: Path, clock: Clock) -> Store:
        return HastyStore(place / "runs.db", clock=clock)


@pytest.mark.parametrize("anyio_backend", ["trio"])
class TestSQLiteStoreWithoutWriteAheadLog(StoreConformance):
    """Nor leases, and encrypted."""

    def make_store(self, place: Path, clock: Clock) -> Store:
        seal = Seal(cipher=AESGCMCipher(bytes(32)))
        return HastyStore(
            place / "runs.db", clock=clock, seal=seal, lease=None, journal_mode="DELETE"
        )

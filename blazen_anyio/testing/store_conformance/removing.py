"""Cases: runs are removed with all that belongs to them, and never from under who executes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..._exceptions import RunBusyError
from ..._store import Store, StoredStatus
from .base import RUN, Cases, ManualClock, begin, claimed, loaded, rows_of, write

__all__ = ["RemovingCases"]

ENDED: list[StoredStatus] = ["completed", "failed", "cancelled"]
ALIVE: list[StoredStatus] = ["running", "suspended"]


class RemovingCases(Cases):
    """Deleting and pruning."""

    async def test_what_is_not_there_is_not_deleted(self, store: Store) -> None:
        assert await store.delete("nothing") is False

    async def test_a_run_is_deleted_with_all_that_belongs_to_it(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        await store.release(RUN, 1)
        assert await store.delete(RUN) is True
        assert await store.read(RUN) is None
        assert await store.load(RUN) is None
        assert await store.entries(RUN) == []
        assert await store.list() == []
        assert await store.claim(RUN) is None
        assert await store.delete(RUN) is False

    @pytest.mark.parametrize("status", [*ENDED, "suspended"])
    async def test_what_nobody_executes_is_deleted(
        self, store: Store, status: StoredStatus
    ) -> None:
        await begin(store, status=status)
        assert await store.delete(RUN) is True

    async def test_other_runs_stay(self, store: Store) -> None:
        for run_id in ("one", "two", "three"):
            await begin(store, run_id, puts=(("a", b"1"),), entry=b"1")
        await store.release("two", 1)
        await store.delete("two")
        assert {run.run_id for run in await store.list()} == {"one", "three"}
        for run_id in ("one", "three"):
            assert await rows_of(store, run_id) == {"a": (1, b"1")}
            assert len(await store.entries(run_id)) == 1
            await store.commit([write(2, run_id=run_id)])

    async def test_what_is_executed_is_not_deleted(self, store: Store, other: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        for each in (store, other):
            with pytest.raises(RunBusyError):
                await each.delete(RUN)
        await store.commit([write(2)])
        assert await rows_of(store) == {"a": (1, b"1")}

    async def test_what_a_closed_store_executed_is_deleted(
        self, store: Store, make: Callable[[], Store]
    ) -> None:
        async with make() as dying:
            await begin(dying)
        assert await store.delete(RUN) is True

    async def test_a_deleted_run_can_be_begun_anew(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        await store.commit([write(2, puts=(("b", b"2"),), status="failed", note="why")])
        await store.delete(RUN)
        await begin(store, workflow="another", puts=(("c", b"1"),))
        run = await loaded(store)
        assert (run.workflow, run.sequence, run.epoch) == ("another", 1, 1)
        assert (run.status, run.note) == ("running", "")
        assert await rows_of(store) == {"c": (1, b"1")}
        assert await store.entries(RUN) == []

    # ---- pruning -------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", ENDED)
    async def test_what_ended_long_ago_is_pruned(
        self, store: Store, clock: ManualClock, status: StoredStatus, timed: None
    ) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        await store.commit([write(2, status=status)])
        clock.advance(100)
        assert await store.prune(older_than=99) == 1
        assert await store.read(RUN) is None
        assert await store.entries(RUN) == []

    @pytest.mark.parametrize("status", ALIVE)
    async def test_what_has_not_ended_is_not_pruned(
        self, store: Store, clock: ManualClock, status: StoredStatus
    ) -> None:
        await begin(store, status=status)
        await store.release(RUN, 1)
        clock.advance(1e6)
        assert await store.prune(older_than=0) == 0
        assert (await loaded(store)).status == status

    async def test_what_ended_lately_is_not_pruned(
        self, store: Store, clock: ManualClock, timed: None
    ) -> None:
        await begin(store, status="completed")
        clock.advance(98)
        assert await store.prune(older_than=99) == 0
        clock.advance(1)
        assert await store.prune(older_than=99) == 1

    async def test_the_last_change_counts(
        self, store: Store, clock: ManualClock, timed: None
    ) -> None:
        await begin(store)
        clock.advance(100)
        await store.commit([write(2, status="failed")])
        assert await store.prune(older_than=50) == 0

    async def test_all_that_is_old_enough_is_pruned_and_counted(
        self, store: Store, clock: ManualClock, timed: None
    ) -> None:
        for number in range(20):
            await begin(store, f"old-{number}", status="completed", puts=(("result", b"1"),))
        clock.advance(10)
        for number in range(5):
            await begin(store, f"new-{number}", status="completed", puts=(("result", b"1"),))
        assert await store.prune(older_than=10) == 20
        assert {run.run_id for run in await store.list()} == {f"new-{n}" for n in range(5)}
        assert await rows_of(store, "new-0") == {"result": (1, b"1")}
        assert await store.prune(older_than=10) == 0

    async def test_what_is_executed_again_is_not_pruned(
        self, store: Store, other: Store, clock: ManualClock
    ) -> None:
        await begin(store, status="failed")
        await claimed(store)
        clock.advance(1)
        for each in (store, other):
            assert await each.prune(older_than=0) == 0
        await store.commit([write(2, epoch=2)])

    async def test_an_empty_store_prunes_nothing(self, store: Store) -> None:
        assert await store.prune(older_than=0) == 0

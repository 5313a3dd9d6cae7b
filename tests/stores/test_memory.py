"""What is the memory store's own: handles as processes, their deaths, and data that stays."""

from __future__ import annotations

import pytest

from blazen_anyio import RunBusyError, RunLostError, StoreError
from blazen_anyio.stores import MemoryStore
from blazen_anyio.testing.store_conformance import ManualClock
from blazen_anyio.testing.store_conformance.base import RUN, begin, claimed, loaded, write

pytestmark = pytest.mark.anyio


async def test_runs_outlive_the_block() -> None:
    store = MemoryStore()
    async with store:
        await begin(store)
    async with store:
        assert (await claimed(store)).run.sequence == 1


async def test_a_handle_is_a_process_of_its_own() -> None:
    async with MemoryStore() as store, store.another() as other:
        await begin(store)
        with pytest.raises(RunBusyError, match="process 1"):
            await other.claim(RUN)


async def test_another_handle_is_like_the_first() -> None:
    clock = ManualClock()
    store = MemoryStore(lease=7, keep_log=True, clock=clock)
    other = store.another()
    assert (other.lease, other.keep_log, other.seal) == (7, True, store.seal)
    async with other:
        await begin(other)
        assert (await loaded(other)).expires == clock() + 7


async def test_two_stores_share_nothing() -> None:
    async with MemoryStore() as store, MemoryStore() as stranger:
        await begin(store)
        assert await stranger.list() == []


async def test_a_death_frees_what_was_executed() -> None:
    """The same handle goes on as another process."""
    async with MemoryStore() as store:
        await begin(store)
        store.abandon()
        with pytest.raises(RunLostError):
            await store.commit([write(2)])
        await store.release(RUN, 1)
        claim = await claimed(store)
        assert (claim.run.epoch, claim.abandoned) == (2, True)
        await store.commit([write(2, epoch=2)])


async def test_another_process_takes_over_after_a_death() -> None:
    async with MemoryStore() as store, store.another() as other:
        await begin(store)
        store.abandon()
        assert (await claimed(other)).abandoned is True


async def test_a_store_is_opened_once_at_a_time() -> None:
    async with MemoryStore() as store:
        with pytest.raises(StoreError, match="another"):
            await store.__aenter__()


async def test_bytes_that_change_later_are_kept_as_they_were() -> None:
    body = bytearray(b"before")
    async with MemoryStore() as store:
        await begin(store, puts=(("a", body),), head=body, entry=body)
        body[:] = b"after!"
        found = await store.read(RUN)
        assert found is not None
        assert (found[0].head, found[1][0].body) == (b"before", b"before")
        assert (await store.entries(RUN))[0].body == b"before"


@pytest.mark.parametrize(("lease", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_a_lease_that_is_none_is_refused(lease: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="lease="):
        MemoryStore(lease=lease)  # type: ignore[arg-type]


@pytest.mark.parametrize(("limit", "error"), [(-1, ValueError), (1.5, TypeError)])
async def test_a_limit_that_is_none_is_refused(limit: object, error: type[Exception]) -> None:
    async with MemoryStore() as store:
        with pytest.raises(error, match="limit="):
            await store.list(limit=limit)  # type: ignore[arg-type]
        with pytest.raises(error, match="limit="):
            await store.entries(RUN, limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"sequence": 2}, {"sequence": 4}, {"epoch": 2}, {"run_id": "x"}])
async def test_commits_that_do_not_go_together_are_refused(wrong: dict[str, object]) -> None:
    async with MemoryStore() as store:
        await begin(store)
        second = write(**{"sequence": 3, **wrong})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="go together"):
            await store.commit([write(2), second])
        assert (await loaded(store)).sequence == 1

"""Cases: one process at a time executes a run, and who takes it over leaves no doubt."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from ..._exceptions import RunBusyError, RunLostError
from ..._store import Store, StoredStatus
from .base import RUN, Cases, ManualClock, begin, claimed, loaded, rows_of, write

__all__ = ["ClaimingCases"]

GIVEN_BACK: list[StoredStatus] = ["suspended", "failed", "cancelled"]


class ClaimingCases(Cases):
    """Claims, leases, and giving runs back."""

    async def test_what_is_not_there_is_not_claimed(self, store: Store) -> None:
        assert await store.claim("nothing") is None

    async def test_a_run_that_was_given_back_is_claimed(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        await store.release(RUN, 1)
        before = await loaded(store)
        claim = await claimed(store)
        assert (claim.run.epoch, claim.abandoned) == (2, False)
        assert claim.run == await loaded(store)
        assert (claim.run.status, claim.run.sequence) == ("running", 1)
        assert (claim.run.head, claim.run.updated) == (before.head, before.updated)
        assert await rows_of(store) == {"a": (1, b"1")}

    async def test_each_claim_has_an_epoch_of_its_own(self, store: Store, other: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        for epoch, each in enumerate([store, other, other, store], 2):
            assert (await claimed(each)).run.epoch == epoch
            await each.release(RUN, epoch)

    async def test_another_process_can_claim_it_then(self, store: Store, other: Store) -> None:
        await begin(store)
        owner = (await loaded(store)).owner
        await store.release(RUN, 1)
        run = (await claimed(other)).run
        assert run.owner not in (None, owner)
        with pytest.raises(RunBusyError):
            await store.claim(RUN)

    async def test_a_busy_run_tells_who_executes_it(self, store: Store, other: Store) -> None:
        await begin(store)
        with pytest.raises(RunBusyError) as caught:
            await other.claim(RUN)
        assert caught.value.run_id == RUN
        assert caught.value.owner == (await loaded(other)).owner

    async def test_a_busy_run_stays_as_it_is(self, store: Store, other: Store) -> None:
        await begin(store)
        before = await store.read(RUN)
        with pytest.raises(RunBusyError):
            await other.claim(RUN)
        assert await store.read(RUN) == before
        await store.commit([write(2)])

    async def test_a_process_does_not_claim_from_itself(self, store: Store) -> None:
        await begin(store)
        with pytest.raises(RunBusyError):
            await store.claim(RUN)
        await store.release(RUN, 1)
        await claimed(store)
        with pytest.raises(RunBusyError):
            await store.claim(RUN)

    async def test_a_completed_run_is_shown_and_not_claimed(
        self, store: Store, other: Store
    ) -> None:
        await begin(store)
        await store.commit([write(2, status="completed")])
        for each in (store, other, store):
            claim = await claimed(each)
            assert (claim.run.status, claim.run.owner, claim.run.epoch) == ("completed", None, 1)
            assert claim.abandoned is False

    @pytest.mark.parametrize("status", GIVEN_BACK)
    async def test_what_has_not_completed_can_be_claimed(
        self, store: Store, other: Store, status: StoredStatus
    ) -> None:
        await begin(store)
        await store.commit([write(2, status=status, note="a note")])
        claim = await claimed(other)
        assert (claim.run.status, claim.run.note, claim.abandoned) == (status, "a note", False)
        await other.commit([write(3, epoch=2, status="running")])
        assert (await loaded(other)).status == "running"

    async def test_of_many_at_once_one_claims_it(self, store: Store, other: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        epochs: list[int] = []
        refused: list[str] = []

        async def claim(each: Store) -> None:
            try:
                epochs.append((await claimed(each)).run.epoch)
            except RunBusyError as error:
                refused.append(error.run_id)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(claim, store)
                tasks.start_soon(claim, other)
        assert (epochs, len(refused)) == ([2], 19)

    async def test_a_closed_store_executes_nothing(
        self, store: Store, make: Callable[[], Store]
    ) -> None:
        async with make() as dying:
            await begin(dying)
            with pytest.raises(RunBusyError):
                await store.claim(RUN)
        assert (await claimed(store)).run.epoch == 2

    async def test_the_loser_can_commit_nothing(
        self, store: Store, other: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store, puts=(("a", b"1"),))
        clock.advance(leased)
        claim = await claimed(other)
        assert (claim.run.epoch, claim.abandoned) == (2, True)
        with pytest.raises(RunLostError) as caught:
            await store.commit([write(2, puts=(("a", b"lost"),))])
        assert caught.value.run_id == RUN
        await other.commit([write(2, epoch=2, puts=(("a", b"won"),))])
        assert await rows_of(store) == {"a": (2, b"won")}
        with pytest.raises(RunLostError):
            await store.commit([write(3)])
        with pytest.raises(RunLostError):
            await store.renew(RUN, 1)

    async def test_a_lease_holds_to_its_end(
        self, store: Store, other: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store)
        clock.advance(leased * 0.99)
        with pytest.raises(RunBusyError):
            await other.claim(RUN)

    async def test_renewing_prolongs_a_lease(
        self, store: Store, other: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store)
        clock.advance(leased * 0.9)
        await store.renew(RUN, 1)
        assert (await loaded(store)).expires == clock() + leased
        clock.advance(leased * 0.9)
        with pytest.raises(RunBusyError):
            await other.claim(RUN)

    async def test_a_commit_prolongs_a_lease(
        self, store: Store, other: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store)
        clock.advance(leased * 0.9)
        await store.commit([write(2)])
        clock.advance(leased * 0.9)
        with pytest.raises(RunBusyError):
            await other.claim(RUN)

    async def test_who_comes_late_goes_on_if_nobody_has_come(
        self, store: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store)
        clock.advance(leased * 3)
        await store.renew(RUN, 1)
        clock.advance(leased * 3)
        await store.commit([write(2)])
        assert (await loaded(store)).expires == clock() + leased

    async def test_a_process_may_claim_anew_what_it_has_let_expire(
        self, store: Store, clock: ManualClock, leased: float
    ) -> None:
        await begin(store)
        clock.advance(leased)
        claim = await claimed(store)
        assert (claim.run.epoch, claim.abandoned) == (2, True)
        with pytest.raises(RunLostError):
            await store.commit([write(2)])
        await store.commit([write(2, epoch=2)])

    async def test_renewing_changes_nothing_else(self, store: Store, clock: ManualClock) -> None:
        await begin(store)
        before = await loaded(store)
        clock.advance(1)
        await store.renew(RUN, 1)
        after = await loaded(store)
        assert (after.sequence, after.epoch, after.owner) == (1, 1, before.owner)
        assert (after.updated, after.head) == (before.updated, before.head)

    @pytest.mark.parametrize(("run_id", "epoch"), [("nothing", 1), (RUN, 0), (RUN, 2)])
    async def test_what_is_not_ones_own_is_not_renewed(
        self, store: Store, run_id: str, epoch: int
    ) -> None:
        await begin(store)
        with pytest.raises(RunLostError):
            await store.renew(run_id, epoch)

    async def test_giving_back_changes_nothing_else(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),))
        before = await loaded(store)
        await store.release(RUN, 1)
        after = await loaded(store)
        assert (after.owner, after.expires) == (None, None)
        assert (after.sequence, after.epoch, after.status) == (1, 1, "running")
        assert (after.updated, after.head) == (before.updated, before.head)
        assert await rows_of(store) == {"a": (1, b"1")}

    @pytest.mark.parametrize(("run_id", "epoch"), [("nothing", 1), (RUN, 0), (RUN, 2)])
    async def test_giving_back_what_is_not_ones_own_does_nothing(
        self, store: Store, run_id: str, epoch: int
    ) -> None:
        await begin(store)
        before = await loaded(store)
        await store.release(run_id, epoch)
        assert await loaded(store) == before

    async def test_nobody_gives_back_what_another_executes(
        self, store: Store, other: Store
    ) -> None:
        await begin(store)
        await other.release(RUN, 1)
        await store.commit([write(2)])
        with pytest.raises(RunBusyError):
            await other.claim(RUN)

    async def test_a_late_giving_back_does_not_touch_the_next_claim(self, store: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        await claimed(store)
        await store.release(RUN, 1)
        with pytest.raises(RunBusyError):
            await store.claim(RUN)

    async def test_giving_back_twice_is_as_good_as_once(self, store: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        await store.release(RUN, 1)
        assert (await claimed(store)).run.epoch == 2

    async def test_giving_back_what_has_ended_does_nothing(self, store: Store) -> None:
        await begin(store)
        await store.commit([write(2, status="completed")])
        before = await loaded(store)
        await store.release(RUN, 1)
        assert await loaded(store) == before

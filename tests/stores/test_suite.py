"""The published suite finds what it is there to find: each broken store fails the case for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio.lowlevel
import attrs
import pytest

from blazen_anyio import RunLostError, StoreError
from blazen_anyio.stores import Claim, Commit, MemoryStore, Row, StoredRun
from blazen_anyio.testing.store_conformance import ManualClock, StoreConformance

pytestmark = pytest.mark.anyio


class BeginsAgain(MemoryStore):
    """test_what_is_there_is_not_begun_again"""

    async def create(self, workflow: str, commit: Commit) -> bool:
        self._data.runs.pop(commit.run_id, None)
        return await super().create(workflow, commit)


class ChecksTooEarly(MemoryStore):
    """test_of_many_at_once_one_begins_it"""

    async def create(self, workflow: str, commit: Commit) -> bool:
        if commit.run_id in self._data.runs:
            return False
        await anyio.lowlevel.checkpoint()
        self._data.runs.pop(commit.run_id, None)
        return await super().create(workflow, commit)


class KnowsNoOwner(MemoryStore):
    """test_a_busy_run_tells_who_executes_it"""

    def _busy(self, run: StoredRun) -> bool:
        return False


class TrustsItself(MemoryStore):
    """test_a_process_does_not_claim_from_itself"""

    def _busy(self, run: StoredRun) -> bool:
        return run.owner != self._owner and super()._busy(run)


class NeverExpires(MemoryStore):
    """test_the_loser_can_commit_nothing"""

    def _busy(self, run: StoredRun) -> bool:
        return super()._busy(attrs.evolve(run, expires=None))


class ExpiresTooEarly(MemoryStore):
    """test_a_lease_holds_to_its_end"""

    def _busy(self, run: StoredRun) -> bool:
        assert run.expires is not None
        return super()._busy(attrs.evolve(run, expires=run.expires - 1))


class DoesNotRenew(MemoryStore):
    """test_a_commit_prolongs_a_lease"""

    def _renew(self, kept: Any, now: float) -> None:
        pass


class KeepsTheEpoch(MemoryStore):
    """test_each_claim_has_an_epoch_of_its_own"""

    async def claim(self, run_id: str) -> Claim | None:
        claim = await super().claim(run_id)
        if claim is not None and claim.run.owner is not None:
            kept = self._data.runs[run_id]
            kept.run = attrs.evolve(kept.run, epoch=1)
            return Claim(run=kept.run, abandoned=claim.abandoned)
        return claim


class ClaimsTheCompleted(MemoryStore):
    """test_a_completed_run_is_shown_and_not_claimed"""

    def _claim(self, kept: Any, owner: str) -> Claim:
        kept.run = attrs.evolve(kept.run, status="running")
        return super()._claim(kept, owner)


class GivesBackForOthers(MemoryStore):
    """test_nobody_gives_back_what_another_executes"""

    async def release(self, run_id: str, epoch: int) -> None:
        kept = self._data.runs[run_id]
        kept.run = attrs.evolve(kept.run, owner=None, expires=None)


class GivesBackTheNextClaim(MemoryStore):
    """test_a_late_giving_back_does_not_touch_the_next_claim"""

    async def release(self, run_id: str, epoch: int) -> None:
        kept = self._data.runs[run_id]
        await super().release(run_id, kept.run.epoch)


class TakesAnySequence(MemoryStore):
    """test_several_commits_out_of_order_change_nothing"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        kept = self._data.runs[commits[0].run_id]
        kept.run = attrs.evolve(kept.run, sequence=commits[0].sequence - 1)
        await super().commit(commits)


class TakesAnyEpoch(MemoryStore):
    """test_who_is_lost_takes_nobody_along"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        epoch = self._data.runs[commits[0].run_id].run.epoch
        await super().commit([attrs.evolve(commit, epoch=epoch) for commit in commits])


class AppliesWhatItRefuses(MemoryStore):
    """test_the_same_commit_does_not_count_twice"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        kept = self._data.runs[commits[0].run_id]
        try:
            await super().commit(commits)
        except RunLostError:
            for commit in commits:
                kept.apply(attrs.evolve(commit, sequence=kept.run.sequence + 1), 0.0)
            raise


class ForgetsToRemove(MemoryStore):
    """test_rows_are_written_changed_and_removed"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        await super().commit([attrs.evolve(commit, removes=()) for commit in commits])


class ClearsAfterwards(MemoryStore):
    """test_clearing_leaves_what_comes_with_it"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        await super().commit(commits)
        if any(commit.clears for commit in commits):
            self._data.runs[commits[0].run_id].rows.clear()


class TouchesEveryRow(MemoryStore):
    """test_rows_are_written_changed_and_removed"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        await super().commit(commits)
        kept = self._data.runs[commits[0].run_id]
        for key, row in kept.rows.items():
            kept.rows[key] = attrs.evolve(row, sequence=kept.run.sequence)


class KeepsTheNote(MemoryStore):
    """test_the_last_status_of_several_commits_counts"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        await super().commit([attrs.evolve(commit, note="") for commit in commits])


class KeepsTheOwner(MemoryStore):
    """test_the_last_status_of_several_commits_counts"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        owner = self._data.runs[commits[0].run_id].run.owner
        await super().commit(commits)
        kept = self._data.runs[commits[0].run_id]
        kept.run = attrs.evolve(kept.run, owner=owner)


class ReadsTorn(MemoryStore):
    """test_a_reader_sees_whole_commits"""

    async def read(self, run_id: str) -> tuple[StoredRun, list[Row]] | None:
        found = await super().read(run_id)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        again = await super().read(run_id)
        return None if found is None or again is None else (found[0], again[1])


class ClearsTheLog(MemoryStore):
    """test_clearing_the_rows_leaves_the_log"""

    async def commit(self, commits: Sequence[Commit]) -> None:
        if any(commit.clears for commit in commits):
            self._data.runs[commits[0].run_id].log.clear()
        await super().commit(commits)


class ListsAtRandom(MemoryStore):
    """test_the_last_changed_come_first"""

    async def list(self, **filters: Any) -> list[StoredRun]:  # type: ignore[override]
        return sorted(await super().list(**filters), key=lambda run: run.run_id)


class RenewalsAreChanges(MemoryStore):
    """test_claims_and_renewals_are_no_changes"""

    async def renew(self, run_id: str, epoch: int) -> None:
        await super().renew(run_id, epoch)
        kept = self._data.runs[run_id]
        kept.run = attrs.evolve(kept.run, updated=self._clock())


class DeletesTheExecuted(MemoryStore):
    """test_what_is_executed_is_not_deleted"""

    async def delete(self, run_id: str) -> bool:
        return self._data.runs.pop(run_id, None) is not None


class PrunesTheExecuted(MemoryStore):
    """test_what_is_executed_again_is_not_pruned"""

    async def prune(self, *, older_than: float) -> int:
        count = len(self._data.runs)
        self._data.runs.clear()
        return count


class LosesClaims(MemoryStore):
    """test_a_claim_whose_caller_was_cancelled_holds_nothing"""

    async def claim(self, run_id: str) -> Claim | None:
        claim = await super().claim(run_id)
        await anyio.lowlevel.checkpoint()
        return claim


class StaysOpen(MemoryStore):
    """test_a_block_that_fails_raises_its_own_error"""

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__(None, None, None)
        if exc_info[1] is not None:
            raise StoreError("closed by an error")


BROKEN = [
    kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, MemoryStore) and kind is not MemoryStore
]


class Suite(StoreConformance):
    kind: type[MemoryStore]
    first: MemoryStore | None = None

    def make_store(self, place: Path, clock: Callable[[], float]) -> MemoryStore:
        store = self.kind(lease=30, clock=clock)
        if self.first is None:
            self.first = store
        store._data = self.first._data
        return store


async def run_case(kind: type[MemoryStore], *, uses_clock: bool = True) -> None:
    """Run the case that a broken store is said to fail, as pytest would."""
    assert kind.__doc__ is not None
    suite, clock = Suite(), ManualClock()
    suite.uses_clock = uses_clock
    suite.kind = kind
    make = lambda: suite.make_store(Path(), clock)  # noqa: E731
    case = getattr(suite, kind.__doc__)
    async with make() as store, make() as other:
        known = {"store": store, "other": other, "clock": clock, "make": make}
        known |= {"leased": 30, "timed": None}
        wanted = case.__func__.__code__.co_varnames[1 : case.__func__.__code__.co_argcount]
        await case(**{name: known[name] for name in wanted})


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
async def test_a_broken_store_fails_its_case(kind: type[MemoryStore]) -> None:
    with pytest.raises((AssertionError, StoreError, ExceptionGroup, pytest.fail.Exception)):
        await run_case(kind)


@pytest.mark.parametrize("case", sorted({kind.__doc__ for kind in BROKEN if kind.__doc__}))
async def test_a_store_that_works_passes_these_cases(case: str) -> None:
    class Sound(MemoryStore):
        __doc__ = case

    await run_case(Sound)


@pytest.mark.parametrize(
    "case",
    [
        "test_a_new_run_is_there_with_all_it_was_begun_with",
        "test_a_commit_moves_the_run_on",
    ],
)
async def test_a_store_may_have_a_clock_of_its_own(case: str) -> None:
    class OwnClock(MemoryStore):
        __doc__ = case

        def __init__(self, **options: Any) -> None:
            super().__init__(lease=options["lease"])

    await run_case(OwnClock, uses_clock=False)


async def test_a_limit_is_kept_whatever_the_clock() -> None:
    suite, clock = Suite(), ManualClock()
    suite.uses_clock = False
    async with MemoryStore() as store:
        await suite.test_no_more_are_listed_than_asked_for(store, clock, 2, 2)


async def test_a_store_may_begin_nothing_for_who_goes_away() -> None:
    class GivesWayFirst(MemoryStore):
        """test_a_run_whose_beginner_was_cancelled_is_free_or_not_there"""

        async def create(self, workflow: str, commit: Commit) -> bool:
            await anyio.lowlevel.checkpoint()
            return await super().create(workflow, commit)

    await run_case(GivesWayFirst)


def test_a_store_without_a_clock_is_spared_some_cases() -> None:
    suite = Suite()
    suite.uses_clock = False
    with pytest.raises(pytest.skip.Exception):
        suite.timed.__wrapped__(suite)  # type: ignore[attr-defined]


def test_the_suite_has_more_than_89_cases() -> None:
    assert sum(name.startswith("test_") for name in dir(StoreConformance)) > 89


async def test_a_suite_without_a_store_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match="def make_store"):
        StoreConformance().make_store(Path(), ManualClock())

"""Cases: what a store shows of its runs."""

from __future__ import annotations

from typing import Any

import pytest

from ..._store import Commit, LogEntry, Store, StoredStatus
from .base import RUN, Cases, ManualClock, begin, loaded, rows_of, write

__all__ = ["LookingCases"]

STATUSES: list[StoredStatus] = ["running", "suspended", "completed", "failed", "cancelled"]


async def log(store: Store, run_id: str, count: int) -> None:
    """Begin a run and write so many entries to its log."""
    await begin(store, run_id, entry=f"{run_id} 1".encode())
    for sequence in range(2, count + 1):
        entry = f"{run_id} {sequence}".encode()
        await store.commit([write(sequence, run_id=run_id, entry=entry)])


async def one_of_each(store: Store) -> None:
    """Begin a run of each status, named for it."""
    for status in STATUSES:
        await begin(store, status, workflow=f"of {status}", status=status)


class LookingCases(Cases):
    """Reading, listing and the log."""

    async def test_what_is_not_there_is_not_read(self, store: Store) -> None:
        assert await store.read("nothing") is None
        assert await store.load("nothing") is None
        assert await store.entries("nothing") == []

    async def test_reading_and_loading_tell_the_same_run(self, store: Store) -> None:
        await begin(store)
        found = await store.read(RUN)
        assert found is not None
        assert found[0] == await loaded(store)
        assert found[0].head == b"head 1"

    async def test_each_run_has_its_own_rows(self, store: Store) -> None:
        for run_id in ("one", "two"):
            await begin(store, run_id, puts=(("a", run_id.encode()), (run_id, b"1")))
        assert await rows_of(store, "one") == {"a": (1, b"one"), "one": (1, b"1")}
        assert await rows_of(store, "two") == {"a": (1, b"two"), "two": (1, b"1")}

    async def test_another_process_reads_what_was_committed(
        self, store: Store, other: Store
    ) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        await store.commit([write(2, puts=(("a", b"2"),), entry=b"2")])
        assert await other.read(RUN) == await store.read(RUN)
        assert await other.entries(RUN) == await store.entries(RUN)
        assert await other.list() == await store.list()

    async def test_bodies_are_bytes(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"1")
        found = await store.read(RUN)
        assert found is not None
        assert type(found[0].head) is type(found[1][0].body) is bytes
        assert type((await store.entries(RUN))[0].body) is bytes

    # ---- the log -------------------------------------------------------------------------------

    async def test_without_entries_there_is_no_log(self, store: Store) -> None:
        await begin(store)
        await store.commit([write(2)])
        assert await store.entries(RUN) == []
        assert await store.history(RUN) == []

    async def test_the_log_is_in_order(self, store: Store) -> None:
        await log(store, RUN, 12)
        rows = await store.entries(RUN)
        assert [row.sequence for row in rows] == list(range(1, 13))
        assert [row.body for row in rows] == [b"%s %d" % (RUN.encode(), n) for n in range(1, 13)]

    @pytest.mark.parametrize(
        ("after", "limit", "expected"),
        [
            (0, None, [1, 2, 3, 4, 5]),
            (0, 2, [1, 2]),
            (2, None, [3, 4, 5]),
            (2, 2, [3, 4]),
            (4, 10, [5]),
            (5, None, []),
            (99, 1, []),
            (0, 0, []),
        ],
    )
    async def test_a_part_of_the_log(
        self, store: Store, after: int, limit: int | None, expected: list[int]
    ) -> None:
        await log(store, RUN, 5)
        rows = await store.entries(RUN, after=after, limit=limit)
        assert [row.sequence for row in rows] == expected

    async def test_each_run_has_its_own_log(self, store: Store) -> None:
        await log(store, "one", 2)
        await log(store, "two", 3)
        assert [row.body for row in await store.entries("one")] == [b"one 1", b"one 2"]
        assert len(await store.entries("two")) == 3

    async def test_only_commits_with_an_entry_are_in_the_log(self, store: Store) -> None:
        await begin(store)
        await store.commit([write(2, entry=b"2")])
        await store.commit([write(3)])
        await store.commit([write(4, entry=b"4")])
        assert [row.sequence for row in await store.entries(RUN)] == [2, 4]

    async def test_clearing_the_rows_leaves_the_log(self, store: Store) -> None:
        await log(store, RUN, 3)
        await store.commit([write(4, clears=True, status="completed", entry=b"4")])
        assert len(await store.entries(RUN)) == 4

    async def test_history_reads_the_log(self, store: Store) -> None:
        seal = store.seal.for_run(RUN)

        def logged(sequence: int, entry: LogEntry, **changes: Any) -> Commit:
            return write(sequence, entry=seal.close("log", sequence, entry.write()), **changes)

        first = LogEntry(time=5.0, head="{}", puts=(("a", "1"),))
        assert await store.create("workflow", logged(1, first))
        second = LogEntry(time=6.0, head="{}", removes=("a",), status="failed")
        await store.commit([logged(2, second, status="failed")])
        assert await store.history(RUN) == [first.history(1), second.history(2)]

    # ---- listing -------------------------------------------------------------------------------

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert await store.list() == []

    async def test_all_runs_are_listed(self, store: Store) -> None:
        for number in range(30):
            await begin(store, f"run-{number}")
        assert {run.run_id for run in await store.list()} == {f"run-{n}" for n in range(30)}

    async def test_listed_runs_are_as_they_are_loaded(self, store: Store) -> None:
        await one_of_each(store)
        for run in await store.list():
            assert run == await loaded(store, run.run_id)

    @pytest.mark.parametrize("status", STATUSES)
    async def test_runs_of_one_status(self, store: Store, status: StoredStatus) -> None:
        await one_of_each(store)
        assert [run.run_id for run in await store.list(status=status)] == [status]

    async def test_runs_of_one_workflow(self, store: Store) -> None:
        await begin(store, "one", workflow="a")
        await begin(store, "two", workflow="b")
        await begin(store, "three", workflow="A")
        assert [run.run_id for run in await store.list(workflow="a")] == ["one"]
        assert await store.list(workflow="c") == []

    async def test_runs_of_one_status_and_workflow(self, store: Store) -> None:
        await begin(store, "one", workflow="a")
        await begin(store, "two", workflow="b")
        await begin(store, "three", workflow="a", status="failed")
        found = await store.list(status="failed", workflow="a")
        assert [run.run_id for run in found] == ["three"]
        assert await store.list(status="failed", workflow="b") == []

    async def test_the_status_is_the_last_one(self, store: Store) -> None:
        await begin(store)
        await store.commit([write(2, status="failed")])
        assert await store.list(status="running") == []
        assert len(await store.list(status="failed")) == 1

    async def test_the_last_changed_come_first(
        self, store: Store, clock: ManualClock, timed: None
    ) -> None:
        for run_id in ("one", "two", "three"):
            clock.advance(1)
            await begin(store, run_id)
        assert [run.run_id for run in await store.list()] == ["three", "two", "one"]
        clock.advance(1)
        await store.commit([write(2, run_id="one")])
        assert [run.run_id for run in await store.list()] == ["one", "three", "two"]

    async def test_claims_and_renewals_are_no_changes(
        self, store: Store, clock: ManualClock, timed: None
    ) -> None:
        for run_id in ("one", "two"):
            clock.advance(1)
            await begin(store, run_id)
        clock.advance(1)
        await store.renew("one", 1)
        await store.release("one", 1)
        await store.claim("one")
        assert [run.run_id for run in await store.list()] == ["two", "one"]

    @pytest.mark.parametrize(("limit", "expected"), [(0, 0), (1, 1), (3, 3), (4, 3), (None, 3)])
    async def test_no_more_are_listed_than_asked_for(
        self, store: Store, clock: ManualClock, limit: int | None, expected: int
    ) -> None:
        names = ["one", "two", "three"]
        for run_id in names:
            clock.advance(1)
            await begin(store, run_id)
        found = [run.run_id for run in await store.list(limit=limit)]
        assert len(found) == expected
        if self.uses_clock:
            assert found == names[::-1][:expected]

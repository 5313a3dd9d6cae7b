"""Cases: a run is begun once, whole, and belongs to who has begun it."""

from __future__ import annotations

import anyio
import pytest

from ..._exceptions import RunBusyError
from ..._store import Store, StoredStatus
from .base import RUN, Cases, ManualClock, begin, loaded, rows_of, write

__all__ = ["CreatingCases"]

RUN_IDS = [
    "a",
    "order 17",
    'it\'s "quoted"; DROP TABLE runs; --',
    "%_*?[]",
    "../../etc/passwd",
    "läuft-schön-日本語-🦊",
    "x" * 200,
    "NULL",
    "0",
]


class CreatingCases(Cases):
    """Beginning runs."""

    async def test_a_new_run_is_there_with_all_it_was_begun_with(
        self, store: Store, clock: ManualClock
    ) -> None:
        await begin(store, workflow="orders", head=b"the head")
        run = await loaded(store)
        assert (run.run_id, run.workflow, run.status) == (RUN, "orders", "running")
        assert (run.sequence, run.epoch, run.note, run.head) == (1, 1, "", b"the head")
        assert run.owner
        if self.uses_clock:
            assert run.created == run.updated == clock()

    async def test_its_rows_are_there(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"), ("b", b"2")))
        assert await rows_of(store) == {"a": (1, b"1"), "b": (1, b"2")}

    async def test_it_may_have_no_rows(self, store: Store) -> None:
        await begin(store)
        assert await rows_of(store) == {}

    async def test_keys_to_remove_that_are_not_there_do_no_harm(self, store: Store) -> None:
        await begin(store, removes=("nothing",), puts=(("a", b"1"),))
        assert await rows_of(store) == {"a": (1, b"1")}

    async def test_its_entry_is_in_the_log(self, store: Store) -> None:
        await begin(store, entry=b"entry")
        assert [(row.sequence, row.body) for row in await store.entries(RUN)] == [(1, b"entry")]

    async def test_what_is_there_is_not_begun_again(self, store: Store) -> None:
        await begin(store, puts=(("a", b"1"),), entry=b"entry")
        before = await store.read(RUN)
        again = write(1, head=b"other", puts=(("a", b"2"), ("b", b"2")), entry=b"other")
        assert await store.create("other workflow", again) is False
        assert await store.read(RUN) == before
        assert len(await store.entries(RUN)) == 1

    async def test_another_process_does_not_begin_it_again(
        self, store: Store, other: Store
    ) -> None:
        await begin(store)
        before = await store.read(RUN)
        assert await other.create("workflow", write(1, head=b"other")) is False
        assert await other.read(RUN) == before

    async def test_of_many_at_once_one_begins_it(self, store: Store, other: Store) -> None:
        results: list[bool] = []

        async def create(each: Store) -> None:
            results.append(await each.create("workflow", write(1)))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(create, store)
                tasks.start_soon(create, other)
        assert sorted(results) == [False] * 19 + [True]

    @pytest.mark.parametrize("run_id", RUN_IDS)
    async def test_any_printable_text_is_a_run_id(self, store: Store, run_id: str) -> None:
        await begin(store, run_id, puts=(("a", b"1"),))
        assert (await loaded(store, run_id)).run_id == run_id
        assert await rows_of(store, run_id) == {"a": (1, b"1")}
        await store.release(run_id, 1)
        assert await store.delete(run_id) is True

    async def test_run_ids_that_are_nearly_alike_differ(self, store: Store) -> None:
        alike = ["run", "Run", "run ", " run", "\u00e9", "e\u0301", "run%", "run_"]
        for run_id in alike:
            await begin(store, run_id, puts=(("id", run_id.encode()),))
        for run_id in alike:
            assert await rows_of(store, run_id) == {"id": (1, run_id.encode())}

    @pytest.mark.parametrize("workflow", ["orders", "日本語 🦊", "it's", ""])
    async def test_any_text_names_a_workflow(self, store: Store, workflow: str) -> None:
        await begin(store, workflow=workflow)
        assert (await loaded(store)).workflow == workflow

    async def test_who_begins_a_run_executes_it(self, store: Store, other: Store) -> None:
        await begin(store)
        with pytest.raises(RunBusyError):
            await other.claim(RUN)
        await store.commit([write(2)])

    async def test_its_lease_begins(self, store: Store, clock: ManualClock, leased: float) -> None:
        await begin(store)
        assert (await loaded(store)).expires == clock() + leased

    @pytest.mark.parametrize("status", ["completed", "suspended", "failed", "cancelled"])
    async def test_one_that_ends_with_its_first_commit_has_no_owner(
        self, store: Store, status: StoredStatus
    ) -> None:
        await begin(store, status=status, note="a note")
        run = await loaded(store)
        assert (run.status, run.note, run.owner, run.expires) == (status, "a note", None, None)

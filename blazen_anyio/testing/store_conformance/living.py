"""Cases: a store among many callers, with callers that go away, and at its own end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from ..._exceptions import RunLostError, StoreError
from ..._store import Store
from .base import RUN, Cases, begin, claimed, loaded, rows_of, write

__all__ = ["LivingCases"]

CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "create": lambda store: store.create("workflow", write(1)),
    "claim": lambda store: store.claim(RUN),
    "commit": lambda store: store.commit([write(2)]),
    "renew": lambda store: store.renew(RUN, 1),
    "release": lambda store: store.release(RUN, 1),
    "read": lambda store: store.read(RUN),
    "entries": lambda store: store.entries(RUN),
    "load": lambda store: store.load(RUN),
    "list": lambda store: store.list(),
    "delete": lambda store: store.delete(RUN),
    "prune": lambda store: store.prune(older_than=0),
    "history": lambda store: store.history(RUN),
}


async def work(store: Store, run_id: str, commits: int) -> None:
    """Begin a run, commit so often, and complete it."""
    await begin(store, run_id, puts=(("count", b"1"),))
    for sequence in range(2, commits):
        puts = (("count", b"%d" % sequence), (f"row/{sequence}", b"x"))
        removes = (f"row/{sequence - 1}",)
        await store.commit([write(sequence, run_id=run_id, puts=puts, removes=removes)])
    end = write(commits, run_id=run_id, status="completed", clears=True, puts=(("result", b"1"),))
    await store.commit([end])


async def cancelled(call: Awaitable[object]) -> None:
    """Make a call whose caller is cancelled while it waits."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await call


class LivingCases(Cases):
    """Many callers, cancelled callers, closed stores."""

    async def test_many_runs_commit_at_once(self, store: Store, other: Store) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(work, store, f"a{number}", 10)
                tasks.start_soon(work, other, f"b{number}", 10)
        runs = await store.list(status="completed")
        assert len(runs) == 40
        for run in runs:
            assert (run.sequence, run.owner) == (10, None)
            assert await rows_of(store, run.run_id) == {"result": (10, b"1")}

    async def test_who_is_lost_takes_nobody_along(self, store: Store) -> None:
        lost: list[str] = []
        for number in range(20):
            await begin(store, f"run-{number}")

        async def commit(number: int) -> None:
            run_id = f"run-{number}"
            epoch = 1 if number % 3 else 9
            try:
                await store.commit([write(2, run_id=run_id, epoch=epoch, puts=(("a", b"2"),))])
            except RunLostError as error:
                lost.append(error.run_id)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(commit, number)
        assert sorted(lost) == sorted(f"run-{n}" for n in range(0, 20, 3))
        for number in range(20):
            run = await loaded(store, f"run-{number}")
            assert run.sequence == (2 if number % 3 else 1)

    async def test_a_reader_sees_whole_commits(self, store: Store, other: Store) -> None:
        await begin(store, puts=tuple((f"row/{n}", b"1") for n in range(20)))
        done = anyio.Event()

        async def watch(each: Store) -> None:
            while not done.is_set():
                found = await each.read(RUN)
                assert found is not None
                run, rows = found
                assert {row.sequence for row in rows} == {run.sequence}
                assert {row.body for row in rows} == {b"%d" % run.sequence}
                assert run.head == b"head %d" % run.sequence

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, store)
            tasks.start_soon(watch, other)
            for sequence in range(2, 40):
                puts = tuple((f"row/{n}", b"%d" % sequence) for n in range(20))
                await store.commit([write(sequence, puts=puts)])
            done.set()

    async def test_a_commit_whose_caller_was_cancelled_is_whole_or_not_there(
        self, store: Store
    ) -> None:
        await begin(store, puts=(("a", b"1"), ("b", b"1")))
        await cancelled(store.commit([write(2, puts=(("a", b"2"), ("b", b"2")))]))
        sequence = (await loaded(store)).sequence
        assert sequence in (1, 2)
        body = b"%d" % sequence
        assert await rows_of(store) == {"a": (sequence, body), "b": (sequence, body)}
        await store.commit([write(sequence + 1)])

    async def test_a_claim_whose_caller_was_cancelled_holds_nothing(self, store: Store) -> None:
        await begin(store)
        await store.release(RUN, 1)
        epochs: list[int] = []
        with anyio.CancelScope() as scope:
            scope.cancel()
            epochs.append((await claimed(store)).run.epoch)
        for epoch in epochs:  # told all the same
            await store.release(RUN, epoch)
        assert (await claimed(store)).run.epoch > 1

    async def test_a_run_whose_beginner_was_cancelled_is_free_or_not_there(
        self, store: Store
    ) -> None:
        told: list[bool] = []
        with anyio.CancelScope() as scope:
            scope.cancel()
            told.append(await store.create("workflow", write(1)))
        if told:
            await store.release(RUN, 1)
        if await store.load(RUN) is not None:
            assert (await claimed(store)).run.epoch == 2

    @pytest.mark.parametrize("name", ["read", "list", "entries", "load", "renew"])
    async def test_a_cancelled_caller_leaves_the_store_usable(
        self, store: Store, name: str
    ) -> None:
        await begin(store)
        await cancelled(CALLS[name](store))
        await store.commit([write(2)])
        assert (await loaded(store)).sequence == 2

    async def test_what_was_committed_outlives_the_store(self, make: Callable[[], Store]) -> None:
        async with make() as store:
            await begin(store, puts=(("a", b"1"),), entry=b"1")
            await store.commit([write(2, puts=(("b", b"2"),), entry=b"2")])
            before = await store.read(RUN)
        async with make() as store:
            after = await store.read(RUN)
            assert before is not None
            assert after is not None
            assert after[1] == before[1]
            assert (after[0].sequence, after[0].head) == (2, b"head 2")
            assert len(await store.entries(RUN)) == 2

    async def test_closing_does_not_lose_what_is_under_way(self, make: Callable[[], Store]) -> None:
        told: dict[str, bool] = {}

        async def create(store: Store, run_id: str) -> None:
            try:
                told[run_id] = await store.create("workflow", write(1, run_id=run_id))
            except StoreError:
                told[run_id] = False

        async with anyio.create_task_group() as tasks, make() as store:
            for number in range(10):
                tasks.start_soon(create, store, f"run-{number}")
            await anyio.lowlevel.checkpoint()
        async with make() as store:
            there = {run.run_id for run in await store.list()}
        assert {run_id for run_id, created in told.items() if created} <= there
        assert len(told) == 10

    @pytest.mark.parametrize("name", list(CALLS))
    async def test_a_store_that_is_not_open_refuses(
        self, make: Callable[[], Store], name: str
    ) -> None:
        with pytest.raises(StoreError):
            await CALLS[name](make())

    @pytest.mark.parametrize("name", list(CALLS))
    async def test_a_closed_store_refuses(self, make: Callable[[], Store], name: str) -> None:
        async with make() as store:
            await begin(store)
        with pytest.raises(StoreError):
            await CALLS[name](store)

    async def test_a_block_that_fails_raises_its_own_error(self, make: Callable[[], Store]) -> None:
        with pytest.raises(ZeroDivisionError):
            async with make() as store:
                await begin(store)
                raise ZeroDivisionError
        async with make() as store:
            assert (await loaded(store)).sequence == 1

"""A large fan-out is stored whole, and holds neither the event loop nor the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from unittest import mock

import anyio
import anyio.lowlevel
import pytest

from blazen_anyio import (
    Batch,
    Context,
    Event,
    StartEvent,
    StateValueError,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio._run import _drafting, _scribe
from blazen_anyio._run._scribe import Scribe
from blazen_anyio._store import Commit
from blazen_anyio.stores import MemoryStore

from .stores import CopyingStore

pytestmark = pytest.mark.anyio

MANY = 1000
MORE_THAN_ARE_QUEUED = 2500


class Begin(StartEvent, event_type="large.Begin"):
    count: int


class Spread(Event, event_type="large.Spread"):
    count: int


class Work(Event, event_type="large.Work"):
    number: int


class Done(Event, event_type="large.Done"):
    number: int


class Aside(Event, event_type="large.Aside"):
    number: int


@step
async def split(event: Begin) -> list[Work]:
    return [Work(number) for number in range(event.count)]


@step
async def work(event: Work) -> Done:
    return Done(event.number)


@step
async def gather(events: list[Done]) -> StopEvent:
    return StopEvent(result=[event.number for event in events])


FAN_OUT = Workflow("large", [split, work, gather])


class Turns:
    """Counts the turns of the event loop that others get."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            self.count += 1


class CountingStore(MemoryStore):
    """Notes how many turns others have had when it is handed something, and how much that is."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns
        self.noted: list[tuple[int, int]] = []

    async def commit(self, commits: Sequence[Commit]) -> None:
        self.noted.append((self.turns.count, sum(len(commit.puts) for commit in commits)))
        await super().commit(commits)


async def test_others_get_their_turn_while_a_large_fan_out_is_checked_and_written_down() -> None:
    """A turn for every hundred events that are looked through, and for every hundred rows."""
    turns = Turns()
    async with CountingStore(turns) as store, anyio.create_task_group() as tasks:
        tasks.start_soon(turns.run)
        await anyio.lowlevel.checkpoint()
        await FAN_OUT.run(Begin(count=MANY), store=store)
        tasks.cancel_scope.cancel()
    count, puts = store.noted[0]
    assert puts > 2 * MANY
    assert count >= MANY / 100 + 2 * MANY / 100


async def test_when_the_store_fails_meanwhile_nothing_more_is_written_down() -> None:
    """The lease could not be renewed, say, while the rows of a fan-out are written."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 2:
            scribes[0]._fail(StoreError("the lease is over"))
        await anyio.lowlevel.checkpoint()

    scribes: list[Scribe] = []
    large = Scribe._write_down_large

    async def noting(scribe: Scribe, *args: object) -> None:
        scribes.append(scribe)
        await large(scribe, *args)  # type: ignore[arg-type]

    with (
        mock.patch.object(_scribe, "cancel_shielded_checkpoint", turn),
        mock.patch.object(Scribe, "_write_down_large", noting),
    ):
        async with CountingStore(Turns()) as store:
            with pytest.raises(StoreError, match="the lease is over"):
                await FAN_OUT.run(Begin(count=MANY), run_id="run", store=store)
            assert turns == 2
            assert store.noted == []
            async with FAN_OUT.resume_from(store, "run") as run:
                assert await run.result() == list(range(MANY))


async def test_a_list_with_an_event_that_cannot_be_stored_fails_the_attempt() -> None:
    """What has been looked through before it changes nothing."""

    @step
    async def spoil(event: Begin) -> list[Work]:
        return [*(Work(number) for number in range(event.count)), Work(open)]  # type: ignore[arg-type]

    workflow = Workflow("spoiled", [spoil, work, gather])
    async with MemoryStore() as store:
        with pytest.raises(StepFailedError, match="spoil") as caught:
            await workflow.run(Begin(count=3), store=store)
    assert isinstance(caught.value.error, StateValueError)


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_large_fan_out_goes_on_from_every_commit(durability: str) -> None:
    """Nothing of it is there, or all of it."""
    store = CopyingStore()
    async with store:
        result = await FAN_OUT.run(
            Begin(count=30),
            run_id="run",
            store=store,
            durability=durability,  # type: ignore[arg-type]
        )
    assert result == list(range(30))
    for image in store.images[:-1]:
        async with image:
            run = FAN_OUT.resume_from(image, "run")
            async with run:
                assert await run.result() == list(range(30))


@step
async def begin_twice(event: Begin) -> tuple[Spread, Spread]:
    return Spread(event.count), Spread(event.count // 2)


class Sum(Event, event_type="large.Sum"):
    number: int


@step
async def count(events: list[Done]) -> Sum:
    return Sum(len(events))


@step
async def end(events: Annotated[list[Sum], Batch(2)]) -> StopEvent:
    return StopEvent(result=sorted(event.number for event in events))


async def test_a_step_that_does_not_suspend_meets_no_conflict_over_a_large_fan_out() -> None:
    """Another may read and write the same key, but not while this one is looked through."""

    @step
    async def spread(event: Spread, ctx: Context) -> list[Work]:
        ctx.state["count"] = ctx.state.get("count", 0) + 1
        return [Work(number) for number in range(event.count)]

    workflow = Workflow("counting", [begin_twice, spread, work, count, end])
    async with MemoryStore() as store:
        assert await workflow.run(Begin(count=MANY), store=store) == [MANY // 2, MANY]


async def test_a_list_that_is_changed_after_it_was_returned_is_emitted_as_it_was() -> None:
    """By another attempt, which runs while the list of the first one is looked through."""
    found: list[Work] = []

    @step
    async def spread(event: Spread) -> list[Work]:
        found.clear()
        found.extend(Work(number) for number in range(event.count))
        return found

    workflow = Workflow("shared", [begin_twice, spread, work, count, end])
    async with MemoryStore() as store:
        assert await workflow.run(Begin(count=MANY), store=store) == [MANY // 2, MANY]


async def test_what_is_committed_while_a_large_commit_is_written_down_comes_after_it() -> None:
    """Another step hops on while the rows of the fan-out are written one by one."""

    @step
    async def hop(event: Aside, ctx: Context) -> Aside | None:
        await anyio.lowlevel.checkpoint()
        ctx.state["hops"] = event.number
        return Aside(event.number + 1) if event.number < 20 else None

    @step
    async def last(events: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=(len(events), ctx.state["hops"]))

    @step
    async def start(event: Begin) -> tuple[Spread, Aside]:
        return Spread(event.count), Aside(0)

    @step
    async def spread(event: Spread) -> list[Work]:
        return [Work(number) for number in range(event.count)]

    workflow = Workflow("beside", [start, hop, spread, work, last])
    store = CopyingStore()
    waited: list[int] = []
    put = Scribe._put

    def noting(scribe: Scribe, *args: object) -> None:
        waited.append(len(scribe._committed))
        put(scribe, *args)  # type: ignore[arg-type]

    with (
        mock.patch.object(_drafting, "_ROWS_PER_TURN", 1),
        mock.patch.object(Scribe, "_put", noting),
    ):
        async with store:
            result = await workflow.run(
                Begin(count=40), run_id="run", store=store, durability="async"
            )
    assert result[0] == 40
    assert max(waited) > 3, "others have committed meanwhile"
    for image in store.images[:-1]:
        async with image:
            run = workflow.resume_from(image, "run")
            async with run:
                assert (await run.result())[0] == 40


class Carry(Event, event_type="large.Carry"):
    number: int
    data: dict[str, Any]


@step
async def start_beside(event: Begin) -> tuple[Spread, Carry]:
    return Spread(event.count), Carry(0, {})


@step
async def spread_beside(event: Spread) -> list[Work]:
    return [Work(number) for number in range(event.count)]


@step
async def carry(event: Carry) -> Carry | None:
    event.data["client"] = object()
    await anyio.lowlevel.checkpoint()
    return Carry(event.number + 1, {}) if event.number < 20 else None


BESIDE = Workflow("carrying", [start_beside, spread_beside, carry, work, gather])


async def test_what_waits_for_a_large_commit_is_written_down_as_it_was_committed() -> None:
    """Its step has it by then, and may do with it what it likes."""
    async with MemoryStore() as store:
        result = await BESIDE.run(Begin(count=500), store=store, durability="async")
    assert len(result) == 500


async def test_the_log_tells_with_each_commit_what_it_made_true() -> None:
    """Not with the large one what was committed while it was written down."""
    async with MemoryStore(keep_log=True) as store:
        await BESIDE.run(Begin(count=500), run_id="run", store=store, durability="async")
        history = await store.history("run")
    for entry in history[:-1]:
        completed = [fact for fact in entry.facts if fact.kind == "step_completed"]
        assert len(completed) <= 1


async def test_a_run_goes_on_that_was_held_up_while_a_large_commit_was_written_down() -> None:
    """Its commits fill the queue meanwhile, and are stored together with the large one."""
    async with MemoryStore() as store:
        with anyio.fail_after(30):
            result = await FAN_OUT.run(
                Begin(count=MORE_THAN_ARE_QUEUED), store=store, durability="async"
            )
    assert len(result) == MORE_THAN_ARE_QUEUED

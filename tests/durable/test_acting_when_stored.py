"""What a commit emitted is acted on when it is stored, and not before; with ``"async"`` at once.

The store of these tests holds commits until they are let go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    RunEndedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio._run._scribe import _MOST_QUEUED

from .kit import Boom, Done, Go, Log, Note, Work, settle
from .stores import HeldStore, image_of

pytestmark = pytest.mark.anyio


def two_steps(log: Log) -> Workflow[Any]:
    @step
    async def begin(ev: Go) -> Work:
        log("begin")
        return Work(ev.n)

    @step
    async def work(ev: Work) -> StopEvent:
        log("work")
        return StopEvent(result=ev.n)

    return Workflow("two", [begin, work])


async def test_nothing_is_dispatched_told_or_returned_before_it_is_stored() -> None:
    log = Log()
    async with HeldStore() as store, two_steps(log).start(Go(1), store=store) as run:
        store.hold()
        stream = run.stream_events(lifecycle=True)
        await settle()
        assert log.lines == ["begin"]
        assert store.waiting == 1
        assert "step_completed" not in [fact.kind for fact in run.history]
        store.let_go()
        store.hold()
        await settle()
        assert log.lines == ["begin", "work"]
        assert [fact.kind for fact in run.history].count("step_completed") == 1
        assert run.status == "running", "its end is not stored"
        store.let_go()
        assert await run.result() == 1
        assert run.status == "completed"
        kinds = [event.kind async for event in stream]  # type: ignore[attr-defined]
        assert kinds.count("step_completed") == 2
        assert kinds[-1] == "run_completed"


async def test_durability_async_acts_at_once_and_stores_in_order() -> None:
    log = Log()
    async with HeldStore() as store:
        async with two_steps(log).start(Go(1), store=store, durability="async") as run:
            store.hold()
            await settle()
            assert log.lines == ["begin", "work"]
            assert run.status == "completed"
            assert store.waiting == 1
            store.let_go()
            assert await run.result() == 1
        assert [commit.sequence for commit in store.commits] == [2, 3]


async def test_durability_async_returns_no_result_that_is_not_stored() -> None:
    log = Log()
    async with HeldStore() as store, anyio.create_task_group() as group:
        store.hold()

        async def run() -> None:
            log(str(await two_steps(log).run(Go(1), store=store, durability="async")))

        group.start_soon(run)
        await settle()
        assert log.lines == ["begin", "work"]
        store.let_go()
        await settle()
        assert log.lines == ["begin", "work", "1"]


async def test_durability_async_does_not_run_away_from_a_slow_store() -> None:
    """No more than a bounded number of commits is ever queued; then all of them are stored."""
    begun = 0

    @step
    async def hop(ev: Go) -> Go | StopEvent:
        nonlocal begun
        begun += 1
        return Go(ev.n - 1) if ev.n else StopEvent(result="there")

    async with HeldStore() as store:
        async with Workflow("far", [hop]).start(Go(3000), store=store, durability="async") as run:
            store.hold()
            await anyio.wait_all_tasks_blocked()
            assert run.status == "running"
            assert begun < 2 * _MOST_QUEUED
            store.let_go()
            assert await run.result() == "there"
        assert begun == 3001


async def test_a_request_is_shown_and_handled_when_it_is_stored() -> None:
    log = Log()

    def answer(request: InputRequestEvent) -> int:
        log("asked")
        return 7

    @step
    async def ask(ev: Go) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def take(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    workflow = Workflow("w", [ask, take])
    async with (
        HeldStore() as store,
        workflow.start(Go(), store=store, input_handler=answer) as run,
    ):
        stream = run.stream_events()
        store.hold()
        await settle()
        assert log.lines == []
        store.let_go()
        assert await run.result() == 7
        assert len([event async for event in stream]) == 1
    assert log.lines == ["asked"]


async def test_once_gives_its_result_when_it_is_stored() -> None:
    for durability in ("sync", "async"):
        log = Log()

        @step
        async def work(ev: Go, ctx: Context, log: Log = log) -> StopEvent:
            log(await ctx.once("charge", lambda: log("charge") or "receipt"))
            return StopEvent()

        async with HeldStore() as store:
            workflow = Workflow("w", [work])
            async with workflow.start(Go(), store=store, durability=durability) as run:  # type: ignore[arg-type]
                store.hold()
                await settle()
                assert log.lines == ["charge"]
                store.let_go()
                await run.result()
        assert log.lines == ["charge", "receipt"]


async def test_a_child_run_begins_when_what_began_it_is_stored() -> None:
    log = Log()
    child = two_steps(log)

    @step
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        result = await ctx.run_workflow(child, ev)
        log("back")
        return StopEvent(result=result)

    async with (
        HeldStore() as store,
        Workflow("outer", [delegate]).start(Go(4), store=store) as run,
    ):
        store.hold()
        await settle()
        assert log.lines == []
        await store.let_go_until(lambda: "work" in log.lines)
        assert "back" not in log.lines
        store.let_go()
        assert await run.result() == 4


async def test_the_snapshot_of_a_run_whose_child_has_just_ended_goes_on() -> None:
    """Between the end of the child and its being stored, nothing of the child is left but that."""
    log = Log()
    child = two_steps(log)

    @step
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, ev))

    workflow = Workflow("outer", [delegate])
    async with HeldStore() as store, workflow.start(Go(4), store=store) as run:
        store.hold()
        await store.let_go_until(lambda: "work" in log.lines)
        snapshot = run.snapshot()
        store.let_go()
        assert await run.result() == 4
    async with workflow.resume(snapshot) as again:
        assert await again.result() == 4


async def test_a_run_that_has_completed_but_for_the_store_has_no_snapshot() -> None:
    async with HeldStore() as store, two_steps(Log()).start(Go(4), store=store) as run:
        await run._runner.scribe.flush()  # type: ignore[union-attr]
        store.hold()
        await settle()
        if run.status == "running" and run._runner.machine._ledger.ending is not None:
            with pytest.raises(RunEndedError):
                run.snapshot()
        store.let_go()
        assert await run.result() == 4
        with pytest.raises(RunEndedError):
            run.snapshot()


async def test_a_wait_is_over_when_that_is_stored() -> None:
    log = Log()

    @step(waits=[Note])
    async def work(ev: Go, ctx: Context) -> StopEvent:
        note = await ctx.wait_for_event(Note)
        log(note.text)
        return StopEvent(result=note.text)

    async with HeldStore() as store, Workflow("w", [work]).start(Go(), store=store) as run:
        await settle()
        store.hold()
        run.send_event(Note("hello"))
        await settle()
        assert log.lines == []
        store.let_go()
        assert await run.result() == "hello"


async def test_an_event_that_ends_a_wait_wakes_the_step_though_nothing_else_happens() -> None:
    @step(waits=[Note])
    async def work(ev: Go, ctx: Context) -> StopEvent:
        return StopEvent(result=(await ctx.wait_for_event(Note)).text)

    async with HeldStore() as store, Workflow("w", [work]).start(Go(), store=store) as run:
        await settle()
        run.send_event(Note("hello"))
        with anyio.fail_after(5):
            assert await run.result() == "hello"


async def test_what_a_delay_lets_out_is_dispatched_when_that_is_stored() -> None:
    log = Log()

    @step
    async def begin(ev: Go, ctx: Context) -> None:
        ctx.send_event(Work(1), delay=5)

    @step(retry=Retry(max_attempts=2, initial=5, jitter=False))
    async def work(ev: Work, ctx: Context) -> StopEvent:
        log(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise Boom
        return StopEvent()

    async with HeldStore() as store, Workflow("w", [begin, work]).start(Go(), store=store) as run:
        await anyio.sleep(1)
        store.hold()
        await anyio.sleep(10)
        assert log.lines == [], "it is due, and that is not stored"
        store.let_go()
        await settle()
        assert log.lines == ["attempt 1"]
        store.hold()
        await anyio.sleep(20)
        assert log.lines == ["attempt 1"]
        store.let_go()
        await run.result()


async def test_what_leaves_early_is_dispatched_when_it_is_stored() -> None:
    log = Log()

    @step
    async def pages(ev: Go, ctx: Context) -> AsyncIterator[Work]:
        yield Work(1)
        await anyio.sleep(3)
        ctx.send_event(Note("early"), immediate=True)
        await anyio.sleep(3)

    @step
    async def work(ev: Work) -> Done:
        log("work")
        return Done()

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent()

    async with (
        HeldStore() as store,
        Workflow("w", [pages, work, note, join]).start(Go(), store=store) as run,
    ):
        store.hold()
        await anyio.sleep(2)
        assert log.lines == []
        store.let_go()
        await settle()
        assert log.lines == ["work"]
        store.hold()
        await anyio.sleep(3)
        assert log.lines == ["work"]
        store.let_go()
        await run.result()
    assert log.lines == ["work", "early"]


async def test_an_event_from_outside_is_acknowledged_when_it_is_stored() -> None:
    @step
    async def begin(ev: Go) -> None: ...

    @step
    async def take(ev: Note) -> StopEvent:
        return StopEvent(result=ev.text)

    workflow = Workflow("w", [begin, take], external=[Note])
    async with HeldStore() as store, workflow.start(Go(), run_id="run", store=store) as run:
        await settle()
        store.hold()
        run.send_event(Note("hello"))
        with anyio.move_on_after(5) as scope:
            await run.flush()
        assert scope.cancelled_caught
        store.let_go()
        await run.flush()
        image = image_of(store)
        assert await run.result() == "hello"
        async with image:
            assert await workflow.run(Go(), run_id="run", store=image) == "hello"


async def test_commits_that_come_while_the_store_is_busy_go_to_it_together() -> None:
    @step
    async def begin(ev: Go) -> list[Work]:
        return [Work(n) for n in range(20)]

    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    calls: list[int] = []

    class Counting(HeldStore):
        async def commit(self, commits: Any) -> None:
            calls.append(len(commits))
            await super().commit(commits)

    async with Counting() as store:
        assert await Workflow("w", [begin, work, join]).run(Go(), store=store) == 20
    assert len(calls) < 8
    assert sum(calls) == 22


async def test_a_cancelled_run_stores_what_it_has_committed_before_it_returns() -> None:
    log = Log()
    async with HeldStore() as store:
        store.hold()
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def run() -> None:
                with scope:
                    await two_steps(log).run(Go(5), run_id="run", store=store)
                log("returned")

            group.start_soon(run)
            await settle()
            scope.cancel()
            await settle()
            assert log.lines == ["begin"]
            store.let_go()
        assert log.lines == ["begin", "returned"]
        assert [each.result for each in await two_steps(log).recover(store)] == [5]
    assert log.lines == ["begin", "returned", "work"]

"""Suspending: dispatch stops, running steps get their grace, the rest is delivered again later."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest
from anyio import to_thread

from blazen_anyio import (
    Context,
    Event,
    Retry,
    RunEndedError,
    RunSuspendedError,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, cleanup, settle

pytestmark = pytest.mark.anyio


def slow(log: Log, seconds: float = 10) -> Workflow:
    @step
    async def work(ev: StartEvent) -> Done:
        log("work begins")
        await anyio.sleep(seconds)
        log("work ends")
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result="done")

    return Workflow("slow", [work, done])


async def test_without_grace_running_steps_are_cancelled_and_delivered_again() -> None:
    log = Log()
    workflow = slow(log)
    async with workflow.start() as run:
        await anyio.sleep(3)
        snapshot = await run.suspend()
        assert run.status == "suspended"
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert log.lines == ["work begins", "work begins", "work ends"]


async def test_within_the_grace_running_steps_may_finish() -> None:
    log = Log()
    workflow = slow(log)
    async with workflow.start() as run:
        await anyio.sleep(3)
        started = anyio.current_time()
        snapshot = await run.suspend(grace=60)
        assert anyio.current_time() == pytest.approx(started + 7)
    assert log.lines == ["work begins", "work ends"]
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert log.lines == ["work begins", "work ends"]


async def test_after_the_grace_the_rest_is_cancelled() -> None:
    log = Log()
    workflow = slow(log)
    async with workflow.start() as run:
        await settle()
        started = anyio.current_time()
        await run.suspend(grace=4)
        assert anyio.current_time() == pytest.approx(started + 4)
    assert log.lines == ["work begins"]


async def test_nothing_is_dispatched_during_the_grace() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step(max_concurrency=1)
    async def work(ev: Work) -> Work | None:
        await anyio.sleep(2)
        log("work")
        return Work()

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep_forever()

    async with Workflow("w", [begin, work, done]).start() as run:
        await settle()
        await run.suspend(grace=60)
    assert log.lines == ["work"]


async def test_the_cleanup_of_what_is_cancelled_is_awaited() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent) -> StopEvent:
        async with cleanup(log, seconds=5):
            await anyio.sleep_forever()

    async with Workflow("w", [work]).start() as run:
        await settle()
        await run.suspend()
        log("suspended")
    assert log.lines == ["cleanup", "suspended"]


async def test_no_attempt_is_used_up() -> None:
    attempts: list[int] = []

    @step(retry=Retry(max_attempts=1))
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        attempts.append(ctx.attempt)
        if len(attempts) < 3:
            await anyio.sleep_forever()
        return StopEvent(result="done")

    workflow = Workflow("w", [work])
    run = workflow.start()
    for _ in range(2):
        async with run:
            await settle()
            run = workflow.resume(await run.suspend())
    async with run:
        assert await run.result() == "done"
    assert attempts == [1, 1, 1]


async def test_attempts_that_failed_before_still_count_after_a_resume() -> None:
    attempts: list[int] = []

    @step(retry=Retry(max_attempts=3, initial=0))
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        attempts.append(ctx.attempt)
        if len(attempts) == 2:
            await anyio.sleep_forever()
        raise Boom

    workflow = Workflow("w", [work])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    with pytest.raises(StepFailedError) as caught:
        async with workflow.resume(snapshot) as run:
            await run.result()
    assert attempts == [1, 2, 2, 3]
    assert caught.value.attempts == 3


async def test_result_raises_the_error_that_carries_the_snapshot() -> None:
    workflow = slow(Log())
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
        with pytest.raises(RunSuspendedError) as caught:
            await run.result()
    assert caught.value.snapshot == snapshot


async def test_leaving_the_block_after_a_suspension_raises_nothing() -> None:
    async with slow(Log()).start() as run:
        await settle()
        await run.suspend()
    assert run.status == "suspended"


async def test_input_handlers_are_cancelled_and_asked_again_after_a_resume() -> None:
    log = Log()

    async def answer(request: Event) -> str:
        log("asked")
        async with cleanup(log):
            await anyio.sleep(10)
        return "answer"

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    workflow = Workflow("w", [ask], input_handler=answer)
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    assert log.lines == ["asked", "cleanup"]
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "answer"
    assert log.lines == ["asked", "cleanup"] * 2


async def test_threads_are_waited_for_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    begun, release = threading.Event(), threading.Event()
    log = Log()

    @step
    def in_thread(ev: StartEvent) -> Done:
        begun.set()
        release.wait(30)
        log("thread ends")
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result="done")

    async def release_later() -> None:
        await anyio.sleep(5)
        release.set()

    workflow = Workflow("w", [in_thread, done])
    caplog.set_level(logging.WARNING, logger="blazen_anyio")
    async with anyio.create_task_group() as tasks, workflow.start() as run:
        assert await to_thread.run_sync(begun.wait, 30)
        tasks.start_soon(release_later)
        snapshot = await run.suspend()
        log("suspended")
    assert log.lines == ["thread ends", "suspended"]
    assert "in_thread" in caplog.text
    # What the thread returned counts: it had finished.
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert log.lines == ["thread ends", "suspended"]


async def test_a_run_that_ends_during_the_grace_has_not_been_suspended() -> None:
    @step
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result="done")

    async with Workflow("w", [work]).start() as run:
        await settle()
        with pytest.raises(RunEndedError):
            await run.suspend(grace=60)
        assert await run.result() == "done"


async def test_a_failure_during_the_grace_is_the_end_of_the_run() -> None:
    boom = Boom()

    @step
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        raise boom

    async with Workflow("w", [work]).start() as run:
        await settle()
        with pytest.raises(RunEndedError):
            await run.suspend(grace=60)
        with pytest.raises(StepFailedError) as caught:
            await run.result()
    assert caught.value.error is boom


async def test_a_suspension_that_is_cancelled_gives_no_further_grace() -> None:
    log = Log()
    async with slow(log).start() as run:
        await settle()
        with anyio.move_on_after(2):
            await run.suspend(grace=60)
        with pytest.raises(RunSuspendedError):
            await run.result()
    assert log.lines == ["work begins"]
    assert run.status == "suspended"


async def test_two_suspensions_at_once_give_the_same_snapshot() -> None:
    snapshots = []
    async with slow(Log()).start() as run:
        await settle()

        async def suspend(grace: float) -> None:
            snapshots.append(await run.suspend(grace=grace))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(suspend, 5)
            tasks.start_soon(suspend, 2)
    assert snapshots[0] == snapshots[1]


async def test_suspending_after_the_end_is_an_error() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [only]).start() as run:
        await run.result()
        with pytest.raises(RunEndedError):
            await run.suspend()


async def test_a_run_may_be_suspended_before_its_first_step() -> None:
    log = Log()
    workflow = slow(log, 1)
    async with workflow.start() as run:
        snapshot = await run.suspend()
    assert log.lines == []
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"


async def test_a_cleanup_that_fails_uses_no_attempt_up_either_and_is_logged(logged) -> None:
    boom = Boom()
    attempts: list[int] = []

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        attempts.append(ctx.attempt)
        if len(attempts) == 2:
            return StopEvent(result="done")
        try:
            await anyio.sleep_forever()
        finally:
            raise boom

    workflow = Workflow("w", [work])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
        assert [fact.kind for fact in run.history if fact.error] == ["step_failed"]
    assert logged() == [boom]
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert attempts == [1, 1]


async def test_a_paused_run_can_be_suspended() -> None:
    log = Log()
    workflow = slow(log, 1)
    async with workflow.start() as run:
        run.pause()
        snapshot = await run.suspend(grace=10)
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"

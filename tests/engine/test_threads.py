"""``def`` steps: in worker threads, never abandoned, with a context that works from the thread."""

from __future__ import annotations

import threading
import time

import anyio
import pytest
from anyio import from_thread, to_thread

from blazen_anyio import (
    Context,
    ContextClosedError,
    Event,
    Retry,
    StartEvent,
    StepFailedError,
    StepTimeoutError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Note, Work, settle

pytestmark = pytest.mark.anyio


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(n) for n in range(6)]


@step
async def gather(done: list[Done]) -> StopEvent:
    return StopEvent(result=[each.n for each in done])


async def test_a_plain_step_sends_writes_and_returns_like_any_other() -> None:
    log = Log()

    @step
    def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Note("sent"))
        ctx.state["key"] = "written"
        log("returns")
        return Done()

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    @step
    def done(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work, note, done]).run() == "written"
    assert log.lines == ["returns", "sent"]


async def test_a_failed_thread_leaves_nothing() -> None:
    log = Log()

    @step(retry=Retry(initial=0))
    def work(ev: StartEvent, ctx: Context) -> StopEvent:
        log(f"{ctx.attempt} sees {ctx.state.get('key')}")
        ctx.state["key"] = ctx.attempt
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work]).run() == 2
    assert log.lines == ["1 sees None", "2 sees None"]


async def test_synchronous_methods_of_the_context_work_from_the_thread() -> None:
    log = Log()

    @step(max_concurrency=1)
    def work(ev: StartEvent | Work, ctx: Context) -> Work | StopEvent | None:
        ctx.write_event_to_stream(Note("shown"))
        ctx.send_event(Done(), immediate=True)
        if isinstance(ev, StartEvent):
            return Work()
        works = ctx.collect_events(Work, 1)
        return StopEvent(result=len(works or ()))

    @step
    async def done(ev: Done) -> None:
        log("immediate")

    async with Workflow("w", [work, done]).start() as run:
        shown = [event.text async for event in run.stream_events()]
        assert await run.result() == 1
    assert shown == ["shown", "shown"]
    assert "immediate" in log.lines


async def test_a_thread_may_call_into_the_event_loop() -> None:
    @step
    def work(ev: StartEvent) -> StopEvent:
        return StopEvent(result=from_thread.run(anyio.sleep, 1))

    assert await Workflow("w", [work]).run() is None


async def test_plain_steps_run_side_by_side() -> None:
    barrier = threading.Barrier(6, timeout=20)

    @step
    def work(ev: Work) -> Done:
        barrier.wait()
        return Done(ev.n)

    assert await Workflow("w", [split, work, gather]).run() == list(range(6))


async def test_max_concurrency_limits_threads() -> None:
    lock = threading.Lock()
    running = 0
    most = 0

    @step(max_concurrency=2)
    def work(ev: Work) -> Done:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return Done(ev.n)

    assert await Workflow("w", [split, work, gather]).run() == list(range(6))
    assert most == 2


async def test_a_step_with_a_limit_does_not_use_the_threads_of_the_program() -> None:
    """All threads of the default limiter may be taken, and the step still runs."""
    limiter = to_thread.current_default_thread_limiter()
    before = limiter.total_tokens
    limiter.total_tokens = 1
    release = threading.Event()

    @step(max_concurrency=2)
    def work(ev: StartEvent) -> StopEvent:
        return StopEvent(result="ran")

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(to_thread.run_sync, release.wait, 20)
            await settle()
            assert await Workflow("w", [work]).run() == "ran"
            release.set()
    finally:
        release.set()
        limiter.total_tokens = before


async def test_the_event_loop_is_not_blocked_meanwhile() -> None:
    release = threading.Event()
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    def work(ev: Work) -> StopEvent:
        assert release.wait(20)
        return StopEvent(result="released")

    @step
    async def done(ev: Done) -> None:
        await anyio.sleep(1)
        log("ran beside it")
        release.set()

    assert await Workflow("w", [begin, work, done]).run() == "released"
    assert log.lines == ["ran beside it"]


async def test_a_failure_in_a_thread_is_the_very_object() -> None:
    boom = Boom()

    @step
    def work(ev: StartEvent) -> StopEvent:
        raise boom

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [work]).run()
    assert caught.value.error is boom


async def test_a_thread_is_waited_for_when_the_run_has_ended() -> None:
    release = threading.Event()
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    def work(ev: Work, ctx: Context) -> StopEvent:
        release.wait(20)
        log("thread ends")
        return StopEvent(result="too late")

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="in time")

    async def release_later() -> None:
        await anyio.sleep(10)
        release.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release_later)
        assert await Workflow("w", [begin, work, done]).run() == "in time"
        log("run ends")
    assert log.lines == ["thread ends", "run ends"]


async def test_a_cooperative_step_can_time_out() -> None:
    log = Log()

    @step(timeout=5, cooperative=True)
    def work(ev: StartEvent) -> StopEvent:
        try:
            while True:
                from_thread.check_cancelled()
                time.sleep(0.001)
        finally:
            log("thread ends")

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [work]).run()
    assert isinstance(caught.value.error, StepTimeoutError)
    assert log.lines == ["thread ends"]


async def test_a_cooperative_step_ends_with_the_run() -> None:
    log = Log()

    @step(timeout=1000, cooperative=True)
    def work(ev: StartEvent) -> StopEvent:
        try:
            while True:
                from_thread.check_cancelled()
                time.sleep(0.001)
        finally:
            log("thread ends")

    with anyio.move_on_after(2) as scope:
        await Workflow("w", [work]).run()
    assert scope.cancelled_caught
    assert log.lines == ["thread ends"]


async def test_a_context_used_after_the_attempt_in_a_thread_is_an_error() -> None:
    kept: list[Context] = []

    @step
    def work(ev: StartEvent, ctx: Context) -> StopEvent:
        kept.append(ctx)
        return StopEvent()

    await Workflow("w", [work]).run()
    with pytest.raises(ContextClosedError, match="work"):
        kept[0].send_event(Work())


async def test_a_thread_may_not_send_what_is_no_event() -> None:
    @step
    def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event("text")  # type: ignore[arg-type]
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [work]).run()
    assert isinstance(caught.value.error, TypeError)


async def test_a_plain_step_takes_several_events_too() -> None:
    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    def gather_in_thread(done: list[Done]) -> StopEvent:
        assert all(isinstance(each, Event) for each in done)
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [split, work, gather_in_thread]).run() == list(range(6))

"""Timeouts really cancel, wait for the cleanup, and count active time only."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StartEvent,
    StepFailed,
    StepFailedError,
    StepTimeoutError,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    step,
)

from .kit import Done, Log, Note, Work, cleanup, settle

pytestmark = pytest.mark.anyio


# ---- of a step ---------------------------------------------------------------------------------


async def test_a_step_that_takes_too_long_is_cancelled_and_cleans_up() -> None:
    log = Log()

    @step(timeout=3)
    async def slow(ev: StartEvent) -> StopEvent:
        async with cleanup(log, seconds=5):
            await anyio.sleep_forever()

    started = anyio.current_time()
    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [slow]).run()
    assert anyio.current_time() == pytest.approx(started + 8)
    assert log.lines == ["cleanup"]
    error = caught.value.error
    assert isinstance(error, StepTimeoutError)
    assert isinstance(error, TimeoutError)
    assert (error.step, error.timeout) == ("slow", 3)
    assert isinstance(error.event, StartEvent)


async def test_a_step_timeout_shows_where_the_step_was() -> None:
    """The cancellation that ended the step is the cause of the error."""

    @step(timeout=1)
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [slow]).run()
    cause = caught.value.error.__cause__
    assert isinstance(cause, anyio.get_cancelled_exc_class())
    frames = []
    traceback = cause.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert "slow" in frames


async def test_a_step_timeout_can_be_retried() -> None:
    @step(timeout=1, retry=Retry(on=TimeoutError, initial=0))
    async def slow(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt < 3:
            await anyio.sleep_forever()
        return StopEvent(result=ctx.attempt)

    assert await Workflow("w", [slow]).run() == 3


async def test_a_step_timeout_goes_to_an_error_step() -> None:
    @step(timeout=1)
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.error_type)

    assert (await Workflow("w", [slow, handle]).run()).endswith("StepTimeoutError")


async def test_a_step_that_is_quick_enough_has_no_trace_of_its_timeout() -> None:
    @step(timeout=3)
    async def quick(ev: StartEvent | Work) -> Work | StopEvent:
        number = ev.n if isinstance(ev, Work) else 0
        await anyio.sleep(2)
        return Work(number + 1) if number < 4 else StopEvent(result="ok")

    assert await Workflow("w", [quick]).run() == "ok"


async def test_time_in_the_queue_does_not_count_for_the_step() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(4)]

    @step(timeout=3, max_concurrency=1)
    async def work(ev: Work) -> Done:
        await anyio.sleep(2)
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    assert await Workflow("w", [begin, work, gather]).run() == 4


async def test_a_step_timeout_runs_during_a_pause() -> None:
    log = Log()

    @step(timeout=3)
    async def slow(ev: StartEvent) -> StopEvent:
        async with cleanup(log, seconds=0):
            await anyio.sleep_forever()

    async with Workflow("w", [slow]).start() as run:
        await settle()
        run.pause()
        await anyio.sleep(4)
        assert log.lines == ["cleanup"]
        with pytest.raises(StepFailedError):
            await run.result()


async def test_a_step_timeout_stands_still_while_the_engine_makes_the_step_wait() -> None:
    @step(timeout=3, waits=[Note])
    async def patient(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(2)
        await ctx.wait_for_event(Note)
        await anyio.sleep(0.5)
        return StopEvent(result="in time")

    async with Workflow("w", [patient], external=[Note]).start() as run:
        await anyio.sleep(100)
        run.send_event(Note())
        assert await run.result() == "in time"


async def test_a_step_timeout_goes_on_after_the_wait_where_it_stood() -> None:
    @step(timeout=3, waits=[Note])
    async def patient(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(2)
        await ctx.wait_for_event(Note)
        await anyio.sleep(2)
        return StopEvent()

    async with Workflow("w", [patient], external=[Note]).start() as run:
        await anyio.sleep(100)
        run.send_event(Note())
        sent = anyio.current_time()
        with pytest.raises(StepFailedError) as caught:
            await run.result()
        assert isinstance(caught.value.error, StepTimeoutError)
        assert anyio.current_time() == pytest.approx(sent + 1)


async def test_a_scope_of_the_steps_own_works_under_a_step_timeout() -> None:
    @step(timeout=5)
    async def own(ev: StartEvent) -> StopEvent:
        with anyio.move_on_after(1):
            await anyio.sleep_forever()
        return StopEvent(result="moved on")

    assert await Workflow("w", [own]).run() == "moved on"


async def test_there_is_no_timeout_unless_one_is_given() -> None:
    @step
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep(80_000)
        return StopEvent(result="at last")

    assert await Workflow("w", [slow]).run() == "at last"


# ---- of a run ----------------------------------------------------------------------------------


async def test_a_run_that_takes_too_long_is_cancelled_and_cleans_up() -> None:
    log = Log()

    @step
    async def slow(ev: StartEvent) -> StopEvent:
        async with cleanup(log, seconds=5):
            await anyio.sleep_forever()

    started = anyio.current_time()
    with pytest.raises(WorkflowTimeoutError) as caught:
        await Workflow("tardy", [slow], timeout=3).run()
    assert anyio.current_time() == pytest.approx(started + 8)
    assert log.lines == ["cleanup"]
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.workflow, caught.value.timeout) == ("tardy", 3)
    assert caught.value.running == ("slow",)


async def test_a_chain_of_short_steps_times_out_as_a_whole() -> None:
    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        await anyio.sleep(1)
        return Work()

    started = anyio.current_time()
    with pytest.raises(WorkflowTimeoutError):
        await Workflow("w", [hop], timeout=10).run()
    assert anyio.current_time() == pytest.approx(started + 10)


async def test_delays_between_attempts_count_for_the_run() -> None:
    @step(retry=Retry(initial=20, jitter=False))
    async def fails(ev: StartEvent) -> StopEvent:
        raise ValueError

    with pytest.raises(WorkflowTimeoutError) as caught:
        await Workflow("w", [fails], timeout=10).run()
    assert caught.value.running == ()


async def test_paused_time_does_not_count_for_the_run() -> None:
    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        await anyio.sleep(4)
        return StopEvent(result="in time") if isinstance(ev, Work) else Work()

    async with Workflow("w", [hop], timeout=10).start() as run:
        await anyio.sleep(3)
        run.pause()
        await anyio.sleep(100)
        run.resume()
        assert await run.result() == "in time"
        assert run.statistics().active_time == pytest.approx(7)


async def test_a_run_can_not_time_out_while_it_is_paused() -> None:
    @step
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep(50)
        return StopEvent(result="in time")

    async with Workflow("w", [slow], timeout=10).start() as run:
        await settle()
        run.pause()
        assert await run.result() == "in time"


async def test_waiting_for_a_human_does_not_count_for_the_run() -> None:
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        await anyio.sleep(4)
        return InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        await anyio.sleep(4)
        return StopEvent(result=ev.response)

    async with Workflow("w", [ask, answered], timeout=10).start() as run:
        async for request in run.stream_events():
            await anyio.sleep(1000)
            run.respond_to_input(request.request_id, "yes")
        assert await run.result() == "yes"


async def test_waiting_for_a_human_inside_a_step_does_not_count_for_the_run() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    async with Workflow("w", [ask], timeout=10).start() as run:
        await anyio.sleep(1000)
        run.respond_to_input(run.requests[0].request_id, "yes")
        assert await run.result() == "yes"


async def test_work_beside_an_open_request_counts_for_the_run() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[InputRequestEvent, Work]:
        return InputRequestEvent("?"), Work()

    @step
    async def work(ev: Work) -> None:
        await anyio.sleep_forever()

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent()

    started = anyio.current_time()
    with pytest.raises(WorkflowTimeoutError):
        async with Workflow("w", [begin, work, answered], timeout=10).start() as run:
            await run.result()
    assert anyio.current_time() == pytest.approx(started + 10)


async def test_active_time_goes_on_where_it_was_after_a_resume() -> None:
    @step
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep(8)
        return StopEvent()

    workflow = Workflow("w", [slow], timeout=10)
    async with workflow.start() as run:
        await anyio.sleep(4)
        snapshot = await run.suspend()
    await anyio.sleep(100)
    started = anyio.current_time()
    with pytest.raises(WorkflowTimeoutError):
        async with workflow.resume(snapshot) as run:
            await run.result()
    assert anyio.current_time() == pytest.approx(started + 6)


async def test_a_timed_out_run_does_not_route_what_its_steps_return_late() -> None:
    log = Log()

    @step
    async def slow(ev: StartEvent) -> Work:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return Work()

    @step
    async def work(ev: Work) -> StopEvent:
        log("work")
        return StopEvent()

    with pytest.raises(WorkflowTimeoutError):
        await Workflow("w", [slow, work], timeout=3).run()
    assert log.lines == []

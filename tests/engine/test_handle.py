"""The handle: used before, after and twice; and how its block can end."""

from __future__ import annotations

import gc

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequiredError,
    RunCancelledError,
    RunEndedError,
    RunSuspendedError,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .kit import Done, Log, Note, Work, settle

pytestmark = pytest.mark.anyio


@step
async def only(ev: StartEvent) -> StopEvent:
    await anyio.sleep(5)
    return StopEvent(result="done")


SIMPLE = Workflow("simple", [only])


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.status,
        lambda run: run.requests,
        lambda run: run.history,
        lambda run: run.statistics(),
        lambda run: run.stream_events(),
        lambda run: run.cancel(),
        lambda run: run.pause(),
        lambda run: run.snapshot(),
        lambda run: run.send_event(Work()),
        lambda run: run.respond_to_input("x", 1),
    ],
)
async def test_a_handle_that_was_not_entered_says_so(use) -> None:
    run = SIMPLE.start()
    with pytest.raises(RuntimeError, match="async with"):
        use(run)


async def test_asynchronous_methods_of_a_handle_that_was_not_entered_say_so_too() -> None:
    run = SIMPLE.start()
    with pytest.raises(RuntimeError, match="async with"):
        await run.result()
    with pytest.raises(RuntimeError, match="async with"):
        await run.suspend()


async def test_a_handle_knows_its_run_id_before_it_is_entered() -> None:
    run = SIMPLE.start(run_id="mine")
    assert run.run_id == "mine"
    assert "mine" in repr(run)
    async with run:
        assert "running" in repr(run)
    assert "completed" in repr(run)


async def test_a_handle_that_was_never_entered_leaves_nothing() -> None:
    SIMPLE.start()
    gc.collect()


async def test_a_handle_can_be_entered_once() -> None:
    run = SIMPLE.start()
    async with run:
        with pytest.raises(RuntimeError, match="once"):
            await run.__aenter__()
    with pytest.raises(RuntimeError, match="once"):
        async with run:
            pass


async def test_leaving_the_block_waits_for_the_run() -> None:
    started = anyio.current_time()
    async with SIMPLE.start() as run:
        pass
    assert anyio.current_time() == pytest.approx(started + 5)
    assert run.status == "completed"
    assert await run.result() == "done"  # still there


async def test_result_can_be_asked_for_several_times_and_by_several_tasks() -> None:
    results = []

    async def ask() -> None:
        results.append(await run.result())

    async with SIMPLE.start() as run, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
    assert results == ["done"] * 3


async def test_after_the_end_inputs_are_refused_and_everything_else_can_be_read() -> None:
    async with SIMPLE.start() as run:
        await run.result()
        with pytest.raises(RunEndedError, match="completed"):
            run.send_event(StartEvent())
        with pytest.raises(RunEndedError):
            run.respond_to_input("x", 1)
        with pytest.raises(RunEndedError):
            await run.suspend()
    assert run.requests == ()
    assert run.history
    assert run.statistics().steps["only"].done == 1
    with pytest.raises(RunEndedError):
        run.send_event(StartEvent())


async def test_status_follows_the_run() -> None:
    async with SIMPLE.start() as run:
        assert run.status == "running"
        run.pause()
        assert run.status == "paused"
        run.resume()
        await run.result()
        assert run.status == "completed"


async def test_steps_begin_only_once_the_block_has_been_entered() -> None:
    """So what is done first thing in the block sees all of the run."""
    log = Log()

    @step
    async def first(ev: StartEvent, ctx: Context) -> StopEvent:
        log("step")
        ctx.write_event_to_stream(Note("shown"))
        return StopEvent()

    async with Workflow("w", [first]).start() as run:
        log("block")
        stream = run.stream_events()
        assert [event.text async for event in stream] == ["shown"]
    assert log.lines == ["block", "step"]


async def test_sending_what_is_no_event_is_a_type_error_and_the_run_goes_on() -> None:
    async with SIMPLE.start() as run:
        with pytest.raises(TypeError, match="str"):
            run.send_event("text")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="type"):
            run.send_event(Work)  # type: ignore[arg-type]
        assert await run.result() == "done"


async def test_an_exit_that_could_hang_suspends_waiting_for_input() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    with pytest.raises(InputRequiredError):
        async with Workflow("w", [ask]).start() as run:
            pass
    assert run.status == "suspended"


async def test_an_exit_that_could_hang_suspends_paused() -> None:
    with pytest.raises(RunSuspendedError) as caught:
        async with SIMPLE.start() as run:
            run.pause()
    assert run.status == "suspended"
    async with SIMPLE.resume(caught.value.snapshot) as run:
        assert await run.result() == "done"


async def test_an_exit_that_could_hang_suspends_idle_for_external_events() -> None:
    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent()

    with pytest.raises(RunSuspendedError):
        async with Workflow("w", [begin, end], external=[Done]).start() as run:
            pass
    assert run.status == "suspended"


async def test_an_exit_while_another_task_still_answers_suspends_all_the_same() -> None:
    """Leaving the block says that nobody will answer."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    async def answer_late() -> None:
        await anyio.sleep(10)
        with pytest.raises(RunEndedError):
            run.respond_to_input("any", 1)

    async with anyio.create_task_group() as tasks:
        with pytest.raises(InputRequiredError):
            async with Workflow("w", [ask]).start() as run:
                tasks.start_soon(answer_late)


async def test_a_run_suspended_on_leaving_raises_from_result_too() -> None:
    with pytest.raises(RunSuspendedError):
        async with SIMPLE.start() as run:
            run.pause()
    with pytest.raises(RunSuspendedError):
        await run.result()


async def test_a_run_of_a_cancelled_handle_raises_from_result() -> None:
    async with SIMPLE.start() as run:
        run.cancel()
    with pytest.raises(RunCancelledError):
        await run.result()


async def test_several_runs_of_one_workflow_go_on_side_by_side() -> None:
    started = anyio.current_time()
    async with SIMPLE.start() as one, SIMPLE.start() as other:
        assert await one.result() == await other.result() == "done"
    assert anyio.current_time() == pytest.approx(started + 5)
    assert one.run_id != other.run_id


async def test_a_run_inside_the_block_of_another_fails_alone() -> None:
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        await settle()
        raise ValueError

    async with SIMPLE.start() as one:
        with pytest.raises(Exception, match="fails"):
            await Workflow("w", [fails]).run()
        assert await one.result() == "done"

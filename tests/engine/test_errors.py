"""A user's exception stays the user's: the very object, in no group, on both backends."""

from __future__ import annotations

import traceback

import anyio
import pytest

from blazen_anyio import (
    Context,
    NoHandlerError,
    Retry,
    RunCancelledError,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowError,
    WorkflowStalledError,
    step,
)

from .kit import Boom, Done, Log, Note, Work, cleanup, settle

pytestmark = pytest.mark.anyio


def raising(error: BaseException, **options: object) -> Workflow:
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        raise error

    return Workflow("raising", [fails], **options)


# ---- one failure -------------------------------------------------------------------------------


async def test_a_failed_run_is_raised_from_the_very_exception_object() -> None:
    boom = Boom("text")
    with pytest.raises(StepFailedError) as caught:
        await raising(boom).run()
    assert caught.value.error is boom
    assert caught.value.__cause__ is boom


async def test_the_error_says_which_step_failed_on_what() -> None:
    start = StartEvent(data={"a": 1})
    with pytest.raises(StepFailedError) as caught:
        await raising(Boom()).run(start)
    assert caught.value.step == "fails"
    assert caught.value.event is start
    assert caught.value.attempts == 1
    assert caught.value.others == ()


async def test_the_message_does_not_restate_the_exception() -> None:
    with pytest.raises(StepFailedError) as caught:
        await raising(Boom("a secret")).run()
    assert "a secret" not in str(caught.value)
    assert "Boom" in str(caught.value)


async def test_the_traceback_shows_the_line_of_the_user() -> None:
    with pytest.raises(StepFailedError) as caught:
        await raising(Boom()).run()
    names = [frame.name for frame in traceback.extract_tb(caught.value.error.__traceback__)]
    assert names[-1] == "fails"


async def test_the_exceptions_own_cause_and_context_are_kept() -> None:
    cause = ValueError("why")

    @step
    async def fails(ev: StartEvent) -> StopEvent:
        try:
            raise KeyError("before")
        except KeyError:
            raise Boom from cause

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [fails]).run()
    assert caught.value.error.__cause__ is cause
    assert isinstance(caught.value.error.__context__, KeyError)


async def test_an_exception_that_is_raised_again_by_result_is_the_same() -> None:
    boom = Boom()
    async with raising(boom).start() as run:
        with pytest.raises(StepFailedError) as first:
            await run.result()
        with pytest.raises(StepFailedError) as second:
            await run.result()
    assert first.value is second.value
    assert second.value.__cause__ is boom


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


async def test_an_exception_that_has_no_text_fails_the_run_as_any_other() -> None:
    error = Unprintable()
    with pytest.raises(StepFailedError) as caught:
        await raising(error).run()
    assert caught.value.error is error


async def test_an_exception_that_has_no_text_reaches_an_error_step() -> None:
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        raise Unprintable

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.error_type)

    assert "Unprintable" in await Workflow("w", [fails, handle]).run()


async def test_stop_iteration_is_a_failure_as_any_other() -> None:
    """Python makes a RuntimeError of it, as it does in every coroutine."""
    with pytest.raises(StepFailedError) as caught:
        await raising(StopIteration()).run()
    assert isinstance(caught.value.error, RuntimeError)


async def test_a_step_that_raises_an_engine_error_fails_with_it() -> None:
    inner = WorkflowError("mine")
    with pytest.raises(StepFailedError) as caught:
        await raising(inner).run()
    assert caught.value.error is inner


async def test_a_timeout_error_of_the_users_own_is_no_timeout_of_the_step() -> None:
    mine = TimeoutError()
    with pytest.raises(StepFailedError) as caught:
        await raising(mine).run()
    assert caught.value.error is mine


# ---- several failures --------------------------------------------------------------------------


def two_failures(second: BaseException) -> Workflow:
    """One step fails after a second; the other raises ``second`` in its cleanup."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise second

    @step
    async def fast(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        raise Boom("first")

    return Workflow("w", [begin, slow, fast])


async def test_failures_at_the_same_time_are_attached() -> None:
    second = ValueError("second")
    with pytest.raises(StepFailedError) as caught:
        await two_failures(second).run()
    assert str(caught.value.error) == "first"
    assert caught.value.others == (second,)


async def test_an_attached_failure_is_not_logged_as_well(logged) -> None:
    with pytest.raises(StepFailedError):
        await two_failures(ValueError()).run()
    assert logged() == []


async def test_a_run_that_fails_waits_for_the_cleanup_of_the_others() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> StopEvent:
        async with cleanup(log):
            await anyio.sleep_forever()

    @step
    async def fast(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("w", [begin, slow, fast]).run()
    assert log.lines == ["cleanup"]


async def test_what_waits_in_the_queue_does_not_run_after_a_failure() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def fails(ev: Work) -> StopEvent:
        raise Boom

    @step
    async def later(ev: Done) -> None:
        log("ran")

    with pytest.raises(StepFailedError):
        await Workflow("w", [begin, fails, later]).run()
    assert log.lines == []


# ---- groups ------------------------------------------------------------------------------------


async def test_a_group_of_one_is_unwrapped() -> None:
    boom = Boom()
    with pytest.raises(StepFailedError) as caught:
        await raising(ExceptionGroup("mine", [ExceptionGroup("inner", [boom])])).run()
    assert caught.value.error is boom
    assert caught.value.__cause__ is boom


async def test_a_failing_task_group_in_a_step_is_unwrapped() -> None:
    boom = Boom()

    async def fail() -> None:
        raise boom

    @step
    async def spawns(ev: StartEvent) -> StopEvent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            tasks.start_soon(fail)

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [spawns]).run()
    assert caught.value.error is boom


async def test_a_group_of_several_stays_a_group() -> None:
    group = ExceptionGroup("mine", [Boom(), ValueError()])
    with pytest.raises(StepFailedError) as caught:
        await raising(group).run()
    assert caught.value.error is group


async def test_a_group_of_several_in_a_group_of_one_stays() -> None:
    inner = ExceptionGroup("inner", [Boom(), ValueError()])
    with pytest.raises(StepFailedError) as caught:
        await raising(ExceptionGroup("outer", [inner])).run()
    assert caught.value.error is inner


async def test_cancellations_are_split_out_of_groups() -> None:
    """A failing cleanup in a task group comes with the cancellation on trio, without on asyncio."""

    @step(timeout=1)
    async def spawns(ev: StartEvent) -> StopEvent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            tasks.start_soon(fail_in_cleanup)

    async def fail_in_cleanup() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise boom

    boom = Boom()
    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [spawns]).run()
    assert caught.value.error is boom


async def test_retry_sees_the_unwrapped_exception() -> None:
    seen: list[BaseException] = []

    def note(error: BaseException) -> bool:
        seen.append(error)
        return False

    boom = Boom()
    with pytest.raises(StepFailedError):
        await raising(ExceptionGroup("mine", [boom]), retry=Retry(on=note)).run()
    assert seen == [boom]


# ---- interrupts --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_comes_out_as_it_is(kind: type[BaseException]) -> None:
    error = kind()
    with pytest.raises(kind) as caught:
        await raising(error).run()
    assert caught.value is error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_is_neither_retried_nor_handled(kind: type[BaseException]) -> None:
    log = Log()

    @step(retry=Retry(on=BaseException))
    async def fails(ev: StartEvent) -> StopEvent:
        log("attempt")
        raise kind

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        log("handled")
        return StopEvent()

    with pytest.raises(kind):
        await Workflow("w", [fails, handle]).run()
    assert log.lines == ["attempt"]


async def test_an_interrupt_in_a_group_is_not_retried_either() -> None:
    log = Log()
    group = BaseExceptionGroup("mine", [KeyboardInterrupt(), Boom()])

    @step(retry=Retry(on=BaseException))
    async def fails(ev: StartEvent) -> StopEvent:
        log("attempt")
        raise group

    with pytest.raises(BaseExceptionGroup) as caught:
        await Workflow("w", [fails]).run()
    assert caught.value is group
    assert log.lines == ["attempt"]


async def test_an_interrupt_waits_for_the_cleanup_of_the_others() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> StopEvent:
        async with cleanup(log):
            await anyio.sleep_forever()

    @step
    async def fast(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Workflow("w", [begin, slow, fast]).run()
    assert log.lines == ["cleanup"]


async def test_an_interrupt_is_raised_on_leaving_the_block() -> None:
    with pytest.raises(KeyboardInterrupt):
        async with raising(KeyboardInterrupt()).start():
            await settle()


async def test_another_base_exception_of_the_users_is_a_failure() -> None:
    class Odd(BaseException):
        pass

    odd = Odd()
    with pytest.raises(StepFailedError) as caught:
        await raising(odd).run()
    assert caught.value.error is odd


# ---- the block of the handle -------------------------------------------------------------------


async def test_an_error_in_the_block_is_raised_itself_and_cancels_the_run() -> None:
    log = Log()
    mine = Boom("mine")

    @step
    async def slow(ev: StartEvent) -> StopEvent:
        async with cleanup(log):
            await anyio.sleep_forever()

    with pytest.raises(Boom) as caught:
        async with Workflow("w", [slow]).start() as run:
            await settle()
            raise mine
    assert caught.value is mine
    assert run.status == "cancelled"
    assert log.lines == ["cleanup"]


async def test_a_group_raised_in_the_block_stays_as_it_is() -> None:
    mine = ExceptionGroup("mine", [Boom()])
    with pytest.raises(ExceptionGroup) as caught:
        async with raising(ValueError()).start():
            raise mine
    assert caught.value is mine


async def test_an_error_in_the_block_wins_over_a_failing_cleanup(logged) -> None:
    @step
    async def slow(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("in the cleanup")

    mine = Boom()
    with pytest.raises(Boom) as caught:
        async with Workflow("w", [slow]).start():
            await settle()
            raise mine
    assert caught.value is mine
    assert [str(error) for error in logged()] == ["in the cleanup"]


async def test_an_error_in_the_block_after_the_run_has_failed_loses_neither(logged) -> None:
    failed = ValueError("failed")
    mine = Boom()
    with pytest.raises(Boom) as caught:
        async with raising(failed).start() as run:
            await settle()
            assert run.status == "failed"
            raise mine
    assert caught.value is mine
    errors = [*logged(), caught.value.__context__]
    assert any(
        error is failed or getattr(error, "error", None) is failed
        for error in errors
        if error is not None
    )


async def test_a_failing_run_does_not_cancel_the_block() -> None:
    log = Log()
    async with raising(Boom()).start() as run:
        await anyio.sleep(10)
        log("block went on")
        with pytest.raises(StepFailedError):
            await run.result()
    assert log.lines == ["block went on"]


async def test_a_failure_that_nobody_fetched_is_raised_on_leaving() -> None:
    boom = Boom()
    with pytest.raises(StepFailedError) as caught:
        async with raising(boom).start():
            pass
    assert caught.value.__cause__ is boom


async def test_a_failure_that_was_fetched_is_not_raised_again() -> None:
    async with raising(Boom()).start() as run:
        with pytest.raises(StepFailedError):
            await run.result()
    assert run.status == "failed"


async def test_a_failure_is_not_fetched_by_a_result_that_was_cancelled() -> None:
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        raise Boom

    with pytest.raises(StepFailedError):
        async with Workflow("w", [fails]).start() as run:
            with anyio.move_on_after(1):
                await run.result()


async def test_result_in_the_block_raises_the_error_itself() -> None:
    boom = Boom()
    with pytest.raises(StepFailedError) as caught:
        async with raising(boom).start() as run:
            await run.result()
    assert caught.value.__cause__ is boom


async def test_cancel_is_no_failure() -> None:
    @step
    async def slow(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    async with Workflow("w", [slow]).start() as run:
        run.cancel()
    with pytest.raises(RunCancelledError):
        await run.result()


async def test_a_failure_before_the_cancel_is_still_raised() -> None:
    with pytest.raises(StepFailedError):
        async with raising(Boom()).start() as run:
            await settle()
            run.cancel()


async def test_watching_a_run_that_fails_raises_nothing() -> None:
    async with raising(Boom()).start() as run:
        assert [event async for event in run.stream_events()] == []
        with pytest.raises(StepFailedError):
            await run.result()


async def test_a_user_exception_is_in_no_group_in_the_users_own_task_group() -> None:
    """The user's own group wraps once; the engine adds no layer."""
    boom = Boom()
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(raising(boom).run)
    (error,) = caught.value.exceptions
    assert isinstance(error, StepFailedError)
    assert error.__cause__ is boom


# ---- errors of the workflow itself --------------------------------------------------------------


async def test_an_event_that_nobody_accepts_fails_the_run() -> None:
    sent = Note("lost")

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(sent)
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    with pytest.raises(NoHandlerError) as caught:
        await Workflow("w", [begin, done]).run()
    assert caught.value.event is sent
    assert caught.value.source == "begin"


async def test_a_run_with_nothing_left_to_do_has_stalled() -> None:
    @step
    async def begin(ev: StartEvent) -> StopEvent | None:
        return None

    with pytest.raises(WorkflowStalledError) as caught:
        await Workflow("sleepy", [begin]).run()
    assert caught.value.waiting == ()
    assert "sleepy" in str(caught.value)

"""Steps that break the rules of structured concurrency are contained and reported."""

from __future__ import annotations

import asyncio
import contextvars

import anyio
import anyio.lowlevel
import pytest

from blazen_anyio import (
    Context,
    ContextClosedError,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowError,
    step,
)

from .kit import Boom, Done, Log, Work, cleanup, settle

pytestmark = pytest.mark.anyio

LEAK: contextvars.ContextVar[object] = contextvars.ContextVar("leak")


def needs_asyncio(backend_name: str) -> None:
    if backend_name != "asyncio":
        pytest.skip("about asyncio's own cancellation")


def chain(*bodies, **options: object) -> Workflow:
    """A workflow that runs ``bodies`` one after another, each in a step, and then stops."""

    @step(name="body", **options)
    async def body(ev: StartEvent | Work) -> Work | StopEvent:
        number = ev.n if isinstance(ev, Work) else 0
        result = await bodies[number]()
        return Work(number + 1) if number + 1 < len(bodies) else StopEvent(result=result)

    return Workflow("chain", [body])


async def clean() -> str:
    """Fails if the step before left anything on the task."""
    assert LEAK.get(None) is None, "a context variable leaked into the next step"
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0, "a cancellation request leaked"
    assert anyio.current_effective_deadline() > anyio.current_time(), "the next step is cancelled"
    await anyio.sleep(1)
    await anyio.lowlevel.checkpoint()
    return "clean"


# ---- context variables -------------------------------------------------------------------------


async def test_a_context_variable_does_not_leak_into_the_next_step() -> None:
    async def leak() -> None:
        LEAK.set("something")

    assert await chain(leak, clean).run() == "clean"


async def test_a_context_variable_does_not_leak_after_a_suspension() -> None:
    async def leak() -> None:
        LEAK.set("something")
        await anyio.sleep(1)

    assert await chain(leak, clean).run() == "clean"


async def test_a_context_variable_does_not_leak_from_a_failed_attempt() -> None:
    attempts = 0

    async def leak() -> str:
        nonlocal attempts
        attempts += 1
        assert LEAK.get(None) is None
        LEAK.set("something")
        if attempts == 1:
            raise Boom
        return "second"

    workflow = chain(leak, retry=Retry(initial=0))
    assert await workflow.run() == "second"


async def test_steps_see_the_context_in_which_the_run_was_started() -> None:
    async def look() -> object:
        return LEAK.get(None)

    token = LEAK.set("outside")
    try:
        assert await chain(look).run() == "outside"
    finally:
        LEAK.reset(token)


async def test_a_step_does_not_change_the_context_of_the_caller() -> None:
    async def leak() -> None:
        LEAK.set("something")

    await chain(leak).run()
    assert LEAK.get(None) is None


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("can't be compared")

    __hash__ = None  # type: ignore[assignment]


async def test_a_leaked_value_that_can_not_be_compared_counts_as_a_leak() -> None:
    async def leak() -> None:
        LEAK.set(Incomparable())

    async def clean_of_it() -> str:
        assert LEAK.get(None) is None
        return "clean"

    assert await chain(leak, clean_of_it).run() == "clean"


async def test_a_changed_variable_that_can_not_be_compared_counts_as_a_leak() -> None:
    """There was one from the start, and a step has put another in its place."""
    first = Incomparable()

    async def change() -> None:
        LEAK.set(Incomparable())

    async def look() -> bool:
        return LEAK.get(None) is first

    token = LEAK.set(first)
    try:
        assert await chain(change, look).run() is True
    finally:
        LEAK.reset(token)


async def test_a_value_that_can_not_be_compared_may_be_there_from_the_start() -> None:
    """The context that a run begins with is compared with itself only."""

    async def look() -> bool:
        return isinstance(LEAK.get(None), Incomparable)

    token = LEAK.set(Incomparable())
    try:
        assert await chain(look, look, look).run() is True
    finally:
        LEAK.reset(token)


# ---- cancellation of the own task --------------------------------------------------------------


async def test_a_step_that_cancels_its_own_task_fails(anyio_backend_name: str) -> None:
    """Nobody asked for a cancellation, so this is a failure of the step; its cause is shown."""
    needs_asyncio(anyio_backend_name)

    async def cancel_self() -> None:
        asyncio.current_task().cancel()
        await anyio.sleep(1)

    with pytest.raises(StepFailedError) as caught:
        await chain(cancel_self).run()
    assert isinstance(caught.value.error, asyncio.CancelledError)
    assert caught.value.step == "body"


async def test_after_a_step_that_cancels_its_own_task_the_next_attempt_runs_clean(
    anyio_backend_name: str,
) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def cancels(ev: Work) -> None:
        try:
            asyncio.current_task().cancel()
            await anyio.sleep(1)
        except asyncio.CancelledError:
            log("swallowed")

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result=await clean())

    assert await Workflow("w", [begin, cancels, done]).run() == "clean"
    assert log.lines == ["swallowed"]


async def test_a_step_that_cancels_its_own_task_and_ends_at_once_is_contained(
    anyio_backend_name: str,
) -> None:
    """The request is still pending when the step ends; it must not hit the next one."""
    needs_asyncio(anyio_backend_name)

    async def cancel_self() -> None:
        asyncio.current_task().cancel()

    assert await chain(cancel_self, clean, clean).run() == "clean"


async def test_a_step_that_cancels_its_own_task_twice_is_contained(
    anyio_backend_name: str,
) -> None:
    needs_asyncio(anyio_backend_name)

    async def cancel_self() -> None:
        asyncio.current_task().cancel()
        asyncio.current_task().cancel()

    assert await chain(cancel_self, clean).run() == "clean"


async def test_a_step_that_cancels_its_own_task_leaves_an_outer_cancellation_alone(
    anyio_backend_name: str,
) -> None:
    needs_asyncio(anyio_backend_name)

    async def cancel_self() -> None:
        scope.cancel()
        asyncio.current_task().cancel()

    with anyio.CancelScope() as scope:
        await chain(cancel_self, clean).run()
    assert scope.cancelled_caught


# ---- foreign cancellations ---------------------------------------------------------------------


async def test_awaiting_a_foreign_task_that_was_cancelled_is_a_failure(
    anyio_backend_name: str,
) -> None:
    """Not a silent end of the run."""
    needs_asyncio(anyio_backend_name)

    async def await_foreign() -> None:
        foreign = asyncio.get_running_loop().create_task(asyncio.sleep(100))
        await asyncio.sleep(0)
        foreign.cancel()
        await foreign

    with pytest.raises(StepFailedError) as caught:
        await chain(await_foreign).run()
    assert isinstance(caught.value.error, asyncio.CancelledError)


async def test_the_step_after_a_stray_cancellation_runs_clean(anyio_backend_name: str) -> None:
    needs_asyncio(anyio_backend_name)

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def stray(ev: Work) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        try:
            await future
        except asyncio.CancelledError:
            pass

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result=await clean())

    assert await Workflow("w", [begin, stray, done]).run() == "clean"


async def test_a_cancellation_raised_by_hand_is_a_failure(anyio_backend_name: str) -> None:
    needs_asyncio(anyio_backend_name)

    async def raise_it() -> None:
        raise asyncio.CancelledError("by hand")

    with pytest.raises(StepFailedError, match="CancelledError"):
        await chain(raise_it).run()


async def test_a_stray_cancellation_is_not_retried_as_an_exception(
    anyio_backend_name: str,
) -> None:
    needs_asyncio(anyio_backend_name)
    attempts = 0

    async def stray() -> None:
        nonlocal attempts
        attempts += 1
        raise asyncio.CancelledError

    with pytest.raises(StepFailedError):
        await chain(stray, retry=Retry(initial=0)).run()
    assert attempts == 1


# ---- scopes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["scope", "task group"])
async def test_a_scope_left_open_fails_the_run_and_names_the_steps(kind: str) -> None:
    opened: list[object] = []

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def leaves_open(ev: Work) -> None:
        await anyio.sleep(1)
        if kind == "scope":
            scope = anyio.CancelScope()
            scope.__enter__()
            opened.append(scope)
        else:
            tasks = anyio.create_task_group()
            await tasks.__aenter__()
            opened.append(tasks)

    @step
    async def wait(ev: Done) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result="never mind")

    with pytest.raises(WorkflowError) as caught:
        async with Workflow("w", [begin, leaves_open, wait]).start() as run:
            await run.result()
    assert run.status == "failed"
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "leaves_open" in str(caught.value)


async def test_a_scope_left_open_waits_for_the_cleanup_of_the_others() -> None:
    log = Log()
    opened: list[object] = []

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> StopEvent:
        async with cleanup(log):
            await anyio.sleep_forever()

    @step
    async def leaves_open(ev: Done) -> None:
        await anyio.sleep(1)
        scope = anyio.CancelScope()
        scope.__enter__()
        opened.append(scope)

    with pytest.raises(WorkflowError):
        await Workflow("w", [begin, slow, leaves_open]).run()
    assert log.lines == ["cleanup"]


async def test_a_scope_left_open_by_the_last_step_is_logged_and_the_result_stands(logged) -> None:
    opened: list[object] = []

    async def leave_open() -> str:
        scope = anyio.CancelScope()
        scope.__enter__()
        opened.append(scope)
        return "result"

    assert await chain(leave_open).run() == "result"
    assert any(isinstance(error, RuntimeError) for error in logged())


async def test_a_scope_left_open_does_not_swallow_an_outer_cancellation(logged) -> None:
    opened: list[object] = []

    async def leave_open() -> str:
        scope = anyio.CancelScope()
        scope.__enter__()
        opened.append(scope)
        await anyio.sleep_forever()

    with anyio.move_on_after(1) as outer:
        await chain(leave_open).run()
    assert outer.cancelled_caught
    assert any(isinstance(error, RuntimeError) for error in logged())


async def test_a_scope_left_open_does_not_swallow_a_native_cancellation(
    anyio_backend_name: str, logged
) -> None:
    needs_asyncio(anyio_backend_name)
    opened: list[object] = []

    async def leave_open() -> str:
        scope = anyio.CancelScope()
        scope.__enter__()
        opened.append(scope)
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await chain(leave_open).run()
    assert any(isinstance(error, RuntimeError) for error in logged())


# ---- groups and swallowed cancellations --------------------------------------------------------


async def test_a_group_of_a_cancellation_and_an_error_is_the_error() -> None:
    boom = Boom()

    @step(timeout=1)
    async def mixes(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as cancelled:
            raise BaseExceptionGroup("mixed", [cancelled, boom]) from None

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [mixes]).run()
    assert caught.value.error is boom


async def test_a_group_of_a_cancellation_and_an_error_on_the_way_out_is_logged(logged) -> None:
    boom = Boom()

    async def mix() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as cancelled:
            raise BaseExceptionGroup("mixed", [cancelled, boom]) from None

    with anyio.move_on_after(1) as scope:
        await chain(mix).run()
    assert scope.cancelled_caught
    assert logged() == [boom]


async def test_a_group_of_cancellations_only_is_a_cancellation() -> None:
    async def regroup() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as cancelled:
            raise BaseExceptionGroup("cancelled", [cancelled]) from None

    with anyio.move_on_after(1) as scope:
        await chain(regroup).run()
    assert scope.cancelled_caught


async def test_a_step_that_swallows_a_cancellation_once_does_not_keep_the_run_alive() -> None:
    log = Log()

    async def swallow() -> str:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            log("swallowed")
        return "done"

    with anyio.move_on_after(1) as scope:
        await chain(swallow, clean).run()
        log("returned")  # only if the run itself had swallowed it
    assert scope.cancelled_caught
    assert log.lines == ["swallowed"]


async def test_a_step_that_swallows_its_timeout_and_returns_counts_as_finished() -> None:
    async def swallow() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass

    assert await chain(swallow, clean, timeout=2).run() == "clean"


async def test_a_swallowed_native_cancellation_still_ends_the_run(
    anyio_backend_name: str,
) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()

    async def swallow() -> str:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            log("swallowed")
        return "done"

    task = asyncio.get_running_loop().create_task(chain(swallow).run())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.lines == ["swallowed"]


async def test_a_task_left_behind_can_not_use_the_context() -> None:
    """A step that hands its context to a task outside of it hears of it there."""
    kept: list[Context] = []

    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        kept.append(ctx)
        ctx.state["a"] = 1
        return StopEvent()

    await Workflow("w", [begin]).run()
    (ctx,) = kept
    with pytest.raises(ContextClosedError, match="begin"):
        ctx.send_event(Work())
    with pytest.raises(ContextClosedError):
        _ = ctx.state["a"]
    with pytest.raises(ContextClosedError):
        ctx.write_event_to_stream(Work())

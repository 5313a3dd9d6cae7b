"""Cancellation from outside, whatever its source, leaves nothing running and loses no error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

from blazen_anyio import (
    Context,
    Event,
    RunCancelledError,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, cleanup, settle

pytestmark = pytest.mark.anyio


def sleeper(log: Log) -> Workflow:
    """A workflow whose one step sleeps for ever and cleans up for five seconds."""

    @step
    async def sleep(ev: StartEvent) -> StopEvent:
        async with cleanup(log):
            await anyio.sleep_forever()

    return Workflow("sleeper", [sleep])


def needs_asyncio(backend_name: str) -> None:
    if backend_name != "asyncio":
        pytest.skip("about asyncio's own cancellation")


# ---- sources of a cancellation -----------------------------------------------------------------


async def test_an_outer_scope_cancels_the_run_and_waits_for_its_cleanup() -> None:
    log = Log()
    started = anyio.current_time()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper(log).run)
            await settle()
            scope.cancel()
    assert scope.cancelled_caught
    assert log.lines == ["cleanup"]
    assert anyio.current_time() == started + 5


async def test_move_on_after_ends_a_run() -> None:
    log = Log()
    with anyio.move_on_after(3) as scope:
        await sleeper(log).run()
    assert scope.cancelled_caught
    assert log.lines == ["cleanup"]


async def test_fail_after_around_a_run_is_a_timeout_error() -> None:
    log = Log()
    with pytest.raises(TimeoutError), anyio.fail_after(3):
        await sleeper(log).run()
    assert log.lines == ["cleanup"]


async def test_asyncio_timeout_ends_a_run(anyio_backend_name: str) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await sleeper(log).run()
    assert log.lines == ["cleanup"]
    assert asyncio.current_task().cancelling() == 0


async def test_asyncio_timeout_ends_a_run_with_a_handle(anyio_backend_name: str) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3), sleeper(log).start():
            pass
    assert log.lines == ["cleanup"]
    assert asyncio.current_task().cancelling() == 0


async def test_cancelling_the_asyncio_task_ends_the_run(anyio_backend_name: str) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()
    task = asyncio.get_running_loop().create_task(sleeper(log).run())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert log.lines == ["cleanup"]


@pytest.mark.parametrize("where", ["block", "exit", "result", "stream"])
async def test_cancelling_the_asyncio_task_ends_the_run_of_a_handle(
    where: str, anyio_backend_name: str
) -> None:
    needs_asyncio(anyio_backend_name)
    log = Log()

    async def use_handle() -> None:
        async with sleeper(log).start() as run:
            if where == "block":
                await anyio.sleep_forever()
            elif where == "result":
                await run.result()
            elif where == "stream":
                async for _ in run.stream_events():
                    pass

    task = asyncio.get_running_loop().create_task(use_handle())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.lines == ["cleanup"]


async def test_a_failing_sibling_ends_the_run_and_raises_only_its_own_error() -> None:
    log = Log()

    async def sibling() -> None:
        await anyio.sleep(1)
        raise Boom

    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper(log).run)
            tasks.start_soon(sibling)
    assert [type(error) for error in caught.value.exceptions] == [Boom]
    assert log.lines == ["cleanup"]


async def test_a_run_in_a_cancelled_scope_runs_no_step() -> None:
    log = Log()

    @step
    async def only(ev: StartEvent) -> StopEvent:
        log("ran")
        return StopEvent()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await Workflow("late", [only]).run()
    assert scope.cancelled_caught
    assert log.lines == []


@pytest.mark.parametrize("where", ["block", "exit", "result", "stream"])
async def test_a_handle_in_a_cancelled_scope_ends_properly(where: str) -> None:
    """Even if the task of the run never gets to begin, the handle knows that it is over."""
    log = Log()

    @step
    async def only(ev: StartEvent) -> StopEvent:
        log("ran")
        return StopEvent()

    with anyio.CancelScope() as scope:
        scope.cancel()
        async with Workflow("late", [only]).start() as run:
            if where == "block":
                await anyio.sleep_forever()
            elif where == "result":
                await run.result()
            elif where == "stream":
                async for _ in run.stream_events():
                    pass
    assert scope.cancelled_caught
    assert log.lines == []
    assert run.status == "cancelled"
    assert [event async for event in run.stream_events()] == []
    with pytest.raises(RunCancelledError):
        await run.result()


@pytest.mark.parametrize("where", ["block", "exit", "result", "stream"])
async def test_an_outer_scope_cancels_the_run_of_a_handle(where: str) -> None:
    """Wherever the owner of the handle is, the cancellation reaches him and the run."""
    log = Log()
    with anyio.move_on_after(2) as scope:
        async with sleeper(log).start() as run:
            if where == "block":
                await anyio.sleep_forever()
            elif where == "result":
                await run.result()
            elif where == "stream":
                async for _ in run.stream_events():
                    pass
    assert scope.cancelled_caught
    assert log.lines == ["cleanup"]
    assert run.status == "cancelled"


async def test_a_scope_inside_the_block_cancels_the_block_only() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result="done")

    async with Workflow("w", [only]).start() as run:
        with anyio.move_on_after(1):
            await run.result()
        assert run.status == "running"
        assert await run.result() == "done"


# ---- what runs ---------------------------------------------------------------------------------


async def test_all_running_steps_are_cancelled_and_awaited() -> None:
    log = Log()

    @step
    async def split(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(3))

    @step
    async def work(ev: Work) -> StopEvent:
        async with cleanup(log, f"cleanup {ev.n}", ev.n):
            await anyio.sleep_forever()

    with anyio.move_on_after(1):
        await Workflow("w", [split, work]).run()
    assert log.lines == ["cleanup 0", "cleanup 1", "cleanup 2"]


async def test_nothing_is_dispatched_once_the_cancellation_is_under_way() -> None:
    """Not even while the cleanup of a step takes its time, and not by what that step returns."""
    log = Log()

    @step
    async def first(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work) -> StopEvent:
        log("work")
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return StopEvent(result="too late")

    @step(max_concurrency=1)
    async def done(ev: Done) -> Done | None:
        log("done")
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)
        return Done()

    with anyio.move_on_after(1) as scope:
        await Workflow("w", [first, work, done]).run()
    assert scope.cancelled_caught
    assert log.lines == ["work", "done"]


async def test_a_chain_that_never_suspends_can_be_cancelled() -> None:
    hops = 0

    @step
    async def loop(ev: StartEvent | Work) -> Work | StopEvent:
        nonlocal hops
        hops += 1
        return Work() if hops < 1_000_000 else StopEvent()

    async def stop_soon(scope: anyio.CancelScope) -> None:
        await settle()
        scope.cancel()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_soon, scope)
            await Workflow("chain", [loop]).run()
    assert scope.cancelled_caught
    assert hops < 100_000


async def test_a_generator_is_closed_in_the_task_that_ran_it() -> None:
    """Its task groups and scopes could not be left in another."""
    tasks: list[int] = []

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        tasks.append(anyio.get_current_task().id)
        try:
            with anyio.CancelScope():
                yield Work()
                await anyio.sleep_forever()
        finally:
            tasks.append(anyio.get_current_task().id)

    @step
    async def work(ev: Work) -> StopEvent | None:
        return None

    with anyio.move_on_after(1):
        await Workflow("w", [pages, work]).run()
    assert len(tasks) == 2
    assert len(set(tasks)) == 1


async def test_a_generator_cancelled_between_yields_is_thrown_the_cancellation() -> None:
    seen: list[type[BaseException]] = []

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        try:
            while True:
                yield Work()
        except BaseException as error:
            seen.append(type(error))
            raise

    @step(max_pending=1, max_concurrency=1)
    async def work(ev: Work) -> StopEvent | None:
        await anyio.sleep_forever()

    with anyio.move_on_after(1):
        await Workflow("w", [pages, work]).run()
    assert seen == [anyio.get_cancelled_exc_class()]


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_generator_that_swallows_the_cancellation_ends_all_the_same(goes_on: bool) -> None:
    """Also if it yields once more: that event goes nowhere."""
    log = Log()

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        try:
            while True:
                yield Work()
        except anyio.get_cancelled_exc_class():
            log("swallowed")
            if goes_on:
                yield Work()
                log("never")

    @step(max_pending=1, max_concurrency=1)
    async def work(ev: Work) -> StopEvent | None:
        await anyio.sleep_forever()

    with anyio.move_on_after(1) as scope:
        await Workflow("w", [pages, work]).run()
    assert scope.cancelled_caught
    assert log.lines == ["swallowed"]


async def test_a_thread_is_waited_for() -> None:
    log = Log()
    release = threading.Event()

    @step
    def work(ev: StartEvent) -> StopEvent:
        release.wait(30)
        log("thread ends")
        return StopEvent()

    async def release_later() -> None:
        await anyio.sleep(5)
        log("released")
        release.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release_later)
        with anyio.move_on_after(1) as scope:
            await Workflow("w", [work]).run()
        log("run ends")
    assert scope.cancelled_caught
    assert log.lines == ["released", "thread ends", "run ends"]


async def test_an_input_handler_is_cancelled_and_awaited() -> None:
    log = Log()

    async def answer(request: Event) -> str:
        async with cleanup(log):
            await anyio.sleep_forever()

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    with anyio.move_on_after(1):
        await Workflow("w", [ask], input_handler=answer).run()
    assert log.lines == ["cleanup"]


# ---- errors on the way out ---------------------------------------------------------------------


def failing_cleanup() -> Workflow:
    @step
    async def fails(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom("in the cleanup")

    return Workflow("w", [fails])


async def test_a_step_that_fails_while_the_run_is_cancelled_is_logged(logged) -> None:
    with anyio.move_on_after(1) as scope:
        await failing_cleanup().run()
    assert scope.cancelled_caught
    assert [str(error) for error in logged()] == ["in the cleanup"]


async def test_a_step_that_fails_while_the_handle_cancels_is_logged(logged) -> None:
    async with failing_cleanup().start() as run:
        await settle()
        run.cancel()
    assert run.status == "cancelled"
    assert [str(error) for error in logged()] == ["in the cleanup"]


@pytest.mark.parametrize("handle", [False, True])
async def test_a_failure_that_a_cancellation_overtakes_is_logged(handle: bool, logged) -> None:
    """The run has failed but is still cleaning up when it is cancelled: nobody can raise it."""

    @step
    async def first(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def slow(ev: Work) -> StopEvent:
        async with cleanup(Log(), seconds=5):
            await anyio.sleep_forever()

    @step
    async def fails(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        raise Boom

    workflow = Workflow("w", [first, slow, fails])
    with anyio.move_on_after(2) as scope:
        if handle:
            async with workflow.start():
                pass
        else:
            await workflow.run()
    assert scope.cancelled_caught
    (error,) = logged()
    assert isinstance(error, StepFailedError)
    assert isinstance(error.error, Boom)


async def test_a_late_failure_is_in_the_history_too() -> None:
    async with failing_cleanup().start() as run:
        await settle()
        run.cancel()
    assert [fact.error for fact in run.history if fact.kind == "step_failed"] == [
        f"{Boom.__module__}.Boom"
    ]


async def test_an_error_in_the_cleanup_after_the_stop_event_leaves_the_result(logged) -> None:
    @step
    async def first(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="stands")

    assert await Workflow("w", [first, work, done]).run() == "stands"
    assert [type(error) for error in logged()] == [Boom]


# ---- the handle's cancel -----------------------------------------------------------------------


async def test_cancel_waits_on_leaving_until_everything_has_finished() -> None:
    log = Log()
    async with sleeper(log).start() as run:
        await settle()
        run.cancel()
        log("block ends")
    assert log.lines == ["block ends", "cleanup"]


async def test_a_cancelled_run_has_no_result() -> None:
    async with sleeper(Log()).start() as run:
        await settle()
        run.cancel()
        with pytest.raises(RunCancelledError, match=run.run_id):
            await run.result()
    assert run.status == "cancelled"


async def test_cancel_twice_or_after_the_end_does_nothing() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=1)

    async with Workflow("w", [only]).start() as run:
        assert await run.result() == 1
        run.cancel()
    run.cancel()
    assert run.status == "completed"


async def test_cancel_before_the_first_step_runs_none() -> None:
    log = Log()

    @step
    async def only(ev: StartEvent) -> StopEvent:
        log("ran")
        return StopEvent()

    async with Workflow("w", [only]).start() as run:
        run.cancel()
    assert log.lines == []


async def test_a_run_may_be_cancelled_by_its_own_step() -> None:
    """A step that holds the handle is cancelled with the run, and has finished before it ends."""
    log = Log()
    handles: list = []

    @step
    async def only(ev: StartEvent) -> StopEvent:
        await anyio.sleep(1)
        handles[0].cancel()
        async with cleanup(log):
            await anyio.sleep_forever()

    async with Workflow("w", [only]).start() as run:
        handles.append(run)
    assert run.status == "cancelled"
    assert log.lines == ["cleanup"]


# ---- cancellation inside a step is the step's own business --------------------------------------


async def test_a_step_may_use_scopes_of_its_own() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        with anyio.move_on_after(1) as scope:
            await anyio.sleep_forever()
        return StopEvent(result=scope.cancelled_caught)

    assert await Workflow("w", [only]).run() is True


async def test_a_step_may_use_task_groups_of_its_own() -> None:
    log = Log()

    @step
    async def only(ev: StartEvent) -> StopEvent:
        async with anyio.create_task_group() as tasks:
            for n in range(3):
                tasks.start_soon(work, n)
        return StopEvent(result=log.lines)

    async def work(n: int) -> None:
        await anyio.sleep(n)
        log(str(n))

    assert await Workflow("w", [only]).run() == ["0", "1", "2"]


async def test_a_step_with_a_task_group_is_cancelled_with_its_tasks() -> None:
    log = Log()

    @step
    async def only(ev: StartEvent) -> StopEvent:
        async with anyio.create_task_group() as tasks:
            for n in range(3):
                tasks.start_soon(work, n)

    async def work(n: int) -> None:
        async with cleanup(log, f"cleanup {n}", n):
            await anyio.sleep_forever()

    with anyio.move_on_after(1) as scope:
        await Workflow("w", [only]).run()
    assert scope.cancelled_caught
    assert log.lines == ["cleanup 0", "cleanup 1", "cleanup 2"]


async def test_an_error_that_replaces_the_cancellation_of_a_failing_run_is_attached() -> None:
    @step
    async def first(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom("second")

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        raise Boom("first")

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [first, work, done]).run()
    assert str(caught.value.error) == "first"
    assert [str(error) for error in caught.value.others] == ["second"]

"""What the sweeps have found, one by one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    Gather,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowTimeoutError,
    step,
)

from .kit import Kit
from .scheduling import BACKENDS, Steps, run_with_steps
from .shape import Approved, Done, Hop, Work
from .shapes import SHAPES

SEEDS = range(20)
on_both = pytest.mark.parametrize("backend", BACKENDS)


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(0), Work(1), Work(2)]


@step
async def ask(ev: StartEvent) -> InputRequestEvent:
    return InputRequestEvent("go on?")


@step
async def hang_on_answer(ev: InputResponseEvent) -> StopEvent:
    await anyio.sleep_forever()
    raise AssertionError


@on_both
def test_a_delay_that_begins_when_nothing_else_is_due_ends(backend: str) -> None:
    """The run's timer follows what a lane sets: here the delay of a retry, then a time limit."""

    @step(retry=Retry(max_attempts=3, jitter=False), timeout=5)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise ValueError
        if ctx.attempt == 2:
            await anyio.sleep_forever()
        return StopEvent(result=ctx.attempt)

    async def main(steps: Steps) -> None:
        with anyio.fail_after(100):
            assert await Workflow("retried", [work]).run() == 3

    run_with_steps(backend, main)


@on_both
def test_a_run_that_becomes_active_again_is_limited_again(backend: str) -> None:
    """Nothing but the answer of a human, or the end of a pause, tells of the new deadline."""
    workflow = Workflow("limited", [ask, hang_on_answer], timeout=10)

    async def main(steps: Steps) -> None:
        with anyio.fail_after(1000), pytest.raises(WorkflowTimeoutError):
            async with workflow.start() as run:
                await anyio.sleep(100)
                run.respond_to_input(run.requests[0].request_id, "yes")
                await anyio.sleep(5)
                run.pause()
                await anyio.sleep(100)
                assert run.status == "paused"
                run.resume()
                await run.result()
        assert anyio.current_time() == pytest.approx(210)

    run_with_steps(backend, main)


@on_both
def test_a_plain_run_that_is_cancelled_hands_the_cancellation_on(backend: str) -> None:
    """Also when the run's own timer is due at that moment and a lane meets the cancellation first.

    It is no ``RunCancelledError``, which nobody asked for.
    """

    workflow = SHAPES["error_steps"].build(Kit(lanes=False))

    async def main(steps: Steps) -> None:
        for at in range(10, 20):
            for seed in SEEDS:
                with anyio.CancelScope() as scope:
                    steps.restart(at, scope.cancel, seed=seed)
                    await workflow.run()
                assert scope.cancelled_caught
                assert steps.finish()

    run_with_steps(backend, main)


@on_both
def test_a_lane_that_meets_a_cancellation_between_two_steps_does_not_fail_the_run(
    backend: str,
) -> None:
    @step
    async def hop(ev: Hop) -> Hop | StopEvent:
        return Hop(ev.n + 1) if ev.n < 2000 else StopEvent()

    workflow = Workflow("chain", [hop])

    async def main(steps: Steps) -> None:
        for seed in SEEDS:
            with anyio.CancelScope() as scope:
                async with workflow.start(Hop(0)) as run:
                    steps.restart(8, scope.cancel, seed=seed)
                    await run.result()
            assert run.status == "cancelled"

    run_with_steps(backend, main)


@on_both
def test_a_handler_that_is_cancelled_with_the_run_does_not_fail_it(backend: str) -> None:
    async def handler(request: InputRequestEvent) -> Any:
        await anyio.sleep_forever()

    workflow = Workflow("asking", [ask, hang_on_answer], input_handler=handler)

    async def main(steps: Steps) -> None:
        for seed in SEEDS:
            steps.restart(seed=seed)
            with anyio.move_on_after(1):
                async with workflow.start() as run:
                    await run.result()
            assert run.status == "cancelled"

    run_with_steps(backend, main)


def test_a_handler_that_awaits_what_was_cancelled_has_failed() -> None:
    """Nobody has cancelled the handler, so it is a failure, and not a request without an answer."""

    async def handler(request: InputRequestEvent) -> Any:
        task = asyncio.create_task(asyncio.sleep(10))
        task.cancel()
        await task

    workflow = Workflow("asking", [ask, hang_on_answer], input_handler=handler)

    async def main(steps: Steps) -> None:
        with anyio.fail_after(100), pytest.raises(StepFailedError) as caught:
            await workflow.run()
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)

    run_with_steps("asyncio", main)


@on_both
def test_a_wait_that_ends_while_its_step_cleans_up_disturbs_nobody(backend: str) -> None:
    """The step was cancelled and waits no more when the time of its wait is up."""

    @step(waits=[Approved])
    async def work(ev: Work, ctx: Context) -> Done | Approved | None:
        if ev.n == 0:
            await anyio.sleep(1)
            return Done(ev.n)
        try:
            await ctx.wait_for_event(Approved, timeout=2)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
        return None

    @step
    async def first(parts: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    workflow = Workflow("waits", [split, work, first])

    async def main(steps: Steps) -> None:
        assert await workflow.run() == [0]

    run_with_steps(backend, main)

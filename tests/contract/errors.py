"""Errors, retries, time: what happens when a step fails or takes too long."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    EventStream,
    Retry,
    Run,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example, tries
from .scripts import answering, beside
from .vocabulary import Approved, Done, Work, collect, split, total


@step
async def begin(ev: StartEvent) -> tuple[Work, Work]:
    return Work(0), Work(1)


# ---- retries -----------------------------------------------------------------------------------


@example(3)
def retries_with_delays() -> Workflow[Any]:
    """`Retry(...)`: attempts, exponential wait, jitter; `ctx.attempt` counts from 1."""

    @step(retry=Retry(max_attempts=3, initial=HOUR, factor=3, max_delay=2 * HOUR), timeout=MINUTE)
    async def fetch(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise FlakyError("no connection")
        if ctx.attempt == 2:
            await anyio.sleep_forever()
        await checkpoint()
        return StopEvent(result=ctx.attempt)

    return Workflow("retries", [fetch])


@example(["StepFailedError", "fetch", 1, "FlakyError", "not worth another attempt"])
def retry_on_some_exceptions() -> Workflow[Any]:
    """... which exceptions."""

    @step(retry=tries(5, on=ConnectionError))
    async def fetch(ev: StartEvent) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("not worth another attempt")

    return Workflow("choosy", [fetch])


@example(["StepFailedError", "fetch", 3, "FlakyError", "attempt 3"])
def no_retry_past_max_elapsed() -> Workflow[Any]:
    """No attempt is scheduled past `max_elapsed`."""

    @step(retry=tries(100, initial=HOUR, factor=1, max_elapsed=2.5 * HOUR))
    async def fetch(ev: StartEvent, ctx: Context) -> StopEvent:
        await checkpoint()
        raise FlakyError(f"attempt {ctx.attempt}")

    return Workflow("elapsed", [fetch])


@example([1, 0])
def delay_holds_no_slot() -> Workflow[Any]:
    """Delays live in the machine, survive a snapshot, hold no slot; `Workflow(retry=)`."""

    @step(max_concurrency=1)
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(MINUTE)
        if ev.n == 0 and ctx.attempt == 1:
            raise FlakyError("try again later")
        return Done(ev.n)

    return Workflow("slots", [begin, work, collect(2)], retry=tries(2, initial=HOUR))


@example(["StepFailedError", "work", 1, "TypeError"])
def what_is_no_event_fails_the_attempt() -> Workflow[Any]:
    """Returning what is no event fails the attempt."""

    @step
    async def work(ev: StartEvent) -> StopEvent:
        await checkpoint()
        return 42

    return Workflow("answer", [work])


# ---- error steps -------------------------------------------------------------------------------


@example(["work", "contract.example.FlakyError", "paper jam", 2, 5])
def error_step() -> Workflow[Any]:
    """Retries exhausted: a step that accepts `StepFailed` gets the failure as an event.

    `StepFailed` keeps type, message and traceback text.
    """

    @step(retry=tries(2))
    async def work(ev: Work) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("paper jam")

    @step
    async def tell(failure: StepFailed) -> StopEvent:
        await anyio.sleep(MINUTE)
        assert "paper jam" in failure.traceback_text
        told = [failure.step, failure.error_type, failure.message, failure.attempts]
        assert isinstance(failure.event, Work)
        return StopEvent(result=[*told, failure.event.n])

    @step
    async def five(ev: StartEvent) -> Work:
        return Work(5)

    return Workflow("errors", [five, work, tell])


@example([0, -1])
def error_step_for_some_steps() -> Workflow[Any]:
    """... (all but handlers, or `for_steps=[...]`)."""

    @step(name="even")
    async def even(ev: Work) -> Done | Approved:
        await checkpoint()
        return Done(0) if ev.n % 2 == 0 else Approved(ev.n)

    @step
    async def odd(ev: Approved) -> Done:
        await anyio.sleep(MINUTE)
        raise FlakyError("odd")

    @step(for_steps=[even])
    async def never(failure: StepFailed) -> Done:
        raise AssertionError("not this one")

    @step(for_steps=[odd, "even"])
    async def mend(failure: StepFailed) -> Done:
        await anyio.sleep(MINUTE)
        return Done(-1)

    return Workflow("some", [split(2), even, odd, never, mend, total])


@example(["StepFailedError", "mend", 1, "FlakyError", "worse"])
def failing_error_step() -> Workflow[Any]:
    """A handler's own failure is never routed to itself."""

    @step
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("bad")

    @step
    async def mend(failure: StepFailed) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("worse")

    return Workflow("worse", [work, mend])


@example(["StepFailedError", "work", 1, "FlakyError", "failure 3"], first=Work(0))
def bounded_recoveries() -> Workflow[Any]:
    """Error steps: bounded recoveries."""

    @step
    async def work(ev: Work) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError(f"failure {ev.n}")

    @step
    async def once_more(failure: StepFailed) -> Work:
        await anyio.sleep(MINUTE)
        assert isinstance(failure.event, Work)
        return Work(failure.event.n + 1)

    return Workflow("recoveries", [work, once_more], max_recoveries=3)


@example(["StepFailedError", "work", 2, "FlakyError", "twice"])
def exhausted_retries_fail_the_run() -> Workflow[Any]:
    """Otherwise the run fails with `StepFailedError`, raised from the original exception."""

    @step(retry=tries(2))
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("twice")

    return Workflow("failing", [work])


async def _fail() -> None:
    await anyio.sleep(MINUTE)
    raise FlakyError("one of a group")


@example(["FlakyError", "ExceptionGroup"])
def groups_of_one_are_unwrapped() -> Workflow[Any]:
    """A group with one leaf that is no cancellation is unwrapped; larger ones stay."""

    @step
    async def work(ev: Work) -> Done:
        if ev.n == 0:
            async with anyio.create_task_group() as group:
                group.start_soon(_fail)
                await anyio.sleep_forever()
        await checkpoint()
        raise ExceptionGroup("several", [FlakyError("one"), FlakyError("another")])

    @step
    async def tell(failure: StepFailed, ctx: Context) -> Done:
        assert isinstance(failure.event, Work)
        ctx.state[str(failure.event.n)] = failure.error_type.rpartition(".")[2]
        await checkpoint()
        return Done(0)

    @step
    async def both(parts: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=[ctx.state["0"], ctx.state["1"]])

    return Workflow("groups", [split(2), work, tell, both])


# ---- time --------------------------------------------------------------------------------------


@example(["WorkflowTimeoutError"], first=Work(0))
def run_timeout() -> Workflow[Any]:
    """A run's timeout counts the time it is active, in all processes together."""

    @step
    async def work(ev: Work) -> Work | StopEvent:
        await anyio.sleep(5 * MINUTE)
        return Work(ev.n + 1) if ev.n < 8 else StopEvent()

    return Workflow("slow", [work], timeout=0.5 * HOUR)


@example(3, script=answering({"how many?": 3}))
def time_of_humans_does_not_count() -> Workflow[Any]:
    """A run's timeout counts the time it is active: not when it only waits for a human."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("how many?"))

    return Workflow("patient", [ask], timeout=5 * MINUTE)


async def _pause_for_long(run: Run[Any], stream: EventStream) -> None:
    await anyio.sleep(MINUTE)
    run.pause()
    await anyio.sleep(100 * HOUR)
    run.resume()
    await anyio.sleep_forever()


@example("in time", script=beside(_pause_for_long))
def paused_time_does_not_count() -> Workflow[Any]:
    """A run's timeout counts the time it is active: not when it is paused."""

    @step(timeout=10 * MINUTE)
    async def work(ev: StartEvent) -> Done:
        await anyio.sleep(9 * MINUTE)
        return Done(0)

    @step
    async def finish(ev: Done) -> StopEvent:
        await anyio.sleep(9 * MINUTE)
        return StopEvent(result="in time")

    return Workflow("paused", [work, finish], timeout=HOUR)


@example(["StepFailedError", "work", 2, "StepTimeoutError"])
def step_timeout() -> Workflow[Any]:
    """An attempt that takes longer than its step's `timeout` fails."""

    @step(timeout=MINUTE, retry=tries(2))
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent()

    return Workflow("late", [work])


@example([5, "approved"])
def step_timeout_stands_still_in_a_wait() -> Workflow[Any]:
    """Step timeouts run ... not while the engine makes the step wait."""

    @step(timeout=MINUTE, waits=[Approved])
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Approved(5), delay=HOUR)
        approved = await ctx.wait_for_event(Approved)
        return StopEvent(result=[approved.n, "approved"])

    return Workflow("waiting", [work])

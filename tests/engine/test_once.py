"""``ctx.once``: what was done stays done, for each later attempt and delivery of an invocation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    ContextClosedError,
    DefinitionError,
    Retry,
    Snapshot,
    StartEvent,
    StateValueError,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, settle

pytestmark = pytest.mark.anyio


def through_json(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_json(snapshot.to_json())


async def test_what_was_done_is_not_done_again_by_a_later_attempt() -> None:
    log = Log()

    async def charge(amount: int) -> str:
        await checkpoint()
        log(f"charge {amount}")
        return f"receipt for {amount}"

    @step(retry=Retry(max_attempts=3, jitter=False))
    async def pay(ev: StartEvent, ctx: Context) -> StopEvent:
        receipt = await ctx.once("charge", charge, 10 * ctx.attempt)
        if ctx.attempt < 3:
            raise Boom
        return StopEvent(result=receipt)

    assert await Workflow("w", [pay]).run() == "receipt for 10"
    assert log.lines == ["charge 10"]


async def test_a_plain_function_will_do_and_keys_are_apart() -> None:
    @step(retry=Retry(max_attempts=2, jitter=False))
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        results = [await ctx.once(str(n), divmod, 10 * ctx.attempt, 3 + n) for n in range(2)]
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=results)

    assert await Workflow("w", [use]).run() == [(3, 1), (2, 2)]


async def test_what_was_done_is_not_done_again_after_a_resume_and_comes_back_as_it_was() -> None:
    log = Log()

    def charge() -> dict[str, Any]:
        log("charge")
        return {"amount": Decimal("1.10"), "items": ("tea", b"x")}

    @step
    async def pay(ev: StartEvent, ctx: Context) -> StopEvent:
        receipt = await ctx.once("charge", charge)
        await anyio.sleep(5)
        return StopEvent(result=receipt)

    workflow = Workflow("w", [pay])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(through_json(snapshot)) as run:
        assert await run.result() == {"amount": Decimal("1.10"), "items": ("tea", b"x")}
    assert log.lines == ["charge"]


async def test_each_attempt_gets_a_copy_of_its_own() -> None:
    @step(retry=Retry(max_attempts=3, jitter=False))
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        items: list[int] = await ctx.once("items", list)
        items.append(ctx.attempt)
        if ctx.attempt < 3:
            raise Boom
        return StopEvent(result=items)

    assert await Workflow("w", [use]).run() == [3]


async def test_the_same_key_twice_in_one_attempt_is_an_error() -> None:
    log = Log()

    @step
    async def loop(ev: StartEvent, ctx: Context) -> StopEvent:
        for amount in (1, 2):
            await ctx.once("charge", log, f"charge {amount}")
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [loop]).run()
    assert isinstance(caught.value.error, DefinitionError)
    assert "ctx.once('charge', ...) twice in one attempt" in str(caught.value.error)
    assert log.lines == ["charge 1"]


async def test_the_same_key_at_the_same_time_is_an_error() -> None:
    log = Log()

    async def charge() -> None:
        log("charge")
        await checkpoint()

    @step
    async def both(ev: StartEvent, ctx: Context) -> StopEvent:
        async with anyio.create_task_group() as group:
            group.start_soon(ctx.once, "charge", charge)
            group.start_soon(ctx.once, "charge", charge)
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [both]).run()
    assert isinstance(caught.value.error, DefinitionError)
    assert log.lines == ["charge"]


async def test_other_invocations_of_the_step_have_keys_of_their_own() -> None:
    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    @step
    async def work(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.once("n", int, ev.n))

    @step
    async def join(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [split, work, join]).run() == [0, 1, 2]


async def test_what_failed_has_not_been_done_and_may_be_tried_again() -> None:
    """In the same attempt as in a later one."""
    log = Log()

    async def flaky() -> int:
        log("try")
        if len(log.lines) < 4:
            raise Boom
        return len(log.lines)

    @step(retry=Retry(max_attempts=2, jitter=False))
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            result = await ctx.once("flaky", flaky)
        except Boom:
            result = await ctx.once("flaky", flaky)
        return StopEvent(result=result)

    assert await Workflow("w", [use]).run() == 4


async def test_what_was_cancelled_half_way_has_not_been_done() -> None:
    log = Log()

    async def slow() -> str:
        log("begin")
        await anyio.sleep(2)
        return "done"

    @step(timeout=1, retry=Retry(max_attempts=2, jitter=False))
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        with anyio.CancelScope(shield=ctx.attempt == 2):
            return StopEvent(result=await ctx.once("slow", slow))
        raise AssertionError

    assert await Workflow("w", [use]).run() == "done"
    assert log.lines == ["begin", "begin"]


async def test_a_result_that_can_not_be_kept_is_refused_and_names_the_key() -> None:
    @step
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        with pytest.raises(StateValueError, match=r"once\('connection'\)"):
            await ctx.once("connection", object)
        return StopEvent(result="went on")

    assert await Workflow("w", [use]).run() == "went on"


async def test_what_is_remembered_goes_when_the_step_is_done() -> None:
    @step
    async def first(ev: StartEvent, ctx: Context) -> Work:
        await ctx.once("secret", str, "remembered")
        return Work()

    @step
    async def second(ev: Work) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent()

    async with Workflow("w", [first, second]).start() as run:
        await settle()
        assert "remembered" not in run.snapshot().to_json()


async def test_a_closed_context_does_nothing() -> None:
    contexts: list[Context] = []

    @step
    async def use(ev: StartEvent, ctx: Context) -> StopEvent:
        contexts.append(ctx)
        return StopEvent()

    await Workflow("w", [use]).run()
    with pytest.raises(ContextClosedError):
        await contexts[0].once("key", list)

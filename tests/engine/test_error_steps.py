"""Error steps: failures as events, for all steps or some, bounded, and never their own."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    Retry,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, settle

pytestmark = pytest.mark.anyio


@step
async def fails(ev: Work) -> Done:
    raise Boom(f"text {ev.n}")


@step
async def begin(ev: StartEvent) -> Work:
    return Work(1)


@step
async def end(ev: Done) -> StopEvent:
    return StopEvent(result=ev.n)


async def test_a_failure_comes_as_an_event() -> None:
    failures: list[StepFailed] = []

    @step
    async def handle(failure: StepFailed) -> Done:
        failures.append(failure)
        return Done(7)

    assert await Workflow("w", [begin, fails, end, handle]).run() == 7
    (failure,) = failures
    assert (failure.step, failure.event, failure.attempts) == ("fails", Work(1), 1)
    assert isinstance(failure.error, Boom)
    assert failure.error_type == f"{Boom.__module__}.Boom"
    assert failure.message == "text 1"
    assert "in fails" in failure.traceback_text


async def test_it_comes_after_all_attempts() -> None:
    @step(retry=Retry(max_attempts=3, initial=0))
    async def flaky(ev: StartEvent) -> StopEvent:
        raise Boom

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.attempts)

    assert await Workflow("w", [flaky, handle]).run() == 3


async def test_error_steps_can_be_for_some_steps() -> None:
    log = Log()

    @step
    async def also_fails(ev: Work) -> Done:
        raise Boom

    @step(for_steps=[also_fails])
    async def of_one(failure: StepFailed) -> None:
        log(f"one: {failure.step}")

    @step(for_steps=["fails"])
    async def of_other(failure: StepFailed) -> Done:
        log(f"other: {failure.step}")
        return Done()

    await Workflow("w", [begin, also_fails, fails, end, of_one, of_other]).run()
    assert log.lines == ["one: also_fails", "other: fails"]


async def test_a_failure_that_no_error_step_wants_fails_the_run() -> None:
    @step
    async def other(ev: Work) -> Done:
        return Done()

    @step(for_steps=[other])
    async def handle(failure: StepFailed) -> Done:
        return Done()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin, fails, other, end, handle]).run()
    assert caught.value.step == "fails"


async def test_every_error_step_that_wants_it_gets_it() -> None:
    log = Log()

    @step
    async def first(failure: StepFailed) -> None:
        log("first")

    @step
    async def second(failure: StepFailed) -> Done:
        log("second")
        return Done()

    await Workflow("w", [begin, fails, end, first, second]).run()
    assert log.lines == ["first", "second"]


async def test_a_failing_error_step_fails_the_run_with_both_errors_in_the_chain() -> None:
    second = ValueError("in the handler")

    @step
    async def handle(failure: StepFailed) -> Done:
        raise second

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin, fails, end, handle]).run()
    assert caught.value.error is second
    assert caught.value.step == "handle"
    assert isinstance(second.__context__, Boom)


async def test_recoveries_are_bounded() -> None:
    """An error step that sends the failing step its event again does not go on for ever."""
    recoveries = 0

    @step
    async def again(failure: StepFailed) -> Work:
        nonlocal recoveries
        recoveries += 1
        return Work(recoveries)

    workflow = Workflow("w", [begin, fails, end, again], max_recoveries=5)
    with pytest.raises(StepFailedError):
        await workflow.run()
    assert recoveries == 5


async def test_an_error_step_can_have_a_bound_of_its_own() -> None:
    recoveries = 0

    @step(max_recoveries=2)
    async def again(failure: StepFailed) -> Work:
        nonlocal recoveries
        recoveries += 1
        return Work()

    with pytest.raises(StepFailedError):
        await Workflow("w", [begin, fails, end, again]).run()
    assert recoveries == 2


async def test_recoveries_count_per_line_of_causes() -> None:
    """Failures of different items of a fan-out do not add up."""

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(10)]

    @step
    async def handle(failure: StepFailed) -> Done:
        assert isinstance(failure.event, Work)
        return Done(failure.event.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    workflow = Workflow("w", [split, fails, gather, handle], max_recoveries=1)
    assert await workflow.run() == 10


async def test_a_failed_gather_comes_with_all_its_events() -> None:
    @step
    async def split(ev: StartEvent) -> list[Done]:
        return [Done(1), Done(2)]

    @step
    async def gather(done: list[Done]) -> StopEvent:
        raise Boom

    @step
    async def handle(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.event)

    assert await Workflow("w", [split, gather, handle]).run() == [Done(1), Done(2)]


async def test_after_a_resume_the_live_exception_is_gone_and_its_description_stays() -> None:
    @step
    async def handle(failure: StepFailed, ctx: Context) -> StopEvent:
        if failure.error is not None:
            await anyio.sleep_forever()
        return StopEvent(result=(failure.error_type, failure.message, failure.step, failure.event))

    workflow = Workflow("w", [begin, fails, end, handle])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        error_type, message, name, event = await run.result()
    assert error_type.endswith("Boom")
    assert (message, name, event) == ("text 1", "fails", Work(1))


async def test_a_step_for_the_failures_of_nobody_is_a_definition_error() -> None:
    class Never(Event):
        pass

    @step(for_steps=["nonsense"])
    async def handle(failure: StepFailed) -> Done:
        return Done()

    with pytest.raises(DefinitionError, match="nonsense"):
        Workflow("w", [begin, fails, end, handle])

"""``ctx.collect_events``: by hand, in a step of one at a time, as part of the commit."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowStalledError,
    step,
)

from .kit import Boom, Done, Log, Note, Work

pytestmark = pytest.mark.anyio


@step
async def begin(ev: StartEvent) -> tuple[Work, ...]:
    return tuple(Work(n) for n in range(ev.data.get("count", 6)))


async def test_none_until_enough_have_come_then_the_oldest() -> None:
    log = Log()

    @step(max_concurrency=1)
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        works = ctx.collect_events(Work, 3)
        log("none" if works is None else str([each.n for each in works]))
        return StopEvent() if works and works[-1].n == 5 else None

    await Workflow("w", [begin, collect]).run()
    assert log.lines == ["none", "none", "[0, 1, 2]", "none", "none", "[3, 4, 5]"]


async def test_different_types_are_collected_apart() -> None:
    @step
    async def mixed(ev: StartEvent) -> tuple[Event, ...]:
        return Work(1), Done(10), Work(2), Done(20)

    @step(max_concurrency=1)
    async def collect(ev: Work | Done, ctx: Context) -> StopEvent | None:
        works = ctx.collect_events(Work, 2)
        done = ctx.collect_events(Done, 2)
        if works is not None:
            ctx.state["works"] = [each.n for each in works]
        if done is not None:
            return StopEvent(result=(ctx.state["works"], [each.n for each in done]))
        return None

    assert await Workflow("w", [mixed, collect]).run() == ([1, 2], [10, 20])


async def test_a_failed_attempt_deposits_and_takes_nothing() -> None:
    @step(max_concurrency=1, retry=Retry(initial=0))
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        works = ctx.collect_events(Work, 6)
        if ctx.attempt == 1:
            raise Boom
        return None if works is None else StopEvent(result=sorted(each.n for each in works))

    assert await Workflow("w", [begin, collect]).run() == list(range(6))


async def test_what_is_left_over_is_named_when_the_run_stalls() -> None:
    @step(max_concurrency=1)
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        return StopEvent() if ctx.collect_events(Work, 10) else None

    with pytest.raises(WorkflowStalledError) as caught:
        await Workflow("w", [begin, collect]).run()
    (line,) = caught.value.waiting
    assert "collect" in line and "6" in line and Work.event_type in line


@pytest.mark.parametrize("limit", [None, 2])
async def test_elsewhere_it_is_an_error_that_names_gather_and_batch(limit: int | None) -> None:
    @step(max_concurrency=limit)
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        return StopEvent() if ctx.collect_events(Work, 2) else None

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin, collect]).run()
    error = caught.value.error
    assert isinstance(error, DefinitionError)
    for word in ("collect_events", "max_concurrency=1", "Gather", "Batch"):
        assert word in str(error)


async def test_a_count_below_one_is_refused() -> None:
    @step(max_concurrency=1)
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        return StopEvent() if ctx.collect_events(Work, 0) else None

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin, collect]).run()
    assert isinstance(caught.value.error, ValueError)


async def test_it_may_be_called_again_in_one_attempt() -> None:
    """Each call takes its own; the attempt's event is deposited once."""

    @step(max_concurrency=1)
    async def collect(ev: Work, ctx: Context) -> StopEvent | None:
        if ev.n < 5:
            assert ctx.collect_events(Work, 100) is None
            return None
        first, second = ctx.collect_events(Work, 2), ctx.collect_events(Work, 4)
        third = ctx.collect_events(Work, 1)
        assert first is not None and second is not None and third is None
        return StopEvent(result=[each.n for each in first + second])

    assert await Workflow("w", [begin, collect]).run() == list(range(6))


async def test_waiting_events_survive_a_suspension() -> None:
    @step
    async def slowly(ev: StartEvent) -> Note:
        await anyio.sleep(10)
        return Note("second")

    @step(max_concurrency=1)
    async def collect(ev: Note, ctx: Context) -> StopEvent | None:
        notes = ctx.collect_events(Note, 2)
        return None if notes is None else StopEvent(result=[each.text for each in notes])

    workflow = Workflow("w", [slowly, collect], external=[Note])
    async with workflow.start() as run:
        run.send_event(Note("first"))
        await anyio.sleep(5)
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == ["first", "second"]

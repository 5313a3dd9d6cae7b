"""The history of a run: typed facts with time, sequence and duration, bounded or off."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Fact,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Work, settle

pytestmark = pytest.mark.anyio


def kinds(run: Any) -> list[str]:
    return [fact.kind for fact in run.history]


async def test_a_simple_run_tells_its_story() -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        await anyio.sleep(2)
        return Work()

    @step
    async def end(ev: Work) -> StopEvent:
        await anyio.sleep(3)
        return StopEvent()

    started = anyio.current_time()
    async with Workflow("w", [begin, end]).start() as run:
        await run.result()
    assert kinds(run) == [
        "run_started",
        "event_routed",
        "step_started",
        "step_completed",
        "event_routed",
        "step_started",
        "step_completed",
        "run_completed",
    ]
    assert [fact.sequence for fact in run.history] == list(range(8))
    first, last = run.history[3], run.history[6]
    assert isinstance(first, Fact)
    assert (first.step, first.event_type, first.attempt) == ("begin", StartEvent.event_type, 1)
    assert first.duration == pytest.approx(2)
    assert (last.step, last.event_type) == ("end", Work.event_type)
    assert last.time == pytest.approx(started + 5)


async def test_failures_timeouts_and_retries_are_told() -> None:
    @step(timeout=1, retry=Retry(initial=0))
    async def flaky(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt == 1:
            raise Boom
        await anyio.sleep_forever()

    async with Workflow("w", [flaky]).start() as run:
        with pytest.raises(StepFailedError):
            await run.result()
    told = [(fact.kind, fact.attempt) for fact in run.history if fact.step]
    assert told == [
        ("step_started", 1),
        ("step_failed", 1),
        ("step_started", 2),
        ("step_timed_out", 2),
        ("step_started", 3),
        ("step_timed_out", 3),
    ]
    assert run.history[-1].kind == "run_failed"
    assert run.history[-1].error is not None
    assert run.history[-1].error.endswith("StepFailedError")


async def test_requests_pauses_and_answers_are_told() -> None:
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("again?"))

    async with Workflow("w", [ask, answered]).start() as run:
        await settle()
        run.pause()
        run.resume()
        run.respond_to_input(run.requests[0].request_id, 1)
        await settle()
        run.respond_to_input(run.requests[0].request_id, 2)
        await run.result()
    told = [
        kind
        for kind in kinds(run)
        if kind.startswith("input") or kind in ("run_paused", "run_resumed")
    ]
    assert told == [
        "input_requested",
        "run_paused",
        "run_resumed",
        "input_received",
        "input_requested",
        "input_received",
    ]


async def test_cancelled_and_suspended_runs_say_so() -> None:
    @step
    async def idle(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    workflow = Workflow("w", [idle])
    async with workflow.start() as run:
        await settle()
        run.cancel()
    assert "run_cancelled" in kinds(run)
    assert "step_cancelled" in kinds(run)
    async with workflow.start() as run:
        await settle()
        await run.suspend()
    assert kinds(run)[-1] == "run_suspended"


async def test_a_history_can_be_bounded() -> None:
    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        n = ev.n if isinstance(ev, Work) else 0
        return Work(n + 1) if n < 100 else StopEvent()

    async with Workflow("w", [hop], history=10).start() as run:
        await run.result()
    assert len(run.history) == 10
    assert run.history.dropped > 250
    assert run.history[-1].kind == "run_completed"
    assert run.history[0].sequence == run.history.dropped


async def test_a_bounded_history_stays_so_where_lanes_take_turns() -> None:
    """Each step is suspended while another begins, so that no lane uses up its turn."""
    most = 0

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work]:
        return Work(0), Work(0)

    @step
    async def hop(ev: Work) -> Work | StopEvent:
        nonlocal most
        await checkpoint()
        most = max(most, len(run.history._facts))
        return Work(ev.n + 1) if ev.n < 3000 else StopEvent()

    async with Workflow("w", [begin, hop], history=10).start() as run:
        await run.result()
    assert most < 2100


async def test_a_history_can_be_switched_off() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [only], history=0).start() as run:
        await run.result()
    assert list(run.history) == []


async def test_facts_are_still_streamed_when_the_history_is_off() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [only], history=0).start() as run:
        facts = [event async for event in run.stream_events(lifecycle=True)]
    assert facts
    assert list(run.history) == []


async def test_a_fact_holds_no_event_of_the_users() -> None:
    """A history can't keep large or secret values alive."""

    @step
    async def begin(ev: StartEvent) -> Done:
        return Done(424242)

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [begin, end]).start(secret="hidden") as run:
        await run.result()
    assert "424242" not in repr(list(run.history))
    assert "hidden" not in repr(list(run.history))


async def test_statistics_count_what_each_step_has_done_and_has_to_do() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(5)]

    @step(max_concurrency=2, retry=Retry(initial=0))
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(1)
        if ev.n == 0 and ctx.attempt == 1:
            raise Boom
        return Done()

    @step
    async def end(done: list[Done]) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [begin, work, end]).start() as run:
        await anyio.sleep(0.5)
        counts = run.statistics().steps["work"]
        assert (counts.waiting, counts.running, counts.done) == (3, 2, 0)
        await run.result()
        statistics = run.statistics()
        assert list(statistics.steps) == ["begin", "work", "end"]
        counts = statistics.steps["work"]
        assert (counts.waiting, counts.running, counts.done) == (0, 0, 5)
        assert (counts.failed, counts.retried) == (0, 1)

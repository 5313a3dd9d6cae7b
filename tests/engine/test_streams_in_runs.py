"""The streams of a run: what watchers see, each subscriber all of it, and where it ends."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    StreamLagError,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Note, Work, settle

pytestmark = pytest.mark.anyio


class Progress(Event):
    n: int


def counter(count: int, seconds: float = 0) -> Workflow:
    """One step that shows ``count`` events of progress."""

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        for n in range(count):
            ctx.write_event_to_stream(Progress(n))
            if seconds:
                await anyio.sleep(seconds)
        return StopEvent(result=count)

    return Workflow("counter", [work])


def hops(count: int) -> Workflow:
    """A chain of steps each of which shows one event of progress."""

    @step
    async def hop(ev: StartEvent | Work, ctx: Context) -> Work | StopEvent:
        n = ev.n if isinstance(ev, Work) else 0
        ctx.write_event_to_stream(Progress(n))
        return Work(n + 1) if n + 1 < count else StopEvent(result=count)

    return Workflow("hops", [hop])


async def test_a_subscriber_made_first_thing_sees_all() -> None:
    async with counter(10).start() as run:
        assert [event.n async for event in run.stream_events()] == list(range(10))


async def test_several_subscribers_each_see_all() -> None:
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}

    async def watch(number: int, stream) -> None:
        async for event in stream:
            seen[number].append(event.n)
            await anyio.sleep(number)

    async with counter(5, 1).start() as run, anyio.create_task_group() as tasks:
        for number in seen:
            tasks.start_soon(watch, number, run.stream_events())
    assert seen == {number: list(range(5)) for number in range(3)}


async def test_a_later_subscriber_sees_what_comes_from_then_on() -> None:
    async with counter(5, 1).start() as run:
        await anyio.sleep(2.5)
        assert [event.n async for event in run.stream_events()] == [3, 4]


async def test_the_stream_ends_without_raising_when_the_run_fails() -> None:
    @step
    async def fails(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Progress(1))
        raise Boom

    async with Workflow("w", [fails]).start() as run:
        assert [event.n async for event in run.stream_events()] == [1]
        with pytest.raises(StepFailedError):
            await run.result()


async def test_a_stream_of_a_run_that_has_ended_is_empty() -> None:
    async with counter(3).start() as run:
        await run.result()
        assert [event async for event in run.stream_events()] == []


async def test_a_stream_can_be_left_and_dropped() -> None:
    async with counter(5, 1).start() as run:
        async for event in run.stream_events():
            if event.n == 2:
                break
        assert await run.result() == 5


async def test_a_stream_can_be_used_as_a_context_manager() -> None:
    async with counter(5).start() as run, run.stream_events() as events:
        assert [event.n async for event in events] == list(range(5))


async def test_routed_events_show_only_as_facts() -> None:
    async with hops(3).start() as run:
        shown = [type(event) async for event in run.stream_events()]
    assert shown == [Progress] * 3


async def test_facts_are_shown_when_asked_for() -> None:
    @step(retry=Retry(initial=0))
    async def flaky(ev: StartEvent, ctx: Context) -> Work:
        await anyio.sleep(2)
        if ctx.attempt == 1:
            raise Boom
        return Work()

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [flaky, end]).start() as run:
        events = [event async for event in run.stream_events(lifecycle=True)]
    facts = [event for event in events if isinstance(event, LifecycleEvent)]
    assert len(facts) == len(events)
    told = [(fact.kind, fact.step, fact.attempt) for fact in facts if fact.step]
    assert told == [
        ("step_started", "flaky", 1),
        ("step_failed", "flaky", 1),
        ("step_started", "flaky", 2),
        ("step_completed", "flaky", 2),
        ("step_started", "end", 1),
        ("step_completed", "end", 1),
    ]
    failed = facts[[fact.kind for fact in facts].index("step_failed")]
    assert failed.error == f"{Boom.__module__}.Boom"
    assert failed.duration == pytest.approx(2)
    assert failed.event_type == StartEvent.event_type
    assert any(fact.kind == "event_routed" and fact.event_type == Work.event_type for fact in facts)


async def test_facts_and_progress_come_in_one_order() -> None:
    async with hops(2).start() as run:
        kinds = [
            event.kind if isinstance(event, LifecycleEvent) else event.n
            async for event in run.stream_events(lifecycle=True)
        ]
    assert [kind for kind in kinds if kind in (0, 1, "step_started", "step_completed")] == [
        "step_started",
        0,
        "step_completed",
        "step_started",
        1,
        "step_completed",
    ]


# ---- lagging -----------------------------------------------------------------------------------


async def test_a_subscriber_that_lags_is_told_how_many_it_missed() -> None:
    async with counter(10).start() as run:
        stream = run.stream_events(buffer=4)
        await run.result()
        assert [(await anext(stream)).n for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(StreamLagError) as caught:
            await anext(stream)
        assert caught.value.missed == 6
        assert [event async for event in stream] == []


async def test_a_subscriber_may_rather_lose_the_oldest() -> None:
    async with counter(10).start() as run:
        stream = run.stream_events(buffer=4, overflow="drop_oldest")
        await run.result()
        assert [event.n async for event in stream] == [6, 7, 8, 9]
        assert stream.missed == 6


async def test_a_subscriber_may_hold_the_run_up() -> None:
    async with hops(20).start() as run:
        async with run.stream_events(buffer=4, overflow="block") as events:
            await anyio.sleep(100)
            assert run.status == "running"
            assert run.statistics().steps["hop"].done < 8
            assert [event.n async for event in events] == list(range(20))
        assert await run.result() == 20


async def test_a_run_goes_on_when_the_subscriber_that_held_it_up_leaves() -> None:
    async with hops(20).start() as run:
        async with run.stream_events(buffer=2, overflow="block"):
            await settle()
        assert await run.result() == 20


async def test_a_slow_subscriber_does_not_hold_up_the_others() -> None:
    async with counter(10).start() as run:
        slow, quick = run.stream_events(buffer=1), run.stream_events()
        assert [event.n async for event in quick] == list(range(10))
        assert (await anext(slow)).n == 0


# ---- requests ----------------------------------------------------------------------------------


async def test_requests_are_on_the_stream_in_order_with_progress() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> InputRequestEvent:
        ctx.write_event_to_stream(Progress(1))
        return InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Progress(2))
        return StopEvent()

    async with Workflow("w", [ask, answered]).start() as run:
        seen = []
        async for event in run.stream_events():
            seen.append(type(event).__name__)
            if isinstance(event, InputRequestEvent):
                run.respond_to_input(event.request_id, 1)
    assert seen == ["Progress", "InputRequestEvent", "Progress"]


async def test_a_watcher_may_steer_the_run() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent, ctx: Context) -> None:
        ctx.write_event_to_stream(Note("send more"))

    @step
    async def done(ev: Done) -> StopEvent:
        log("done")
        return StopEvent()

    async with Workflow("w", [begin, done], external=[Done]).start() as run:
        async for event in run.stream_events():
            assert isinstance(event, Note)
            run.send_event(Done())
    assert log.lines == ["done"]


async def test_writing_what_is_no_event_to_the_stream_fails_the_step() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream("text")  # type: ignore[arg-type]
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, TypeError)

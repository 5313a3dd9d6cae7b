"""Routing: every acceptor, in order; control events by name; the first stop event ends the run."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    NoHandlerError,
    RunSuspendedError,
    StartEvent,
    StepFailed,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowStalledError,
    step,
)

from .kit import Boom, Done, Log, Note, Other, Work, settle

pytestmark = pytest.mark.anyio


async def test_every_acceptor_gets_the_event_in_the_order_of_the_list() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work]:
        return Work(1), Work(2)

    def acceptor(name: str):
        @step(name=name)
        async def accept(ev: Work) -> None:
            log(f"{name} {ev.n}")

        return accept

    @step
    async def last(ev: Work) -> StopEvent | None:
        return StopEvent() if ev.n == 2 else None

    await Workflow("w", [acceptor("b"), begin, acceptor("a"), last]).run()
    assert log.lines == ["b 1", "a 1", "b 2", "a 2"]


async def test_events_are_handled_in_the_order_in_which_they_were_committed() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Work, Done]:
        return Work(2), Work(1), Done(9)

    @step
    async def slow(ev: Work) -> Note:
        await anyio.sleep(ev.n)
        return Note(str(ev.n))

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    @step
    async def end(ev: Done) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent()

    await Workflow("w", [begin, slow, note, end]).run()
    assert log.lines == ["1", "2"]


async def test_event_takes_the_users_events_and_no_control_event() -> None:
    log = Log()

    @step
    async def everything(ev: Event) -> None:
        log(type(ev).__name__)

    @step
    async def begin(ev: StartEvent) -> tuple[Work, InputRequestEvent]:
        return Work(), InputRequestEvent("?")

    @step
    async def fails(ev: Work) -> Done:
        raise Boom

    @step
    async def handle(failure: StepFailed) -> Done:
        return Done()

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [everything, begin, fails, handle, answered]).start() as run:
        await settle()
        run.respond_to_input(run.requests[0].request_id, 1)
    assert log.lines == ["StartEvent", "Work", "Done"]


async def test_control_events_can_be_named() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def watch(ev: InputRequestEvent) -> None:
        log(ev.prompt)
        assert ev.request_id

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [begin, watch, answered]).start() as run:
        await settle()
        run.respond_to_input(run.requests[0].request_id, 1)
    assert log.lines == ["?"]


# ---- stopping ----------------------------------------------------------------------------------


async def test_a_stop_event_goes_ahead_of_the_queue() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work, ctx: Context) -> tuple[Other, StopEvent]:
        return Other(), StopEvent(result="first")

    @step
    async def later(ev: Done | Other) -> StopEvent:
        log("ran")
        return StopEvent(result="second")

    assert await Workflow("w", [begin, work, later]).run() == "first"
    assert log.lines == []


async def test_a_stop_event_cancels_what_runs_and_waits_for_it() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            log("cleaned up")

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="done")

    started = anyio.current_time()
    assert await Workflow("w", [begin, work, done]).run() == "done"
    assert anyio.current_time() == pytest.approx(started + 6)
    assert log.lines == ["cleaned up"]


async def test_a_stop_event_is_not_routed_and_not_on_the_stream() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=1)

    async with Workflow("w", [only]).start() as run:
        assert [event async for event in run.stream_events()] == []
        assert await run.result() == 1


async def test_a_stop_event_may_be_sent_from_outside() -> None:
    @step
    async def idle(ev: StartEvent) -> StopEvent:
        await anyio.sleep_forever()

    async with Workflow("w", [idle]).start() as run:
        await settle()
        run.send_event(StopEvent(result="enough"))
        assert await run.result() == "enough"


# ---- nobody accepts ----------------------------------------------------------------------------


@step
async def sends_note(ev: StartEvent, ctx: Context) -> Done:
    ctx.send_event(Note("nobody"))
    return Done()


@step
async def ends(ev: Done) -> StopEvent:
    return StopEvent(result="ended")


async def test_an_event_that_nobody_accepts_fails_the_run() -> None:
    with pytest.raises(NoHandlerError) as caught:
        await Workflow("w", [sends_note, ends]).run()
    assert caught.value.event == Note("nobody")
    assert caught.value.source == "sends_note"


async def test_an_event_that_nobody_accepts_can_be_ignored() -> None:
    workflow = Workflow("w", [sends_note, ends], on_unhandled="ignore")
    assert await workflow.run() == "ended"


async def test_an_event_from_outside_that_nobody_accepts_is_refused_and_the_run_goes_on() -> None:
    async with Workflow("w", [sends_note, ends], on_unhandled="error").start(Done()) as run:
        with pytest.raises(NoHandlerError) as caught:
            run.send_event(Note())
        assert caught.value.source is None
        assert await run.result() == "ended"


# ---- stalls ------------------------------------------------------------------------------------


async def test_a_run_without_anything_left_to_do_stalls_at_once() -> None:
    @step
    async def begin(ev: StartEvent) -> Work | None:
        await anyio.sleep(1)
        return None

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent()

    started = anyio.current_time()
    with pytest.raises(WorkflowStalledError):
        await Workflow("w", [begin, end]).run()
    assert anyio.current_time() == pytest.approx(started + 1)


async def test_a_stall_names_what_each_join_waits_for() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Note] | None:
        return Work(), Note()

    @step
    async def pair(work: Work, other: Other) -> StopEvent:
        return StopEvent()

    @step(max_concurrency=1)
    async def collect(ev: Note, ctx: Context) -> Other | None:
        return Other() if ctx.collect_events(Note, 2) else None

    with pytest.raises(WorkflowStalledError) as caught:
        await Workflow("w", [begin, pair, collect]).run()
    assert len(caught.value.waiting) == 2
    text = str(caught.value)
    assert "pair" in text and "collect" in text


async def test_a_run_with_an_open_handle_and_external_events_idles() -> None:
    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    async with Workflow("w", [begin, end], external=[Done]).start() as run:
        await anyio.sleep(1000)
        assert run.status == "running"
        run.send_event(Done(7))
        assert await run.result() == 7


async def test_a_run_that_idles_for_external_events_suspends_when_nobody_is_there() -> None:
    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    workflow = Workflow("w", [begin, end], external=[Done])
    with pytest.raises(RunSuspendedError) as caught:
        await workflow.run()
    snapshot = caught.value.snapshot
    with pytest.raises(RunSuspendedError):
        async with workflow.start():
            pass
    async with workflow.resume(snapshot) as run:
        run.send_event(Done(7))
        assert await run.result() == 7


async def test_external_events_are_routed_as_any_other() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [begin, note, end], external=[Note, Done]).start() as run:
        for text in "abc":
            run.send_event(Note(text))
        run.send_event(Done())
        await run.result()
    assert log.lines == ["a", "b", "c"]


async def test_an_event_need_not_be_declared_as_external_while_the_run_does_something() -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        await anyio.sleep(5)
        return Work()

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    async with Workflow("w", [begin, end]).start() as run:
        await settle()
        run.send_event(Work(3))
        assert await run.result() == 3


async def test_a_step_that_returns_what_is_no_event_fails() -> None:
    @step
    async def begin(ev: StartEvent) -> StopEvent:
        return "text"  # type: ignore[return-value]

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, TypeError)
    assert "begin" in str(caught.value.error)
    assert "str" in str(caught.value.error)

"""A pause stops dispatch at once and nothing else; inputs are taken and committed meanwhile."""

from __future__ import annotations

import anyio
import pytest
from anyio import from_thread

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    RunEndedError,
    RunSuspendedError,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .kit import Done, Log, Note, Work, settle

pytestmark = pytest.mark.anyio


def two_steps(log: Log, **options: object) -> Workflow:
    @step
    async def first(ev: StartEvent) -> Work:
        await anyio.sleep(5)
        log("first")
        return Work()

    @step
    async def second(ev: Work) -> StopEvent:
        log("second")
        return StopEvent(result="done")

    return Workflow("w", [first, second], **options)


async def test_what_runs_goes_on_and_nothing_else_begins() -> None:
    log = Log()
    async with two_steps(log).start() as run:
        await settle()
        run.pause()
        assert run.status == "paused"
        await anyio.sleep(100)
        assert log.lines == ["first"]
        run.resume()
        assert run.status == "running"
        assert await run.result() == "done"
    assert log.lines == ["first", "second"]


async def test_a_pause_first_thing_in_the_block_lets_no_step_begin() -> None:
    """Lanes start only once the block has been entered."""
    log = Log()
    async with two_steps(log).start() as run:
        run.pause()
        await anyio.sleep(100)
        assert log.lines == []
        assert run.history[-1].kind == "run_paused"
        run.resume()


async def test_a_pause_stops_a_chain_that_never_suspends() -> None:
    """From inside a step: it is the last one that runs."""
    hops: list[int] = []

    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        hops.append(len(hops))
        if len(hops) == 10:
            run.pause()
        return Work() if len(hops) < 100 else StopEvent()

    async with Workflow("w", [hop]).start() as run:
        await anyio.sleep(1)
        assert len(hops) == 10
        run.resume()
        await run.result()
    assert len(hops) == 100


async def test_pausing_twice_and_resuming_twice_are_the_same_as_once() -> None:
    log = Log()
    async with two_steps(log).start() as run:
        run.pause()
        run.pause()
        run.resume()
        run.resume()
        assert await run.result() == "done"
    kinds = [fact.kind for fact in run.history]
    assert kinds.count("run_paused") == kinds.count("run_resumed") == 1


async def test_events_and_answers_are_taken_during_a_pause() -> None:
    @step
    async def begin(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent) -> Note:
        return Note(ev.response)

    @step(max_concurrency=1)
    async def note(ev: Note, ctx: Context) -> StopEvent | None:
        notes = ctx.collect_events(Note, 2)
        return None if notes is None else StopEvent(result=[each.text for each in notes])

    async with Workflow("w", [begin, answered, note], external=[Note]).start() as run:
        await settle()
        run.pause()
        run.send_event(Note("sent"))
        run.respond_to_input(run.requests[0].request_id, "answered")
        assert run.requests == ()
        assert run.statistics().steps["note"].waiting == 1
        run.resume()
        assert await run.result() == ["sent", "answered"]


async def test_delays_elapse_during_a_pause_but_nothing_is_dispatched() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(), delay=10)
        return None

    @step
    async def done(ev: Done) -> StopEvent:
        log("done")
        return StopEvent(result=anyio.current_time())

    async with Workflow("w", [begin, done]).start() as run:
        await settle()
        run.pause()
        await anyio.sleep(50)
        assert log.lines == []
        run.resume()
        resumed = anyio.current_time()
        assert await run.result() == resumed


async def test_a_run_that_completes_while_paused_is_completed() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result="done")

    async with Workflow("w", [only]).start() as run:
        await settle()
        run.pause()
        assert await run.result() == "done"
        assert run.status == "completed"


async def test_leaving_a_paused_run_suspends_it_when_what_runs_has_finished() -> None:
    log = Log()
    workflow = two_steps(log)
    with pytest.raises(RunSuspendedError) as caught:
        async with workflow.start() as run:
            await settle()
            run.pause()
    assert run.status == "suspended"
    assert log.lines == ["first"]
    async with workflow.resume(caught.value.snapshot) as run:
        assert await run.result() == "done"
    assert log.lines == ["first", "second"]


async def test_a_run_that_was_paused_is_not_paused_after_a_resume_elsewhere() -> None:
    """A pause belongs to the handle, not to the run's data."""
    log = Log()
    workflow = two_steps(log)
    async with workflow.start() as run:
        run.pause()
        snapshot = run.snapshot()
        run.cancel()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"


async def test_a_pause_or_a_resume_after_the_end_is_an_error() -> None:
    async with two_steps(Log()).start() as run:
        await run.result()
        with pytest.raises(RunEndedError):
            run.pause()
        with pytest.raises(RunEndedError):
            run.resume()


async def test_a_step_may_pause_the_run_from_a_thread() -> None:
    log = Log()

    @step
    def first(ev: StartEvent) -> Work:
        from_thread.run_sync(run.pause)
        return Work()

    @step
    async def second(ev: Work) -> StopEvent:
        log("second")
        return StopEvent()

    async with Workflow("w", [first, second]).start() as run:
        await anyio.sleep(10)
        assert run.status == "paused"
        assert log.lines == []
        run.resume()

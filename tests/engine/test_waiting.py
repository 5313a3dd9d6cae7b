"""Waiting inside a step: claimed first come, first served, without a slot, across a resume."""

from __future__ import annotations

from typing import Annotated

import anyio
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    Gather,
    NoHandlerError,
    Retry,
    RunSuspendedError,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    WorkflowStalledError,
    step,
)

from .kit import Boom, Done, Log, Note, Other, Work, settle

pytestmark = pytest.mark.anyio


class Approved(Event):
    by: str
    amount: int = 0


def waiting(**options: object) -> Workflow:
    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=(await ctx.wait_for_event(Approved)).by)

    return Workflow("waiting", [wait], external=[Approved], **options)


async def test_a_step_gets_the_event_that_it_waits_for() -> None:
    async with waiting().start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"


async def test_an_event_of_a_subclass_satisfies_the_wait() -> None:
    class Quickly(Approved):
        pass

    async with waiting().start() as run:
        await settle()
        run.send_event(Quickly("Ada"))
        assert await run.result() == "Ada"


async def test_an_event_that_came_before_the_wait_is_in_the_mailbox() -> None:
    @step(waits=[Approved])
    async def late(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=(await ctx.wait_for_event(Approved)).by)

    async with Workflow("w", [late], external=[Approved]).start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"


async def test_the_mailbox_is_first_in_first_out() -> None:
    @step(waits=[Approved])
    async def late(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=[(await ctx.wait_for_event(Approved)).by for _ in range(3)])

    async with Workflow("w", [late], external=[Approved]).start() as run:
        for name in ("a", "b", "c"):
            run.send_event(Approved(name))
        assert await run.result() == ["a", "b", "c"]


async def test_waiters_are_served_first_come_first_served_and_one_event_each() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    @step(waits=[Approved])
    async def wait(ev: Work, ctx: Context) -> Note:
        await anyio.sleep(3 - ev.n)  # the last begins to wait first
        approved = await ctx.wait_for_event(Approved)
        return Note(f"{ev.n} by {approved.by}")

    @step
    async def gather(notes: list[Note]) -> StopEvent:
        return StopEvent(result=[note.text for note in notes])

    async with Workflow("w", [begin, wait, gather], external=[Approved]).start() as run:
        await anyio.sleep(10)
        for name in ("a", "b", "c"):
            run.send_event(Approved(name))
        assert await run.result() == ["0 by c", "1 by b", "2 by a"]


async def test_waiters_for_different_types_do_not_disturb_each_other() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(0), Work(1)]

    @step(waits=[Approved, Note])
    async def wait(ev: Work, ctx: Context) -> Done:
        if ev.n == 0:
            return Done((await ctx.wait_for_event(Approved)).amount)
        return Done(len((await ctx.wait_for_event(Note)).text))

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    workflow = Workflow("w", [begin, wait, gather], external=[Approved, Note])
    async with workflow.start() as run:
        await settle()
        run.send_event(Note("four"))
        run.send_event(Approved("Ada", 7))
        assert await run.result() == [7, 4]


async def test_where_chooses_and_leaves_the_others_to_others() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Other]:
        return Work(), Other()

    @step(waits=[Approved])
    async def large(ev: Work, ctx: Context) -> Done:
        event = await ctx.wait_for_event(Approved, where=lambda each: each.amount > 10)
        return Done(event.amount)

    @step(waits=[Approved])
    async def any_amount(ev: Other, ctx: Context) -> Done:
        return Done((await ctx.wait_for_event(Approved)).amount)

    @step(max_concurrency=1)
    async def both(ev: Done, ctx: Context) -> StopEvent | None:
        done = ctx.collect_events(Done, 2)
        return None if done is None else StopEvent(result=[each.n for each in done])

    workflow = Workflow("w", [begin, large, any_amount, both], external=[Approved])
    async with workflow.start() as run:
        await settle()
        run.send_event(Approved("a", 5))
        await settle()
        run.send_event(Approved("b", 50))
        assert await run.result() == [5, 50]


async def test_an_event_that_where_refuses_stays_for_a_later_wait() -> None:
    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        large = await ctx.wait_for_event(Approved, where=lambda each: each.amount > 10)
        small = await ctx.wait_for_event(Approved)
        return StopEvent(result=(large.amount, small.amount))

    async with Workflow("w", [wait], external=[Approved]).start() as run:
        await settle()
        run.send_event(Approved("a", 5))
        run.send_event(Approved("b", 50))
        assert await run.result() == (50, 5)


async def test_an_event_that_nobody_wants_does_not_keep_the_run_from_suspending() -> None:
    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Note())
        event = await ctx.wait_for_event(Approved, where=lambda each: each.amount > 10)
        return StopEvent(result=event.amount)

    @step
    async def approve(ev: Note) -> Approved:
        return Approved("Ada", 5)

    workflow = Workflow("w", [wait, approve], external=[Approved])
    with pytest.raises(RunSuspendedError) as caught:
        await workflow.run()
    async with workflow.resume(caught.value.snapshot) as run:
        run.send_event(Approved("Ada", 50))
        assert await run.result() == 50


async def test_a_failing_where_is_the_steps_failure() -> None:
    boom = Boom()

    def judge(event: Approved) -> bool:
        raise boom

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.wait_for_event(Approved, where=judge))

    with pytest.raises(StepFailedError) as caught:
        async with Workflow("w", [wait], external=[Approved]).start() as run:
            await settle()
            run.send_event(Approved("Ada"))
            await run.result()
    assert caught.value.error is boom
    assert caught.value.step == "wait"


async def test_a_step_may_go_on_after_a_failing_where() -> None:
    """The failure is raised where it waits; the event is still there for the next wait."""

    def judge(event: Approved) -> bool:
        raise Boom

    @step(waits=[Approved], max_concurrency=1)
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        with pytest.raises(Boom):
            await ctx.wait_for_event(Approved, where=judge)
        return StopEvent(result=(await ctx.wait_for_event(Approved)).by)

    async with Workflow("w", [wait], external=[Approved]).start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"


async def test_a_wait_can_time_out() -> None:
    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        started = anyio.current_time()
        with pytest.raises(TimeoutError):
            await ctx.wait_for_event(Approved, timeout=5)
        return StopEvent(result=anyio.current_time() - started)

    async with Workflow("w", [wait], external=[Approved]).start() as run:
        assert await run.result() == pytest.approx(5)


async def test_a_wait_that_times_out_does_not_suspend_a_run_without_a_handle() -> None:
    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.wait_for_event(Approved, timeout=5)
        except TimeoutError:
            return StopEvent(result="went on")
        return StopEvent()

    assert await Workflow("w", [wait], external=[Approved]).run() == "went on"


async def test_a_step_that_waits_gives_its_slot_back() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    running = 0
    most = 0

    @step(waits=[Approved], max_concurrency=1)
    async def wait(ev: Work, ctx: Context) -> Done:
        nonlocal running, most
        await ctx.wait_for_event(Approved)
        running += 1
        most = max(most, running)
        await anyio.sleep(1)
        running -= 1
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    async with Workflow("w", [begin, wait, gather], external=[Approved]).start() as run:
        await settle()
        assert run.statistics().steps["wait"].running == 0
        for _ in range(3):
            run.send_event(Approved("Ada"))
        assert await run.result() == [0, 1, 2]
    assert most == 1  # and takes it again before it goes on


async def test_what_a_step_has_sent_leaves_before_it_waits() -> None:
    log = Log()

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Note("before the wait"))
        event = await ctx.wait_for_event(Approved)
        return StopEvent(result=event.by)

    @step
    async def note(ev: Note) -> Approved:
        log(ev.text)
        return Approved("the note")

    assert await Workflow("w", [wait, note]).run() == "the note"
    assert log.lines == ["before the wait"]


async def test_an_event_that_is_waited_for_is_also_routed_to_who_accepts_it() -> None:
    log = Log()

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        event = await ctx.wait_for_event(Approved)
        await anyio.sleep(1)
        return StopEvent(result=event.by)

    @step
    async def accept(ev: Approved) -> None:
        log(ev.by)

    async with Workflow("w", [wait, accept], external=[Approved]).start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"
    assert log.lines == ["Ada"]


async def test_a_wait_that_is_not_declared_is_a_definition_error_at_the_call() -> None:
    @step
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.wait_for_event(Approved))

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [wait]).run()
    assert isinstance(caught.value.error, DefinitionError)
    assert "waits=[Approved]" in str(caught.value.error)


async def test_nobody_can_send_so_the_run_suspends() -> None:
    workflow = waiting()
    with pytest.raises(RunSuspendedError) as caught:
        await workflow.run()
    async with workflow.resume(caught.value.snapshot) as run:
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"


async def test_after_a_resume_a_claimed_event_is_given_again() -> None:
    """The step starts from its top; what it let out before is not let out again."""
    log = Log()

    @step(waits=[Approved])
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        log("from the top")
        ctx.send_event(Note("sent once"))
        first = await ctx.wait_for_event(Approved)
        log(f"has {first.by}")
        second = await ctx.wait_for_event(Approved)
        return StopEvent(result=(first.by, second.by))

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    workflow = Workflow("w", [wait, note], external=[Approved])
    async with workflow.start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        await settle()
        run.send_event(Approved("Bob"))
        assert await run.result() == ("Ada", "Bob")
    assert log.lines == [
        "from the top",
        "sent once",
        "has Ada",
        "from the top",
        "has Ada",
    ]


async def test_a_retried_attempt_gets_the_claimed_event_again() -> None:
    @step(waits=[Approved], retry=Retry(initial=0))
    async def wait(ev: StartEvent, ctx: Context) -> StopEvent:
        event = await ctx.wait_for_event(Approved)
        if ctx.attempt == 1:
            raise Boom
        return StopEvent(result=event.by)

    async with Workflow("w", [wait], external=[Approved]).start() as run:
        await settle()
        run.send_event(Approved("Ada"))
        assert await run.result() == "Ada"


async def test_a_mailbox_survives_a_resume() -> None:
    @step(waits=[Approved])
    async def late(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=[(await ctx.wait_for_event(Approved)).by for _ in range(2)])

    workflow = Workflow("w", [late], external=[Approved])
    async with workflow.start() as run:
        await settle()
        run.send_event(Approved("a"))
        run.send_event(Approved("b"))
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == ["a", "b"]


async def test_a_pause_does_not_wait_for_a_waiter() -> None:
    async with waiting().start() as run:
        await settle()
        run.pause()
        assert run.status == "paused"
        run.send_event(Approved("Ada"))
        await anyio.sleep(100)
        assert run.status == "paused"  # it is claimed, and goes on with the run
        run.resume()
        assert await run.result() == "Ada"


async def test_a_waiter_of_a_scope_that_was_cut_short_is_cancelled() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(0), Work(1)]

    @step(waits=[Approved])
    async def work(ev: Work, ctx: Context) -> Done:
        if ev.n:
            try:
                await ctx.wait_for_event(Approved)
            finally:
                log("waiter ends")
        await anyio.sleep(1)
        return Done(ev.n)

    @step
    async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    async with Workflow("w", [begin, work, first], external=[Approved]).start() as run:
        assert await run.result() == [0]
    assert log.lines == ["waiter ends"]


async def test_an_event_that_only_waits_accept_is_no_unhandled_event() -> None:
    async with waiting().start() as run:
        await settle()
        run.send_event(Approved("first"))
        with pytest.raises(NoHandlerError):
            run.send_event(Other())
        assert await run.result() == "first"


async def test_steps_that_wait_for_each_other_have_not_stalled_while_the_handle_is_open() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step(waits=[Note])
    async def one(ev: Work, ctx: Context) -> Other:
        return Other(len((await ctx.wait_for_event(Note)).text))

    @step(waits=[Other])
    async def two(ev: Done, ctx: Context) -> StopEvent | Note:
        return StopEvent(result=await ctx.wait_for_event(Other))

    workflow = Workflow("w", [begin, one, two])
    with pytest.raises((WorkflowStalledError, RunSuspendedError)):
        await workflow.run()

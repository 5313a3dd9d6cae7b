"""What an attempt returns, sends and writes takes effect together when it succeeds, or never."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from blazen_anyio import (
    Context,
    Event,
    NoHandlerError,
    NonDeterministicStepError,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Note, Work, settle

pytestmark = pytest.mark.anyio

NOW = Retry(initial=0)
"""Try again at once."""


class Sent(Event):
    text: str


def collector(log: Log):
    """A step that notes what was sent."""

    @step
    async def collect(ev: Sent) -> None:
        log(ev.text)

    return collect


# ---- nothing of an attempt that does not succeed ------------------------------------------------


async def test_a_failed_attempt_sends_nothing_and_writes_nothing() -> None:
    log = Log()

    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> Done:
        log(f"attempt {ctx.attempt} sees {ctx.state.get('key')}")
        ctx.send_event(Sent(f"of attempt {ctx.attempt}"))
        ctx.state["key"] = ctx.attempt
        if ctx.attempt < 3:
            raise Boom
        return Done()

    @step
    async def done(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work, collector(log), done]).run() == 3
    assert log.lines == [
        "attempt 1 sees None",
        "attempt 2 sees None",
        "attempt 3 sees None",
        "of attempt 3",
    ]


async def test_an_attempt_that_timed_out_sends_nothing_and_writes_nothing() -> None:
    log = Log()

    @step(retry=NOW, timeout=1)
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Sent(f"of attempt {ctx.attempt}"))
        ctx.state["key"] = [*ctx.state.get("key", []), ctx.attempt]
        if ctx.attempt == 1:
            await anyio.sleep_forever()
        return Done()

    @step
    async def done(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work, collector(log), done]).run() == [2]
    assert log.lines == ["of attempt 2"]


async def test_a_cancelled_attempt_sends_nothing_and_writes_nothing() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work, ctx: Context) -> None:
        ctx.state["key"] = "written"
        ctx.send_event(Sent("sent"))
        await anyio.sleep_forever()

    @step
    async def done(ev: Done) -> StopEvent | None:
        await anyio.sleep(1)
        raise Boom

    async with Workflow("w", [begin, work, done, collector(log)]).start() as run:
        with pytest.raises(StepFailedError):
            await run.result()
        assert "written" not in run.snapshot().to_json()
    assert log.lines == []


async def test_a_failed_attempt_adds_nothing_to_a_fan_out() -> None:
    @step(retry=NOW)
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | None:
        ctx.fan_out([Work(ctx.attempt)])
        if ctx.attempt == 1:
            raise Boom
        return None

    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [begin, work, gather]).run() == [2]


async def test_an_attempt_whose_return_value_is_refused_leaves_nothing() -> None:
    log = Log()

    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Sent(f"of attempt {ctx.attempt}"))
        return StopEvent() if ctx.attempt == 2 else "a string"

    await Workflow("w", [work, collector(log)]).run()
    assert log.lines == []  # the StopEvent goes ahead of what was sent, too


async def test_an_attempt_whose_state_can_not_be_stored_sends_nothing() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Sent("sent"))
        if ctx.attempt == 1:
            items = ctx.state.setdefault("items", [])
            items.append(object())
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [work, done, collector(log)]).run()
    assert "items" in str(caught.value.error)
    assert log.lines == []


async def test_an_attempt_that_returns_what_nobody_accepts_leaves_nothing() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.state["key"] = "written"
        ctx.send_event(Sent("sent"))
        ctx.send_event(Note("nobody takes this"))
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [work, done, collector(log)]).start() as run:
        with pytest.raises(NoHandlerError):
            await run.result()
        assert "written" not in run.snapshot().to_json()
    assert log.lines == []


# ---- all of one that succeeds ------------------------------------------------------------------


async def test_nobody_sees_a_part_of_an_attempt() -> None:
    """Until the attempt ends neither its writes nor its sends are there; then both are."""
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Note]:
        return Work(), Note()

    @step
    async def work(ev: Work, ctx: Context) -> None:
        ctx.state["key"] = "written"
        ctx.send_event(Sent("sent"))
        await anyio.sleep(2)

    @step
    async def watch(ev: Note, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        log(f"before: {ctx.state.get('key')}")
        await anyio.sleep(2)
        log(f"after: {ctx.state.get('key')}")
        return StopEvent()

    await Workflow("w", [begin, work, watch, collector(log)]).run()
    assert log.lines == ["before: None", "sent", "after: written"]


async def test_what_is_sent_comes_before_what_is_returned() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> tuple[Sent, Sent, Done]:
        ctx.send_event(Sent("sent 1"))
        ctx.send_event(Sent("sent 2"))
        return Sent("returned 1"), Sent("returned 2"), Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    await Workflow("w", [work, collector(log), done]).run()
    assert log.lines == ["sent 1", "sent 2", "returned 1", "returned 2"]


async def test_an_attempt_reads_its_own_writes() -> None:
    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.state["key"] = 1
        await anyio.sleep(1)
        ctx.state["key"] += 1
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work]).run() == 2


# ---- late attempts -----------------------------------------------------------------------------


async def test_an_attempt_that_finishes_although_its_timeout_is_under_way_counts() -> None:
    @step(timeout=1)
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.state["key"] = "written"
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return Done()

    @step
    async def done(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["key"])

    assert await Workflow("w", [work, done]).run() == "written"


async def test_an_attempt_that_finishes_although_it_is_being_suspended_counts() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> Done:
        log("work")
        ctx.state["key"] = "written"
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return Done()

    @step
    async def done(ev: Done, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["key"])

    workflow = Workflow("w", [work, done])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "written"
    assert log.lines == ["work"]


async def test_an_attempt_that_finishes_after_the_stop_event_is_discarded() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def work(ev: Work, ctx: Context) -> StopEvent:
        ctx.send_event(Sent("sent"))
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return StopEvent(result="second")

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="first")

    assert await Workflow("w", [begin, work, done, collector(log)]).run() == "first"
    assert log.lines == []


# ---- the stream --------------------------------------------------------------------------------


async def test_what_is_written_to_the_stream_is_shown_at_once_and_not_taken_back() -> None:
    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note(f"attempt {ctx.attempt}"))
        if ctx.attempt == 1:
            raise Boom
        return StopEvent()

    async with Workflow("w", [work]).start() as run:
        texts = [event.text async for event in run.stream_events()]
    assert texts == ["attempt 1", "attempt 2"]


async def test_what_is_written_to_the_stream_is_never_routed() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.write_event_to_stream(Sent("shown"))
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    await Workflow("w", [work, done, collector(log)]).run()
    assert log.lines == []


# ---- immediate sends ---------------------------------------------------------------------------


async def test_an_immediate_send_is_routed_before_the_attempt_ends() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Sent("immediate"), immediate=True)
        ctx.send_event(Sent("with the attempt"))
        await anyio.sleep(1)
        log("attempt ends")
        return StopEvent()

    await Workflow("w", [work, collector(log)]).run()
    assert log.lines == ["immediate", "attempt ends"]


async def test_an_immediate_send_stays_when_the_attempt_fails() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Sent("immediate"), immediate=True)
        await anyio.sleep(1)
        raise Boom

    with pytest.raises(StepFailedError):
        await Workflow("w", [work, collector(log)]).run()
    assert log.lines == ["immediate"]


async def test_a_later_attempt_does_not_send_again() -> None:
    log = Log()

    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Sent("one"), immediate=True)
        if ctx.attempt > 1:
            ctx.send_event(Sent("two"), immediate=True)
        if ctx.attempt < 4:
            raise Boom
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent()

    with pytest.raises(StepFailedError):  # three attempts are not enough
        await Workflow("w", [work, done, collector(log)]).run()
    assert log.lines == ["one", "two"]


async def test_an_attempt_that_sends_something_else_fails_the_run() -> None:
    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Sent(f"attempt {ctx.attempt}"), immediate=True)
        raise Boom

    with pytest.raises(NonDeterministicStepError) as caught:
        await Workflow("w", [work, collector(Log())]).run()
    assert caught.value.step == "work"
    assert caught.value.number == 0


async def test_an_attempt_that_sends_less_fails_the_run() -> None:
    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Sent("one"), immediate=True)
        if ctx.attempt == 1:
            ctx.send_event(Sent("two"), immediate=True)
            raise Boom
        return StopEvent()

    with pytest.raises(NonDeterministicStepError) as caught:
        await Workflow("w", [work, collector(Log())]).run()
    assert caught.value.number == 1


async def test_the_digest_tells_types_and_values_apart() -> None:
    """``1`` and ``True`` are equal to Python and yet two different events."""

    class Value(Event):
        value: int | bool

    @step
    async def take(ev: Value) -> None:
        return None

    @step(retry=NOW)
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Value(1 if ctx.attempt == 1 else True), immediate=True)
        raise Boom

    with pytest.raises(NonDeterministicStepError):
        await Workflow("w", [work, take]).run()


async def test_an_immediate_send_that_nobody_accepts_fails_the_run() -> None:
    sent = Note("nobody")

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(sent, immediate=True)
        await anyio.sleep_forever()

    with pytest.raises(NoHandlerError) as caught:
        await Workflow("w", [work]).run()
    assert caught.value.event is sent
    assert caught.value.source == "work"


async def test_an_immediate_stop_event_ends_the_run_at_once() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(StopEvent(result="early"), immediate=True)
        try:
            await anyio.sleep_forever()
        finally:
            log("cancelled")

    assert await Workflow("w", [work]).run() == "early"
    assert log.lines == ["cancelled"]


async def test_early_effects_are_made_again_after_a_suspension_but_not_sent_twice() -> None:
    log = Log()

    @step
    async def work(ev: StartEvent, ctx: Context) -> Done:
        log("work")
        ctx.send_event(Sent("immediate"), immediate=True)
        await anyio.sleep(10)
        return Done()

    @step
    async def done(ev: Done) -> StopEvent:
        return StopEvent(result="done")

    workflow = Workflow("w", [work, done, collector(log)])
    async with workflow.start() as run:
        await settle()
        snapshot = await run.suspend()
    async with workflow.resume(snapshot) as run:
        assert await run.result() == "done"
    assert log.lines == ["work", "immediate", "work"]


# ---- yields ------------------------------------------------------------------------------------


async def test_a_generator_that_is_retried_repeats_nothing_that_it_let_out() -> None:
    log = Log()
    attempts = 0

    @step(retry=NOW)
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        nonlocal attempts
        attempts += 1
        for n in range(4):
            if n == attempts and attempts < 3:
                raise Boom
            yield Work(n)

    @step
    async def work(ev: Work) -> Done:
        log(str(ev.n))
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [pages, work, gather]).run() == [0, 1, 2, 3]
    assert sorted(log.lines) == ["0", "1", "2", "3"]


async def test_a_generator_that_differs_starts_its_fan_out_over() -> None:
    """The scope of the earlier attempt is abandoned; its results do not reach the gather."""
    attempts = 0

    @step(retry=NOW)
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        nonlocal attempts
        attempts += 1
        yield Work(0)
        yield Work(attempts)
        if attempts == 1:
            raise Boom

    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    assert await Workflow("w", [pages, work, gather]).run() == [0, 2]

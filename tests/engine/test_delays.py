"""Delayed events: kept by the machine, in their scope, counted from the commit."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import Context, StartEvent, StepFailedError, StopEvent, Workflow, step

from .kit import Done, Log, Note, Work

pytestmark = pytest.mark.anyio


@step
async def end(ev: Done) -> StopEvent:
    return StopEvent(result=anyio.current_time())


async def test_a_delayed_event_is_routed_when_it_is_due() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(), delay=10)
        await anyio.sleep(5)
        return None

    started = anyio.current_time()
    assert await Workflow("w", [begin, end]).run() == pytest.approx(started + 15)


async def test_a_delay_of_an_immediate_event_counts_from_the_call() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(), delay=10, immediate=True)
        await anyio.sleep(5)
        return None

    started = anyio.current_time()
    assert await Workflow("w", [begin, end]).run() == pytest.approx(started + 10)


async def test_delays_end_in_their_order() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Note | Done | None:
        for seconds in (30, 10, 20):
            ctx.send_event(Note(str(seconds)), delay=seconds)
        ctx.send_event(Done(), delay=40)
        return None

    @step
    async def note(ev: Note) -> None:
        log(ev.text)

    await Workflow("w", [begin, note, end]).run()
    assert log.lines == ["10", "20", "30"]


async def test_a_delayed_event_keeps_its_scope_open() -> None:
    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    @step
    async def work(ev: Work, ctx: Context) -> Done | None:
        ctx.send_event(Done(ev.n), delay=100 - ev.n)
        return None

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    started = anyio.current_time()
    assert await Workflow("w", [split, work, gather]).run() == [0, 1, 2]
    assert anyio.current_time() == pytest.approx(started + 100)


async def test_a_run_with_a_delayed_event_has_not_stalled_also_without_a_handle() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done | None:
        ctx.send_event(Done(), delay=86_400)
        return None

    started = anyio.current_time()
    assert await Workflow("w", [begin, end]).run() == pytest.approx(started + 86_400)


async def test_a_delayed_stop_event_is_a_deadline() -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(StopEvent(result="deadline"), delay=10, immediate=True)
        await anyio.sleep_forever()

    assert await Workflow("w", [begin]).run() == "deadline"


@pytest.mark.parametrize(
    ("delay", "kind"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("soon", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
async def test_a_delay_that_is_none_is_refused(delay: Any, kind: type[Exception]) -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Done(), delay=delay)
        return Done()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin, end]).run()
    assert isinstance(caught.value.error, kind)
    assert "delay" in str(caught.value.error)

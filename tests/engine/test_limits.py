"""Limits: per step and per workflow, first come, first served, and never in each other's way."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import Context, Event, StartEvent, StepFailed, StopEvent, Workflow, step

from .kit import Done, Log, Note, Other, Work

pytestmark = pytest.mark.anyio


class Meter:
    """How many run at once."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0

    async def __aenter__(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)

    async def __aexit__(self, *exc_info: object) -> None:
        self.running -= 1


@step
async def split(ev: StartEvent) -> list[Work]:
    return [Work(n) for n in range(12)]


@step
async def gather(done: list[Done]) -> StopEvent:
    return StopEvent(result=[each.n for each in done])


@pytest.mark.parametrize("limit", [1, 3, 12])
async def test_a_step_runs_as_often_at_once_as_it_says_and_no_less(limit: int) -> None:
    meter = Meter()

    @step(max_concurrency=limit)
    async def work(ev: Work) -> Done:
        async with meter:
            await anyio.sleep(1)
        return Done(ev.n)

    started = anyio.current_time()
    assert await Workflow("w", [split, work, gather]).run() == list(range(12))
    assert meter.most == limit
    assert anyio.current_time() == pytest.approx(started + 12 / limit)


async def test_without_a_limit_everything_runs_at_once() -> None:
    meter = Meter()

    @step
    async def work(ev: Work) -> Done:
        async with meter:
            await anyio.sleep(1)
        return Done(ev.n)

    await Workflow("w", [split, work, gather]).run()
    assert meter.most == 12


async def test_a_step_serves_first_come_first_served() -> None:
    log = Log()

    @step(max_concurrency=2)
    async def work(ev: Work) -> Done:
        log(str(ev.n))
        await anyio.sleep(1 if ev.n % 2 else 3)
        return Done(ev.n)

    await Workflow("w", [split, work, gather]).run()
    assert log.lines == [str(n) for n in range(12)]


async def test_a_full_step_never_blocks_another() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Event, ...]:
        return Work(0), Work(1), Work(2), Other()

    @step(max_concurrency=1)
    async def slow(ev: Work) -> StopEvent | None:
        await anyio.sleep(10)
        return StopEvent() if ev.n == 2 else None

    @step
    async def quick(ev: Other) -> None:
        log(str(anyio.current_time() - started))

    started = anyio.current_time()
    await Workflow("w", [begin, slow, quick]).run()
    assert [float(line) for line in log.lines] == [pytest.approx(0)]


async def test_a_workflow_limits_all_steps_together() -> None:
    meter = Meter()

    @step
    async def begin(ev: StartEvent) -> list[Work | Other]:
        return [Work(n) for n in range(4)] + [Other(n) for n in range(4)]

    @step
    async def work(ev: Work) -> Done:
        async with meter:
            await anyio.sleep(1)
        return Done(ev.n)

    @step
    async def other(ev: Other) -> Done:
        async with meter:
            await anyio.sleep(1)
        return Done(ev.n + 10)

    workflow = Workflow("w", [begin, work, other, gather], max_concurrency=3)
    assert await workflow.run() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert meter.most == 3


async def test_both_limits_hold() -> None:
    meter, of_step = Meter(), Meter()

    @step(max_concurrency=2)
    async def work(ev: Work) -> Note:
        async with meter, of_step:
            await anyio.sleep(1)
        return Note(str(ev.n))

    @step
    async def note(ev: Note) -> Done:
        async with meter:
            await anyio.sleep(1)
        return Done(int(ev.text))

    workflow = Workflow("w", [split, work, note, gather], max_concurrency=3)
    assert await workflow.run() == list(range(12))
    assert (meter.most, of_step.most) == (3, 2)


async def test_a_limit_holds_for_one_run() -> None:
    meter = Meter()

    @step(max_concurrency=1)
    async def only(ev: StartEvent) -> StopEvent:
        async with meter:
            await anyio.sleep(1)
        return StopEvent()

    workflow = Workflow("w", [only])
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(workflow.run)
    assert meter.most == 3


async def test_a_slot_is_free_as_soon_as_the_attempt_has_ended() -> None:
    """Also if it failed; and what was committed before the failure runs before its handler."""
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(3))

    @step(max_concurrency=1)
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        log(str(ev.n))
        if ev.n == 0:
            raise ValueError
        return StopEvent() if ev.n == 2 else None

    @step
    async def handle(failure: StepFailed) -> None:
        log("handled")

    await Workflow("w", [begin, work, handle]).run()
    assert log.lines == ["0", "1", "2"]

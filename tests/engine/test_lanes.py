"""Lanes: how many tasks a run costs, and that nobody can tell that steps share them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel
import pytest

from blazen_anyio import StartEvent, StepFailed, StopEvent, Workflow, step
from blazen_anyio._run._lanes import Lane
from blazen_anyio._run._runner import Runner

from .kit import Done, Log, Note, Work, current_task, pass_time

pytestmark = pytest.mark.anyio


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many tasks runs have started so far, when called."""
    count = 0
    start_task = Runner.start_task

    def counting(self: Runner, *args: object):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        return start_task(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "start_task", counting)
    return lambda: count


def chain(count: int, body: Callable[[], object] | None = None) -> Workflow:
    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        if body is not None:
            await body()  # type: ignore[misc]
        n = ev.n if isinstance(ev, Work) else 0
        return Work(n + 1) if n + 1 < count else StopEvent(result=count)

    return Workflow("chain", [hop])


async def test_steps_that_do_not_suspend_share_a_task(spawned, lanes: bool) -> None:
    assert await chain(400).run() == 400
    assert spawned() <= 2 if lanes else spawned() == 400


async def test_they_do_also_while_more_work_waits(spawned, lanes: bool) -> None:
    """One spare lane is there for the case that a step suspends; it is not replaced in vain."""

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(300)]

    @step
    async def work(ev: Work) -> Done:
        pass_time(0.000_1)
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    assert await Workflow("w", [split, work, gather]).run() == 300
    assert spawned() <= 4 if lanes else spawned() >= 302


async def test_a_suspended_step_costs_one_task(spawned, lanes: bool) -> None:
    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(100)]

    @step
    async def work(ev: Work) -> Done:
        await anyio.sleep(1)
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    assert await Workflow("w", [split, work, gather]).run() == 100
    assert 100 <= spawned() <= 110


async def test_lanes_are_off_gives_each_attempt_a_task_of_its_own() -> None:
    tasks: list[object] = []

    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        tasks.append(current_task())
        return Work() if len(tasks) < 10 else StopEvent()

    await Workflow("w", [hop], lanes=False).run()
    assert len(set(map(id, tasks))) == 10


async def test_lanes_are_on_unless_switched_off(lanes: bool) -> None:
    tasks: list[object] = []

    @step
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        tasks.append(current_task())
        return Work() if len(tasks) < 10 else StopEvent()

    await Workflow("w", [hop], lanes=True).run()
    assert len(set(map(id, tasks))) == 1


async def test_another_task_gets_its_turn_while_a_chain_runs_flat_out() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await chain(640).run()
        tasks.cancel_scope.cancel()
    assert turns >= 10


async def test_another_task_gets_its_turn_while_a_generator_yields_flat_out() -> None:
    turns = 0

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        for n in range(640):
            yield Work(n)
        had.append(turns)

    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=len(done))

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    had: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        assert await Workflow("w", [pages, work, gather]).run() == 640
        tasks.cancel_scope.cancel()
    assert had[0] >= 10  # by the time it had yielded all


async def test_a_foreign_timer_fires_while_a_chain_runs_flat_out() -> None:
    """Each hop computes for a millisecond; the timer is due after fifty."""
    hops = 0
    fired_at: list[int] = []

    async def compute() -> None:
        nonlocal hops
        hops += 1
        pass_time(0.001)

    async def timer() -> None:
        await anyio.sleep(0.05)
        fired_at.append(hops)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timer)
        await anyio.lowlevel.checkpoint()
        await chain(200, compute).run()
    assert fired_at[0] == pytest.approx(50, abs=5)


async def test_a_chain_gives_way_after_half_a_millisecond() -> None:
    """However many hops that is. Trio shuffles whose turn is next, so there may be two of them."""
    turns: list[float] = []

    async def compute() -> None:
        pass_time(0.000_1)

    async def other() -> None:
        while True:
            turns.append(anyio.current_time())
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await chain(300, compute).run()
        tasks.cancel_scope.cancel()
    gaps = [later - earlier for earlier, later in itertools.pairwise(turns)]
    assert max(gaps) < 0.001_5


async def test_a_run_leaves_no_task_behind_at_any_time() -> None:
    """Between two runs there is none of the first: checked from inside the program."""
    before = {task.id for task in anyio.get_running_tasks()}
    for _ in range(3):
        await chain(10, lambda: anyio.sleep(1)).run()
        assert {task.id for task in anyio.get_running_tasks()} == before


async def test_tasks_tell_of_which_run_they_are() -> None:
    names: list[str | None] = []

    @step
    async def only(ev: StartEvent) -> StopEvent:
        names.append(anyio.get_current_task().name)
        return StopEvent()

    await Workflow("w", [only]).run(run_id="my-run")
    assert "my-run" in (names[0] or "")


async def test_while_a_step_is_suspended_the_next_ones_run() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def first(ev: Work) -> StopEvent:
        log("first begins")
        await anyio.sleep(1)
        log("first goes on")
        return StopEvent()

    @step
    async def second(ev: Done) -> Note:
        log("second")
        return Note()

    @step
    async def third(ev: Note) -> None:
        log("third")

    await Workflow("w", [begin, first, second, third]).run()
    assert log.lines == ["first begins", "second", "third", "first goes on"]


def test_the_end_of_the_event_loop_is_no_failure_of_a_step() -> None:
    """Python closes what is suspended then; nothing may be awaited or reported any more."""
    lane = Lane(None)  # type: ignore[arg-type]
    with pytest.raises(GeneratorExit):
        lane._report(None, GeneratorExit())  # type: ignore[arg-type]


async def test_a_step_runs_outside_of_every_except_block() -> None:
    """A bare ``raise`` means nothing, and exceptions have no context that is not the step's."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(), Done()

    @step
    async def fails(ev: Work) -> Note:
        raise ValueError("first")

    @step
    async def handle(failure: StepFailed) -> None:
        return None

    @step
    async def looks(ev: Done) -> StopEvent:
        with pytest.raises(RuntimeError, match="No active exception"):
            raise
        return StopEvent(result=sys.exception())

    @step
    async def note(ev: Note) -> None:
        return None

    assert await Workflow("w", [begin, fails, handle, looks, note]).run() is None

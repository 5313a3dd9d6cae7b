"""``explore``: all orders up to a bound, each once, and the shortest that fails."""

from __future__ import annotations

import math
import time
from typing import Annotated

import anyio
import pytest

from blazen_anyio import Context, Event, Gather, StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import ExplorationError, Faults, Raise, StuckError, explore, simulate

from .shop import Order, shop


class Go(StartEvent):
    n: int


class Item(Event):
    n: int


class Done(Event):
    n: int


def concurrent(suspensions: int = 0, *, seconds: float | None = None) -> Workflow:
    """Any number of concurrent steps, each suspended so many times; the result is their order."""
    order: list[int] = []

    @step
    async def split(ev: Go) -> list[Item]:
        order.clear()
        return [Item(n) for n in range(ev.n)]

    @step
    async def work(ev: Item) -> Done:
        for _ in range(suspensions):
            await (anyio.lowlevel.checkpoint() if seconds is None else anyio.sleep(seconds))
        order.append(ev.n)
        return Done(ev.n)

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=tuple(order))

    return Workflow("concurrent", [split, work, join])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_orders_of_five_concurrent_steps_are_reached_each_once(backend):
    seen = []
    done = explore(
        concurrent(), Go(5), lambda t: seen.append(t.result), bound=None, backend=backend
    )
    assert len(seen) == len(set(seen)) == math.factorial(5)
    assert (done.runs, done.orders) == (120, 120)
    assert done.complete and done.everything


def test_without_interruptions_orders_of_steps_that_suspend_are_the_same_ones():
    """A bound of 0 lets each go on as far as it can."""
    seen = []
    done = explore(concurrent(2), Go(4), lambda t: seen.append(t.result), bound=0, max_runs=60)
    assert done.orders == 24
    assert set(seen[:24]) == set(seen) and len(set(seen[:24])) == 24
    assert done.complete and not done.everything
    assert done.runs == 60


def test_every_interleaving_of_three_steps_that_suspend_once_is_reached():
    """Six turns in an order that keeps each pair in its order: 6! / 2!^3."""
    seen = set()

    def look(transcript):
        turns = [turn.actor for turn in transcript._footprints]
        seen.add(tuple(actor for actor in turns if actor.startswith("work")))

    done = explore(concurrent(1), Go(3), look, bound=None, pure=["split"])
    assert len(seen) == math.factorial(6) // 8 == done.runs
    assert done.everything


def test_steps_that_sleep_for_the_same_time_end_in_any_order():
    seen = set()
    explore(concurrent(1, seconds=1), Go(3), lambda t: seen.add(t.result), bound=0, max_runs=100)
    assert len(seen) == 6


def test_somebody_who_is_ready_may_be_late():
    @step
    async def begin(ev: StartEvent) -> tuple[Item, Done]:
        return Item(1), Done(2)

    @step
    async def sooner(ev: Item) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="sooner")

    @step
    async def later(ev: Done) -> StopEvent:
        await anyio.sleep(1.5)
        return StopEvent(result="later")

    race = Workflow("race", [begin, sooner, later])
    for lateness, expected in ((1.0, {"sooner", "later"}), (0.0, {"sooner"})):
        seen = set()
        explore(race, None, lambda t: seen.add(t.result), max_runs=60, lateness=lateness)  # noqa: B023
        assert seen == expected


def test_orders_of_pure_steps_are_tried_once():
    seen = []
    done = explore(concurrent(1), Go(4), lambda t: seen.append(t.result), bound=None, pure=["work"])
    assert done.everything
    assert len(seen) == 1
    assert done.pruned > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: joined(max_concurrency=2),
        lambda: joined(count=2),
        lambda: joined(context=True),
        lambda: joined(returns=(Done(1), Done(2))),
        lambda: joined(limit=2),
        lambda: joined(children=True),
    ],
    ids=["limit", "count", "context", "tuple", "workflow-limit", "memo"],
)
def test_orders_that_may_differ_are_not_pruned(make):
    all_orders = explore(make(), Go(3), lambda t: None, bound=None)
    done = explore(make(), Go(3), lambda t: None, bound=None, pure=["work"])
    assert done.runs == all_orders.runs >= 4


def joined(
    *, max_concurrency=None, count=None, context=False, returns=None, limit=None, children=False
) -> Workflow:
    @step
    async def split(ev: Go) -> list[Item]:
        return [Item(n) for n in range(ev.n)]

    async def plain(ev: Item) -> Done:
        return Done(ev.n)

    async def several(ev: Item) -> tuple[Done, ...]:
        return returns

    async def writes(ev: Item, ctx: Context) -> Done:
        if children:
            await ctx.once("x", lambda: 1)
        else:
            ctx.state.apply("n", lambda n: n + 1, 0)
        return Done(ev.n)

    body = writes if context or children else several if returns else plain
    work = step(body, name="work", max_concurrency=max_concurrency)
    gathered = list[Done] if count is None else Annotated[list[Done], Gather(count=count)]

    async def join(parts) -> StopEvent:
        return StopEvent(result=len(parts))

    join.__annotations__ = {"parts": gathered, "return": StopEvent}
    return Workflow("joined", [split, work, step(join)], max_concurrency=limit)


def test_a_pure_step_may_return_nothing():
    @step
    async def split(ev: Go) -> list[Item]:
        return [Item(n) for n in range(ev.n)]

    @step
    async def work(ev: Item) -> Done | None:
        return None

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=len(parts))

    done = explore(
        Workflow("nothing", [split, work, join]), Go(3), lambda t: None, bound=None, pure=["work"]
    )
    assert done.runs == 1


# ---- failures -----------------------------------------------------------------------------------


def test_a_failure_shows_the_shortest_schedule_and_the_line_that_repeats_it():
    workflow = concurrent()

    def check(transcript):
        assert transcript.result != (1, 0, 2), "one before nought"

    with pytest.raises(ExplorationError) as caught:
        explore(workflow, Go(3), check)
    error = caught.value
    message = str(error)
    assert isinstance(error.__cause__, AssertionError)
    assert len(error.transcript.schedule) == 1
    assert error.runs > 1
    assert message.startswith("AssertionError: one before nought")
    assert "1 departure from the default order" in message
    assert "   time    split" in message
    assert "0.000*" in message
    schedule = dict(error.transcript.schedule)
    line = f"simulate(workflow, Go(data={{}}, n=3), seed=0, schedule={schedule!r})"
    assert message.endswith(line)
    again = eval(line, {"simulate": simulate, "workflow": workflow, "Go": Go})  # noqa: S307
    assert again.result == (1, 0, 2)


def test_a_check_may_return_false_and_must_not_return_true():
    assert explore(shop, Order(["x"]), lambda t: None, max_runs=5).runs > 0
    with pytest.raises(ExplorationError, match="returned False") as caught:
        explore(shop, {"items": ["x"]}, lambda t: False)
    assert caught.value.transcript.schedule == {}
    assert "0 departures" in str(caught.value)
    assert "simulate(workflow, {'items': ['x']}, seed=0, schedule={})" in str(caught.value)


def test_a_check_that_is_async_is_refused_instead_of_passed():
    async def check(transcript):
        raise AssertionError("never runs")

    with pytest.raises(TypeError, match="a check is a plain function"):
        explore(shop, Order(["x"]), check)


def test_a_run_that_is_stuck_or_leaves_tasks_fails_whatever_the_check_says():
    @step
    async def waits(ev: StartEvent) -> StopEvent:
        await anyio.Event().wait()
        return StopEvent()

    @step
    async def leaves(ev: StartEvent) -> StopEvent:
        import asyncio

        asyncio.get_running_loop().create_task(asyncio.sleep(9))
        return StopEvent()

    with pytest.raises(ExplorationError, match="everything waits") as caught:
        explore(Workflow("waits", [waits]), None, lambda t: True)
    assert isinstance(caught.value.__cause__, StuckError)
    with pytest.raises(ExplorationError, match="tasks are left"):
        explore(Workflow("leaves", [leaves]), None, lambda t: True)


def test_what_is_drawn_finds_what_is_beyond_the_bound_and_is_cut_down():
    """Seven turns in one certain order, of which no bound of interruptions is told."""
    log: list[int] = []

    @step
    async def split(ev: Go) -> list[Item]:
        log.clear()
        return [Item(n) for n in range(ev.n)]

    @step
    async def work(ev: Item) -> Done:
        log.append(ev.n)
        await anyio.lowlevel.checkpoint()
        log.append(ev.n)
        return Done(ev.n)

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=tuple(log))

    zigzag = Workflow("zigzag", [split, work, join])
    with pytest.raises(ExplorationError) as caught:
        explore(zigzag, Go(2), lambda t: t.result != (1, 0, 1, 0), bound=0, max_runs=400)
    assert 1 <= len(caught.value.transcript.schedule) <= 3


@pytest.mark.parametrize("runs", [300, 1])
def test_what_a_failure_does_not_need_is_left_out_as_far_as_there_are_runs(runs, monkeypatch):
    monkeypatch.setattr("blazen_anyio.testing._exploring._RUNS_TO_SHORTEN", runs)
    log: list[int] = []

    @step
    async def split(ev: Go) -> list[Item]:
        log.clear()
        return [Item(n) for n in range(ev.n)]

    @step
    async def work(ev: Item) -> Done:
        for _ in range(3):
            log.append(ev.n)
            await anyio.lowlevel.checkpoint()
        return Done(ev.n)

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=log == sorted(log, key=log.index))

    with pytest.raises(ExplorationError) as caught:
        explore(Workflow("mix", [split, work, join]), Go(4), lambda t: t.result, bound=0, seed=4)
    departures = len(caught.value.transcript.schedule)
    assert departures == 1 if runs > 1 else departures > 1


def test_a_fault_is_one_of_the_choices():
    def check(transcript):
        transcript.outcome()

    with pytest.raises(ExplorationError) as caught:
        explore(shop, Order(["tea"]), check, faults=Faults.any(Raise("split")))
    assert list(caught.value.transcript.schedule.values()) == ["split#2 raises InjectedError"]
    assert "error: StepFailedError" in str(caught.value)


def test_each_single_fault_is_tried_before_another_order():
    """Four workers may end in 24 orders for nothing; the last step's fault does not wait."""
    schedules = []
    faults = Faults.any(Raise("work"), Raise("join"))
    done = explore(
        concurrent(),
        Go(4),
        lambda t: schedules.append(tuple(t.schedule.items())),
        bound=1,
        max_runs=1000,
        faults=faults,
    )
    assert schedules[0] == ()
    singles = [what for ((_, what),) in schedules[1:6]]
    assert [what.partition("#")[0] for what in singles] == ["work"] * 4 + ["join"]
    assert all(what.endswith("raises InjectedError") for what in singles)
    # Each order comes up once all the same, with each fault once.
    tried = schedules[: done.orders]
    assert done.complete
    assert len(set(tried)) == len(tried)
    assert sum("raises" not in str(schedule) for schedule in tried) == math.factorial(4)


def fastest(action) -> float:
    """Seconds of processor time that it takes, at its best."""
    times = []
    for _ in range(3):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


def test_a_simulated_run_costs_no_more_than_a_few_plain_ones():
    """Whatever the machine can do: 120 runs of seven attempts each, by both."""
    workflow = concurrent()

    async def run_plainly():
        for _ in range(math.factorial(5)):
            await workflow.run(Go(5))

    explored = fastest(lambda: explore(workflow, Go(5), lambda t: None, bound=None))
    plain = fastest(lambda: anyio.run(run_plainly))
    assert explored < 8 * plain


def test_the_number_of_runs_is_bounded():
    done = explore(concurrent(2), Go(6), lambda t: None, max_runs=20)
    assert done.runs == 20
    assert not done.complete
    narrow = explore(concurrent(), Go(5), lambda t: None, bound=None, max_runs=10)
    assert (narrow.runs, narrow.complete) == (10, False)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="max_runs="):
        explore(shop, None, lambda t: None, max_runs=0)
    with pytest.raises(ValueError, match="bound="):
        explore(shop, None, lambda t: None, bound=-1)


def test_a_long_run_is_drawn_from_its_end():
    @step
    async def body(ev: StartEvent) -> StopEvent:
        for _ in range(120):
            await anyio.sleep(1)
        return StopEvent(result=1)

    with pytest.raises(ExplorationError, match=r"\(\d+ turns before\)"):
        explore(Workflow("long", [body]), None, lambda t: False)

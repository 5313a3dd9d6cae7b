"""``simulate``: real bodies on virtual time, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import time

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from blazen_anyio import (
    Context,
    NoHandlerError,
    Retry,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore
from blazen_anyio.testing import ClockJump, Faults, Hang, Raise, Slow, random_workflow, simulate

from . import LONG
from .shop import BACKENDS, ORDER, Done, Invoice, Order, Work, one_step, shop


def test_a_transcript_tells_result_facts_and_virtual_time():
    transcript = simulate(shop, ORDER, seed=1)
    assert transcript.status == "completed"
    assert transcript.result == transcript.outcome() == Invoice(total=13)
    assert transcript.error is None
    assert transcript.time == 0.01
    kinds = [fact.kind for fact in transcript.facts]
    assert kinds[0] == "run_started" and kinds[-1] == "run_completed"
    assert {fact.duration for fact in transcript.facts if fact.step == "price"} == {None, 0.01}
    assert "step_completed    price  kit.Item" in transcript.to_text()


def test_the_same_seed_gives_the_same_transcript_a_thousand_times():
    """Alternating between the backends; a share, unless ``BLAZEN_SIMULATIONS`` asks for more."""
    workflow, start = random_workflow(5).workflow, random_workflow(5).start
    times = 1000 if LONG else 30
    texts = {
        simulate(workflow, start, seed=5, backend=BACKENDS[each % 2]).to_json()
        for each in range(times)
    }
    assert len(texts) == 1


def test_another_process_with_other_hashes_gives_the_same_transcript():
    code = (
        "from tests.kit.shop import *; from blazen_anyio.testing import *\n"
        "print(simulate(shop, Order(['tea', 'bread']), seed=7, backend='trio').to_json())"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for seed in (1, 2)
    }
    assert texts == {simulate(shop, Order(["tea", "bread"]), seed=7).to_json()}


def transcripts() -> str:
    """What a few seeds give, with faults and jitter: of a small workflow and of random ones."""
    faults = Faults.any(Raise("price"), Slow("price", 5), Hang("price"), rate=0.3)
    texts = [simulate(shop, ORDER, seed=seed, faults=faults).to_json() for seed in range(10)]
    for seed in range(10):
        drawn = random_workflow(seed)
        transcript = simulate(drawn.workflow, drawn.start, seed=seed, human=drawn.human)
        texts.append(transcript.to_json())
    return "\n".join(texts)


def test_a_seed_gives_the_transcript_that_it_gives_on_every_python():
    """The digest is of CPython 3.11. A change of what a run does, or tells, changes it for all."""
    digest = hashlib.sha256(transcripts().encode()).hexdigest()
    assert digest == "7c0879e29692cd6cc606f712bbdf7d3ec12b19115ccb9a1cea6777520cd53468"


def test_another_seed_gives_another_order():
    orders = {simulate(shop, ORDER, seed=seed).to_json() for seed in range(20)}
    starts = {
        tuple(turn.actor for turn in simulate(shop, ORDER, seed=seed).turns) for seed in range(20)
    }
    assert len(orders) > 1
    assert len(starts) > 5


def test_a_schedule_repeats_a_run_exactly():
    drawn = next(t for t in (simulate(shop, ORDER, seed=n) for n in range(20)) if t.schedule)
    again = simulate(shop, ORDER, seed=drawn.seed, schedule=drawn.schedule, backend="trio")
    assert again.turns == drawn.turns
    assert again.to_json() == drawn.to_json()


def test_a_schedule_that_names_what_can_not_happen_is_passed_over():
    transcript = simulate(shop, ORDER, schedule={0: "nobody#99", 7000: "price#5"})
    assert transcript.schedule == {}


def test_a_result_is_written_out_for_nobody_who_has_not_asked():
    written = []

    class Large:
        def __repr__(self):
            written.append(1)
            return "large"

    @step
    async def body(ev: StartEvent) -> StopEvent:
        return StopEvent(result=Large())

    transcript = simulate(Workflow("w", [body]))
    assert not written
    assert "result: large" in transcript.to_text()


def test_a_transcript_is_json_without_addresses():
    @step
    async def body(ev: StartEvent) -> StopEvent:
        return StopEvent(result=object())

    data = json.loads(simulate(Workflow("w", [body])).to_json())
    assert data["result"] == "<object object>"
    assert data["version"] == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_hour_of_timers_takes_no_time(backend):
    async def body(ev: StartEvent) -> StopEvent:
        for _ in range(60):
            await anyio.sleep(60)
        return StopEvent(result=anyio.current_time())

    began = time.perf_counter()
    transcript = simulate(one_step(body), backend=backend)
    assert transcript.result == 3600.0
    assert time.perf_counter() - began < 5


def test_the_random_module_is_seeded_and_given_back():
    async def body(ev: StartEvent) -> StopEvent:
        return StopEvent(result=random.random())

    before = random.getstate()
    drawn = {simulate(one_step(body), seed=3).result for _ in range(3)}
    assert len(drawn) == 1
    assert random.getstate() == before


def test_the_jitter_of_retries_comes_from_the_seed():
    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        if ctx.attempt < 3:
            raise ConnectionError
        return StopEvent()

    workflow = one_step(body, retry=Retry(max_attempts=3, initial=100))
    times = [simulate(workflow, seed=seed).time for seed in (1, 1, 2)]
    assert times[0] == times[1] != times[2]


@pytest.mark.parametrize(
    "wait",
    [
        lambda: anyio.sleep(1),
        lambda: anyio.sleep(0),  # noqa: ASYNC115
        lambda: anyio.lowlevel.checkpoint(),
        lambda: anyio.lowlevel.cancel_shielded_checkpoint(),
        lambda: anyio.to_thread.run_sync(lambda: None),
        lambda: acquired(anyio.Lock()),
        lambda: acquired(anyio.Semaphore(1)),
        lambda: acquired(anyio.CapacityLimiter(1)),
        lambda: acquired(anyio.Condition()),
        lambda: streamed(),
        lambda: grouped(),
        lambda: timed_out(),
    ],
    ids=[
        "sleep",
        "sleep-0",
        "checkpoint",
        "shielded",
        "thread",
        "lock",
        "semaphore",
        "limiter",
        "condition",
        "stream",
        "group",
        "timeout",
    ],
)
def test_what_a_step_may_await_takes_as_many_turns_on_both_backends(wait):
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(1), Work(2)]

    @step
    async def work(ev: Work) -> Done:
        await wait()
        await anyio.lowlevel.checkpoint()
        return Done(ev.n)

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=len(parts))

    workflow = Workflow("awaits", [begin, work, join])
    for seed in range(8):
        first, second = (simulate(workflow, seed=seed, backend=each) for each in BACKENDS)
        assert first.turns == second.turns
        assert first.to_json() == second.to_json()


async def acquired(lock) -> None:
    async with lock:
        await anyio.lowlevel.checkpoint()


async def streamed() -> None:
    sender, receiver = anyio.create_memory_object_stream[int](1)
    with sender, receiver:
        await sender.send(1)
        assert await receiver.receive() == 1


async def grouped() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 2)
        group.start_soon(anyio.sleep, 1)


async def timed_out() -> None:
    with anyio.move_on_after(1):
        await anyio.sleep_forever()


def test_tasks_that_a_step_starts_are_conducted_too():
    """They take turns in an order of the seed, the same on both backends."""
    orders: set[tuple[str, ...]] = set()

    def make(log):
        async def body(ev: StartEvent) -> StopEvent:
            async def child(name: str) -> None:
                await anyio.sleep(1)
                log.append(name)

            async with anyio.create_task_group() as group:
                for name in "abc":
                    group.start_soon(child, name)
            return StopEvent()

        return one_step(body)

    for seed in range(30):
        logs: list[list[str]] = [[], []]
        for backend, log in zip(BACKENDS, logs, strict=True):
            simulate(make(log), seed=seed, backend=backend)
        assert logs[0] == logs[1]
        orders.add(tuple(logs[0]))
    assert len(orders) == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_def_step_runs_in_a_thread_as_one_turn(backend):
    def body(ev: StartEvent, ctx: Context) -> StopEvent:
        anyio.from_thread.check_cancelled()
        ctx.state["seen"] = True
        return StopEvent(result=asyncio.__name__)

    transcript = simulate(one_step(body), backend=backend)
    assert transcript.result == "asyncio"
    assert transcript.state == {"seen": True}
    assert len(transcript.turns) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_time_goes_on_without_a_thread_that_does_not_report(backend, monkeypatch):
    """As real time does: so a cooperative thread meets its timeout."""
    monkeypatch.setattr("blazen_anyio.testing._threads._PATIENCE", 0.01)
    monkeypatch.setattr("blazen_anyio.testing._virtual_time._PATIENCE", 0.01)

    def body(ev: StartEvent) -> StopEvent:
        while True:
            anyio.from_thread.check_cancelled()
            time.sleep(0.001)

    transcript = simulate(one_step(body, timeout=5, cooperative=True), backend=backend)
    assert isinstance(transcript.error.error, TimeoutError)


def test_a_transcript_tells_of_children_later_attempts_and_errors():
    @step
    async def inner(ev: Work, ctx: Context) -> StopEvent:
        if ctx.attempt < 2:
            raise ConnectionError
        raise KeyError("for good")

    child = Workflow("child", [step(inner.__wrapped__, name="inner", retry=Retry(max_attempts=2))])

    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Work(4)))

    text = simulate(one_step(body)).to_text()
    assert "[2.0]  inner" in text
    assert "attempt 2  builtins.KeyError" in text
    assert text.splitlines()[-1].startswith("error: blazen_anyio.StepFailedError")
    with pytest.raises(StepFailedError):
        simulate(one_step(body)).outcome()


def test_wrong_arguments_are_errors_and_no_transcripts():
    with pytest.raises(ValueError, match="backend="):
        simulate(shop, ORDER, backend="twisted")
    with pytest.raises(TypeError, match="of a Workflow"):
        simulate(lambda: "shop", ORDER)
    with pytest.raises(TypeError, match="bread"):
        simulate(shop, {"bread": 1})
    with pytest.raises(TypeError, match="opens none of its resources"):
        simulate(shop, ORDER, resources={object: "fake"})
    with pytest.raises(NoHandlerError):
        simulate(shop, Work(1), store=MemoryStore, faults=[ClockJump(1)])
    assert simulate(shop, {"items": ["x"]}).result.total == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_inside_an_event_loop_it_says_that_it_brings_its_own(backend):
    async def main():
        with pytest.raises(RuntimeError):
            simulate(shop, ORDER)

    anyio.run(main, backend=backend)

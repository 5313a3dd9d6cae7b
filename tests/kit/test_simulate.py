"""``simulate``: real bodies on virtual time, in an order that a seed decides, with faults."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    InputRequiredError,
    NoHandlerError,
    Resource,
    Retry,
    RunCancelledError,
    StartEvent,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore
from blazen_anyio.testing import (
    ClockJump,
    Duplicate,
    EndlessError,
    Faults,
    Hang,
    Human,
    InjectedError,
    Late,
    Raise,
    SimulationError,
    Slow,
    StoreFails,
    StuckError,
    random_workflow,
    simulate,
)

from . import LONG
from .shop import Invoice, Item, Order, Priced, shop

BACKENDS = ["asyncio", "trio"]
ORDER = Order(["tea", "bread", "honey"])


class Work(Event):
    n: int


class Done(Event):
    n: int


def one_step(body, **options) -> Workflow:
    """A workflow of one step."""
    return Workflow("one", [step(body, name="body", **options)])


# ---- the same everywhere ------------------------------------------------------------------------


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
        lambda: anyio.lowlevel.checkpoint(),
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
    monkeypatch.setattr("blazen_anyio.testing._director._REAL_PATIENCE", 0.01)
    monkeypatch.setattr("blazen_anyio.testing._virtual_time.PATIENCE", 0.01)

    def body(ev: StartEvent) -> StopEvent:
        while True:
            anyio.from_thread.check_cancelled()
            time.sleep(0.001)

    transcript = simulate(one_step(body, timeout=5, cooperative=True), backend=backend)
    assert isinstance(transcript.error.error, TimeoutError)


# ---- stubs and fakes ----------------------------------------------------------------------------


def test_a_stub_is_a_value_an_error_or_a_function():
    assert simulate(shop, ORDER, steps={"price": Priced("x", 1)}).result.total == 3
    failed = simulate(shop, ORDER, steps={"price": KeyError("no")})
    assert isinstance(failed.error, StepFailedError)
    assert isinstance(failed.error.error, KeyError)
    assert isinstance(simulate(shop, ORDER, steps={"price": KeyError}).error.error, KeyError)

    def by_name(item: Item) -> Priced:
        return Priced(item.name, 10)

    async def later(item: Item) -> Priced:
        await anyio.sleep(5)
        return Priced(item.name, 2)

    assert simulate(shop, ORDER, steps={"price": by_name}).result.total == 30
    late = simulate(shop, ORDER, steps={"price": later})
    assert (late.result.total, late.time) == (6, 5)


def test_stubs_are_made_afresh_by_a_function():
    made = []

    def stubs():
        made.append(1)
        return {"price": Priced("x", 1)}

    simulate(shop, ORDER, steps=stubs)
    simulate(shop, ORDER, steps=stubs)
    assert len(made) == 2


def test_a_stub_gets_the_context_if_it_asks_for_it():
    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        raise AssertionError("the stub runs instead")

    def stub(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.step_name)

    def without(ev: StartEvent) -> StopEvent:
        return StopEvent(result="without")

    assert simulate(one_step(body), steps={"body": stub}).result == "body"
    assert simulate(one_step(body), steps={"body": without}).result == "without"


def test_a_generator_is_stubbed_by_a_list_an_event_or_a_generator():
    from collections.abc import AsyncIterator

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        raise AssertionError("the stub runs instead")
        yield Work(0)

    @step
    async def work(ev: Work) -> Done:
        return Done(ev.n)

    @step
    async def join(parts: list[Done]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    book = Workflow("book", [pages, work, join])

    async def two(ev):
        yield Work(7)
        yield Work(8)

    assert simulate(book, steps={"pages": [Work(1), Work(2)]}).result == [1, 2]
    assert simulate(book, steps={"pages": Work(3)}).result == [3]
    assert simulate(book, steps={"pages": None}).result == []
    assert simulate(book, steps={"pages": two}).result == [7, 8]
    stubbed = simulate(book, steps={"pages": [Work(1)], "join": lambda ds: StopEvent(result=ds)})
    assert stubbed.result == [Done(1)]


def test_a_pair_is_stubbed_with_both_events():
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(1), Done(2)

    @step
    async def meet(work: Work, done: Done) -> StopEvent:
        raise AssertionError("the stub runs instead")

    pair = Workflow("pair", [begin, meet])
    stub = {"meet": lambda work, done: StopEvent(result=(work.n, done.n))}
    assert simulate(pair, steps=stub).result == (1, 2)


def test_a_child_and_its_steps():
    @step(name="inner")
    async def inner(ev: Work) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result=ev.n)

    child = Workflow("child", [inner])

    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Work(4)))

    transcript = simulate(one_step(body))
    assert transcript.result == 4
    assert {fact.run for fact in transcript.facts} == {"", "2.0"}
    assert simulate(one_step(body), steps={"child/inner": StopEvent(result=9)}).result == 9
    assert simulate(one_step(body), steps={"inner": StopEvent(result=9)}).result == 4
    failed = simulate(one_step(body), faults=[Raise("child/inner")])
    assert isinstance(failed.error, StepFailedError)


@asynccontextmanager
async def open_client():
    yield "real"


@pytest.mark.parametrize("backend", BACKENDS)
def test_resources_are_opened_or_replaced(backend):
    async def body(ev: StartEvent, client: Annotated[str, Resource(open_client)]) -> StopEvent:
        return StopEvent(result=client)

    async def shared(
        ev: StartEvent, client: Annotated[str, Resource(open_client, scope="workflow")]
    ) -> StopEvent:
        return StopEvent(result=client)

    assert simulate(one_step(body), backend=backend).result == "real"
    assert simulate(one_step(shared), backend=backend).result == "real"
    fakes = {open_client: "fake"}
    transcript = simulate(one_step(body), backend=backend, resources=lambda: fakes)
    assert transcript.result == "fake"
    assert transcript.resources[open_client] == "fake"


# ---- humans and the outside ---------------------------------------------------------------------


async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("how many?", timeout=100))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_human_answers(backend):
    answers = []

    async def human(request: InputRequestEvent) -> int:
        await anyio.sleep(5)
        answers.append(request.prompt)
        return 3

    transcript = simulate(one_step(ask), human=human, backend=backend)
    assert (transcript.result, transcript.time, answers) == (3, 5, ["how many?"])
    assert simulate(one_step(ask), human=lambda request: 4, backend=backend).result == 4


def test_the_workflows_own_handler_answers_where_no_human_is_given():
    workflow = Workflow("asks", [step(ask)], input_handler=lambda request: 8)
    assert simulate(workflow).result == 8


def test_nobody_answers():
    async def patient(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    transcript = simulate(one_step(patient))
    assert transcript.status == "suspended"
    assert isinstance(transcript.error, InputRequiredError)


def test_a_human_who_is_late_wrong_or_answers_twice():
    def answer(request: InputRequestEvent) -> str:
        return "yes"

    def run(*faults, **options):
        return simulate(one_step(ask), human=answer, faults=list(faults), **options)

    assert run(Human(late=50)).time == 50
    assert isinstance(run(Human(late=200)).error.error, TimeoutError)
    assert run(Human(wrong="no")).result == "no"
    assert run(Human(wrong=(None,))).result is None
    assert run(Human(on=2, wrong="no")).result == "yes"
    twice = run(Human(twice=True))
    assert twice.result == "yes"
    assert [fact.kind for fact in twice.facts].count("input_received") == 1
    # The second answer comes when the question is no longer open.
    assert isinstance(run(Human(late=200, twice=True)).error.error, TimeoutError)
    drawn = {
        run_.result
        for run_ in (
            simulate(
                one_step(ask), human=answer, faults=Faults.any(Human(wrong="no"), rate=0.5), seed=n
            )
            for n in range(20)
        )
    }
    assert drawn == {"yes", "no"}


def test_a_second_answer_to_what_is_no_longer_asked_is_passed_over():
    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        try:
            await ctx.request_input("?", timeout=10)
        except TimeoutError:
            await anyio.sleep(100)
        return StopEvent(result="late")

    transcript = simulate(
        one_step(body), human=lambda request: 1, faults=[Human(late=50, twice=True)]
    )
    assert transcript.result == "late"


def test_a_stub_whose_signature_can_not_be_read_gets_the_event():
    class Odd:
        __signature__ = 7

        def __call__(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result="odd")

    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        raise AssertionError("the stub runs instead")

    assert simulate(one_step(body), steps={"body": Odd()}).result == "odd"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_script_is_what_the_outside_does(backend):
    @step
    async def begin(ev: StartEvent) -> None:
        return None

    @step
    async def stop(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    async def outside(run):
        await anyio.sleep(30)
        run.send_event(Work(5))

    workflow = Workflow("outside", [begin, stop], external=[Work])
    transcript = simulate(workflow, script=outside, backend=backend)
    assert (transcript.result, transcript.time) == (5, 30)

    async def cancels(run):
        run.cancel()

    cancelled = simulate(workflow, script=cancels, backend=backend)
    assert cancelled.status == "cancelled"
    assert isinstance(cancelled.error, RunCancelledError)

    async def breaks(run):
        raise ZeroDivisionError

    assert isinstance(simulate(workflow, script=breaks, backend=backend).error, ZeroDivisionError)


# ---- faults -------------------------------------------------------------------------------------


def test_a_step_raises_at_the_attempt_that_is_named():
    transcript = simulate(shop, ORDER, faults=[Raise("price", ConnectionError, on=2)])
    assert transcript.status == "completed"
    failed = [fact for fact in transcript.facts if fact.kind == "step_failed"]
    assert [(fact.step, fact.error) for fact in failed] == [("price", "builtins.ConnectionError")]
    assert isinstance(simulate(shop, ORDER, faults=[Raise("price")]).error.error, InjectedError)
    assert isinstance(
        simulate(shop, ORDER, faults=[Raise("shop/price", KeyError("x"))]).error.error, KeyError
    )


def test_a_step_raises_after_its_work():
    done = []

    async def body(ev: StartEvent) -> StopEvent:
        done.append(1)
        return StopEvent()

    workflow = one_step(body, retry=Retry())
    assert simulate(workflow, faults=[Raise("body", after=True, on=1)]).status == "completed"
    assert len(done) == 2


def test_a_step_hangs_until_its_timeout():
    transcript = simulate(shop, ORDER, faults=[Hang("price", on=1)])
    assert transcript.status == "completed"
    assert transcript.time >= 60
    assert "step_timed_out" in [fact.kind for fact in transcript.facts]


def test_a_step_is_slow():
    assert simulate(shop, ORDER, faults=[Slow("price", 30)], lateness=0).time == 30.01


def test_a_step_returns_late_and_still_counts():
    transcript = simulate(shop, ORDER, faults=[Late("price", on=1)])
    assert transcript.status == "completed"
    assert transcript.time >= 61
    assert simulate(shop, ORDER, faults=[Late("split", on=1)]).time >= 1
    assert simulate(shop, ORDER, faults=[Late("split", 7)]).time >= 7


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_is_delivered_twice(backend):
    done, kept = [], []

    async def body(ev: StartEvent, ctx: Context) -> StopEvent:
        done.append(ctx.attempt)
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        await ctx.once("kept", kept.append, 1)
        return StopEvent(result=1)

    transcript = simulate(one_step(body), faults=[Duplicate("body")], backend=backend)
    assert done == [1, 1]
    assert kept == [1]
    assert transcript.state == {"n": 1}
    assert simulate(shop, ORDER, faults=[Duplicate("price")], backend=backend).result.total == 13


def test_a_delivery_that_is_repeated_repeats_its_children_and_its_early_effects():
    @step
    async def inner(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    child = Workflow("child", [inner])

    @step(emits=[Work, Done])
    async def body(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Work(1), immediate=True)
        return Done(await ctx.run_workflow(child, Work(4)))

    @step
    async def note(ev: Work, ctx: Context) -> None:
        ctx.state.apply("notes", lambda n: n + 1, 0)

    @step
    async def end(ev: Done, ctx: Context) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result=(ev.n, ctx.state["notes"]))

    workflow = Workflow("twice", [body, note, end])
    assert simulate(workflow, faults=[Duplicate("body")]).result == (4, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_clock_jumps(backend):
    async def body(ev: StartEvent) -> StopEvent:
        await anyio.sleep(10)
        return StopEvent(result=anyio.current_time())

    jump = [ClockJump(1000, at=5)]
    assert simulate(one_step(body), faults=jump, backend=backend).result == 1005
    failed = simulate(one_step(body), faults=[*jump, Raise("body")], backend=backend)
    assert isinstance(failed.error, StepFailedError)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_write_to_the_store_fails(backend):
    transcript = simulate(shop, ORDER, store=MemoryStore, faults=[StoreFails(3)], backend=backend)
    assert transcript.status == "failed"
    assert isinstance(transcript.error, StoreError)
    assert simulate(shop, ORDER, store=MemoryStore, backend=backend).result == Invoice(total=13)


def test_drawn_faults_strike_now_and_then_and_not_too_often():
    faults = Faults.any(Raise("price"), Slow("price", 5), rate=0.5, most=2)
    struck = [simulate(shop, ORDER, seed=seed, faults=faults) for seed in range(30)]
    counts = [
        sum(
            what.startswith("price") and (" raises" in what or " slow" in what)
            for what in transcript.schedule.values()
        )
        for transcript in struck
    ]
    assert max(counts) == 2
    assert min(counts) == 0


def test_faults_that_can_not_be_are_refused():
    with pytest.raises(TypeError, match="faults= takes faults"):
        simulate(shop, ORDER, faults=["boom"])
    with pytest.raises(TypeError, match="can't be drawn"):
        Faults.any(ClockJump(1))
    with pytest.raises(ValueError, match="from 0 to 1"):
        Faults.any(rate=2)
    with pytest.raises(ValueError, match="most="):
        Faults.any(most=-1)
    with pytest.raises(ValueError, match="Raise"):
        Raise("price", on=0)
    with pytest.raises(ValueError, match="Slow"):
        Slow("price", -1)
    assert str(Human(late=1, twice=True)) == "answers late by 1 s and twice"
    assert str(Human()) == "answers as ever"
    assert [str(each) for each in (Hang("x"), Late("x"), Duplicate("x"))] == [
        "hangs",
        "returns late",
        "is delivered twice",
    ]


# ---- when it does not go on ---------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_waits_for_ever_is_stuck_and_says_where(backend):
    async def body(ev: StartEvent) -> StopEvent:
        await anyio.Event().wait()
        return StopEvent()

    transcript = simulate(one_step(body), backend=backend)
    assert transcript.status == "stuck"
    assert isinstance(transcript.error, StuckError)
    (waiting,) = transcript.error.waiting
    assert waiting.startswith("body#2 at test_simulate.py:")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_does_not_end_is_ended(backend):
    async def body(ev: StartEvent) -> StopEvent:
        while True:
            await anyio.lowlevel.checkpoint()

    transcript = simulate(one_step(body), max_turns=50, backend=backend)
    assert isinstance(transcript.error, EndlessError)
    assert transcript.error.turns == 51


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_swallows_its_end_is_abandoned(backend):
    async def body(ev: StartEvent) -> StopEvent:
        for _ in range(30):
            try:
                await anyio.sleep(1)
            except BaseException:
                continue
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(SimulationError, match="even cancelling"):
        simulate(one_step(body), max_turns=10, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cleanup_that_waits_for_ever_is_abandoned(backend):
    async def body(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Event().wait()
        return StopEvent()

    with pytest.raises(SimulationError, match="even cancelling"):
        simulate(one_step(body), backend=backend)


def test_by_default_one_actor_does_not_keep_the_others_out():
    seen = []

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(1), Done(1)

    @step
    async def spin(ev: Work) -> StopEvent:
        while not seen:
            await anyio.lowlevel.checkpoint()
        return StopEvent()

    @step
    async def see(ev: Done) -> None:
        seen.append(1)

    workflow = Workflow("spins", [begin, spin, see])
    assert simulate(workflow, schedule={}).status == "completed"


def test_a_task_that_is_left_is_named_and_cleared():
    async def body(ev: StartEvent) -> StopEvent:
        asyncio.get_running_loop().create_task(asyncio.sleep(100))
        return StopEvent()

    transcript = simulate(one_step(body))
    assert transcript.leftover == ("body#2.1",)
    assert transcript.status == "completed"


def test_asyncios_own_cancellation_reaches_a_parked_task():
    async def body(ev: StartEvent) -> StopEvent:
        async with asyncio.timeout(1):
            await asyncio.sleep(5)
        return StopEvent()

    assert isinstance(simulate(one_step(body)).error.error, TimeoutError)


def test_a_shielded_task_group_unwinds_when_it_is_abandoned():
    async def body(ev: StartEvent) -> StopEvent:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
        return StopEvent()

    for backend in BACKENDS:
        with pytest.raises(SimulationError):
            simulate(one_step(body), backend=backend)


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
    assert text.splitlines()[-1].startswith("error: blazen_anyio._exceptions.StepFailedError")
    with pytest.raises(StepFailedError):
        simulate(one_step(body)).outcome()


# ---- what is given wrongly ----------------------------------------------------------------------


def test_wrong_arguments_are_errors_and_no_transcripts():
    with pytest.raises(ValueError, match="backend="):
        simulate(shop, ORDER, backend="twisted")
    with pytest.raises(TypeError, match="of a Workflow"):
        simulate(lambda: "shop", ORDER)
    assert isinstance(simulate(shop, {"bread": 1}).error, TypeError)
    assert isinstance(simulate(shop, Work(1)).error, NoHandlerError)
    assert simulate(shop, {"items": ["x"]}).result.total == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_inside_an_event_loop_it_says_that_it_brings_its_own(backend):
    async def main():
        with pytest.raises(RuntimeError):
            simulate(shop, ORDER)

    anyio.run(main, backend=backend)

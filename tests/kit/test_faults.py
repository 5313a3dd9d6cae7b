"""Faults: what goes wrong in a simulation, for certain or as the seed has it."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    Retry,
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
    Faults,
    Hang,
    Human,
    InjectedError,
    Late,
    Raise,
    Slow,
    StoreFails,
    simulate,
)

from .shop import BACKENDS, ORDER, Done, Invoice, Work, one_step, shop


async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("how many?", timeout=100))


def test_a_human_who_is_late_wrong_or_answers_twice():
    def answer(request: InputRequestEvent) -> str:
        return "yes"

    def run(*faults, **options):
        return simulate(one_step(ask), human=answer, faults=list(faults), **options)

    assert run(Human(late=50)).time == 50
    assert isinstance(run(Human(late=200)).error.error, TimeoutError)
    assert run(Human(wrong="no")).result == "no"
    assert run(Human(wrong=None)).result is None
    assert run(Human(wrong=(1, 2))).result == (1, 2)
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
    for not_raised in ("text", int, None):
        with pytest.raises(TypeError, match=r"Raise\(error=...\) takes an exception or its class"):
            Raise("price", not_raised)
    with pytest.raises(TypeError, match="Raise takes the name of a step, not 3"):
        Raise(3)
    for seconds in (-1, float("nan"), float("inf")):
        for made_with in (Slow, Late):
            with pytest.raises(ValueError, match="takes a number of seconds from 0"):
                made_with("price", seconds)
        with pytest.raises(ValueError, match="takes a number of seconds from 0"):
            ClockJump(seconds)
        with pytest.raises(ValueError, match="takes a number of seconds from 0"):
            Human(late=seconds)
    with pytest.raises(TypeError, match="rate="):
        Faults.any(rate="often")
    for made_without in (lambda: Slow("price", None), lambda: StoreFails(None)):
        with pytest.raises(TypeError, match="not None"):
            made_without()
    with pytest.raises(ValueError, match="from 0 to 1"):
        Faults((), rate=-1)
    assert str(Human(late=1, twice=True)) == "answers late by 1 s and twice"
    assert str(Human()) == "answers as ever"
    assert [str(each) for each in (Hang("x"), Late("x"), Duplicate("x"))] == [
        "hangs",
        "returns late",
        "is delivered twice",
    ]

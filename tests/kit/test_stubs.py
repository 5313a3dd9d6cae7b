"""What stands for the outside of a simulation: stubs, fakes, humans and a script."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Annotated

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputRequiredError,
    Resource,
    RunCancelledError,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.testing import Raise, simulate

from .shop import BACKENDS, ORDER, Done, Item, Priced, Work, one_step, shop


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
    with pytest.raises(ValueError, match="names no step"):
        simulate(one_step(body), steps={"inner": StopEvent(result=9)})
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

"""What fresh eyes found, each as the claim that it broke."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    InputRequestEvent,
    RunSuspendedError,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

pytestmark = pytest.mark.anyio


class Note(Event):
    pass


class Narrow(Note):
    pass


async def failure_of(workflow: Workflow[Any], **options: Any) -> BaseException:
    with pytest.raises(StepFailedError) as caught:
        await workflow.run(**options)
    return caught.value.error


async def test_an_input_handler_may_be_a_plain_function() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("sure?"))

    def handler(request: InputRequestEvent) -> str:
        return request.prompt.upper()

    assert await Workflow("ask", [ask]).run(input_handler=handler) == "SURE?"


async def test_two_waits_at_the_same_time_are_refused() -> None:
    """The second would take the place of the first, which then waits for ever."""

    @step
    async def both(ev: StartEvent, ctx: Context) -> StopEvent:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.request_input, "a")
            tasks.start_soon(ctx.request_input, "b")
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        async with Workflow("both", [both]).start() as run:
            await run.result()
    assert isinstance(caught.value.error, DefinitionError)


async def test_once_takes_a_string_as_its_key() -> None:
    @step
    async def charge(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.once(3, str))  # type: ignore[arg-type]

    assert isinstance(await failure_of(Workflow("charge", [charge])), TypeError)


async def test_a_field_that_is_an_option_of_run_needs_the_event_itself() -> None:
    class Begin(StartEvent):
        run_id: str

    @step
    async def begin(ev: Begin) -> StopEvent:
        return StopEvent(result=ev.run_id)

    workflow = Workflow("begin", [begin])
    with pytest.raises(TypeError, match="'run_id' is an option of run; pass the event itself"):
        await workflow.run(run_id="mine")
    assert await workflow.run(Begin("mine")) == "mine"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"input_handler": 3}, "input_handler= takes a function of the request, not 3"),
        ({"lanes": "no"}, "lanes= is True or False, not 'no'"),
        ({"history": -1}, "history= takes a whole number from 0, not -1, or None for all"),
        ({"history": "all"}, "history= takes a whole number from 0, not 'all', or None for all"),
    ],
)
async def test_what_only_runs_use_is_checked_when_the_workflow_is_made(
    options: dict[str, Any], problem: str
) -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(DefinitionError) as caught:
        Workflow("only", [only], **options)
    assert caught.value.problems == (problem,)
    assert await Workflow("only", [only], history=None).run() is None


@pytest.mark.parametrize("order", [(Narrow(), Note()), (Note(), Narrow())])
async def test_sides_of_a_pair_that_overlap_find_each_other(order: tuple[Note, Note]) -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Note | Narrow, ...]:
        return order

    @step
    async def pair(wide: Note, narrow: Narrow) -> StopEvent:
        return StopEvent(result=(type(wide), type(narrow)))

    assert await Workflow("pair", [begin, pair]).run() == (Note, Narrow)


async def test_a_wait_left_while_the_run_is_cancelled_does_not_hold_it_up() -> None:
    """The step queues for its slot, which nobody gives any more."""
    left = anyio.Event()

    @step
    async def split(ev: StartEvent) -> tuple[Note, Note]:
        return Note(), Note()

    @step(max_concurrency=1)
    async def work(ev: Note, ctx: Context) -> StopEvent:
        if not left.is_set():
            left.set()
            with anyio.move_on_after(1):
                await ctx.request_input("sure?")
        await anyio.sleep_forever()
        return StopEvent()

    async with Workflow("work", [split, work]).start() as run:
        await left.wait()
        await anyio.sleep(2)  # the first has left its wait, the second has the slot
        snapshot = await run.suspend()
    assert snapshot.requests == ()
    with pytest.raises(RunSuspendedError):
        await run.result()

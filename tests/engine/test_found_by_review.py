"""What fresh eyes found, each as the claim that it broke."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    InputRequestEvent,
    InputRequiredError,
    Parallel,
    Run,
    RunCancelledError,
    RunSuspendedError,
    Snapshot,
    Stage,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    pipeline,
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


# ---- what other readers found --------------------------------------------------------------------


class Question(StartEvent):
    pass


class Work(Event):
    n: int


class Done(Event):
    n: int


@step
async def ask_someone(ev: Question, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("?"))


@pytest.mark.parametrize("limited", ["step", "workflow"])
async def test_what_waits_for_the_slot_of_a_child_that_asks_does_not_keep_the_run_awake(
    limited: str,
) -> None:
    """The run is suspended, and answered one by one it goes on."""
    child = Workflow("asking", [ask_someone])

    @step
    async def split(ev: StartEvent) -> list[Work]:
        return [Work(n=0), Work(n=1)]

    @step(max_concurrency=1 if limited == "step" else None)
    async def work(ev: Work, ctx: Context) -> Done:
        return Done(n=await ctx.run_workflow(child, Question()))

    @step
    async def reduce(parts: list[Done]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    workflow = Workflow(
        "limited", [split, work, reduce], max_concurrency=1 if limited == "workflow" else None
    )
    with anyio.fail_after(1), pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    for answer in (5, 6):
        snapshot = Snapshot.from_json(caught.value.snapshot.to_json())
        responses = {request.request_id: answer for request in snapshot.requests}
        run = workflow.resume(snapshot, responses=responses)
        if answer == 5:
            with anyio.fail_after(1), pytest.raises(InputRequiredError) as caught:
                async with run:
                    pass
        else:
            async with run:
                assert await run.result() == [5, 6]


async def test_a_step_that_asks_after_its_run_was_cancelled_is_cancelled() -> None:
    """It is not told that it was answered."""
    told: list[object] = []
    handle: list[Run[Any]] = []

    @step
    async def work(ev: StartEvent, ctx: Context) -> StopEvent:
        await checkpoint()
        handle[0].cancel()
        told.append(await ctx.request_input("?"))
        raise AssertionError

    async with Workflow("cancelled", [work]).start() as run:
        handle.append(run)
        with pytest.raises(RunCancelledError):
            await run.result()
    assert told == []


class Drafted(StopEvent):
    text: str


async def test_a_pipeline_writes_down_the_results_of_its_stages() -> None:
    @step
    async def draft(ev: StartEvent) -> Drafted:
        return Drafted(text="tides")

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    publish = pipeline(
        "publish",
        [
            Parallel("both", [Stage("draft", Workflow("draft", [draft], stop=Drafted))]),
            Stage("again", Workflow("again", [draft], stop=Drafted)),
            Stage("ask", Workflow("ask", [ask], types=[Drafted])),  # it gets the results
        ],
    )
    with pytest.raises(InputRequiredError) as caught:
        await publish.run()
    snapshot = Snapshot.from_json(caught.value.snapshot.to_json())
    async with publish.resume(snapshot, responses={snapshot.requests[0].request_id: "yes"}) as run:
        results = await run.result()
    assert (results["again"], results["ask"]) == (Drafted(text="tides"), "yes")

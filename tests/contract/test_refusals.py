"""Bad input of the contract by example: what could never end, fill or open is refused at once.

A definition that is refused has no run, so none of this can be an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from blazen_anyio import (
    Batch,
    Context,
    DefinitionError,
    Gather,
    Resource,
    Retry,
    Stage,
    StartEvent,
    StepFailedError,
    StopEvent,
    Workflow,
    step,
)

from .vocabulary import Approved, Done, Work, collect, split, total


@step
async def work(ev: Work) -> Done:
    return Done(ev.n)


# ---- what can't end ----------------------------------------------------------------------------


@pytest.mark.parametrize("endless", [None, math.inf, 0, -1, True, 3.5])
@pytest.mark.parametrize(
    "bound",
    [
        lambda endless: Retry(max_attempts=endless),
        lambda endless: Stage("s", Workflow("w", [split(1), work, total]), max_runs=endless),
        lambda endless: Workflow("w", [split(1), work, total], max_recoveries=endless),
    ],
    ids=["attempts", "runs of a stage", "recoveries"],
)
def test_what_is_done_again_is_bounded_by_a_whole_number(
    bound: Callable[[Any], object], endless: Any
) -> None:
    """A retry policy can't be without an end, and no more can a loop or a chain of recoveries."""
    with pytest.raises((TypeError, ValueError), match="whole number from 1"):
        bound(endless)


def test_by_default_a_retry_policy_ends() -> None:
    """Whatever else a policy says: once its attempts are used up it gives up."""
    policy = Retry(initial=0, factor=0, max_delay=0, on=lambda error: True)
    delays = [policy.delay(attempt, 0.0, ValueError(), 0.5) for attempt in (1, 2, 3)]
    assert delays == [0, 0, None]


# ---- seconds -----------------------------------------------------------------------------------

NO_SECONDS = [-1, -0.001, -math.inf, math.inf, math.nan]


@pytest.mark.parametrize("seconds", NO_SECONDS)
@pytest.mark.parametrize(
    "definition",
    [
        lambda seconds: Retry(initial=seconds),
        lambda seconds: Retry(factor=seconds),
        lambda seconds: Retry(max_delay=seconds),
        lambda seconds: Retry(max_elapsed=seconds),
        lambda seconds: step(timeout=seconds)(_plain),
        lambda seconds: Workflow("w", [split(1), work, total], timeout=seconds),
    ],
    ids=["initial", "factor", "max_delay", "max_elapsed", "step", "workflow"],
)
def test_negative_and_endless_seconds_are_refused_at_definition(
    definition: Callable[[Any], object], seconds: float
) -> None:
    with pytest.raises((ValueError, DefinitionError), match="takes a number"):
        definition(seconds)


async def _plain(ev: StartEvent) -> StopEvent:
    return StopEvent()


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", NO_SECONDS)
async def test_negative_and_endless_seconds_are_refused_at_the_call(seconds: float) -> None:
    @step(waits=[Approved])
    async def call(ev: StartEvent, ctx: Context) -> StopEvent:
        for immediate in (False, True):
            with pytest.raises(ValueError, match="delay takes"):
                ctx.send_event(Done(0), immediate=immediate, delay=seconds)
        with pytest.raises(ValueError, match="timeout takes"):
            await ctx.wait_for_event(Approved, timeout=seconds)
        with pytest.raises(ValueError, match="timeout takes"):
            await ctx.request_input("how many?", timeout=seconds)
        return StopEvent(result="nothing was sent")

    async with Workflow("w", [call, collect(1)]).start() as run:
        with pytest.raises(ValueError, match="grace takes"):
            await run.suspend(grace=seconds)
        assert await run.result() == "nothing was sent"


# ---- children ----------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("between", [0, 1, 3])
async def test_a_child_that_is_its_own_parent_is_refused_with_the_reason(between: int) -> None:
    """At the call that would begin it, directly or with other workflows in between.

    A definition can't say it: a workflow has its steps before anybody can make a step or a stage of
    it, so only a body can name the workflow that it is a part of.
    """
    line: list[Workflow[Any]] = []

    def delegating(place: int) -> Workflow[Any]:
        @step(name=f"step {place}")
        async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
            return StopEvent(result=await ctx.run_workflow(line[(place + 1) % len(line)]))

        return Workflow(f"workflow {place}", [delegate])

    line += [delegating(place) for place in range(between + 1)]
    with pytest.raises(StepFailedError) as caught:
        await line[0].run()
    error: BaseException = caught.value
    while isinstance(error, StepFailedError):
        error = error.error
    assert isinstance(error, DefinitionError)
    assert list(error.problems) == ["workflow 'workflow 0' would run inside itself"]
    assert error.subject == f"step 'step {between}'"


def test_a_child_made_a_step_or_a_stage_is_complete_and_so_never_its_own_parent() -> None:
    """What a workflow was made of does not change with the list that it was made from."""
    steps = [split(1), work, total]
    inner = Workflow("inner", steps)
    steps.append(
        inner.as_step(accepts=StartEvent, emits=Done, result=lambda result: Done(len(result)))
    )
    assert [each.name for each in inner.graph.steps] == ["split", "work", "total"]


# ---- resources ---------------------------------------------------------------------------------


async def open_self(again: Annotated[object, Resource(lambda: None)]) -> object:
    return again


async def open_pool(lender: Annotated[object, Resource(open_self)]) -> object:
    return lender


open_self.__annotations__["again"] = Annotated[object, Resource(open_self)]


async def open_hen(egg: Annotated[object, Resource(open_self)]) -> object:
    return egg


async def open_egg(chick: Annotated[object, Resource(open_self)]) -> object:
    return chick


async def open_chick(hen: Annotated[object, Resource(open_hen)]) -> object:
    return hen


open_hen.__annotations__["egg"] = Annotated[object, Resource(open_egg)]
open_egg.__annotations__["chick"] = Annotated[object, Resource(open_chick)]


@pytest.mark.parametrize(
    ("opener", "circle"),
    [
        (open_self, "open_self -> open_self"),
        (open_pool, "open_self -> open_self"),
        (open_hen, "open_hen -> open_egg -> open_chick -> open_hen"),
    ],
)
def test_resources_that_need_each_other_in_a_circle_are_refused(opener: Any, circle: str) -> None:
    """The error draws the circle, and only that: not the way that leads to it."""

    async def use(ev: StartEvent, it: object) -> StopEvent:
        return StopEvent()

    use.__annotations__["it"] = Annotated[object, Resource(opener)]
    with pytest.raises(DefinitionError) as caught:
        Workflow("w", [step(use)])
    assert list(caught.value.problems) == [f"resources need each other in a circle: {circle}"]


# ---- joins -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        ("work", "names 'work', which does not fan out; it would have to return `list[...]`"),
        (work, "names 'work', which does not fan out"),
        ("splitt", "names 'splitt', which is no step of the workflow; did you mean 'split'?"),
        (_plain, "names '_plain', which is no step of the workflow"),
        ("last", "names 'last', which does not fan out"),
        (["split", "work"], "names 'work', which does not fan out"),
    ],
)
def test_a_gather_of_no_fan_out_is_refused(of: Any, problem: str) -> None:
    async def last(parts: list[Done]) -> StopEvent:
        return StopEvent()

    last.__annotations__["parts"] = Annotated[list[Done], Gather(of=of)]
    with pytest.raises(DefinitionError) as caught:
        Workflow("w", [split(1), work, step(last)])
    assert any(
        each.startswith("gather step 'last': Gather(of=...)") and problem in each
        for each in caught.value.problems
    )


def test_a_gather_of_nothing_is_refused() -> None:
    with pytest.raises(TypeError, match="names no step"):
        Gather(of=[])
    with pytest.raises(TypeError, match="takes a step or a list of steps, not 5"):
        Gather(of=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, math.inf, 2.0, True])
def test_the_size_of_a_join_is_a_whole_number(size: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 1"):
        Gather(count=size)
    with pytest.raises(ValueError, match="whole number from 1"):
        Batch(size)

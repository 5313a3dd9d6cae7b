"""Sub-workflows and pipelines: workflows inside the steps of others."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Event,
    Gather,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    Parallel,
    Results,
    Run,
    Stage,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    pipeline,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example, tries
from .scripts import answering, taken_up_again
from .vocabulary import Done, Group, Note, Work, split, total


def adding() -> Workflow[Any]:
    """A workflow that adds up the numbers below the one it starts with, side by side."""

    @step
    async def begin(ev: Group) -> list[Work]:
        await checkpoint()
        return [Work(n) for n in range(ev.n)]

    @step
    async def work(ev: Work) -> Done:
        await anyio.sleep(MINUTE)
        return Done(ev.n)

    @step
    async def add(parts: list[Done]) -> StopEvent:
        return StopEvent(result=sum(part.n for part in parts))

    return Workflow("adding", [begin, work, add])


@example(6)
def child_run() -> Workflow[Any]:
    """`await ctx.run_workflow(child, event)` runs a child inside the step's scope.

    Its snapshot is inside the parent's.
    """
    child = adding()

    @step
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Group(4)))

    return Workflow("parent", [delegate])


@example([0, 0, 1, 3])
def several_children_at_once() -> Workflow[Any]:
    """Several at once in a fan-out."""
    child = adding()

    @step(max_concurrency=3)
    async def delegate(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.run_workflow(child, Group(ev.n)))

    return Workflow("parents", [split(4), delegate, total])


@example([7, 8])
def later_delivery_goes_on_with_its_children() -> Workflow[Any]:
    """A later *delivery* goes on with its n-th child.

    A child that was begun anew would be too late.
    """

    @step
    async def begin(ev: Work, ctx: Context) -> None:
        ctx.send_event(Group(ev.n), delay=2 * HOUR)
        await checkpoint()

    @step
    async def middle(ev: Group, ctx: Context) -> None:
        ctx.send_event(Done(ev.n), delay=2 * HOUR)
        await checkpoint()

    @step
    async def end(ev: Done) -> StopEvent:
        return StopEvent(result=ev.n)

    child = Workflow("slow", [begin, middle, end])

    @step
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        ctx.send_event(Note("too late"), delay=9 * HOUR)
        return StopEvent(result=[await ctx.run_workflow(child, Work(n)) for n in (7, 8)])

    @step
    async def give_up(ev: Note) -> StopEvent:
        return StopEvent(result=ev.text)

    return Workflow("sequence", [delegate, give_up])


@example([2, 1])
def later_attempt_runs_its_children_anew() -> Workflow[Any]:
    """... a later *attempt* runs its children anew."""
    child = adding()

    @step(retry=tries(2))
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        # Another child than the first attempt's: no difference that anybody minds.
        total = await ctx.run_workflow(child, Group(ctx.attempt))
        await checkpoint()
        if ctx.attempt == 1:
            raise FlakyError("again, with more")
        return StopEvent(result=[ctx.attempt, total])

    return Workflow("anew", [delegate])


@example([10, 21])
def child_as_a_step() -> Workflow[Any]:
    """`child.as_step(...)` makes a step of a workflow."""
    adds = adding().as_step(
        accepts=Work,
        emits=Done,
        start=lambda work: Group(work.n),
        result=lambda sum: Done(sum),
        max_concurrency=1,
    )

    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(5), Work(7)]

    return Workflow("as a step", [begin, adds, total])


def asking() -> Workflow[Any]:
    """A workflow that asks twice, by an event and inside a step."""

    @step
    async def ask(ev: Work) -> InputRequestEvent:
        return InputRequestEvent(f"{ev.n}: how many?")

    @step
    async def more(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=ev.response + await ctx.request_input(f"{ev.response}: and more?"))

    return Workflow("asking", [ask, more])


@example(
    [11, 22],
    script=answering(
        {"0: how many?": 1, "1: how many?": 2, "1: and more?": 10, "2: and more?": 20}
    ),
)
def requests_of_children() -> Workflow[Any]:
    """Its requests are in the parent's handle; only the outermost run suspends."""
    child = asking()

    @step
    async def delegate(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.run_workflow(child, ev))

    return Workflow("asking parent", [split(2), delegate, total])


@example([1, 2], script=taken_up_again(InputRequiredError, {"0: how many?": 1, "1: how many?": 2}))
def children_answered_on_resume() -> Workflow[Any]:
    """... its snapshot is inside the parent's (only the outermost run suspends)."""

    @step
    async def ask(ev: Work, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input(f"{ev.n}: how many?"))

    child = Workflow("asking once", [ask])

    @step
    async def delegate(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(MINUTE)
        return Done(await ctx.run_workflow(child, ev))

    return Workflow("suspended parent", [split(2), delegate, total])


async def _watch(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        async for event in run.stream_events():
            assert event == Note("from the child")
        return await run.result()


@example("shown", script=_watch)
def stream_of_a_child_is_forwarded() -> Workflow[Any]:
    """Its stream is forwarded."""

    @step
    async def show(ev: Work, ctx: Context) -> StopEvent:
        ctx.write_event_to_stream(Note("from the child"))
        await anyio.sleep(MINUTE)
        return StopEvent(result="shown")

    child = Workflow("showing", [show])

    @step
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Work(0)))

    return Workflow("watched", [delegate])


@example(["child", "StepFailedError", "later"])
def failure_of_a_child_is_its_steps() -> Workflow[Any]:
    """A child that fails, fails the step; its time-outs are its own."""

    @step
    async def fail(ev: Work) -> StopEvent:
        await anyio.sleep(MINUTE)
        raise FlakyError("inside")

    child = Workflow("failing", [fail], timeout=HOUR)

    @step(name="child")
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Work(0)))

    @step
    async def tell(failure: StepFailed) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=[failure.step, failure.error_type.rpartition(".")[2], "later"])

    return Workflow("failing parent", [delegate, tell])


@example(["StepFailedError", "delegate", 1, "WorkflowTimeoutError"])
def child_has_its_own_timeout() -> Workflow[Any]:
    """Time-outs of their own."""

    @step
    async def sleep(ev: Work) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent()

    child = Workflow("sleepy", [sleep], timeout=MINUTE)

    @step
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.run_workflow(child, Work(0)))

    return Workflow("impatient", [delegate])


@example([1])
def child_is_cancelled_with_its_branch() -> Workflow[Any]:
    """... cancelled with it: children of a scope that a `Gather(count=n)` closes, too."""

    @step
    async def sleep(ev: Work) -> StopEvent:
        await (anyio.sleep(MINUTE) if ev.n == 1 else anyio.sleep_forever())
        return StopEvent(result=ev.n)

    child = Workflow("sleepy", [sleep])

    @step
    async def delegate(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.run_workflow(child, ev))

    @step
    async def first(parts: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    return Workflow("race", [split(3), delegate, first])


@example(["StepFailedError", "delegate", 1, "StepFailedError", "delegate", 1, "DefinitionError"])
def child_of_its_own() -> Workflow[Any]:
    """A child that is its own parent is refused with the reason, also at second hand."""
    workflows: list[Workflow[Any]] = []

    @step
    async def delegate(ev: StartEvent, ctx: Context) -> StopEvent:
        await anyio.sleep(MINUTE)
        other = workflows[0] if ctx.run_id.count("/") else workflows[1]
        return StopEvent(result=await ctx.run_workflow(other))

    workflows += [Workflow("hen", [delegate]), Workflow("egg", [delegate])]
    return workflows[0]


@example({"count": 3, "sides": {"twice": 6, "squared": 9}, "grow": 16}, fields={"n": 3})
def pipeline_of_stages() -> Workflow[Any]:
    """Stages, one after another or side by side, with a condition, an input, a bounded loop."""

    def of(name: str) -> Any:
        return lambda results: Work(results[name])

    def computing(name: str, compute: Any) -> Workflow[Any]:
        @step(name=name)
        async def run(ev: Work) -> StopEvent:
            await anyio.sleep(MINUTE)
            return StopEvent(result=compute(ev.n))

        return Workflow(name, [run])

    def grown(results: Results) -> Event:
        return Work(results.get("grow", results["sides"]["twice"]))

    return pipeline(
        "pipeline",
        [
            Stage(
                "count",
                computing("same", lambda n: n),
                input=lambda results: Work(results["start"].data["n"]),
            ),
            Stage("skipped", computing("never", lambda n: -n), when=lambda results: False),
            Parallel(
                "sides",
                [
                    Stage("twice", computing("twice", lambda n: 2 * n), input=of("count")),
                    Stage("squared", computing("squared", lambda n: n * n), input=of("count")),
                ],
            ),
            Stage(
                "grow",
                computing("more", lambda n: n + 5),
                input=grown,
                again=lambda results: results["grow"] < 15,
                max_runs=5,
            ),
        ],
    )

"""Other ways to bring events together: the first few, batches, pairs, and by hand."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Batch,
    Context,
    Event,
    Gather,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, example
from .vocabulary import Approved, Batched, Done, Group, Work, collect, split, total


@step(max_concurrency=1)
async def in_turn(ev: Work) -> Done:
    """Does one piece of work after the other."""
    await anyio.sleep(MINUTE)
    return Done(ev.n)


# ---- the first few -----------------------------------------------------------------------------


@step
async def first_two(parts: Annotated[list[Done], Gather(count=2)]) -> Group:
    return Group(sum(part.n for part in parts))


@step
async def settle(ev: Group) -> StopEvent:
    """Ends the run so much later that whatever was not cancelled would have come."""
    await anyio.sleep(100 * HOUR)
    return StopEvent(result=ev.n)


@example(1)
def first_two_of_many() -> Workflow[Any]:
    """`Gather(count=n)` cancels what is left of the scope (descendants, delays, requests too)."""

    @step(emits=[Done])
    async def race(ev: Work, ctx: Context) -> Done | InputRequestEvent | None:
        match ev.n:
            case 0 | 1:
                await anyio.sleep(MINUTE)
                return Done(ev.n)
            case 2:
                ctx.send_event(Approved(0), delay=HOUR)
            case 3:
                return InputRequestEvent("never answered")
            case 4:
                await ctx.request_input("nor this")
            case _:
                await anyio.sleep_forever()
        return None

    @step
    async def approved(ev: Approved | InputResponseEvent) -> None:
        raise AssertionError("it was cancelled")

    return Workflow("race", [split(6), race, approved, first_two, settle])


@example([[0, 1], []], fresh=True)
def losers_clean_up_first() -> Workflow[Any]:
    """... and fires when the scope is empty, losers' cleanup included."""

    running: set[int] = set()

    @step
    async def race(ev: Work) -> Done:
        running.add(ev.n)
        try:
            await anyio.sleep(MINUTE if ev.n < 2 else 100 * HOUR)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(HOUR)
            running.discard(ev.n)
        return Done(ev.n)

    @step
    async def winners(parts: Annotated[list[Done], Gather(count=2)]) -> StopEvent:
        return StopEvent(result=[[part.n for part in parts], sorted(running)])

    return Workflow("losers", [split(3), race, winners])


@example(0)
def count_that_is_not_reached() -> Workflow[Any]:
    """If it drains earlier, with what came."""

    @step
    async def work(ev: Work) -> Done | None:
        await anyio.sleep(MINUTE)
        return Done(ev.n) if ev.n == 0 else None

    return Workflow("short", [split(3), work, first_two, settle])


# ---- batches -----------------------------------------------------------------------------------


@step
async def batch(parts: Annotated[list[Done], Batch(2)]) -> Batched:
    await checkpoint()
    return Batched([part.n for part in parts])


@example([[0, 1], [2, 3], [4]])
def batches_in_a_scope() -> Workflow[Any]:
    """`Batch(n)` fires for every `n`; what is left at the end of a scope fires too.

    Its output stays in the scope.
    """

    @step
    async def finish(parts: list[Batched]) -> StopEvent:
        return StopEvent(result=sorted(part.numbers for part in parts))

    return Workflow("batches", [split(5), in_turn, batch, finish])


@example([[0, 1], [2, 3]])
def batches_at_the_root() -> Workflow[Any]:
    """... for every `n` in order of arrival, scope or not."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(4))

    @step(max_concurrency=1)
    async def both(ev: Batched, ctx: Context) -> StopEvent | None:
        batches = ctx.collect_events(Batched, 2)
        if batches is None:
            return None
        return StopEvent(result=[each.numbers for each in batches])

    return Workflow("root", [begin, in_turn, batch, both])


@example(
    ["WorkflowStalledError", "step 'batch' holds 1 of contract.vocabulary.Done and waits for more"]
)
def rest_of_a_batch_at_the_root() -> Workflow[Any]:
    """The root has no drain: there `WorkflowStalledError` names the rest of a batch."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(3))

    @step
    async def ignore(ev: Batched) -> StopEvent | None:
        await checkpoint()
        return None

    return Workflow("rest", [begin, in_turn, batch, ignore])


# ---- pairs -------------------------------------------------------------------------------------


class Left(Event):
    n: int


class Right(Event):
    n: int


@step
async def grow(ev: Approved) -> Right:
    """Makes the right half, the later the smaller it is."""
    await anyio.sleep(HOUR / (1 + ev.n))
    return Right(10 * ev.n)


@step
async def meet(left: Left, right: Right) -> Done:
    await checkpoint()
    return Done(left.n + right.n)


@example([0, 11, 22])
def pairs_by_branch() -> Workflow[Any]:
    """Two event parameters, `(a: A, b: B)`, pair within one branch."""

    @step
    async def halve(ev: Work) -> tuple[Left, Approved]:
        return Left(ev.n), Approved(ev.n)

    return Workflow("pairs", [split(3), halve, grow, meet, total])


@example([11, 23])
def pairs_first_in_first_out() -> Workflow[Any]:
    """... first in, first out."""

    @step
    async def begin(ev: StartEvent) -> tuple[Left, Left, Right, Right]:
        await checkpoint()
        return Left(1), Left(3), Right(10), Right(20)

    return Workflow("pairs", [begin, meet, collect(2)])


@example(["JoinIncompleteError"])
def half_a_pair() -> Workflow[Any]:
    """Half a pair left at the drain is a `JoinIncompleteError`."""

    @step
    async def halve(ev: Work) -> tuple[Left, Approved] | Left:
        await anyio.sleep(MINUTE)
        return Left(ev.n) if ev.n == 1 else (Left(ev.n), Approved(ev.n))

    return Workflow("half", [split(3), halve, grow, meet, total])


# ---- by hand -----------------------------------------------------------------------------------


@example([[0, 1], [2, 3]])
def collect_events() -> Workflow[Any]:
    """`ctx.collect_events(Done, n)`: `None` until `n` have come, then the oldest `n`."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, ...]:
        return tuple(Work(n) for n in range(4))

    @step(max_concurrency=1)
    async def two(ev: Done, ctx: Context) -> Batched | None:
        parts = ctx.collect_events(Done, 2)
        await anyio.sleep(MINUTE)
        return None if parts is None else Batched([part.n for part in parts])

    @step(max_concurrency=1)
    async def both(ev: Batched, ctx: Context) -> StopEvent | None:
        batches = ctx.collect_events(Batched, 2)
        await anyio.sleep(MINUTE)
        return None if batches is None else StopEvent(result=[each.numbers for each in batches])

    return Workflow("collect", [begin, in_turn, two, both])


@example(["StepFailedError", "two", 1, "DefinitionError"])
def collect_needs_one_at_a_time() -> Workflow[Any]:
    """Only in a step with `max_concurrency=1` (elsewhere an error that says so)."""

    @step
    async def two(ev: StartEvent, ctx: Context) -> StopEvent | None:
        await checkpoint()
        ctx.collect_events(Done, 2)
        return StopEvent()

    return Workflow("misused", [two])

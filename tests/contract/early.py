"""Early effects: what leaves an attempt at once, and is not let out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Run,
    RunEndedError,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example, tries
from .scripts import answering
from .vocabulary import (
    Approved,
    Done,
    Note,
    Work,
    collect,
    note,
    noted,
    split,
    total,
)


@step
async def done(ev: Work) -> Done:
    """Does the work in a minute."""
    await anyio.sleep(MINUTE)
    return Done(ev.n)


@example(["once", "once again"])
def early_send_is_not_sent_twice() -> Workflow[Any]:
    """`ctx.send_event(event, immediate=True)`: a later attempt makes it again, not sent twice."""

    @step(retry=tries(3))
    async def announce(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Note("once"), immediate=True)
        await anyio.sleep(MINUTE)
        ctx.send_event(Note("once again"), immediate=True)
        if ctx.attempt < 3:
            raise FlakyError("the line is dead")
        return Done(ctx.attempt)

    return Workflow("announce", [announce, note, noted])


@example([0, 1, 2, 3])
def generator_repeats_nothing() -> Workflow[Any]:
    """What a generator step yields is not sent twice by a later attempt, and stays if it raises."""

    @step(retry=tries(2))
    async def pages(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        for n in range(4):
            yield Work(n)
            if n == 2 and ctx.attempt == 1:
                raise FlakyError("lost the connection")
            await anyio.sleep(MINUTE)

    return Workflow("pages", [pages, done, total])


@example([10, 11])
def different_yield_abandons_the_fan_out() -> Workflow[Any]:
    """At the first difference the fan-out scope of the earlier attempt is abandoned.

    Its work is cancelled, its results dropped; all that this attempt yields goes into a new one.
    """

    @step(retry=tries(2))
    async def pages(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        for n in (1, 2) if ctx.attempt == 1 else (10, 11):
            yield Work(n)
        if ctx.attempt == 1:
            raise FlakyError("the book has been edited")

    @step
    async def work(ev: Work) -> Done:
        try:
            await anyio.sleep(ev.n * HOUR)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(HOUR * (1 + ev.n))
            raise
        return Done(ev.n)

    return Workflow("edited", [pages, work, total])


@example([1])
def fewer_yields_abandon_the_fan_out() -> Workflow[Any]:
    """An attempt that ends with fewer effects differs at that point."""

    @step(retry=tries(2))
    async def pages(ev: StartEvent, ctx: Context) -> AsyncIterator[Work]:
        yield Work(1)
        if ctx.attempt == 1:
            yield Work(2)
            raise FlakyError("the book has been cut")

    return Workflow("cut", [pages, done, total])


@example(["NonDeterministicStepError"])
def other_difference_fails_the_run() -> Workflow[Any]:
    """Any other difference fails the run with `NonDeterministicStepError`."""

    @step(retry=tries(3))
    async def announce(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Note(f"attempt {ctx.attempt}"), immediate=True)
        await checkpoint()
        raise FlakyError("no")

    @step
    async def mend(failure: StepFailed) -> Done:
        return Done(0)

    return Workflow("moody", [announce, note, noted, mend])


@example(["blue", 3], script=answering({"which colour?": "blue"}))
def answer_is_given_again() -> Workflow[Any]:
    """An answered request is remembered with its number and given again."""

    @step(retry=tries(3))
    async def paint(ev: StartEvent, ctx: Context) -> StopEvent:
        colour = await ctx.request_input("which colour?")
        if ctx.attempt < 3:
            raise FlakyError("out of paint")
        return StopEvent(result=[colour, ctx.attempt])

    return Workflow("paint", [paint])


@example([7, 3])
def claimed_event_is_given_again() -> Workflow[Any]:
    """A claimed event is remembered with its number and given again."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Approved]:
        return Work(0), Approved(7)

    @step(retry=tries(3), waits=[Approved])
    async def pay(ev: Work, ctx: Context) -> StopEvent:
        approved = await ctx.wait_for_event(Approved)
        if ctx.attempt < 3:
            raise FlakyError("the bank is closed")
        return StopEvent(result=[approved.n, ctx.attempt])

    return Workflow("pay", [begin, pay])


@example([])
def stream_is_not_routed() -> Workflow[Any]:
    """`ctx.write_event_to_stream(event)` is for watchers: at once, never routed."""

    @step
    async def show(ev: StartEvent, ctx: Context) -> Done:
        ctx.write_event_to_stream(Note("half"))
        await anyio.sleep(MINUTE)
        ctx.write_event_to_stream(Note("done"))
        return Done(0)

    return Workflow("show", [show, note, noted])


@example("just in time")
def finishing_after_the_timeout_counts() -> Workflow[Any]:
    """An attempt that finishes although its timeout is under way counts as finished."""

    @step(timeout=MINUTE)
    async def hurry(ev: StartEvent) -> StopEvent:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(HOUR)
        return StopEvent(result="just in time")

    return Workflow("hurry", [hurry])


async def _suspend_in_the_middle(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        await anyio.sleep(MINUTE)
        try:
            snapshot = await run.suspend()
        except RunEndedError:
            return await run.result()
    async with workflow.resume(snapshot) as again:
        return await again.result()


@example("done once", script=_suspend_in_the_middle, fresh=True)
def finishing_during_a_suspension_counts() -> Workflow[Any]:
    """... or a suspension is under way counts as finished."""
    done: list[int] = []

    @step
    async def work(ev: StartEvent) -> Work:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(HOUR)
        done.append(1)
        return Work(0)

    @step
    async def finish(ev: Work) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent(result="done once" if len(done) <= 1 else "done again")

    return Workflow("stubborn", [work, finish])


@example(["0", "1", "failed"])
def what_a_generator_yielded_stays() -> Workflow[Any]:
    """A generator that raises half-way: what it yielded stays, the failure is reported."""

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Note]:
        yield Note("0")
        yield Note("1")
        raise FlakyError("no more paper")

    @step
    async def tell(failure: StepFailed, ctx: Context) -> Done:
        await anyio.sleep(MINUTE)
        ctx.send_event(Note("failed"))
        return Done(0)

    return Workflow("half-way", [pages, note, tell, noted])


@example([0, 1, 2])
def delayed_send() -> Workflow[Any]:
    """Timers: an event sent with a delay, kept by the machine, in snapshots."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Done(2), delay=2 * HOUR)
        ctx.send_event(Done(1), delay=HOUR)
        await checkpoint()
        return Done(0)

    return Workflow("timers", [begin, collect(3)])


@example(["the same", 2])
def idempotency_key() -> Workflow[Any]:
    """`ctx.idempotency_key` is stable across deliveries; `ctx.once` remembers a result."""

    @step(retry=tries(2))
    async def charge(ev: Work, ctx: Context) -> Done:
        key = await ctx.once("key", lambda: ctx.idempotency_key)
        if ctx.attempt == 1:
            raise FlakyError("was it charged?")
        await checkpoint()
        return Done(int(key == ctx.idempotency_key))

    @step
    async def finish(parts: list[Done]) -> StopEvent:
        same = sum(part.n for part in parts)
        return StopEvent(result=["the same", same])

    return Workflow("charge", [split(2), charge, finish])

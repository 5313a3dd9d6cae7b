"""What a step does to the run when an attempt succeeds."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .example import MINUTE, FlakyError, example, tries
from .vocabulary import (
    Done,
    Group,
    Note,
    Work,
    note,
    noted,
    total,
)


@step
async def done(ev: Work) -> Done:
    """Does the work in a minute."""
    await anyio.sleep(MINUTE)
    return Done(ev.n)


@example(["of attempt 2", {"published": 2}])
def all_or_nothing() -> Workflow[Any]:
    """What a step returns, sends and writes takes effect together when the attempt succeeds.

    A failed attempt sends nothing and writes nothing.
    """

    @step(retry=tries(2))
    async def publish(ev: StartEvent, ctx: Context) -> Done:
        ctx.send_event(Note(f"of attempt {ctx.attempt}"))
        ctx.state["published"] = ctx.attempt
        if ctx.attempt == 1:
            ctx.state["draft"] = "left over"
            raise FlakyError("the printer is out of paper")
        await checkpoint()
        return Done(ctx.attempt)

    @step
    async def finish(ev: Done, ctx: Context) -> StopEvent:
        await anyio.sleep(MINUTE)
        notes = ctx.state["notes"]
        state = {key: ctx.state[key] for key in ctx.state if key != "notes"}
        return StopEvent(result=[*notes, state])

    return Workflow("publish", [publish, note, finish])


@example(["first", "second", "third", "fourth"])
def sends_come_before_what_is_returned() -> Workflow[Any]:
    """An attempt's sends come before what it returns; a `tuple` is several events."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> tuple[Note, Note, Done]:
        ctx.send_event(Note("first"))
        ctx.send_event(Note("second"))
        await checkpoint()
        return Note("third"), Note("fourth"), Done(0)

    return Workflow("order", [begin, note, noted])


@example([0, 1, 10, 11])
def tuple_is_no_fan_out() -> Workflow[Any]:
    """A `list` is a fan-out; a `tuple` is several events without one."""

    @step
    async def begin(ev: StartEvent) -> list[Group]:
        return [Group(0), Group(10)]

    @step
    async def halve(ev: Group) -> tuple[Work, Work]:
        await checkpoint()
        return Work(ev.n), Work(ev.n + 1)

    return Workflow("tuple", [begin, halve, done, total])


@example([[0, 1], [2, 3]])
def fan_out_by_hand() -> Workflow[Any]:
    """`ctx.fan_out(events)` is the imperative form: with the attempt, one scope per call."""

    @step(retry=tries(2))
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | None:
        ctx.fan_out([Work(0), Work(1)])
        await checkpoint()
        if ctx.attempt == 1:
            raise FlakyError("and so it never happened")
        ctx.fan_out([Work(2), Work(3)])
        return None

    @step
    async def part(parts: list[Done]) -> Note:
        return Note(" ".join(str(each.n) for each in parts))

    @step(max_concurrency=1)
    async def both(ev: Note, ctx: Context) -> StopEvent | None:
        texts = ctx.collect_events(Note, 2)
        if texts is None:
            return None
        return StopEvent(result=sorted([int(n) for n in each.text.split()] for each in texts))

    return Workflow("by hand", [begin, done, part, both])


@example("no fan-out, no gather")
def none_opens_no_fan_out() -> Workflow[Any]:
    """`ctx.fan_out` is declared by the annotation (`list[A] | None`); `None` opens none."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> list[Work] | None:
        ctx.send_event(Note("no fan-out, no gather"))
        await checkpoint()
        return None

    @step
    async def finish(ev: Note) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=ev.text)

    return Workflow("none", [begin, done, total, finish])

"""Shapes that wait inside their steps, or for the outside: for events, and for humans."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    Run,
    RunEndedError,
    StartEvent,
    StopEvent,
    Workflow,
)

from .kit import Kit
from .shape import Approved, Done, Hop, Wait, Work, count, joiner, shape, splitter


@shape(result=[0, 1, -2, 3, 4], cancels=True)
def waits(kit: Kit) -> Workflow[Any]:
    """Two steps wait for an event each, which another sends; a third waits in vain."""

    @kit.step(waits=[Approved], max_concurrency=2)
    async def wait(ev: Work, ctx: Context) -> Done | None:
        async with kit.attempt():
            if ev.n == 3:
                return None
            ctx.send_event(Wait(ev.n))
            timeout = 2 if ev.n == 2 else None
            try:
                approved = await ctx.wait_for_event(
                    Approved, where=lambda approved: approved.n == ev.n, timeout=timeout
                )
            except TimeoutError:
                return Done(-ev.n)
            await checkpoint()
            count(ctx)
            return Done(approved.n)

    @kit.step
    async def send(ev: Wait, ctx: Context) -> Done | Approved:
        async with kit.attempt():
            await anyio.sleep(2 - ev.n)
            count(ctx)
            return Done(3) if ev.n == 2 else Approved(ev.n)

    @kit.step
    async def join(parts: list[Done], ctx: Context) -> StopEvent:
        with kit.attempt():
            numbers = sorted((part.n for part in parts), key=abs)
            # What waited has started once for each, and its sends have left once for each.
            return StopEvent(result=[*numbers, ctx.state["handled"] - 1])

    return kit.workflow("waits", [splitter(kit, 4), wait, send, join])


def _ask(kit: Kit, name: str, **options: Any) -> Workflow[Any]:
    @kit.step
    async def ask(ev: StartEvent) -> list[InputRequestEvent | Work]:
        async with kit.attempt():
            await checkpoint()
            return [*(InputRequestEvent("how many?", {"n": n}) for n in range(2)), Work(2)]

    @kit.step
    async def take(ev: InputResponseEvent, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            count(ctx)
            return Done(ev.response)

    @kit.step
    async def decide(ev: Work, ctx: Context) -> Done:
        async with kit.attempt():
            await anyio.sleep(1)
            first = await ctx.request_input("how many?", {"n": ev.n})
            await checkpoint()
            second = await ctx.request_input("and now?", {"n": ev.n + 1})
            count(ctx)
            return Done(first + second)

    return kit.workflow(name, [ask, take, decide, joiner(kit)], **options)


async def _answer(request: InputRequestEvent) -> int:
    await anyio.sleep(1 + request.metadata["n"])
    return 10 * request.metadata["n"]


@shape(result=[0, 10, 50, 3], cancels=True)
def handler(kit: Kit) -> Workflow[Any]:
    """A handler answers what steps ask, by events and inside."""
    return _ask(kit, "handler", input_handler=_answer)


async def answer_by_hand(run: Run[Any]) -> None:
    async for event in run.stream_events():
        if isinstance(event, InputRequestEvent):
            response = await _answer(event)
            if run.status in ("running", "paused"):
                run.respond_to_input(event.request_id, response)


@shape(result=[0, 10, 50, 3], help=answer_by_hand, cancels=True)
def human(kit: Kit) -> Workflow[Any]:
    """The handle answers what steps ask, by events and inside."""
    return _ask(kit, "human")


async def _send_from_outside(run: Run[Any]) -> None:
    try:
        for n in range(4):
            await anyio.sleep(1)
            run.send_event(Hop(n % 3))
    except RunEndedError:
        return


@shape(result=[0, 1, 2], help=_send_from_outside, varies=True)
def external(kit: Kit) -> Workflow[Any]:
    """The handle sends events; those it sends twice count once."""

    @kit.step
    async def begin(ev: StartEvent) -> None:
        with kit.attempt():
            pass

    @kit.step(max_concurrency=1)
    async def take(ev: Hop, ctx: Context) -> StopEvent | None:
        async with kit.attempt():
            seen = sorted({*ctx.state.get("seen", []), ev.n})
            await checkpoint()
            ctx.state["seen"] = seen
            return StopEvent(result=seen) if len(seen) == 3 else None

    return kit.workflow("external", [begin, take], external=[Hop])

"""Routing: who gets an event, in what order, and what happens to one that nobody wants."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    StartEvent,
    StopEvent,
    Workflow,
    WorkflowFullError,
    step,
)

from .example import HOUR, MINUTE, example
from .scripts import beside, leaving, sending
from .vocabulary import Approved, Done, Note, Work, collect, note, noted


@step
async def begin(ev: StartEvent) -> tuple[Work, Work]:
    return Work(0), Work(1)


@example([20, 21, 10, 11])
def committed_order() -> Workflow[Any]:
    """Events are handled in the order in which they were committed."""

    @step
    async def work(ev: Work) -> tuple[Done, Done]:
        await anyio.sleep(HOUR if ev.n == 0 else MINUTE)
        base = 10 if ev.n == 0 else 20
        return Done(base), Done(base + 1)

    return Workflow("order", [begin, work, collect(4)])


@example(["first 0", "second 0", "first 1", "second 1"])
def every_acceptor_in_the_order_of_the_list() -> Workflow[Any]:
    """Every accepting step gets the event; acceptors run in the order of the workflow's list."""

    @step
    async def first(ev: Work) -> Note:
        return Note(f"first {ev.n}")

    @step
    async def second(ev: Work) -> Note | tuple[Note, Done]:
        text = Note(f"second {ev.n}")
        return (text, Done(0)) if ev.n == 1 else text

    return Workflow("acceptors", [begin, first, second, note, noted])


@example("the first")
def first_stop_ends_the_run() -> Workflow[Any]:
    """The first committed `StopEvent` ends the run at once, ahead of the queue."""

    @step
    async def stop(ev: Work) -> tuple[Note, StopEvent, Note]:
        await anyio.sleep(MINUTE if ev.n == 0 else HOUR)
        result = StopEvent(result="the first" if ev.n == 0 else "another")
        return Note("queued before it"), result, Note("queued after it")

    @step
    async def fail(ev: Note) -> None:
        raise AssertionError("the run is over")

    return Workflow("stop", [begin, stop, fail])


@example("all of it has ended")
def what_runs_is_cancelled_and_awaited() -> Workflow[Any]:
    """In-flight steps are cancelled and awaited; the result stands."""

    @step
    async def stop(ev: Work) -> StopEvent | None:
        if ev.n == 0:
            await anyio.sleep(MINUTE)
            return StopEvent(result="all of it has ended")
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(HOUR)
        return None

    return Workflow("cancelled", [begin, stop])


@example(["NoHandlerError", "Approved", "work"])
def nobody_accepts_it() -> Workflow[Any]:
    """An event that nobody accepts fails the run (`NoHandlerError`)."""

    @step
    async def work(ev: Work, ctx: Context) -> StopEvent | None:
        await anyio.sleep(MINUTE)
        ctx.send_event(Approved(ev.n))
        return None

    return Workflow("nobody", [begin, work])


@example([0, 1])
def unhandled_may_be_ignored() -> Workflow[Any]:
    """... unless the workflow says `on_unhandled="ignore"`."""

    @step
    async def work(ev: Work) -> tuple[Approved, Done]:
        await checkpoint()
        return Approved(ev.n), Done(ev.n)

    return Workflow("ignoring", [begin, work, collect(2)], on_unhandled="ignore")


@example(
    [
        "WorkflowStalledError",
        "step 'collect' holds 1 of contract.vocabulary.Note and waits for more",
        "step 'meet' holds 1 of contract.vocabulary.Approved and waits for more",
    ]
)
def stalled() -> Workflow[Any]:
    """Nothing left to do: `WorkflowStalledError` at once, naming what each join waits for."""

    @step
    async def work(ev: Work, ctx: Context) -> Note | None:
        await anyio.sleep(MINUTE)
        if ev.n == 0:
            ctx.send_event(Approved(1))
            return None
        return Note("one")

    @step
    async def meet(left: Approved, right: Done) -> StopEvent:
        return StopEvent()

    @step(name="collect", max_concurrency=1)
    async def several(ev: Note, ctx: Context) -> tuple[StopEvent, Done] | None:
        return None if ctx.collect_events(Note, 2) is None else (StopEvent(), Done(0))

    return Workflow("stalled", [begin, work, meet, several])


# ---- events from outside -----------------------------------------------------------------------


@step
async def idle(ev: StartEvent) -> None:
    await checkpoint()


@step(max_concurrency=1)
async def orders(ev: Work, ctx: Context) -> StopEvent | None:
    """Ends the run when the orders 0, 1 and 2 are in; one that is sent again counts once."""
    numbers = sorted({*ctx.state.get("orders", []), ev.n})
    await checkpoint()
    ctx.state["orders"] = numbers
    return StopEvent(result=numbers) if len(numbers) == 3 else None


@example([0, 1, 2], script=sending(Work(0), Work(0), Work(1), Work(2)))
def external_events() -> Workflow[Any]:
    """A workflow that receives events from outside declares them, and idles meanwhile."""
    return Workflow("orders", [idle, orders], external=[Work])


@example(["RunSuspendedError"], script=leaving)
def idle_without_a_handle() -> Workflow[Any]:
    """A run that could only go on with the handle's help does not hang the exit."""
    return Workflow("alone", [idle, orders], external=[Work])


async def _fill(run: Any, stream: Any) -> None:
    await anyio.sleep(MINUTE)
    refused = False
    for n in range(5):
        try:
            run.send_event(Work(n))
        except WorkflowFullError:
            refused = True
    assert refused
    for n in range(3):
        await anyio.sleep(3 * HOUR)
        if run.status == "running":
            run.send_event(Work(n))


@example([0, 1, 2], script=beside(_fill))
def full_step_refuses_from_outside() -> Workflow[Any]:
    """`max_pending` bounds the deliveries that wait for the step: `run.send_event` refuses."""

    @step(max_concurrency=1, max_pending=1)
    async def slow(ev: Work) -> Done:
        await anyio.sleep(HOUR)
        return Done(ev.n)

    @step(max_concurrency=1)
    async def count(ev: Done, ctx: Context) -> StopEvent | None:
        numbers = sorted({*ctx.state.get("orders", []), ev.n})
        ctx.state["orders"] = numbers
        return StopEvent(result=numbers) if len(numbers) == 3 else None

    return Workflow("full", [idle, slow, count], external=[Work])

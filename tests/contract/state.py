"""State: what an attempt reads and writes, and when two of them conflict."""

from __future__ import annotations

from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import Context, Event, StartEvent, StateKey, StepFailed, StopEvent, Workflow, step

from .example import HOUR, MINUTE, FlakyError, example, tries
from .vocabulary import Done, Work, split


class Tick(Event):
    pass


@step
async def tick(ev: Tick, ctx: Context) -> None:
    """Changes the rate every minute, for ever: who takes longer is always overtaken."""
    ctx.state["rate"] = ctx.state.get("rate", 0) + 1
    ctx.send_event(Tick(), delay=MINUTE)


@step
async def begin(ev: StartEvent) -> tuple[Tick, Work]:
    return Tick(), Work(0)


@example([1, 2, "absent"])
def own_writes_over_committed_state() -> Workflow[Any]:
    """An attempt reads committed state under its own writes; nobody sees them earlier."""

    @step
    async def write(ev: StartEvent, ctx: Context) -> tuple[Work, Done]:
        ctx.state["a"] = 1
        await checkpoint()
        return Work(0), Done(0)

    @step
    async def slow(ev: Work, ctx: Context) -> None:
        ctx.state["b"] = 2
        assert ctx.state["b"] == 2
        del ctx.state["b"]
        ctx.state["b"] = 3
        await anyio.sleep(HOUR)

    @step
    async def look(ev: Done, ctx: Context) -> StopEvent:
        ctx.state["own"] = 2
        await anyio.sleep(MINUTE)
        return StopEvent(result=[ctx.state["a"], ctx.state["own"], ctx.state.get("b", "absent")])

    return Workflow("state", [write, slow, look])


@example([100, 3])
def conflict_is_retried() -> Workflow[Any]:
    """Writing a key that another attempt committed since fails with a retryable conflict."""

    @step(retry=tries(5))
    async def add(ev: Work, ctx: Context) -> Done:
        before = ctx.state.get("total", 0)
        await anyio.sleep(MINUTE)
        ctx.state["total"] = before + [20, 30, 50][ev.n]
        return Done(ev.n)

    @step
    async def finish(parts: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=[ctx.state["total"], len(parts)])

    return Workflow("conflicts", [split(3), add, finish])


@example(["StepFailedError", "slow", 1, "StateConflictError", "rate"])
def conflict_without_retry_is_final() -> Workflow[Any]:
    """A conflict without a `Retry` is final."""

    @step
    async def slow(ev: Work, ctx: Context) -> StopEvent:
        rate = ctx.state["rate"]
        await anyio.sleep(5 * MINUTE)
        ctx.state["rate"] = rate - 1
        return StopEvent()

    return Workflow("final", [tick, begin, slow])


@example(["StepFailedError", "slow", 1, "StateConflictError", "rate"])
def membership_reads_its_key() -> Workflow[Any]:
    """`in` reads its key."""

    @step
    async def slow(ev: Work, ctx: Context) -> StopEvent:
        assert "other" not in ctx.state
        known = "rate" in ctx.state
        await anyio.sleep(5 * MINUTE)
        ctx.state["rate"] = int(known)
        return StopEvent()

    return Workflow("membership", [tick, begin, slow])


@example([["rate"], 1])
def counting_reads_nothing() -> Workflow[Any]:
    """`len` and iteration read none."""

    @step
    async def slow(ev: Work, ctx: Context) -> StopEvent:
        keys, size = list(ctx.state), len(ctx.state)
        await anyio.sleep(5 * MINUTE)
        ctx.state["rate"] = 0
        return StopEvent(result=[keys, size])

    return Workflow("counting", [tick, begin, slow])


@example(6)
def apply_never_conflicts() -> Workflow[Any]:
    """`ctx.state.apply(key, fn, default)` never conflicts: `fn` is applied at the commit."""

    @step
    async def work(ev: Work, ctx: Context) -> Done:
        ctx.state.apply("sum", lambda value: value + ev.n, 0)
        await anyio.sleep(MINUTE)
        return Done(ev.n)

    @step
    async def finish(parts: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.state["sum"])

    return Workflow("apply", [split(4), work, finish])


@example([["a"], ["a", "b"], ["a", "b"]])
def containers_are_private() -> Workflow[Any]:
    """A value is copied when it is set; changing a container read is a write of its key."""

    @step
    async def write(ev: StartEvent, ctx: Context) -> Work:
        names = ["a"]
        ctx.state["names"] = names
        names.append("too late")
        await checkpoint()
        return Work(0)

    @step(retry=tries(2))
    async def change(ev: Work, ctx: Context) -> Done:
        names = ctx.state["names"]
        ctx.state["before"] = names
        names.append("b")
        await checkpoint()
        if ctx.attempt == 1:
            raise FlakyError("the change goes with the attempt")
        return Done(0)

    @step
    async def finish(ev: Done, ctx: Context) -> StopEvent:
        names = ctx.state["names"]
        names.append("c")
        again = ctx.state["names"]
        return StopEvent(result=[ctx.state["before"], again[:2], names[:2]])

    return Workflow("containers", [write, change, finish])


@example(["change", "StateValueError"])
def unstorable_change_fails_the_commit() -> Workflow[Any]:
    """An unstorable change fails the commit with `StateValueError`."""

    @step
    async def write(ev: StartEvent, ctx: Context) -> Work:
        ctx.state["things"] = []
        await checkpoint()
        return Work(0)

    @step
    async def change(ev: Work, ctx: Context) -> StopEvent:
        ctx.state["things"].append(object())
        await checkpoint()
        return StopEvent()

    @step
    async def tell(failure: StepFailed) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=[failure.step, failure.error_type.rpartition(".")[2]])

    return Workflow("unstorable", [write, change, tell])


VISITS = StateKey("visits", int, default=10)


@example([10, 13])
def typed_key() -> Workflow[Any]:
    """`StateKey("count", int, default=0)` gives a typed key, whose default also serves `apply`."""

    @step
    async def visit(ev: Work, ctx: Context) -> Done:
        ctx.state.apply(VISITS, lambda visits: visits + 1)
        await anyio.sleep(MINUTE)
        return Done(ev.n)

    @step
    async def first(ev: StartEvent, ctx: Context) -> list[Work]:
        ctx.state["before"] = ctx.state[VISITS]
        await checkpoint()
        return [Work(n) for n in range(3)]

    @step
    async def finish(parts: list[Done], ctx: Context) -> StopEvent:
        return StopEvent(result=[ctx.state["before"], ctx.state[VISITS]])

    return Workflow("visits", [first, visit, finish])

"""Fan-out and fan-in: gathers, and which fan-out each of them belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Event,
    Gather,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, FlakyError, example, tries
from .scripts import answering
from .vocabulary import Approved, Done, Group, Work, split, total


class Part(Event):
    numbers: list[int]


@step
async def done(ev: Work) -> Done:
    """Does the work; what comes later is done sooner."""
    await anyio.sleep(HOUR / (1 + ev.n))
    return Done(ev.n)


@example([0, 1, 2, 3])
def gather_in_the_order_of_the_fan_out() -> Workflow[Any]:
    """A step with a `list[Done]` parameter gathers in the order of the fan-out, not completion."""
    return Workflow("gather", [split(4), done, total])


@example([])
def empty_fan_out() -> Workflow[Any]:
    """... with `[]` for an empty one."""
    return Workflow("empty", [split(0), done, total])


@example([1, 3])
def workers_that_return_nothing() -> Workflow[Any]:
    """The gather fires when the scope has drained, with every `Done` of that scope."""

    @step
    async def odd(ev: Work) -> Done | None:
        await anyio.sleep(MINUTE * (4 - ev.n))
        return Done(ev.n) if ev.n % 2 else None

    return Workflow("odd", [split(5), odd, total])


@example([[0, 1, 2], 3])
def several_gathers_on_one_scope() -> Workflow[Any]:
    """The gather fires exactly once per scope; several gather steps on one scope each do."""

    @step
    async def numbers(parts: list[Done]) -> Part:
        return Part([part.n for part in parts])

    @step
    async def count(parts: list[Done]) -> Group:
        await checkpoint()
        return Group(len(parts))

    @step
    async def both(part: Part, group: Group) -> StopEvent:
        return StopEvent(result=[part.numbers, group.n])

    return Workflow("several", [split(3), done, numbers, count, both])


@example([[], [0], [0, 1]])
def nested_fan_outs() -> Workflow[Any]:
    """A scope is live while it has a child scope; a gather's output belongs to the parent scope."""

    @step
    async def begin(ev: StartEvent) -> list[Group]:
        return [Group(0), Group(1), Group(2)]

    @step
    async def open_group(ev: Group) -> list[Work]:
        await anyio.sleep(MINUTE * (3 - ev.n))
        return [Work(n) for n in range(ev.n)]

    @step
    async def close_group(parts: list[Done]) -> Part:
        return Part([part.n for part in parts])

    @step
    async def finish(parts: list[Part]) -> StopEvent:
        return StopEvent(result=[part.numbers for part in parts])

    return Workflow("nested", [begin, open_group, done, close_group, finish])


@example([0, 1, 10, 11])
def gather_of_the_outer_fan_out() -> Workflow[Any]:
    """Each gather is bound to the fan-outs that `Gather(of=...)` names.

    It has what comes out of the inner ones in the order of both, although the first of each takes
    a way that is longer.
    """

    @step
    async def outer(ev: StartEvent) -> list[Group]:
        return [Group(0), Group(10)]

    @step
    async def inner(ev: Group) -> list[Approved | Work]:
        await anyio.sleep(HOUR if ev.n == 0 else MINUTE)
        return [Approved(ev.n), Work(ev.n + 1)]

    @step
    async def detour(ev: Approved) -> Work:
        await anyio.sleep(2 * HOUR)
        return Work(ev.n)

    @step
    async def both(ev: Work) -> tuple[Done, Part]:
        await anyio.sleep(MINUTE)
        return Done(ev.n), Part([ev.n])

    @step
    async def of_inner(parts: list[Part]) -> None:
        await anyio.sleep(MINUTE)

    @step
    async def finish(parts: Annotated[list[Done], Gather(of=outer)]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    return Workflow("of", [outer, inner, detour, both, of_inner, finish])


@example([0, 1, 2])
def alternatives_share_a_gather() -> Workflow[Any]:
    """Alternatives may share a gather; `of` takes a step or a list of steps."""

    @step
    async def begin(ev: StartEvent) -> Group | Approved:
        await checkpoint()
        return Approved(3)

    @step
    async def few(ev: Group) -> list[Work]:
        return [Work(0)]

    @step
    async def many(ev: Approved) -> list[Work]:
        return [Work(n) for n in range(ev.n)]

    @step
    async def finish(parts: Annotated[list[Done], Gather(of=[few, many])]) -> StopEvent:
        return StopEvent(result=[part.n for part in parts])

    return Workflow("alternatives", [begin, few, many, done, finish])


@example(["NoHandlerError", "Done", "stray"])
def gathered_type_outside_its_scope() -> Workflow[Any]:
    """An event of its type outside every bound scope counts as unhandled."""

    @step
    async def begin(ev: StartEvent) -> Approved | Group:
        return Approved(0)

    @step
    async def fan(ev: Group) -> list[Work]:
        return [Work(0)]

    @step
    async def stray(ev: Approved) -> Done:
        await anyio.sleep(MINUTE)
        return Done(1)

    return Workflow("stray", [begin, fan, done, stray, total])


@example(list(range(7)))
def crawler() -> Workflow[Any]:
    """A step that fans out to its own input type neither nests without end nor leaks."""

    @step
    async def begin(ev: StartEvent) -> Work:
        return Work(0)

    @step(max_concurrency=2)
    async def visit(ev: Work) -> list[Work | Done]:
        await anyio.sleep(MINUTE)
        return [Done(ev.n), *(Work(n) for n in (2 * ev.n + 1, 2 * ev.n + 2) if n < 7)]

    @step
    async def finish(found: list[Done]) -> StopEvent:
        return StopEvent(result=sorted(each.n for each in found))

    return Workflow("crawler", [begin, visit, finish])


@example([1, 4, 2, 3, 11, 12])
def order_within_a_branch() -> Workflow[Any]:
    """Within one branch: by cause, then in the order sent."""

    @step
    async def begin(ev: StartEvent) -> list[Group]:
        return [Group(0), Group(10)]

    @step
    async def group(ev: Group, ctx: Context) -> tuple[Work, Work, Done] | Done:
        ctx.send_event(Done(ev.n + 1))
        await anyio.sleep(HOUR if ev.n == 0 else MINUTE)
        return (Work(2), Work(3), Done(4)) if ev.n == 0 else Done(ev.n + 2)

    return Workflow("branch", [begin, group, done, total])


# ---- the token rule ----------------------------------------------------------------------------


@example([0, 0, 1, 10])
def once_per_accepting_step() -> Workflow[Any]:
    """The token rule: an event counts once per accepting step."""

    @step
    async def tenfold(ev: Work) -> Done:
        await anyio.sleep(2 * HOUR)
        return Done(10 * ev.n)

    @step
    async def finish(parts: list[Done]) -> StopEvent:
        return StopEvent(result=sorted(part.n for part in parts))

    return Workflow("tokens", [split(2), done, tenfold, finish])


class Later(Event):
    n: int


class Decision(Event):
    n: int


@example([0, 1, 2, 3, 4], script=answering({"how many?": 2, "how many more?": 3}))
def scope_is_live_while_anything_of_it_is() -> Workflow[Any]:
    """A scope is live while it has deliveries delayed, a waiting step or an open request."""

    @step
    async def begin(ev: StartEvent) -> list[Later | Work | Group | Decision]:
        return [Later(0), Work(1), Group(0), Decision(3), Work(4)]

    @step
    async def later(ev: Later, ctx: Context) -> None:
        await checkpoint()
        ctx.send_event(Done(ev.n), delay=5 * HOUR)
        ctx.send_event(Approved(1), delay=4 * HOUR)

    @step(waits=[Approved])
    async def wait(ev: Work, ctx: Context) -> Done:
        return Done(ev.n if ev.n == 4 else (await ctx.wait_for_event(Approved)).n)

    @step
    async def ask(ev: Group) -> InputRequestEvent:
        await checkpoint()
        return InputRequestEvent("how many?")

    @step
    async def answered(ev: InputResponseEvent) -> Done:
        return Done(ev.response)

    @step
    async def decide(ev: Decision, ctx: Context) -> Done:
        return Done(await ctx.request_input("how many more?"))

    return Workflow("live", [begin, later, wait, ask, answered, decide, total])


@example([0, -1, 2, 3])
def failure_inherits_the_token() -> Workflow[Any]:
    """A retry keeps the token; `StepFailed` inherits it."""

    @step(retry=tries(2))
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(MINUTE)
        if ev.n == 1 or (ev.n == 2 and ctx.attempt == 1):
            raise FlakyError("broken")
        return Done(ev.n)

    @step
    async def mend(failure: StepFailed) -> Done:
        await anyio.sleep(MINUTE)
        return Done(-1)

    return Workflow("failures", [split(4), work, mend, total])


@example(["gave up", 2])
def exhausted_generator_abandons_its_scope() -> Workflow[Any]:
    """When its retries are exhausted the scope is abandoned and `StepFailed` goes to the parent."""

    @step(retry=tries(2))
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        yield Work(0)
        await anyio.sleep(MINUTE)
        yield Work(1)
        raise FlakyError("the last page is missing")

    @step
    async def forever(ev: Work) -> Done:
        await anyio.sleep_forever()
        return Done(ev.n)

    @step
    async def give_up(failure: StepFailed) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=["gave up", failure.attempts])

    return Workflow("exhausted", [pages, forever, total, give_up])


@example([0, 1, 2, 3, 4])
def backpressure() -> Workflow[Any]:
    """With `max_pending=n` a generator waits at its `yield` until there is room; no slot held."""

    @step
    async def pages(ev: StartEvent) -> AsyncIterator[Work]:
        for n in range(5):
            yield Work(n)

    @step(max_concurrency=1, max_pending=1)
    async def work(ev: Work) -> Done:
        await anyio.sleep(MINUTE)
        return Done(ev.n)

    return Workflow("backpressure", [pages, work, total], max_concurrency=1)


@example(["0 before", "1 before", "2 before", "3"])
def gather_before_what_follows() -> Workflow[Any]:
    """The gather fires after everything in its scope."""

    @step
    async def work(ev: Work, ctx: Context) -> Done:
        await anyio.sleep(MINUTE * (1 + ev.n))
        ctx.state.apply("notes", lambda notes: [*notes, f"{ev.n} before"], [])
        return Done(ev.n)

    @step
    async def finish(parts: list[Done], ctx: Context) -> StopEvent:
        notes = ctx.state["notes"]
        return StopEvent(result=[*sorted(notes), str(len(parts))])

    return Workflow("after", [split(3), work, finish])

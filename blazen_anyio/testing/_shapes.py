"""The shapes of the stages that random workflows are made of.

A stage is a few steps between one event type and the next. Its function adds them to a building and
returns what number comes out for the number that goes in: the model that every run is held against.
A fold that depends on the order (``_fold``) shows whether a gather keeps the order of its fan-out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio

from .._context import Context
from .._events import StepFailed
from .._exceptions import StateConflictError
from .._retry import Retry
from .._steps import Batch, Gather, step
from .._workflow import Workflow
from ._building import (
    Answer,
    Ask,
    Building,
    Done,
    In,
    Item,
    Left,
    Numbered,
    Part,
    PartDone,
    Ping,
    Right,
    make_step,
    many,
    marked,
    stream,
)
from ._faults import InjectedError

__all__ = ["SHAPES"]


def _fold(parts: Sequence[Numbered]) -> int:
    total = 7
    for part in parts:
        total = total * 31 + part.n
    return total % 1_000_003


def _each(build: Building, i: int, n: int) -> int:
    """One step after another."""
    pace, after = build.pace(), In.at(i + 1)

    async def each(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return after(ev.n * 2 + 1)

    build.add(each, In.at(i), after, name=f"each{i}", **build.options())
    return n * 2 + 1


def _split(build: Building, i: int, width: int) -> None:
    async def split(ev: Any, ctx: Context) -> Any:
        return [Item.at(i)(ev.n + k) for k in range(width)]

    build.add(split, In.at(i), many(Item.at(i)), name=f"split{i}")


def _join(build: Building, i: int) -> None:
    after = In.at(i + 1)

    async def join(ev: Any, ctx: Context) -> Any:
        return after(_fold(ev))

    build.add(join, many(Done.at(i)), after, name=f"join{i}")


def _fan(build: Building, i: int, n: int) -> int:
    """A fan-out and its gather."""
    width, pace = build.choose(range(5)), build.pace()
    _split(build, i, width)

    async def work(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return Done.at(i)(ev.n + 1)

    build.add(work, Item.at(i), Done.at(i), name=f"work{i}", **build.options())
    _join(build, i)
    return _fold([Numbered(n + k + 1) for k in range(width)])


def _race(build: Building, i: int, n: int) -> int:
    """The first of several count, the others are cancelled."""
    width, count, pace = build.choose(range(2, 5)), build.choose((1, 2)), build.pace()
    _split(build, i, width)

    async def work(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return Done.at(i)(ev.n)

    async def first(ev: Any, ctx: Context) -> Any:
        return In.at(i + 1)(len(ev))

    build.add(work, Item.at(i), Done.at(i), name=f"work{i}", **build.options())
    gathered = marked(Done.at(i), Gather(count=count))
    build.add(first, gathered, In.at(i + 1), name=f"first{i}")
    return count


def _nested(build: Building, i: int, n: int) -> int:
    """A fan-out inside a fan-out."""
    width, inner, pace = build.choose((1, 2, 3)), build.choose((0, 1, 2)), build.pace()
    _split(build, i, width)

    async def again(ev: Any, ctx: Context) -> Any:
        return [Part.at(i)(ev.n + k) for k in range(inner)]

    async def leaf(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return PartDone.at(i)(ev.n * 3)

    async def gather(ev: Any, ctx: Context) -> Any:
        return Done.at(i)(_fold(ev))

    build.add(again, Item.at(i), many(Part.at(i)), name=f"again{i}")
    build.add(leaf, Part.at(i), PartDone.at(i), name=f"leaf{i}", **build.options())
    build.add(gather, many(PartDone.at(i)), Done.at(i), name=f"gather{i}")
    _join(build, i)
    parts = [[Numbered((n + k + j) * 3) for j in range(inner)] for k in range(width)]
    return _fold([Numbered(_fold(part)) for part in parts])


def _pages(build: Building, i: int, n: int) -> int:
    """A generator, perhaps with backpressure."""
    width, seconds, pace = build.choose(range(4)), build.choose((None, 1.0)), build.pace()

    async def pages(ev: Any, ctx: Context) -> AsyncIterator[Any]:
        for k in range(width):
            if seconds is not None:
                await anyio.sleep(seconds)
            yield Item.at(i)(ev.n + k)

    async def work(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return Done.at(i)(ev.n)

    build.add(pages, In.at(i), stream(Item.at(i)), name=f"pages{i}")
    options = {**build.options(), "max_pending": build.choose((None, 1))}
    build.add(work, Item.at(i), Done.at(i), name=f"work{i}", **options)
    _join(build, i)
    return _fold([Numbered(n + k) for k in range(width)])


def _batches(build: Building, i: int, n: int) -> int:
    """Batches in order of arrival, and a gather of the batches."""
    width, size = build.choose(range(1, 6)), build.choose((1, 2, 3))
    _split(build, i, width)

    async def batch(ev: Any, ctx: Context) -> Any:
        return Done.at(i)(sum(each.n for each in ev))

    async def total(ev: Any, ctx: Context) -> Any:
        return In.at(i + 1)(sum(each.n for each in ev))

    batched = marked(Item.at(i), Batch(size))
    build.add(batch, batched, Done.at(i), name=f"batch{i}", **build.options())
    build.add(total, many(Done.at(i)), In.at(i + 1), name=f"total{i}")
    return sum(n + k for k in range(width))


def _pairs(build: Building, i: int, n: int) -> int:
    """Two halves of each item meet again."""
    width, pace = build.choose((1, 2, 3)), build.pace()
    _split(build, i, width)

    async def halve(ev: Any, ctx: Context) -> Any:
        ctx.send_event(Left.at(i)(ev.n))
        return Part.at(i)(ev.n)

    async def grow(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return Right.at(i)(ev.n * 10)

    async def meet(left: Any, right: Any, ctx: Context) -> Any:
        return Done.at(i)(left.n + right.n)

    left, part, right = Left.at(i), Part.at(i), Right.at(i)
    build.add(halve, Item.at(i), part, name=f"halve{i}", emits=[left, part])
    build.add(grow, part, right, name=f"grow{i}", **build.options())
    meet.__annotations__ = {"left": left, "right": right, "ctx": Context, "return": Done.at(i)}
    build.steps.append(step(meet, name=f"meet{i}"))
    _join(build, i)
    return _fold([Numbered((n + k) * 11) for k in range(width)])


def _waits(build: Building, i: int, n: int) -> int:
    """A step that waits inside for an event that comes later."""
    delay = build.choose((0.0, 1.0, 3.0))
    ping, after = Ping.at(i), In.at(i + 1)

    async def wait(ev: Any, ctx: Context) -> Any:
        ctx.send_event(ping(ev.n), delay=delay)
        answer = await ctx.wait_for_event(ping, where=lambda each: each.n == ev.n)
        return after(answer.n + 5)

    build.add(wait, In.at(i), after, name=f"wait{i}", waits=[ping], emits=[ping, after])
    return n + 5


def _asks(build: Building, i: int, n: int) -> int:
    """Several questions to a human inside steps."""
    width = build.choose((1, 2))
    _split(build, i, width)

    async def ask(ev: Any, ctx: Context) -> Any:
        return Done.at(i)(await ctx.request_input("how much?", {"n": ev.n}))

    build.add(ask, Item.at(i), Done.at(i), name=f"ask{i}")
    _join(build, i)
    return _fold([Numbered(n + k + 1) for k in range(width)])


def _later(build: Building, i: int, n: int) -> int:
    """An event with a delay."""
    delay, after = build.choose((0.5, 60.0)), In.at(i + 1)

    async def later(ev: Any, ctx: Context) -> None:
        ctx.send_event(after(ev.n + 2), delay=delay)

    build.add(later, In.at(i), None, name=f"later{i}", emits=[after])
    return n + 2


def _fails(build: Building, i: int, n: int) -> int:
    """A step that fails for good, and the step that takes over."""
    after = In.at(i + 1)

    async def fail(ev: Any, ctx: Context) -> Any:
        raise InjectedError("for good")

    async def recover(ev: StepFailed, ctx: Context) -> Any:
        assert isinstance(ev.event, Numbered), "the failure of the step above"
        return after(ev.event.n + 9)

    attempts = build.choose((1, 2))
    retry = Retry(max_attempts=attempts, initial=1.0, on=InjectedError)
    build.add(fail, In.at(i), after, name=f"fail{i}", retry=retry)
    build.add(recover, StepFailed, after, name=f"recover{i}", for_steps=[f"fail{i}"])
    return n + 9


def _counts(build: Building, i: int, n: int) -> int:
    """Several attempts write one key of the state: conflicts, and no lost update."""
    width, pace, key = build.choose((1, 2, 3)), build.pace(), f"count{i}"
    _split(build, i, width)

    async def count(ev: Any, ctx: Context) -> Any:
        before = ctx.state.get(key, 0)
        await pace(ctx)
        ctx.state[key] = before + 1
        return Done.at(i)(ev.n)

    async def total(ev: Any, ctx: Context) -> Any:
        return In.at(i + 1)(ctx.state.get(key, 0))

    retry = Retry(max_attempts=20, initial=0.1, on=(StateConflictError, InjectedError))
    build.add(count, Item.at(i), Done.at(i), name=f"count{i}", retry=retry)
    build.add(total, many(Done.at(i)), In.at(i + 1), name=f"total{i}")
    return width


def _child(build: Building, i: int, n: int) -> int:
    """A child run, once for all attempts."""
    pace, after = build.pace(), In.at(i + 1)

    async def ask(ev: Any, ctx: Context) -> Any:
        await pace(ctx)
        return Answer(n=ev.n + 4)

    async def parent(ev: Any, ctx: Context) -> Any:
        kept = await ctx.once("kept", lambda: ev.n)
        answer = await ctx.run_workflow(child, Ask(n=kept))
        return after(answer.n)

    child = Workflow(
        f"child{i}",
        [make_step(ask, Ask, Answer, name="ask")],
        stop=Answer,
        retry=Retry(max_attempts=8),
    )
    build.add(parent, In.at(i), after, name=f"parent{i}", **build.options())
    return n + 4


def _thread(build: Building, i: int, n: int) -> int:
    """A step in a worker thread."""
    after = In.at(i + 1)

    def thread(ev: Any, ctx: Context) -> Any:
        ctx.state["threads"] = ctx.attempt
        return after(ev.n + 6)

    build.add(thread, In.at(i), after, name=f"thread{i}")
    return n + 6


SHAPES: tuple[Callable[[Building, int, int], int], ...] = (
    _each,
    _fan,
    _race,
    _nested,
    _pages,
    _batches,
    _pairs,
    _waits,
    _asks,
    _later,
    _fails,
    _counts,
    _child,
    _thread,
)
"""The shapes of stages."""

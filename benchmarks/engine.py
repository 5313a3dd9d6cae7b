"""The workloads on the engine. Workflows are built once, as in a program; runs are made anew."""

from __future__ import annotations

import anyio.lowlevel

from blazen_anyio import Event, StartEvent, StopEvent, Workflow, step


class Chain(StartEvent):
    """Starts a chain of ``hops`` hops."""

    hops: int


class Hop(Event):
    """One link of a chain."""

    number: int
    hops: int


class FanOut(StartEvent):
    """Starts a fan-out of ``items`` items."""

    items: int


class Work(Event):
    """One item of a fan-out."""

    number: int


class Done(Event):
    """The result of one item."""

    number: int


class Begin(StartEvent):
    """Starts a short run."""

    count: int


class Middle(Event):
    """Between the steps of a short run."""

    count: int


class Last(Event):
    """Between the steps of a short run."""

    count: int


class Finish(StopEvent):
    """Ends a run with a number."""

    number: int


@step
async def begin_chain(event: Chain) -> Hop:
    return Hop(0, event.hops)


@step
async def hop(event: Hop) -> Hop | Finish:
    number = event.number + 1
    return Finish(number=number) if number == event.hops else Hop(number, event.hops)


@step(name="hop")
async def suspending_hop(event: Hop) -> Hop | Finish:
    await anyio.lowlevel.checkpoint()
    number = event.number + 1
    return Finish(number=number) if number == event.hops else Hop(number, event.hops)


@step
async def split(event: FanOut) -> list[Work]:
    return [Work(number) for number in range(event.items)]


@step
async def work(event: Work) -> Done:
    return Done(event.number)


@step(name="work")
async def suspending_work(event: Work) -> Done:
    await anyio.lowlevel.checkpoint()
    return Done(event.number)


@step
async def gather(events: list[Done]) -> Finish:
    return Finish(number=sum(event.number for event in events))


@step
async def first(event: Begin) -> Middle:
    return Middle(event.count + 1)


@step
async def second(event: Middle) -> Last:
    return Last(event.count + 1)


@step
async def third(event: Last) -> Finish:
    return Finish(number=event.count + 1)


CHAIN = Workflow("chain", [begin_chain, hop], stop=Finish)
SUSPENDING_CHAIN = Workflow("suspending chain", [begin_chain, suspending_hop], stop=Finish)
UNRECORDED_CHAIN = Workflow("unrecorded chain", [begin_chain, hop], stop=Finish, history=0)
FAN_OUT = Workflow("fan-out", [split, work, gather], stop=Finish)
SUSPENDING_FAN_OUT = Workflow("suspending fan-out", [split, suspending_work, gather], stop=Finish)
SHORT = Workflow("short", [first, second, third], stop=Finish)


async def chain(hops: int, *, suspend: bool = False) -> int:
    """Pass one event on from step to step, ``hops`` times."""
    workflow = SUSPENDING_CHAIN if suspend else CHAIN
    return (await workflow.run(Chain(hops=hops))).number


async def unrecorded_chain(hops: int) -> int:
    """Like :func:`chain`, with the history off."""
    return (await UNRECORDED_CHAIN.run(Chain(hops=hops))).number


async def fan_out(items: int, *, suspend: bool = False) -> int:
    """Fan out to ``items`` events, do each, and gather the results."""
    workflow = SUSPENDING_FAN_OUT if suspend else FAN_OUT
    return (await workflow.run(FanOut(items=items))).number


async def short_runs(runs: int) -> int:
    """Start and finish ``runs`` runs of three steps, one after another."""
    total = 0
    for _ in range(runs):
        total += (await SHORT.run(Begin(count=0))).number
    return total

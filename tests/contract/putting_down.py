"""Pause, snapshot, suspend, resume: what a run is like when it goes on."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import anyio
import attrs
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    Event,
    EventStream,
    Run,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .example import HOUR, MINUTE, example
from .scripts import beside
from .vocabulary import Done, Work, three


async def _pause_and_send(run: Run[Any], stream: EventStream) -> None:
    try:
        for n in range(3):
            run.pause()
            run.send_event(Work(n))
            await anyio.sleep(HOUR)
            run.resume()
            await anyio.sleep(HOUR)
    except RunEndedError:
        return


@step(max_concurrency=1)
async def orders(ev: Work, ctx: Context) -> StopEvent | None:
    """Ends the run when the orders 0, 1 and 2 are in; one that is sent again counts once."""
    numbers = sorted({*ctx.state.get("orders", []), ev.n})
    await anyio.sleep(MINUTE)
    ctx.state["orders"] = numbers
    return StopEvent(result=numbers) if len(numbers) == 3 else None


@step
async def idle(ev: StartEvent) -> None:
    await checkpoint()


@example([0, 1, 2], script=beside(_pause_and_send))
def inputs_are_taken_while_paused() -> Workflow[Any]:
    """`pause()` stops dispatch at once; inputs are accepted; `resume()` continues in place."""
    return Workflow("orders", [idle, orders], external=[Work])


async def _pause_for_good(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        await anyio.sleep(MINUTE / 2)
        run.pause()
        return [await run.result(), run.status]


@example(["late", "completed"], script=_pause_for_good)
def completed_while_paused() -> Workflow[Any]:
    """What is running goes on; a run that completes while paused is completed."""

    @step
    async def work(ev: StartEvent) -> StopEvent:
        await anyio.sleep(HOUR)
        return StopEvent(result="late")

    return Workflow("paused", [work])


async def _leave_paused(run: Run[Any], workflow: Workflow[Any]) -> Any:
    try:
        async with run:
            run.pause()
    except RunSuspendedError as error:
        snapshot = error.snapshot
    async with workflow.resume(snapshot) as again:
        return [run.status, await again.result()]


@example(["suspended", [0, 1, 2]], script=_leave_paused)
def left_while_paused() -> Workflow[Any]:
    """It is suspended, and the exit raises the error that carries the snapshot."""
    return three("left")


KEY = b"a secret of the application's"


def _suspending(grace: float) -> Callable[..., Any]:
    async def script(run: Run[Any], workflow: Workflow[Any]) -> Any:
        async with run:
            await anyio.sleep(MINUTE / 2)
            try:
                text = (await run.suspend(grace=grace)).to_json(key=KEY)
            except RunEndedError:
                return await run.result()
        snapshot = Snapshot.from_json(text, key=KEY)
        async with workflow.resume(snapshot) as again:
            assert again.run_id == run.run_id
            return await again.result()

    return script


@example([0, 1, 2], script=_suspending(0))
def suspended_at_once() -> Workflow[Any]:
    """`suspend(grace=5)` cancels the rest (their events go back to the queue).

    A digest, optionally keyed.
    """
    return three("suspended")


@example([0, 1, 2], script=_suspending(1.5 * MINUTE))
def suspended_with_grace() -> Workflow[Any]:
    """... gives running steps `grace` seconds."""
    return three("grace")


@example("order-7", fields={"run_id": "order-7"})
def run_keeps_its_id() -> Workflow[Any]:
    """`workflow.resume(snapshot)` is `start` from there: same run id."""

    @step
    async def work(ev: StartEvent) -> Done:
        await anyio.sleep(MINUTE)
        return Done(0)

    @step
    async def tell(ev: Done, ctx: Context) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=ctx.run_id)

    return Workflow("id", [work, tell])


class Parcel(Event, event_type="shop.Parcel"):
    weight: int


class Package(Event, event_type="shop.Package"):
    weight: int


def _renamed() -> Workflow[Any]:
    return _shop("store", Package, "deliver")


@example(
    5,
    later=_renamed,
    renames={"shop": "store", "ship": "deliver", "shop.Parcel": "shop.Package"},
)
def renames() -> Workflow[Any]:
    """`renames={old: new}` maps steps and types."""
    return _shop("shop", Parcel, "ship")


def _shop(name: str, kind: type[Any], ship: str) -> Workflow[Any]:
    async def begin(ev: StartEvent) -> Any:
        await checkpoint()
        return kind(5)

    async def deliver(ev: Any) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=ev.weight)

    begin.__annotations__["return"] = kind
    deliver.__annotations__["ev"] = kind
    return Workflow(name, [step(begin), step(name=ship)(deliver)])


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Point:
    x: int


@dataclass(frozen=True)
class Label:
    text: str


VALUES: dict[str, Any] = {
    "big": 10**30,
    "float": 0.1,
    "infinite": -math.inf,
    "tuple": (1, (2, [3])),
    "keys": {1: "one", (2, 3): "pair", None: 0},
    "decimal": Decimal("1.10"),
    "moment": datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    "day": date(2026, 2, 3),
    "span": timedelta(days=1, microseconds=1),
    "id": UUID(int=7),
    "bytes": b"\x00\xff",
    "sets": [{1, 2}, frozenset({"a"})],
    "enum": Colour.RED,
    "attrs": Point(1),
    "dataclass": Label("new"),
    "text": "\ud800 \U0001f600",
}


class Carried(Event):
    values: dict[str, Any]


@example([True, True, True])
def values_come_back_equal() -> Workflow[Any]:
    """Values come back equal and of the same type (big ints, NaN, tuples, int keys, ...)."""

    @step
    async def begin(ev: StartEvent, ctx: Context) -> Carried:
        ctx.state["values"] = {**VALUES, "nan": math.nan}
        await checkpoint()
        return Carried(VALUES)

    @step
    async def compare(ev: Carried, ctx: Context) -> StopEvent:
        await anyio.sleep(MINUTE)
        kept = dict(ctx.state["values"])
        nan = kept.pop("nan")
        same = [repr(kept) == repr(VALUES), repr(dict(ev.values)) == repr(VALUES)]
        return StopEvent(result=[*same, math.isnan(nan)])

    return Workflow("values", [begin, compare], types=[Colour, Point, Label])

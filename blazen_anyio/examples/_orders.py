"""The orders of the web service: the workflow, and its runs in the application's task group.

The rule: a run belongs to the application and never to a request. So whoever watches one may go
away and come back; and when the application ends, its runs are put down and not lost.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from blazen_anyio import (
    Context,
    Event,
    InputRequestEvent,
    Run,
    RunBusyError,
    RunEndedError,
    RunSuspendedError,
    SnapshotError,
    StartEvent,
    StopEvent,
    Store,
    StoredStatus,
    Workflow,
    WorkflowError,
    step,
)

__all__ = ["Live", "Order", "Orders", "ordering"]

logger = logging.getLogger("orders")

MOST_WITHOUT_QUESTION = 20
ENDED_KEPT = 1000
GRACE = 2.0
UNFINISHED: tuple[StoredStatus, ...] = ("running", "suspended")


# ---- the workflow ------------------------------------------------------------------------------


class Order(StartEvent, event_type="orders.Order"):
    """What somebody wants; ``seconds`` is how long pricing each item takes."""

    items: tuple[str, ...]
    seconds: float = 0.0


class Item(Event, event_type="orders.Item"):
    """One item of an order."""

    name: str
    seconds: float


class Priced(Event, event_type="orders.Priced"):
    """One item with its price."""

    name: str
    price: int


class Invoice(StopEvent, event_type="orders.Invoice"):
    """What an order costs, and whether it goes out."""

    total: int
    accepted: bool


@step
async def split(order: Order) -> list[Item]:
    """Fan out to one event for each item."""
    return [Item(name, order.seconds) for name in order.items]


@step(max_concurrency=8)
async def price(item: Item, ctx: Context) -> Priced:
    """Find the price of an item, and show it to those who watch."""
    await anyio.sleep(item.seconds)
    priced = Priced(item.name, len(item.name))
    ctx.write_event_to_stream(priced)
    return priced


@step
async def add_up(prices: list[Priced], ctx: Context) -> Invoice:
    """Add up, and ask a human about what is expensive."""
    total = sum(priced.price for priced in prices)
    accepted = True
    if total > MOST_WITHOUT_QUESTION:
        answer = await ctx.request_input(f"{total}: send it?", {"choices": ["yes", "no"]})
        accepted = answer == "yes"
    return Invoice(total=total, accepted=accepted)


def ordering() -> Workflow[Invoice]:
    """Build the workflow."""
    return Workflow("ordering", [split, price, add_up], stop=Invoice)


# ---- the runs of the application ---------------------------------------------------------------


@attrs.define(eq=False)
class Live:
    """A run of this process, and what it has shown, for clients that come late or come back."""

    run: Run[Invoice]
    shown: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    changed: anyio.Event = attrs.field(factory=anyio.Event)
    ended: bool = False

    def show(self, kind: str, **data: object) -> None:
        """Show something to all clients that watch, now or later."""
        self.shown.append({"type": kind, **data})
        self._change()

    def end(self) -> None:
        """Nothing more will be shown."""
        self.ended = True
        self._change()

    def _change(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class Orders:
    """The runs of this process, in a task group of the application's.

    Args:
        store: keeps the runs; it is open for as long as the task group.
        group: where the runs live.
    """

    def __init__(self, store: Store, group: TaskGroup) -> None:
        self._store = store
        self._group = group
        self._workflow = ordering()
        self._live: dict[str, Live] = {}

    async def recover(self) -> None:
        """Go on with what an earlier process has left."""
        for status in UNFINISHED:
            for stored in await self._store.list(workflow=self._workflow.name, status=status):
                try:
                    await self._go(self._workflow.resume_from(self._store, stored.run_id))
                except (RunBusyError, SnapshotError) as error:
                    logger.warning("run %s is left as it is: %s", stored.run_id, error)

    async def put_down(self) -> None:
        """Put all runs down, so that the next process can go on with them."""
        async with anyio.create_task_group() as group:
            for live in self._live.values():
                group.start_soon(_put_down, live)

    async def begin(self, order: Order) -> str:
        """Begin an order; it is stored when this returns its run id."""
        run = self._workflow.start(order, store=self._store)
        await self._go(run)
        return run.run_id

    async def _go(self, run: Run[Invoice]) -> None:
        await self._group.start(self._execute, run, name=f"order {run.run_id}")

    async def _execute(self, run: Run[Invoice], *, task_status: TaskStatus[None]) -> None:
        """Run to the end. What fails once it has begun stays here: it would end all the others."""
        live = Live(run)
        try:
            async with run:
                async with run.stream_events(overflow="block") as stream:
                    self._live[run.run_id] = live
                    task_status.started()
                    async for event in stream:
                        _show(live, event)
                invoice = await run.result()
                live.show("invoice", total=invoice.total, accepted=invoice.accepted)
        except WorkflowError as error:
            if run.run_id not in self._live:
                raise  # it has not begun: an error of who began it
            if not isinstance(error, RunSuspendedError):
                logger.error("order %s failed", run.run_id, exc_info=error)
                live.show("failed", error=type(error).__name__)
        finally:
            live.end()
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        ended = [run_id for run_id, live in self._live.items() if live.ended]
        for run_id in ended[: max(0, len(ended) - ENDED_KEPT)]:
            del self._live[run_id]

    async def get(self, run_id: str) -> Live | None:
        """A run of this process, or one that has completed before, for its result."""
        if run_id not in self._live:
            stored = await self._store.load(run_id)
            if stored is not None and stored.status == "completed":
                await self._go(self._workflow.resume_from(self._store, run_id))
        return self._live.get(run_id)

    async def status(self, run_id: str) -> Mapping[str, object] | None:
        """How a run is doing; ``None`` if there is none."""
        live = self._live.get(run_id)
        if live is not None and not live.ended:
            requests = [
                {"request_id": request.request_id, "prompt": request.prompt}
                for request in live.run.requests
            ]
            return {"run_id": run_id, "status": live.run.status, "requests": requests}
        stored = await self._store.load(run_id)
        if stored is None:
            return None
        return {"run_id": run_id, "status": stored.status, "note": stored.note}


async def _put_down(live: Live) -> None:
    with suppress(RunEndedError):
        await live.run.suspend(grace=GRACE)


def _show(live: Live, event: Event) -> None:
    if isinstance(event, Priced):
        live.show("priced", name=event.name, price=event.price)
    else:
        assert isinstance(event, InputRequestEvent)
        live.show("question", request_id=event.request_id, prompt=event.prompt)

"""A durable run over a database that fails: it ends with a StoreError, and goes on from the store.

Faults at each call of the standard library's sqlite3, in real time: the store's thread can't be
seen by a virtual clock.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from stores.hasty import HastyStore
from stores.test_statement_faults import Fault, FaultyStore

from blazen_anyio import (
    Context,
    Event,
    Retry,
    RunBusyError,
    StartEvent,
    StopEvent,
    StoreError,
    Workflow,
    step,
)

pytestmark = pytest.mark.anyio

STRIDE = 1 if os.environ.get("BLAZEN_FAULTS") == "all" else 7
ITEMS = 4


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Order(StartEvent, event_type="faulty.Order"):
    items: int


class Item(Event, event_type="faulty.Item"):
    number: int


class Done(Event, event_type="faulty.Done"):
    number: int
    charged: int


class Receipt(StopEvent, event_type="faulty.Receipt"):
    numbers: list[int]
    count: int
    ticks: int


class Tick(Event, event_type="faulty.Tick"):
    number: int


class Flaky(Exception):
    pass


def make_workflow(charges: list[int]) -> Workflow[Receipt]:
    """The workflow; ``charges`` gets what is done outside the store."""

    @step
    async def split(order: Order) -> list[Item]:
        return [Item(number) for number in range(order.items)]

    @step(retry=Retry(initial=0.0, on=Flaky))
    async def work(item: Item, ctx: Context) -> Done:
        def charge() -> int:
            charges.append(item.number)
            return item.number * 10

        charged = await ctx.once("charge", charge)
        if item.number == 1 and ctx.attempt == 1:
            raise Flaky
        ctx.state.apply("count", lambda count: count + 1, 0)
        ctx.send_event(Tick(item.number), delay=0.001)
        return Done(item.number, charged)

    @step
    async def tick(ev: Tick, ctx: Context) -> None:
        ctx.state.apply("ticks", lambda count: count + 1, 0)

    @step
    async def bill(done: list[Done], ctx: Context) -> Receipt:
        assert [each.charged for each in done] == [10 * each.number for each in done]
        numbers = [each.number for each in done]
        return Receipt(numbers=numbers, count=ctx.state["count"], ticks=ctx.state["ticks"])

    return Workflow("faulty", [split, work, tick, bill], stop=Receipt)


async def run_with(fault: Fault, path: Path) -> list[StoreError]:
    """Run over a database with a fault, then over a healthy one; what was raised."""
    charges: list[int] = []
    errors: list[StoreError] = []
    workflow = make_workflow(charges)
    store = FaultyStore(path)
    store.fault = fault
    try:
        async with store:
            await workflow.run(Order(items=ITEMS), store=store, run_id="run-1")
    except StoreError as error:
        errors.append(error)
    begun = len(charges)
    async with HastyStore(path) as store:
        receipt = await workflow.run(Order(items=ITEMS), store=store, run_id="run-1")
        rows = await store.read("run-1")
    assert receipt == Receipt(numbers=list(range(ITEMS)), count=ITEMS, ticks=ITEMS)
    assert rows is not None
    assert [row.key for row in rows[1]] == ["result"]
    # Of what was charged before the fault, only what was not stored yet is charged again.
    assert set(charges) == set(range(ITEMS))
    assert len(charges) <= ITEMS + begun
    return errors


@pytest.mark.parametrize("after", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
async def test_a_run_over_a_failing_database_can_be_resumed(
    tmp_path: Path, after: bool, stays: bool
) -> None:
    fault = Fault()
    assert await run_with(fault, tmp_path / "calm.db") == []
    failures = 0
    for at in range(1 + fault.calls % STRIDE, fault.calls + 1, STRIDE):
        fault = Fault(at, after=after, stays=stays)
        for error in await run_with(fault, tmp_path / f"{at}.db"):
            failures += 1
            assert not isinstance(error, RunBusyError)
            assert isinstance(root_of(error), sqlite3.Error)
    assert failures > 5


def root_of(error: BaseException) -> BaseException:
    """What was at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


async def test_a_store_that_is_closed_too_early_fails_the_run(tmp_path: Path) -> None:
    """And the run can be resumed from there."""
    workflow = make_workflow([])
    store = HastyStore(tmp_path / "runs.db")
    await store.__aenter__()
    with pytest.raises(StoreError, match="closed"):
        async with workflow.start(Order(items=ITEMS), store=store, run_id="run-1") as run:
            await store.__aexit__(None, None, None)
            await run.result()
    async with store:
        receipt = await workflow.run(Order(items=ITEMS), store=store, run_id="run-1")
        assert receipt.numbers == list(range(ITEMS))

"""What the machine does for observers: it keeps a text of theirs, and tells what it drops."""

from __future__ import annotations

from typing import Annotated

import pytest
from sheets import in_sheets

from blazen_anyio import Event, Gather, StartEvent, StopEvent, Workflow, step
from blazen_anyio._machine import Delivery, Machine, Tables, in_rows


class Item(Event, event_type="machine.observed.Item"):
    n: int


class Done(Event, event_type="machine.observed.Done"):
    n: int


@step
async def begin(ev: StartEvent) -> list[Item]:
    return []


@step(max_concurrency=1)
async def work(ev: Item) -> Done:
    return Done(ev.n)


@step
async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
    return StopEvent()


PLAN = Workflow("observed", [begin, work, first]).graph.plan


@pytest.mark.parametrize("gated", [False, True])
def test_a_text_that_is_kept_is_in_the_next_commit_and_comes_back(gated: bool) -> None:
    machine, tables = Machine(PLAN, "r", gated=gated, journaled=True), Tables()
    machine.start(StartEvent(), 0)
    machine.keep("text", 1)
    for delta in machine.deltas:
        tables.apply(delta)
    assert tables.run[0].carrier == "text"
    assert tables == in_rows(machine.snapshot(1))
    assert Machine.restore(PLAN, "r", in_sheets(tables), 2).carrier == "text"


def test_a_text_that_is_kept_makes_no_commit_of_a_run_that_is_not_stored() -> None:
    machine = Machine(PLAN, "r")
    machine.start(StartEvent(), 0)
    machine.keep("text", 1)
    assert not machine.deltas
    assert in_rows(machine.snapshot(1)).run[0].carrier == "text"


def test_a_run_that_has_ended_commits_nothing_more() -> None:
    machine = Machine(PLAN, "r", journaled=True)
    machine.start(StartEvent(), 0)
    machine.cancel(1)
    machine.deltas.clear()
    machine.keep("text", 2)
    assert not machine.deltas


def test_what_is_dropped_is_told_and_what_is_cancelled_is_not() -> None:
    """A running attempt is the runner's: it reports it itself."""
    dropped: list[Delivery] = []
    machine = Machine(PLAN, "r")
    machine.tell_drops(dropped.append)
    machine.start(StartEvent(), 0)
    opener = machine.handling.take(0)
    assert opener is not None
    machine.handling.succeeded(opener, [Item(n) for n in range(3)], None, 0)
    item = machine.handling.take(0)
    assert item is not None
    machine.handling.succeeded(item, Done(0), None, 0)
    assert [delivery.records[0].event for delivery in dropped] == [Item(1), Item(2)]

"""What a restored queue holds looks as if its deliveries had been made at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._events import Event
from blazen_anyio._machine import Delivery, Machine, Plan, Sheets, in_rows

from .driver import Boom, Done, Go, Note, Work, gather, make_plan, step
from .test_items import Side, begun, work

PLAN = make_plan(
    step("split", Go, gathers=["join"]),
    step("work", Work, max_concurrency=2),
    step("note", Note),
    step("copy", Note),
    gather("join", Done, count=3),
)


def restored(plan: Plan, sheets: Sheets, *, journaled: bool = False) -> Side:
    """A machine that goes on from there."""
    side = Side(plan, journaled=journaled)
    side.machine = Machine.restore(plan, "run", sheets, 0.0, journaled=journaled)
    side.facts.clear()
    side.machine.tell(side.facts.append)
    side.machine.go_on(0.0)
    return side


def live(side: Side) -> list[Delivery]:
    return list(side.machine._ledger.deliveries())


@given(
    items=st.lists(st.sampled_from([Work, Work, Work, Note, Done]), max_size=9),
    before=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30),
)
def test_a_restored_run_goes_as_one_whose_deliveries_were_made_at_once(
    items: list[type[Event]], before: list[tuple[int, int]], moves: list[tuple[bool, int]]
) -> None:
    """The same facts and rows, whatever had happened before and is taken and reported then."""
    first = begun(PLAN, [kind(n=n) for n, kind in enumerate(items)])  # type: ignore[call-arg]
    for what, which in before:
        if what < 2 or not first.attempts:
            first.take()
            continue
        attempt = first.attempts.pop(which % len(first.attempts))
        if what == 2:
            first.machine.handling.failed(attempt, Boom(), which / 3, 0.0)
        else:
            first.machine.handling.succeeded(attempt, Done(which), None, 0.0)
        first.follow_cancels()
    sheets = first.machine.snapshot(0.0)
    lazy, eager = restored(PLAN, sheets), restored(PLAN, sheets, journaled=True)
    for takes, which in moves:
        for side in (lazy, eager):
            if takes or not side.attempts:
                side.take()
                continue
            side.succeed(which % len(side.attempts), Done(which) if which % 3 else None)
            side.follow_cancels()
            side.machine.tick(which / 2)
        assert lazy.taken == eager.taken
        assert lazy.facts == eager.facts
        assert in_rows(lazy.machine.snapshot(0.0)) == in_rows(eager.machine.snapshot(0.0))
        assert [(each.pending, each.running) for each in lazy.machine.counts()] == [
            (each.pending, each.running) for each in eager.machine.counts()
        ]


def test_nothing_is_made_of_it_before_it_is_next() -> None:
    side = restored(PLAN, begun(PLAN, work(1000)).machine.snapshot(0.0))
    assert live(side) == []
    side.take()
    assert len(live(side)) == 1
    assert side.taken == [(5, "work", [Work(0)])]


def test_what_was_in_flight_is_next_and_need_not_be_made_either() -> None:
    first = begun(PLAN, work(5))
    first.take()
    side = restored(PLAN, first.machine.snapshot(0.0))
    assert live(side) == []
    side.take()
    assert side.taken[0][2] == [Work(0)]


def test_a_delivery_of_an_event_that_another_needs_is_made_at_once() -> None:
    side = restored(PLAN, begun(PLAN, [Note(), Note(), *work(3)]).machine.snapshot(0.0))
    assert [each.step.name for each in live(side)] == ["note", "copy", "note", "copy"]
    first, second = live(side)[:2]
    assert first.records[0] is second.records[0]


def test_a_delivery_that_was_put_off_is_made_at_once() -> None:
    first = begun(PLAN, work(5))
    first.take()
    first.machine.handling.failed(first.attempts.pop(), Boom(), 10.0, 0.0)
    side = restored(PLAN, first.machine.snapshot(0.0))
    assert [each.due for each in live(side)] == [10.0]
    assert side.machine.next_deadline == 10.0


def test_attempts_that_have_failed_are_counted() -> None:
    first = begun(PLAN, work(3))
    first.take()
    first.machine.handling.failed(first.attempts.pop(), Boom(), 0.0, 0.0)
    first.machine.tick(0.0)
    side = restored(PLAN, first.machine.snapshot(0.0))
    assert live(side) == []
    while side.take():
        pass
    side.succeed(0, None)
    side.take()
    assert [each.attempts for each in side.attempts] == [0, 1]


def test_in_a_stored_run_all_are_made_at_once() -> None:
    side = restored(PLAN, begun(PLAN, work(5)).machine.snapshot(0.0), journaled=True)
    assert len(live(side)) == 5


def test_a_snapshot_may_be_restored_twice() -> None:
    sheets = begun(PLAN, work(5)).machine.snapshot(0.0)
    first, second = restored(PLAN, sheets), restored(PLAN, sheets)
    for side in (first, second):
        while side.take():
            side.succeed(0, None)
    assert first.taken == second.taken
    assert len(first.taken) == 6

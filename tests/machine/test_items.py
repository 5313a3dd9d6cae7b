"""The items of a fan-out look as if their deliveries had been made at once."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._events import DynamicEvent, Event
from blazen_anyio._machine import Delivery, Machine, Plan, RawFact, Tables, in_rows
from blazen_anyio._machine.routing import Routing

from .driver import FAN, Done, Go, Note, Work, gather, make_plan, step

LIMITED = make_plan(
    step("split", Go, gathers=["join"]),
    step("work", Work, max_concurrency=2),
    step("note", Note),
    gather("join", Done, count=3),
)


class Side:
    """A machine, driven by the names of its steps; what was told and handed out is kept."""

    def __init__(self, plan: Plan, *, journaled: bool = True) -> None:
        self.machine = Machine(plan, "run", journaled=journaled)
        self.tables = Tables()
        self.facts: list[RawFact] = []
        self.machine.tell(self.facts.append)
        self.taken: list[tuple[int, str, list[Event]]] = []
        self.attempts: list[Delivery] = []
        self.machine.start(Go(), 0.0)

    def take(self) -> bool:
        delivery = self.machine.handling.take(0.0)
        if delivery is not None:
            self.attempts.append(delivery)
            events = [record.event for record in delivery.records]
            self.taken.append((delivery.id, delivery.step.name, events))
        return delivery is not None

    def succeed(self, attempt: int, returned: Event | list[Event] | None) -> None:
        self.machine.handling.succeeded(self.attempts.pop(attempt), returned, None, 0.0)

    def rows(self) -> Tables:
        """What the commits so far amount to."""
        while self.machine.deltas:
            self.tables.apply(self.machine.deltas.popleft())
        return self.tables

    def follow_cancels(self) -> None:
        """What is being cancelled ends."""
        self.machine.orders.clear()
        for delivery in [each for each in self.attempts if each.doom is not None]:
            self.attempts.remove(delivery)
            self.machine.handling.released(delivery, 0.0)


def begun(plan: Plan, items: list[Event]) -> Side:
    """A machine whose first step has fanned out."""
    side = Side(plan)
    assert side.take()
    side.succeed(0, items)
    return side


def begun_at_once(plan: Plan, items: list[Event]) -> Side:
    """The same, with all deliveries made by the commit."""
    with mock.patch.object(Routing, "_queue", lambda *_: False):
        return begun(plan, items)


def work(count: int) -> list[Event]:
    return [Work(n) for n in range(count)]


@given(
    items=st.lists(st.sampled_from([Work, Work, Work, Note, Done]), max_size=8),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30),
    plan=st.sampled_from([FAN, LIMITED]),
)
def test_a_run_goes_as_if_all_deliveries_had_been_made_at_once(
    items: list[type[Event]], moves: list[tuple[bool, int]], plan: Plan
) -> None:
    """The same numbers, facts and rows, whatever is taken and reported in which order."""
    if plan is FAN:
        items = [kind for kind in items if kind is not Note]
    events: list[Event] = [kind(n=n) for n, kind in enumerate(items)]  # type: ignore[call-arg]
    lazy, eager = begun(plan, events), begun_at_once(plan, events)
    for takes, which in moves:
        for side in (lazy, eager):
            if takes or not side.attempts:
                side.take()
                continue
            attempt = which % len(side.attempts)
            side.succeed(attempt, Done(which) if which % 3 else None)
            side.follow_cancels()
        assert lazy.taken == eager.taken
        assert lazy.facts == eager.facts
        assert lazy.rows() == eager.rows() == in_rows(eager.machine.snapshot(0.0))
        assert in_rows(lazy.machine.snapshot(0.0)) == eager.rows()
        assert [state.pending for state in lazy.machine.counts()] == [
            state.pending for state in eager.machine.counts()
        ]


def test_nothing_is_made_of_an_item_before_it_is_next() -> None:
    side = begun(FAN, work(1000))
    assert len(list(side.machine._ledger.deliveries())) == 0
    side.take()
    assert len(list(side.machine._ledger.deliveries())) == 1


def test_items_do_not_block_what_is_queued_behind_them() -> None:
    side = begun(LIMITED, [*work(5), Note()])
    while side.take():
        pass
    assert [name for _, name, _ in side.taken] == ["split", "work", "work", "note"]


def test_items_that_a_gather_does_not_want_any_more_are_told_as_dropped() -> None:
    side = begun(LIMITED, [*work(5), Done(1), Done(2), Done(3)])
    assert side.machine.counts()[1].pending == 0
    dropped: list[Event] = []
    side = begun(LIMITED, work(6))
    side.machine.tell_drops(lambda delivery: dropped.append(delivery.records[0].event))
    for n in range(3):
        side.take()
        side.succeed(0, Done(n))
    assert dropped == [Work(3), Work(4), Work(5)]
    assert side.machine.counts()[1].pending == 0


def test_events_of_dynamic_types_are_routed_each_by_its_name() -> None:
    """They are all of one class."""
    names = ("a", "b")
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        *(step(name, dynamic=frozenset({name})) for name in names),
        gather("join", Done),
    )
    side = begun(plan, [DynamicEvent("a", {}), DynamicEvent("b", {}), DynamicEvent("a", {})])
    while side.take():
        pass
    assert [name for _, name, _ in side.taken] == ["split", "a", "b", "a"]


def test_the_caller_may_change_its_list_afterwards() -> None:
    items = work(3)
    side = begun(FAN, items)
    items.clear()
    while side.take():
        pass
    assert len(side.taken) == 4

"""What has to be on record as begun before it is: it keeps its slot, and may be taken back."""

from __future__ import annotations

from sheets import in_sheets

from blazen_anyio._machine import Machine, Tables
from blazen_anyio._machine.dispatch import Dispatch
from blazen_anyio._machine.live import Delivery, Scope
from blazen_anyio._machine.suspects import Suspects

from .driver import Done, Driver, Go, Work, gather, make_plan, step

ONCE = make_plan(step("go", Go), step("work", Work, at_most_once=True, max_concurrency=1))


def gated(*works: Work) -> Driver:
    driver = Driver(ONCE, gated=True).start()
    driver.committed(1)
    driver.succeed("go", works)
    driver.committed(2)
    return driver


def marked(driver: Driver) -> list[bool]:
    rows = driver.snapshot().deliveries
    return [rows[id].begun for id in sorted(rows)]


def test_one_begins_when_its_mark_is_durable_and_the_next_is_not_marked_before() -> None:
    driver = gated(Work(1), Work(2))
    assert driver.take() is None
    assert marked(driver) == [True, False]
    assert driver.take() is None
    assert marked(driver) == [True, False]
    driver.committed(3)
    assert driver.take() == "work"
    driver.succeed("work")
    driver.committed(4)
    assert driver.take() is None
    driver.committed(5)
    assert driver.take() == "work"


def test_a_pause_takes_back_what_was_not_handed_out() -> None:
    driver = gated(Work(1))
    assert driver.take() is None
    driver.pause()
    assert marked(driver) == [False]
    driver.resume()
    assert driver.take() is None
    assert marked(driver) == [True]
    driver.committed(3)
    assert driver.take() is None, "that was the mark which has been taken back"
    driver.committed(5)
    assert driver.take() == "work"


def test_so_it_does_after_the_mark_has_become_durable() -> None:
    driver = gated(Work(1))
    assert driver.take() is None
    driver.committed(3)
    driver.pause()
    assert marked(driver) == [False]
    driver.committed(4)
    driver.resume()
    assert driver.take() is None
    driver.committed(5)
    assert driver.take() == "work"


def test_one_that_is_dropped_before_it_is_handed_out_gives_its_slot_back() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work, at_most_once=True),
        gather("join", Done, count=1),
    )
    for late in (True, False):
        driver = Driver(plan, gated=True).start()
        driver.committed(1)
        driver.succeed("split", [Work(1), Work(2)])
        driver.committed(2)
        assert driver.take() is None
        driver.committed(3)
        assert driver.take() == "work"
        assert driver.machine.counts()[1].running == 2
        if late:
            driver.committed(4)
        driver.succeed("work", Done(1))
        assert driver.machine.counts()[1].running == 0
        assert driver.machine.counts()[1].pending == 0
        driver.committed(5)
        assert driver.take() == "join"


def test_only_one_that_has_one_delivery_left_is_begun_at_a_time() -> None:
    plan = make_plan(step("go", Go), step("work", Work), max_deliveries=2)
    driver = Driver(plan).start()
    driver.succeed("go", (Work(1), Work(2), Work(3)))
    again = crash(driver)
    assert again.take_all() == ["work"]
    again.succeed("work", Work(4))
    assert again.take_all() == ["work", "work"], "the next, and one that is no suspect"
    again.succeed("work")
    assert again.take_all() == ["work"]


def crash(driver: Driver) -> Driver:
    again = Driver(driver.plan)
    again.machine = Machine.restore(
        driver.plan, "run", in_sheets(driver.snapshot()), 0.0, journaled=True
    )
    again.tables = Tables()
    for table, rows in vars_of(driver.snapshot()).items():
        getattr(again.tables, table).update(rows)
    again.machine.go_on(0.0, abandoned=True)
    again._after()
    return again


def vars_of(tables: Tables) -> dict[str, dict[object, object]]:
    return {name: getattr(tables, name) for name in Tables.__slots__ if name != "__weakref__"}


def test_suspects_that_count_no_more_are_passed_over() -> None:
    plan = make_plan(step("work", Work))
    dispatch, scope = Dispatch(plan), Scope(0, None, 0, None, 0)
    deliveries = [Delivery(id, plan.steps[0], (), scope, 0, 0) for id in range(1, 4)]
    for delivery in deliveries:
        dispatch.add(delivery)
    suspects = Suspects(dispatch)
    taken = [dispatch.take() for _ in deliveries]
    assert [suspects.admit(delivery) for delivery in taken if delivery] == [True, False, False]
    suspects.release(deliveries[1])
    assert dispatch.take() is None, "it was not under way"
    dispatch.drop(deliveries[1])
    suspects.release(deliveries[0])
    assert dispatch.take() is deliveries[2]

"""Dispatch: first come, first served, within limits; a full step never blocks another."""

from __future__ import annotations

from blazen_anyio._events import StopEvent
from blazen_anyio._machine import Plan

from .driver import Done, Driver, Go, Note, Other, Work, gather, make_plan, step


def _fed(plan: Plan, *events: Work | Note | Other) -> Driver:
    """A run whose step ``go`` has emitted the events."""
    driver = Driver(plan).start()
    driver.succeed("go", events)
    return driver


def _running(driver: Driver, name: str) -> list[int]:
    driver.take_all()
    return [d.records[0].event.n for d in driver.running if d.step.name == name]  # type: ignore[attr-defined]


def test_a_limit_holds_and_slots_are_given_in_the_order_of_arrival() -> None:
    plan = make_plan(step("go", Go), step("work", Work, max_concurrency=2))
    driver = _fed(plan, *map(Work, range(5)))
    assert _running(driver, "work") == [0, 1]
    driver.succeed("work")
    assert _running(driver, "work") == [1, 2]
    driver.succeed("work")
    driver.succeed("work")
    assert _running(driver, "work") == [3, 4]


def test_a_full_step_never_blocks_another() -> None:
    plan = make_plan(step("go", Go), step("work", Work, max_concurrency=1), step("note", Note))
    driver = _fed(plan, Work(1), Work(2), Work(3), Note(4))
    assert driver.take_all() == ["work", "note"]


def test_a_freed_step_goes_ahead_of_what_came_later() -> None:
    plan = make_plan(step("go", Go), step("work", Work, max_concurrency=1), step("note", Note))
    driver = _fed(plan, Work(1), Work(2))
    driver.take_all()
    driver.send(Note(3))
    driver.succeed("work", Note(4))
    assert driver.take_all() == ["work", "note", "note"]


def test_the_limit_of_a_run_holds_over_all_steps() -> None:
    plan = make_plan(step("go", Go), step("work", Work), step("note", Note), max_concurrency=2)
    driver = _fed(plan, Work(1), Note(2), Work(3))
    assert driver.machine.has_backlog()
    assert driver.take_all() == ["work", "note"]
    assert not driver.machine.has_backlog()
    driver.succeed("note")
    assert driver.machine.has_backlog()
    assert driver.take_all() == ["work"]


def test_a_step_that_waits_gives_its_slot_back_and_queues_for_another() -> None:
    plan = make_plan(
        step("go", Go),
        step("work", Work, max_concurrency=1, waits=(Note,)),
        external=(Note,),
    )
    driver = _fed(plan, Work(1), Work(2))
    waiter = driver.find("work")
    assert _running(driver, "work") == [1]
    driver.wait("work")
    assert _running(driver, "work") == [1, 2]
    driver.send(Note())
    driver.claim("work")
    assert driver.take() is None
    second = driver.running[1]
    driver.running.remove(second)
    driver.machine.handling.succeeded(second, None, None, driver.now)
    assert driver.machine.handling.take(driver.now) is waiter
    assert waiter.resumes


def test_a_delivery_that_is_dropped_while_it_is_next_hands_its_slot_on() -> None:
    """Two fan-outs share a worker with one slot; the one whose turn it is is cut short."""
    plan = make_plan(
        step("go", Go),
        step("first", Note, gathers=["quick"]),
        step("other", Other, gathers=["quick"]),
        step("work", Work, max_concurrency=1),
        step("direct", Other, gathers=["quick"]),
        gather("quick", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("go", Note())
    driver.succeed("first", [Work(1), Work(2)])
    driver.send(Other())
    driver.succeed("other", [Work(3)])
    driver.succeed("direct", [Work(4)])
    assert _running(driver, "work") == [1]
    driver.take_all()
    driver.succeed("work", Done(1))  # closes the first scope and drops 2, which was next
    assert _running(driver, "work") == [3]


def test_a_delivery_that_comes_back_does_not_lose_the_place_of_the_others() -> None:
    plan = make_plan(step("go", Go), step("work", Work, max_concurrency=1))
    driver = _fed(plan, Work(1), Work(2), Work(3))
    driver.take_all()
    driver.release("work")
    order = []
    while driver.take_all():
        order.append(driver.succeed("work").records[0].event.n)  # type: ignore[attr-defined]
    assert order == [1, 2, 3]


def test_an_attempt_that_was_cancelled_is_handed_out_again_and_uses_up_no_attempt() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.take()
    first = driver.release("go")
    assert driver.take() == "go"
    assert driver.running == [first]
    assert first.attempts == 0


def test_counts_of_a_step_tell_what_was_done_failed_and_retried() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    driver.succeed("go", (Work(1), Work(2)))
    driver.succeed("work")
    driver.succeed("work", Work(3))
    driver.fail("work", retry_in=1)
    driver.advance(1)
    driver.fail("work")
    state = driver.machine.counts()[1]
    assert (state.done, state.retried, state.failed) == (2, 1, 1)


def test_a_long_chain_leaves_nothing_behind() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    for _ in range(50):
        driver.succeed("go", Go())
    tables = driver.snapshot()
    assert (len(tables.events), len(tables.deliveries)) == (1, 1)
    driver.succeed("go", StopEvent(result=1))
    assert driver.snapshot().deliveries == driver.snapshot().events == {}

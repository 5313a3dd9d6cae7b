"""Early effects: what leaves before the attempt has succeeded, and does not leave twice."""

from __future__ import annotations

import pytest

from blazen_anyio._events import InputRequestEvent, StepFailed, StopEvent
from blazen_anyio._exceptions import NoHandlerError, NonDeterministicStepError

from .driver import Boom, Done, Driver, Go, Note, Other, Work, gather, make_plan, step

PLAN = make_plan(step("go", Go, waits=(Other,)), step("work", Work), external=(Other,))

PAGES = make_plan(
    step("pages", Go, generates=True, gathers=["join"]),
    step("work", Work),
    gather("join", Done),
    step("on_error", StepFailed),
)
"""A generator whose yields are gathered."""


def _work(driver: Driver) -> list[int]:
    driver.take_all()
    return [d.records[0].event.n for d in driver.running if d.step.name == "work"]  # type: ignore[attr-defined]


# ---- sends -------------------------------------------------------------------------------------


def test_an_early_send_leaves_at_once_and_stays_out_when_the_attempt_fails() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1))
    assert _work(driver) == [1]
    driver.fail("go", retry_in=1)
    driver.advance(1)
    driver.send_early("go", Work(1))
    driver.succeed("go")
    assert _work(driver) == [1]


@pytest.mark.parametrize("restored", [False, True])
def test_an_early_send_is_not_made_twice_by_a_later_attempt_or_delivery(restored: bool) -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1))
    driver.send_early("go", Work(2))
    if restored:
        driver = driver.restored()
    else:
        driver.fail("go", retry_in=0)
        driver.advance(0)
    driver.send_early("go", Work(1))
    driver.send_early("go", Work(2))
    driver.send_early("go", Work(3))
    driver.succeed("go")
    assert _work(driver) == [1, 2, 3]
    assert driver.snapshot().effects == {}


def test_a_delayed_early_send_is_routed_when_it_is_due_and_only_once() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1), delay=5)
    driver.fail("go", retry_in=1)
    driver.advance(1)
    driver.send_early("go", Work(1), delay=5)
    driver.succeed("go")
    assert _work(driver) == []
    driver.advance(4)
    assert _work(driver) == [1]


def test_another_early_send_than_before_fails_the_run() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1))
    driver.fail("go", retry_in=0)
    driver.advance(0)
    with pytest.raises(NonDeterministicStepError) as caught:
        driver.send_early("go", Work(2))
    assert caught.value.step == "go"
    assert caught.value.number == 0
    assert driver.error is caught.value
    driver.stop_everything()
    assert ("go", (0,)) in driver.queued()


def test_fewer_early_sends_than_before_fail_the_run_and_the_attempt_counts_as_not_made() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1))
    driver.fail("go", retry_in=0)
    driver.advance(0)
    driver.succeed("go", writes={"x": 1})
    assert isinstance(driver.error, NonDeterministicStepError)
    assert driver.snapshot().state == {}
    assert ("go", (0,)) in driver.queued()
    assert "step_completed" not in driver.kinds


def test_another_kind_of_early_effect_than_before_fails_the_run() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", Work(1))
    driver.fail("go", retry_in=0)
    driver.advance(0)
    with pytest.raises(NonDeterministicStepError):
        driver.wait("go")
    assert isinstance(driver.error, NonDeterministicStepError)


def test_an_early_stop_ends_the_run() -> None:
    driver = Driver(PLAN).start()
    driver.send_early("go", StopEvent(result="now"))
    assert driver.result == "now"
    driver.send_early("go", Work(1))
    driver.succeed("go", Work(2))
    assert driver.machine.finished


# ---- generators --------------------------------------------------------------------------------


def test_what_a_generator_yields_is_routed_at_once_and_gathered_when_it_has_ended() -> None:
    driver = Driver(PAGES).start()
    driver.give("pages", Work(0))
    driver.succeed("work", Done(0))
    driver.give("pages", Work(1))
    driver.succeed("work", Done(1))
    assert driver.take() is None  # the generator holds its scope
    driver.succeed("pages")
    assert driver.events("join") == [Done(0), Done(1)]
    driver.succeed("join", StopEvent())
    assert driver.snapshot().scopes == {}


def test_a_generator_that_yields_nothing_is_an_empty_fan_out() -> None:
    driver = Driver(PAGES).start()
    driver.succeed("pages")
    assert driver.events("join") == []


def test_a_generator_that_no_gather_is_bound_to_opens_no_scope() -> None:
    plan = make_plan(step("pages", Go, generates=True), step("work", Work))
    driver = Driver(plan).start()
    driver.give("pages", Work(0))
    driver.give("pages", Work(1))
    assert driver.snapshot().scopes == {}
    driver.succeed("pages")
    assert _work(driver) == [0, 1]


@pytest.mark.parametrize("restored", [False, True])
def test_a_retried_generator_repeats_nothing_that_is_out(restored: bool) -> None:
    driver = Driver(PAGES).start()
    driver.give("pages", Work(0))
    driver.give("pages", Work(1))
    driver.fail("pages", retry_in=1)
    if restored:
        driver = driver.restored()
    driver.succeed("work", Done(0))
    driver.succeed("work", Done(1))
    assert driver.take() is None  # a retry keeps the token
    driver.advance(1)
    for n in range(3):
        driver.give("pages", Work(n))
    assert _work(driver) == [2]
    driver.succeed("work", Done(2))
    driver.succeed("pages")
    assert driver.events("join") == [Done(0), Done(1), Done(2)]


def _second_attempt() -> Driver:
    """The first attempt has yielded 0, 1, 2; 0 is done, 1 is running, 2 was not begun."""
    plan = make_plan(
        step("pages", Go, generates=True, gathers=["join"]),
        step("work", Work, max_concurrency=1),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    for n in range(3):
        driver.give("pages", Work(n))
    driver.succeed("work", Done(0))
    driver.take_all()
    driver.fail("pages", retry_in=0)
    driver.advance(0)
    driver.find("pages")
    return driver


def test_a_generator_that_differs_starts_over_in_a_new_scope() -> None:
    driver = _second_attempt()
    driver.give("pages", Work(0))
    driver.give("pages", Work(7))
    assert driver.follow() == ["work"]
    driver.succeed("pages")
    done = []
    while driver.take_all() == ["work"]:
        n = driver.events("work").n
        done.append(n)
        driver.succeed("work", Done(n))
    assert done == [0, 7]
    assert driver.events("join") == [Done(0), Done(7)]
    driver.succeed("join", StopEvent())
    assert driver.snapshot().scopes == {}


def test_the_results_of_an_abandoned_scope_are_dropped_when_its_work_finishes_all_the_same() -> (
    None
):
    driver = _second_attempt()
    driver.give("pages", Work(8))
    driver.succeed("work", Done(1))
    driver.succeed("work", Done(8))
    driver.succeed("pages")
    assert driver.events("join") == [Done(8)]


@pytest.mark.parametrize("yields", [0, 1, 2])
def test_a_generator_that_yields_less_than_before_starts_over(yields: int) -> None:
    driver = _second_attempt()
    for n in range(yields):
        driver.give("pages", Work(n))
    driver.succeed("pages")
    driver.follow()
    for n in range(yields):
        driver.succeed("work", Done(n))
    assert driver.events("join") == [Done(n) for n in range(yields)]
    driver.succeed("join", StopEvent())
    assert driver.snapshot().scopes == {}
    assert driver.snapshot().effects == {}


def test_a_generator_differs_once_and_may_be_retried_again() -> None:
    driver = _second_attempt()
    driver.give("pages", Work(7))
    driver.give("pages", Work(8))
    driver.follow()
    driver.fail("pages", retry_in=0)
    driver.advance(0)
    driver.give("pages", Work(7))
    driver.give("pages", Work(8))
    driver.succeed("pages")
    driver.succeed("work", Done(7))
    driver.succeed("work", Done(8))
    assert driver.events("join") == [Done(7), Done(8)]


def test_what_an_attempt_repeats_is_not_counted_to_the_next() -> None:
    driver = _second_attempt()
    driver.give("pages", Work(0))
    driver.give("pages", Work(1))
    driver.fail("pages", retry_in=0)
    driver.advance(0)
    driver.give("pages", Work(0))
    driver.give("pages", Work(8))
    driver.follow()
    driver.succeed("pages")
    driver.succeed("work", Done(0))
    driver.succeed("work", Done(8))
    assert driver.events("join") == [Done(0), Done(8)]


def test_work_of_an_abandoned_scope_is_not_run_again_after_a_resume() -> None:
    driver = _second_attempt()
    driver.give("pages", Work(8))
    again = driver.restored()
    again.give("pages", Work(8))
    again.succeed("pages")
    assert [delivery.events for delivery in again.running] == [Work(8)]
    assert again.take() is None


def test_a_generator_without_a_gather_can_not_start_over() -> None:
    plan = make_plan(step("pages", Go, generates=True), step("work", Work))
    driver = Driver(plan).start()
    driver.give("pages", Work(0))
    driver.fail("pages", retry_in=0)
    driver.advance(0)
    with pytest.raises(NonDeterministicStepError):
        driver.give("pages", Work(1))
    assert isinstance(driver.error, NonDeterministicStepError)


def test_a_generator_that_mixes_sends_into_its_yields_can_not_start_over() -> None:
    driver = Driver(PAGES).start()
    driver.give("pages", Work(0))
    driver.send_early("pages", Work(1))
    driver.fail("pages", retry_in=0)
    driver.advance(0)
    with pytest.raises(NonDeterministicStepError):
        driver.give("pages", Work(9))
    assert isinstance(driver.error, NonDeterministicStepError)


def test_an_early_send_of_a_generator_is_no_yield() -> None:
    """It belongs to the scope of the generator itself, where the gather is not bound."""
    driver = Driver(PAGES).start()
    driver.send_early("pages", Done(1))
    assert isinstance(driver.error, NoHandlerError)


def test_an_exhausted_generator_abandons_its_scope_and_the_failure_goes_to_the_parent() -> None:
    driver = Driver(PAGES).start()
    driver.give("pages", Work(0))
    driver.give("pages", Work(1))
    driver.succeed("work", Done(0))
    driver.take_all()
    driver.fail("pages")
    assert driver.follow() == ["work"]
    assert driver.take_all() == ["on_error"]
    assert driver.find("on_error").scope is driver.machine._ledger.root
    driver.succeed("on_error", StopEvent())
    tables = driver.snapshot()
    assert tables.scopes == tables.joins == tables.effects == {}


def test_an_exhausted_generator_that_nobody_handles_fails_the_run_and_can_go_on() -> None:
    plan = make_plan(
        step("pages", Go, generates=True, gathers=["join"]),
        step("work", Work),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    driver.give("pages", Work(0))
    driver.fail("pages")
    again = driver.restored()
    again.give("pages", Work(0))
    again.succeed("pages")
    again.succeed("work", Done(0))
    assert again.events("join") == [Done(0)]


def test_a_counted_gather_stops_the_generator_that_feeds_it() -> None:
    """It might never end by itself."""
    plan = make_plan(
        step("pages", Go, generates=True, gathers=["join"]), gather("join", Done, count=2)
    )
    driver = Driver(plan).start()
    for n in range(3):
        driver.give("pages", Done(n))
    assert driver.take() is None
    assert driver.follow() == ["pages"]
    assert driver.events("join") == [Done(0), Done(1)]
    driver.succeed("join", StopEvent())
    tables = driver.snapshot()
    assert tables.scopes == tables.deliveries == tables.effects == {}


@pytest.mark.parametrize("restored", [False, True])
def test_a_counted_gather_drops_the_generator_that_is_not_running(restored: bool) -> None:
    plan = make_plan(
        step("pages", Go, generates=True, gathers=["join"]),
        step("work", Work),
        gather("join", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.give("pages", Work(0))
    driver.fail("pages", retry_in=99)
    if restored:
        driver = driver.restored()
    driver.succeed("work", Done(0))
    assert driver.take_all() == ["join"]
    assert driver.snapshot().scopes == {}


def test_a_generator_that_was_being_stopped_is_not_run_again_after_a_resume() -> None:
    plan = make_plan(
        step("pages", Go, generates=True, gathers=["join"]), gather("join", Done, count=1)
    )
    driver = Driver(plan).start()
    driver.give("pages", Done(0))
    again = driver.restored()
    assert again.take_all() == ["join"]
    assert again.snapshot().scopes == {}


def test_a_delayed_generator_in_a_scope_that_closes_leaves_nothing_open() -> None:
    plan = make_plan(
        step("split", Go, gathers=["sum"]),
        step("pages", Work, generates=True, gathers=["join"]),
        step("slow", Note),
        gather("join", Other),
        gather("sum", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Note(1)])
    driver.give("pages", Other(0))
    driver.fail("pages", retry_in=99)
    driver.succeed("slow", Done(1))
    assert driver.events("sum") == [Done(1)]
    assert driver.snapshot().scopes == {}


def test_a_crawling_generator_adds_to_its_own_scope() -> None:
    plan = make_plan(
        step("crawl", Work, generates=True, gathers=["join"]),
        step("inner", Note, gathers=["part"]),
        gather("part", Other),
        gather("join", Done),
    )
    driver = Driver(plan).start(Work(0))
    driver.give("crawl", Work(1))
    driver.give("crawl", Note(2))
    driver.give("crawl", Done(3))
    driver.succeed("crawl")
    driver.give("crawl", Done(4))
    driver.succeed("crawl")
    driver.succeed("inner", [Work(5)])
    driver.give("crawl", Done(6))
    driver.succeed("crawl")
    driver.succeed("part")
    assert driver.events("join") == [Done(4), Done(3), Done(6)]
    driver.succeed("join", StopEvent())
    assert driver.snapshot().scopes == {}


# ---- backpressure ------------------------------------------------------------------------------


def _bounded(**options: int) -> Driver:
    plan = make_plan(
        step("pages", Go, generates=True, **options),
        step("work", Work, max_pending=2, max_concurrency=1),
    )
    driver = Driver(plan)
    return driver


def test_a_generator_waits_at_its_yield_until_there_is_room() -> None:
    driver = _bounded().start()
    assert driver.give("pages", Work(0))
    assert _work(driver) == [0]
    assert driver.give("pages", Work(1))
    assert not driver.give("pages", Work(2))
    assert not driver.machine.handling.has_room(Work())
    assert driver.machine.handling.has_room(Go())
    assert driver.take() is None
    driver.succeed("work")
    assert driver.take_all() == ["work", "pages"]
    driver.succeed("pages")
    driver.succeed("work")
    assert _work(driver) == [2]


def test_a_generator_that_waits_for_room_gives_its_slot_back() -> None:
    driver = _bounded(max_concurrency=1).start()
    driver.send(Go())
    driver.take()
    for n in range(2):
        driver.give("pages", Work(n))
    assert driver.take_all() == ["pages", "work"]


def test_every_generator_that_waits_goes_on_when_there_is_room() -> None:
    driver = _bounded().start()
    driver.send(Go())
    driver.take_all()
    first, second = driver.running
    for generator in (first, second):
        for n in range(3):
            driver.machine.inside.give(generator, Work(n), f"{n}", 0.0)
    while driver.take_all():
        driver.succeed("work")
    assert first.phase == second.phase == "running"


def test_a_generator_goes_on_when_what_it_waits_behind_is_dropped() -> None:
    """Nothing is taken from the full step any more: its queue was cut by a gather elsewhere."""
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("quick", Note),
        step("pages", Other, generates=True),
        step("work", Work, max_pending=2, max_concurrency=1),
        gather("join", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.send(Work(5))
    driver.take_all()
    driver.succeed("split", [Note(2), Work(0)])
    driver.send(Other())
    pages = driver.find("pages")
    assert not driver.give("pages", Work(9))
    driver.succeed("quick", Done(2))
    assert driver.take_all() == ["pages", "join"]
    assert pages.phase == "running"


def test_a_generator_that_has_to_wait_is_the_last_of_a_paused_run_that_nobody_resumes() -> None:
    driver = _bounded().start()
    driver.give("pages", Work(0))
    driver.pause()
    driver.close()
    assert driver.status is None
    assert not driver.give("pages", Work(1))
    assert driver.status == "suspended"


def test_a_generator_that_has_room_again_waits_no_longer() -> None:
    driver = _bounded().start()
    for n in range(2):
        driver.give("pages", Work(n))
    pages = driver.find("pages")
    driver.take()
    assert pages not in driver.machine._ledger.waiting


def test_backpressure_counts_what_is_not_durable_yet() -> None:
    plan = make_plan(step("pages", Go, generates=True), step("work", Work, max_pending=1))
    driver = Driver(plan, gated=True).start()
    driver.committed(1)
    assert not driver.give("pages", Work(0))
    assert driver.take() is None
    driver.committed(2)
    assert driver.take_all() == ["work", "pages"]


def test_a_generator_that_waits_for_something_else_by_now_is_not_woken_by_room() -> None:
    plan = make_plan(
        step("pages", Go, generates=True),
        step("work", Work, max_pending=1, max_concurrency=1),
    )
    driver = Driver(plan).start()
    pages = driver.find("pages")
    assert not driver.give("pages", Work(0))
    driver.fail("pages", Boom(), retry_in=0)  # from outside of its wait, as a scope of its own can
    driver.advance(0)
    driver.find("pages")
    assert driver.running[-1] is pages
    driver.machine.inside.give(pages, Work(0), repr(Work(0)), 0.0)
    driver.machine.inside.ask(pages, InputRequestEvent("?"), "?", None, 0.0)
    while driver.take_all():
        driver.succeed("work")
    assert pages.phase == "waiting"


def test_a_run_whose_only_generator_waits_for_room_in_a_paused_step_is_not_stalled() -> None:
    driver = _bounded().start()
    driver.give("pages", Work(0))
    driver.pause()
    driver.give("pages", Work(1))
    driver.give("pages", Work(2))
    assert driver.status is None
    driver.resume()
    assert "work" in driver.take_all()


def test_requests_that_a_step_yields_are_shown() -> None:
    driver = Driver(PAGES).start()
    driver.give("pages", InputRequestEvent("?"))
    assert len(driver.shown) == 1

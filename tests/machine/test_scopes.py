"""Fan-out scopes: a gather fires once, when its scope is done, in the order of the fan-out."""

from __future__ import annotations

import pytest

from blazen_anyio._events import Event, InputRequestEvent, InputResponseEvent, StepFailed, StopEvent
from blazen_anyio._exceptions import JoinIncompleteError, WorkflowStalledError
from blazen_anyio._machine import Mode, in_rows

from .driver import FAN, Boom, Done, Driver, Go, Note, Other, Work, gather, make_plan, step


class Inner(Event, event_type="test.Inner"):
    n: int = 0


class Total(Event, event_type="test.Total"):
    n: int = 0


NESTED = make_plan(
    step("outer", Go, gathers=["sum"]),
    step("inner", Work, gathers=["part"]),
    step("leaf", Inner),
    gather("part", Done),
    gather("sum", Total),
)
"""A fan-out within a fan-out, each with its gather."""


def _finish(driver: Driver, name: str) -> None:
    """End the run from a step; nothing may be left open."""
    driver.succeed(name, StopEvent(result="end"))
    tables = driver.snapshot()
    assert driver.machine.finished
    assert tables.scopes == tables.deliveries == tables.joins == tables.events == {}


def _closing(**options: object) -> Driver:
    """A fan-out of four whose gather wants two."""
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work, **options),
        gather("join", Done, count=2),
        step("on_error", StepFailed),
        step("answer", InputResponseEvent),
        step("late", Other),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(n) for n in range(4)])
    driver.take_all()
    return driver


# ---- gather ------------------------------------------------------------------------------------


def test_a_gather_fires_once_with_everything_in_the_order_of_the_fan_out() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1), Work(2)])
    driver.take_all()
    for delivery in reversed(list(driver.running)):
        driver.running.remove(delivery)
        driver.machine.handling.succeeded(delivery, Done(delivery.records[0].event.n), None, 0.0)  # type: ignore[attr-defined]
    assert driver.take_all() == ["join"]
    assert driver.events("join") == [Done(0), Done(1), Done(2)]
    _finish(driver, "join")


def test_a_gather_fires_after_everything_in_its_scope() -> None:
    """Whatever the branch has become: a detour through other steps holds the scope open, too."""
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        step("more", Note),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", Note(0))
    driver.succeed("work", Done(1))
    assert driver.take_all() == ["more"]
    driver.succeed("more", Note(0))
    assert driver.take_all() == ["more"]
    driver.succeed("more", Done(0))
    assert driver.events("join") == [Done(0), Done(1)]


def test_an_empty_fan_out_fires_its_gather_with_nothing() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [])
    assert driver.events("join") == []
    assert driver.find("join").origin() == (Done.event_type, None)
    _finish(driver, "join")


def test_branches_that_come_to_nothing_leave_a_shorter_list() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1), Work(2)])
    driver.succeed("work")
    driver.succeed("work", Done(1))
    driver.succeed("work")
    assert driver.events("join") == [Done(1)]


def test_within_a_branch_the_order_is_by_cause_and_then_as_sent() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.take_all()
    driver.send_early("work", Done(1))
    driver.succeed("work", (Done(5), Done(6)), sends=[Done(2), Done(3), [Done(4)]])
    driver.succeed("work", [Done(8), Done(9)], sends=[Done(7)])
    assert driver.events("join") == [Done(n) for n in range(1, 10)]


def test_several_gathers_on_one_scope_fire_once_each_with_their_own() -> None:
    plan = make_plan(
        step("split", Go, gathers=["first", "second", "third"]),
        step("work", Work),
        gather("first", Done),
        gather("second", Note),
        gather("third", Done, Note),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", Note(0))
    driver.succeed("work", Done(1))
    assert driver.take_all() == ["first", "second", "third"]
    assert [d.events for d in driver.running] == [[Done(1)], [Note(0)], [Note(0), Done(1)]]


def test_several_fan_outs_may_share_a_gather_and_fire_it_once_each() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(2)], sends=[[Work(0), Work(1)], []])
    for n in range(3):
        driver.succeed("work", Done(n))
    driver.take_all()
    assert [d.events for d in driver.running] == [[], [Done(0), Done(1)], [Done(2)]]
    assert len(driver.snapshot().scopes) == 0


def test_the_output_of_a_gather_belongs_to_the_parent_scope() -> None:
    driver = Driver(NESTED).start()
    driver.succeed("outer", [Work(0), Work(1)])
    driver.succeed("inner", [Inner(0), Inner(1)])
    driver.succeed("inner", [Inner(2)])
    for n in range(3):
        driver.succeed("leaf", Done(n))
    assert driver.events("part") == [Done(0), Done(1)]
    driver.succeed("part", Total(1))
    assert driver.events("part") == [Done(2)]
    assert driver.queued() == [("part", (2,))]
    driver.succeed("part", Total(2))
    assert driver.events("sum") == [Total(1), Total(2)]
    _finish(driver, "sum")


def test_an_inner_scope_may_feed_an_outer_gather_in_the_order_of_both_fan_outs() -> None:
    plan = make_plan(
        step("outer", Go, gathers=["sum"]),
        step("inner", Work, gathers=["part"]),
        step("leaf", Inner),
        gather("part", Done),
        gather("sum", Total, Note),
    )
    driver = Driver(plan).start()
    driver.succeed("outer", [Work(0), Work(1)])
    first = driver.find("inner")
    driver.running.remove(first)
    driver.succeed("inner", [Inner(2), Inner(3)])
    driver.machine.handling.succeeded(first, [Inner(0), Inner(1)], None, 0.0)
    driver.take_all()
    leaves = sorted(driver.running, key=lambda d: d.records[0].event.n, reverse=True)  # type: ignore[attr-defined]
    driver.running.clear()
    for leaf in leaves:
        driver.machine.handling.succeeded(leaf, Note(leaf.records[0].event.n), None, 0.0)  # type: ignore[attr-defined]
    again = driver.restored()  # the inner scopes are over, and the order survives
    again.succeed("part")
    again.succeed("part")
    assert again.events("sum") == [Note(0), Note(1), Note(2), Note(3)]


def test_the_items_of_an_inner_fan_out_keep_their_order_whatever_became_of_them_first() -> None:
    plan = make_plan(
        step("outer", Go, gathers=["sum"]),
        step("inner", Work, gathers=["part"]),
        step("leaf", Inner),
        step("late", Other),
        gather("part", Done),
        gather("sum", Note),
    )
    driver = Driver(plan).start()
    driver.succeed("outer", [Work(0)])
    driver.succeed("inner", [Inner(0), Inner(1)])
    driver.take_all()
    first, second = driver.running
    driver.succeed(second, Other(1))
    driver.succeed(first, Other(0))
    driver.succeed("late", Note(1))
    driver.succeed("late", Note(0))
    driver.succeed("part")
    assert driver.events("sum") == [Note(0), Note(1)]


def test_scopes_drain_however_deeply_they_are_nested() -> None:
    depth = 2000
    plan = make_plan(
        step("down", Work, gathers=["up"]),
        step("turn", Note, gathers=["back"]),
        gather("up", Done),
        gather("back", Done),
    )
    machine = Driver(plan).machine
    scope = machine._ledger.root
    for _ in range(depth):
        scope = machine._ledger.open_scope(scope, 0, plan.steps[1], 0)
        scope.abandoned = True
    machine._ledger.has_drained(scope)
    machine.send(Work(1), 0.0)
    assert in_rows(machine.snapshot(0.0)).scopes == {}


def test_a_gather_is_restored_with_what_it_holds_and_with_what_it_fired() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", Done(0))
    again = driver.restored()
    again.succeed("work", Done(1))
    last = again.restored()  # the gather is queued and its scope is over
    assert last.events("join") == [Done(0), Done(1)]
    _finish(last, "join")


def test_a_stop_from_inside_a_fan_out_ends_the_run() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.take_all()
    driver.succeed("work", StopEvent(result="inside"))
    assert driver.result == "inside"


def test_an_event_that_gathers_and_also_runs_counts_once_for_each() -> None:
    plan = make_plan(step("split", Go, gathers=["join"]), gather("join", Done), step("also", Done))
    driver = Driver(plan).start()
    driver.succeed("split", [Done(0)])
    assert driver.take_all() == ["also"]
    driver.succeed("also")
    assert driver.events("join") == [Done(0)]


def test_the_failure_of_a_worker_may_be_gathered_like_a_result() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        gather("join", Done, StepFailed),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.fail("work")
    driver.succeed("work", Done(1))
    failure, done = driver.events("join")
    assert isinstance(failure, StepFailed)
    assert done == Done(1)
    _finish(driver, "join")


def test_a_gather_of_failures_is_no_handler_outside_its_scope() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]), step("work", Work), gather("join", StepFailed)
    )
    driver = Driver(plan).start()
    driver.fail("split")
    assert driver.status == "failed"


# ---- Gather(count=...) -------------------------------------------------------------------------


def test_a_counted_gather_fires_when_the_losers_have_been_cleaned_up() -> None:
    driver = _closing()
    driver.succeed("work", Done(0))
    driver.succeed("work", Done(1))
    assert driver.take() is None
    assert driver.follow() == ["work", "work"]
    assert driver.events("join") == [Done(0), Done(1)]
    _finish(driver, "join")


def test_what_a_loser_still_does_is_discarded() -> None:
    driver = _closing()
    driver.succeed("work", (Done(0), Done(1), Done(9)))
    driver.send_early("work", Note(9))
    assert driver.give("work", Note(9))
    assert driver.ask("work").settled is None
    assert driver.wait("work").settled is None
    driver.succeed("work", Done(8), writes={"x": 1})
    driver.fail("work", Boom("cleanup"))
    driver.release("work")
    assert driver.events("join") == [Done(0), Done(1)]
    assert driver.snapshot().state == {}
    assert driver.machine.requests == []
    assert [str(error) for error in driver.machine.late] == ["cleanup"]
    assert driver.status is None


@pytest.mark.parametrize("restored", [False, True])
def test_queued_and_delayed_losers_never_run(restored: bool) -> None:
    driver = _closing(max_concurrency=1)
    driver.fail("work", retry_in=5)
    driver.succeed("work", (Done(1), Done(2)), sends=[(Other(9), 3.0)])
    if restored:
        driver = driver.restored()
    assert driver.take_all() == ["join"]
    driver.advance(10)
    assert driver.take() is None
    assert all(state.pending == 0 for state in driver.machine.counts())
    _finish(driver, "join")


def test_a_delayed_loser_is_dropped_after_a_resume_as_well() -> None:
    driver = _closing()
    driver.fail("work", retry_in=99)
    again = driver.restored()
    again.succeed("work", (Done(1), Done(2)))
    again.follow()
    assert again.events("join") == [Done(1), Done(2)]
    assert again.machine.next_deadline is None
    assert all(state.pending == 0 for state in again.machine.counts())


def test_requests_of_a_closed_scope_are_withdrawn() -> None:
    driver = _closing()
    driver.succeed("work", InputRequestEvent("?"))
    driver.ask("work")
    driver.succeed("work", (Done(1), Done(2)))
    assert driver.machine.requests == []
    assert driver.machine.inside.waits() == []
    driver.follow()
    assert driver.events("join") == [Done(1), Done(2)]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_event_that_closes_a_scope_reaches_all_its_gathers_and_runs_nothing(
    reverse: bool,
) -> None:
    """Whatever their places in the workflow's list."""
    drafts = [
        step("split", Go, gathers=["two", "all"]),
        gather("two", Done, count=2),
        gather("all", Done),
        step("also", Done),
    ]
    driver = Driver(make_plan(*(reversed(drafts) if reverse else drafts))).start()
    driver.succeed("split", [Done(1), Done(2), Done(3)])
    assert driver.take_all() == ["two", "all"]
    assert [d.events for d in driver.running] == [[Done(1), Done(2)]] * 2


def test_an_event_may_close_two_scopes_at_once() -> None:
    plan = make_plan(
        step("outer", Go, gathers=["sum"]),
        step("inner", Work, gathers=["part"]),
        step("leaf", Inner),
        gather("part", Done, count=1),
        gather("sum", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("outer", [Work(0)])
    driver.succeed("inner", [Inner(0), Inner(1)])
    driver.succeed("leaf", Done(0))
    driver.follow()
    assert driver.take_all() == ["sum"]
    assert driver.events("sum") == [Done(0)]
    _finish(driver, "sum")


def test_a_counted_gather_that_drains_earlier_fires_with_what_came() -> None:
    driver = _closing()
    driver.succeed("work", Done(0))
    for _ in range(3):
        driver.succeed("work")
    assert driver.events("join") == [Done(0)]


def test_a_fan_out_that_fulfils_its_own_gather_fires_it_once() -> None:
    driver = _closing()
    driver.send(Go())
    driver.succeed("split", [Done(0), Done(1), Done(2)])
    assert driver.take_all() == ["join"]
    assert driver.events("join") == [Done(0), Done(1)]


def test_the_answer_to_a_request_may_close_the_scope_that_asked() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]), gather("join", InputResponseEvent, count=1)
    )
    driver = Driver(plan).start()
    driver.succeed("split", [InputRequestEvent("a"), InputRequestEvent("b")])
    first, second = driver.shown
    driver.respond(first.request_id, "yes")
    assert driver.events("join") == [InputResponseEvent(first.request_id, "yes")]
    assert driver.machine.requests == []
    _finish(driver, "join")
    assert second.request_id


def test_a_closing_gather_takes_child_scopes_with_it() -> None:
    plan = make_plan(
        step("outer", Go, gathers=["sum"]),
        step("inner", Work, gathers=["part"]),
        step("leaf", Inner),
        gather("part", Done),
        gather("sum", Total, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("outer", [Work(0), Work(1), Work(2)])
    driver.succeed("inner", [Inner(0), Done(5)])
    driver.succeed("inner", [Inner(1)])
    driver.take_all()
    driver.succeed("inner", Total(1))
    assert driver.take() is None
    assert driver.follow() == ["leaf", "leaf"]
    assert driver.events("sum") == [Total(1)]
    _finish(driver, "sum")


def test_a_loser_that_closed_its_scope_early_is_a_loser_itself() -> None:
    driver = _closing()
    driver.send_early("work", Done(0))
    driver.send_early("work", Done(1))
    assert driver.follow() == ["work"] * 4
    assert driver.events("join") == [Done(0), Done(1)]


def test_losers_are_not_run_again_after_a_resume() -> None:
    driver = _closing()
    driver.succeed("work", (Done(0), Done(1)))
    again = driver.restored()
    assert again.take_all() == ["join"]
    assert again.events("join") == [Done(0), Done(1)]
    _finish(again, "join")


def test_a_run_that_ends_while_losers_are_cancelled_resumes_without_them() -> None:
    driver = _closing()
    driver.succeed("work", (Done(0), Done(1)))
    driver.suspend()
    driver.follow()
    assert driver.status == "suspended"
    assert driver.restored().take_all() == ["join"]


# ---- batches -----------------------------------------------------------------------------------

BATCH = make_plan(
    step("go", Go),
    step("split", Other, gathers=["join"]),
    step("work", Work),
    step("batch", Work, mode=Mode.BATCH, size=2),
    gather("join", Done),
)


def test_a_batch_fires_for_every_n_in_the_order_of_arrival_scope_or_not() -> None:
    driver = Driver(make_plan(step("go", Go), step("batch", Work, mode=Mode.BATCH, size=2))).start()
    driver.succeed("go", tuple(map(Work, range(5))))
    driver.take_all()
    assert [d.events for d in driver.running] == [[Work(0), Work(1)], [Work(2), Work(3)]]
    driver.succeed("batch")
    driver.succeed("batch")
    assert isinstance(driver.error, WorkflowStalledError)
    assert driver.error.waiting == ("step 'batch' holds 1 of test.Work and waits for more",)


def test_the_rest_of_a_batch_fires_at_the_end_of_its_scope_and_stays_in_it() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("batch", Work, mode=Mode.BATCH, size=2),
        step("other", Note, mode=Mode.BATCH, size=9),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1), Work(2), Note(3)])
    assert driver.take_all() == ["batch"]
    driver.succeed("batch", Done(0))
    assert driver.take_all() == ["batch"]
    assert driver.events("batch") == [Work(2)]
    driver.succeed("batch", Done(2))
    assert driver.events("other") == [Note(3)]
    driver.succeed("other", Done(3))
    assert driver.events("join") == [Done(0), Done(2), Done(3)]


def test_a_batch_that_comes_out_even_leaves_no_rest() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("batch", Work, mode=Mode.BATCH, size=2),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("batch")
    assert driver.take_all() == ["join"]


def test_a_half_batch_survives_a_restoration() -> None:
    driver = Driver(BATCH).start()
    driver.succeed("go", (Work(0),))
    again = driver.restored()
    again.send(Work(1))
    assert again.events("batch") == [Work(0), Work(1)]


# ---- pairs -------------------------------------------------------------------------------------

PAIRS = make_plan(
    step("split", Go, gathers=["join"]),
    step("pair", Work, Note, mode=Mode.PAIR),
    step("fork", Other),
    gather("join", Done),
)


def test_pairs_are_first_in_first_out_within_one_branch() -> None:
    driver = Driver(PAIRS).start()
    driver.succeed("split", [Other(0), Other(1)])
    driver.succeed("fork", (Work(1), Work(2), Note(3)))
    driver.succeed("fork", (Note(4), Work(5), Note(6)))
    driver.take_all()
    assert [d.events for d in driver.running] == [[Work(1), Note(3)], [Work(5), Note(4)]]


def test_half_a_pair_at_the_end_of_a_scope_is_an_error_and_loses_nothing() -> None:
    driver = Driver(PAIRS).start()
    driver.succeed("split", [Other(0), Other(1)])
    driver.succeed("fork", (Note(1), Note(2)))
    driver.succeed("fork", Done(3))
    assert isinstance(driver.error, JoinIncompleteError)
    assert driver.error.waiting == (Note(1), Note(2))
    assert len(driver.snapshot().joins) == 3
    again = driver.restored()
    assert isinstance(again.error, JoinIncompleteError)


def test_half_a_pair_outside_every_scope_is_named_by_the_stall() -> None:
    driver = Driver(PAIRS).start()
    driver.succeed("split", (Work(1),))
    assert isinstance(driver.error, WorkflowStalledError)
    assert driver.error.waiting == ("step 'pair' holds 1 of test.Work and waits for more",)


def test_an_event_that_fits_both_sides_of_a_pair_takes_the_shorter() -> None:
    plan = make_plan(step("go", Go), step("pair", Note, Event, mode=Mode.PAIR))
    driver = Driver(plan).start()  # which is the second half of a first pair
    driver.send(Note(1))
    driver.send(Note(2))
    driver.send(Note(3))
    assert driver.events("pair") == [Note(1), Go()]
    driver.succeed("pair")
    assert driver.events("pair") == [Note(2), Note(3)]


def test_a_control_event_does_not_fit_the_side_that_accepts_every_event() -> None:
    plan = make_plan(step("go", Go), step("pair", Event, InputResponseEvent, mode=Mode.PAIR))
    driver = Driver(plan).start()
    answer = InputResponseEvent("unknown", 1)
    driver.send(answer)
    driver.send(Work(1))
    assert driver.events("pair") in ([Go(), answer], [Work(1), answer])
    assert driver.find("pair").records[1].event is answer


def test_half_a_pair_in_a_scope_that_closes_is_dropped() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("pair", Work, Note, mode=Mode.PAIR),
        gather("join", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Done(1), Note(2)])
    assert driver.events("join") == [Done(1)]
    assert driver.snapshot().joins == {}


# ---- crawlers ----------------------------------------------------------------------------------


def test_a_crawler_adds_to_its_own_scope_and_its_gather_fires_once() -> None:
    plan = make_plan(step("crawl", Work, gathers=["join"]), gather("join", Done))
    driver = Driver(plan).start(Work(0))
    driver.succeed("crawl", [Work(1), Work(2), Done(0)])
    driver.succeed("crawl", [Work(3), Done(1)])
    driver.succeed("crawl", [Done(2)])
    assert len(driver.snapshot().scopes) == 1
    driver.succeed("crawl", [Done(3)])
    assert driver.events("join") == [Done(1), Done(3), Done(2), Done(0)]
    _finish(driver, "join")


def test_a_crawler_within_an_inner_scope_adds_new_items_to_its_own() -> None:
    plan = make_plan(
        step("crawl", Work, gathers=["join"]),
        step("inner", Note, gathers=["part"]),
        gather("part", Other),
        gather("join", Done),
    )
    driver = Driver(plan).start(Work(0))
    driver.succeed("crawl", [Note(0)])
    driver.succeed("inner", [Work(1)])
    driver.succeed("crawl", [Done(1), Done(2), Work(3)])
    driver.succeed("part", Done(0))
    driver.succeed("crawl", [Done(3)])
    assert driver.events("join") == [Done(0), Done(1), Done(2), Done(3)]
    assert driver.find("join").records[-1].branch == 3


# ---- what several causes have in common ---------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.GATHER, Mode.BATCH, Mode.PAIR])
def test_what_was_joined_is_in_the_line_of_causes_of_each_event(mode: Mode) -> None:
    """So that an error step can't feed the failing step for ever by way of a join."""
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        step("on_error", StepFailed),
        step("join", Done, Done, mode=mode, size=2),
        max_recoveries=1,
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(1)])
    driver.fail("work")
    driver.succeed("on_error", (Done(1), Done(2)))
    driver.fail("join")
    assert driver.status == "failed"

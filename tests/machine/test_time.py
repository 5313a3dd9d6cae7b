"""Time: delays, the time limits of steps and of the run, and what does not count."""

from __future__ import annotations

import pytest

from blazen_anyio._events import InputRequestEvent, InputResponseEvent, StopEvent
from blazen_anyio._exceptions import WorkflowTimeoutError
from blazen_anyio._machine.timers import Timers

from .driver import FAN, Done, Driver, Go, Note, Work, gather, make_plan, step

TIMED = make_plan(step("go", Go, timeout=5), step("work", Work))
RUN = make_plan(
    step("go", Go, waits=(Note,)), step("answer", InputResponseEvent), timeout=10, external=(Note,)
)


# ---- delays ------------------------------------------------------------------------------------


def test_an_event_sent_with_a_delay_is_routed_when_it_is_due() -> None:
    driver = Driver(TIMED).start()
    driver.succeed("go", sends=[(Work(1), 3.0), (Work(2), 1.0), Work(0)])
    assert driver.take_all() == ["work"]
    driver.advance(1)
    assert driver.queued()[-1] == ("work", (2,))
    driver.advance(2)
    assert driver.queued()[-1] == ("work", (1,))


def test_a_delay_survives_a_restoration_and_elapses_meanwhile() -> None:
    driver = Driver(TIMED).start()
    driver.succeed("go", sends=[(Work(1), 3.0)])
    driver.now = 100.0
    again = driver.restored()
    again.advance(0)
    assert again.take_all() == ["work"]


def test_a_delayed_event_holds_its_scope_open() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", sends=[(Done(0), 5.0)])
    driver.succeed("work", Done(1))
    assert driver.take() is None
    driver.advance(5)
    assert driver.events("join") == [Done(0), Done(1)]


def test_a_delayed_stop_ends_the_run_and_what_is_due_after_it_stays() -> None:
    driver = Driver(TIMED).start()
    driver.succeed("go", sends=[(StopEvent(result="late"), 2.0), (Work(1), 2.0)])
    driver.advance(2)
    assert driver.result == "late"
    assert driver.machine.next_deadline is None
    driver.advance(5)
    assert driver.queued() == [("", (1,))]
    assert driver.kinds.count("run_completed") == 1


def test_a_delayed_event_in_a_scope_that_has_closed_is_dropped() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]), step("work", Work), gather("join", Done, count=1)
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", sends=[(Done(9), 5.0)])
    driver.succeed("work", Done(1), sends=[Done(0), (Done(8), 1.0)])
    assert driver.take_all() == ["join"]
    assert driver.machine.next_deadline is None


def test_a_delayed_event_may_close_the_scope_that_it_is_in() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]), step("work", Work), gather("join", Done, count=1)
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", sends=[(Done(0), 1.0), (Done(1), 1.0)])
    driver.succeed("work")
    driver.advance(1)
    assert driver.events("join") == [Done(0)]
    driver.succeed("join", StopEvent())
    assert driver.snapshot().deliveries == {}


def test_what_a_restored_workflow_sends_late_it_accepts_or_ignores() -> None:
    plan = make_plan(step("go", Go), ignore_unhandled=True)
    driver = Driver(plan).start()
    driver.succeed("go", sends=[(Note(), 1.0)])
    driver.advance(1)
    assert driver.status == "failed"  # stalled: nothing is left


# ---- the time limit of a step ------------------------------------------------------------------


def test_an_attempt_is_cancelled_when_its_time_is_up() -> None:
    driver = Driver(TIMED).start()
    driver.take()
    assert driver.machine.next_deadline == 5
    driver.advance(4.9)
    assert driver.cancelled == []
    driver.advance(0.1)
    assert [d.doom for d in driver.cancelled] == ["timeout"]
    driver.fail("go", TimeoutError())
    assert driver.kinds[-2:] == ["step_timed_out", "run_failed"]


def test_an_attempt_that_finishes_although_its_time_is_up_counts() -> None:
    driver = Driver(TIMED).start()
    driver.take()
    driver.advance(5)
    driver.succeed("go", Work())
    assert driver.take_all() == ["work"]


def test_a_finished_attempt_leaves_no_time_limit_behind() -> None:
    driver = Driver(TIMED).start()
    driver.succeed("go", Work())
    assert driver.machine.next_deadline is None


def test_every_attempt_has_the_whole_time() -> None:
    driver = Driver(TIMED).start()
    driver.take()
    driver.advance(5)
    driver.cancelled.clear()
    driver.fail("go", TimeoutError(), retry_in=1)
    driver.advance(1)
    driver.take()
    driver.advance(4)
    assert driver.cancelled == []
    driver.advance(1)
    assert [d.doom for d in driver.cancelled] == ["timeout"]


def test_the_time_limit_of_a_step_runs_during_a_pause() -> None:
    driver = Driver(TIMED).start()
    driver.take()
    driver.pause()
    driver.advance(5)
    assert [d.doom for d in driver.cancelled] == ["timeout"]


def test_an_attempt_that_is_being_cancelled_for_another_reason_does_not_time_out() -> None:
    driver = Driver(TIMED).start()
    driver.take()
    driver.suspend()
    driver.advance(5)
    assert [d.doom for d in driver.cancelled] == ["suspend"]


# ---- the time limit of a run -------------------------------------------------------------------


def test_a_run_fails_when_it_was_active_for_too_long() -> None:
    driver = Driver(RUN).start()
    driver.take()
    assert driver.machine.next_deadline == 10
    driver.advance(10)
    error = driver.error
    assert isinstance(error, WorkflowTimeoutError)
    assert (error.timeout, error.running) == (10, ("go",))
    driver.stop_everything()
    assert driver.queued() == [("go", (0,))]


def test_time_that_a_run_is_paused_does_not_count() -> None:
    driver = Driver(RUN).start()
    driver.take()
    driver.advance(4)
    driver.pause()
    assert driver.machine.next_deadline is None
    driver.advance(100)
    driver.resume()
    assert driver.machine.next_deadline == 110
    driver.advance(5.9)
    assert driver.status is None
    driver.advance(0.1)
    assert isinstance(driver.error, WorkflowTimeoutError)


@pytest.mark.parametrize("inside", [False, True])
def test_time_in_which_a_run_only_waits_for_a_human_does_not_count(inside: bool) -> None:
    driver = Driver(RUN).start()
    driver.take()
    driver.advance(4)
    if inside:
        driver.ask("go")
    else:
        driver.succeed("go", InputRequestEvent("?"))
    driver.advance(1000)
    driver.respond(driver.shown[0].request_id, 1)
    driver.advance(5)
    assert driver.status is None
    driver.advance(1)
    assert isinstance(driver.error, WorkflowTimeoutError)


def test_time_counts_while_other_work_goes_on_beside_a_request() -> None:
    driver = Driver(RUN).start()
    driver.send(Go())
    driver.take_all()
    driver.succeed("go", InputRequestEvent("?"))
    driver.advance(10)
    assert isinstance(driver.error, WorkflowTimeoutError)


def test_time_that_a_loser_takes_to_clean_up_counts() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        gather("join", Done, count=1),
        step("answer", InputResponseEvent),
        timeout=10,
    )
    driver = Driver(plan).start()
    driver.send(InputRequestEvent("?"))
    driver.succeed("split", [Work(0), Work(1)])
    driver.take_all()
    driver.succeed("work", Done(0))
    driver.advance(6)
    driver.follow()
    driver.succeed("join")
    driver.advance(100)
    assert driver.machine.active_time(driver.now) == 6


REQUESTED = make_plan(
    step("go", Go, waits=(Note,)),
    step("answer", InputResponseEvent),
    timeout=1000,
    external=(Note,),
)


def _only_waiting() -> Driver:
    """A run in which only a human can do something, with a second step that waits."""
    driver = Driver(REQUESTED).start()
    driver.send(InputRequestEvent("?"))
    driver.wait("go", timeout=3)
    return driver


@pytest.mark.parametrize("what", ["send", "respond", "claim", "leave", "tick", "pause", "cancel"])
def test_the_time_up_to_an_input_is_counted_as_it_was_before_it(what: str) -> None:
    driver = _only_waiting()
    driver.send(Note())
    driver.now = 3.0
    if what == "send":
        driver.send(Go())
    elif what == "respond":
        driver.respond(driver.shown[0].request_id, 1)
    elif what == "claim":
        driver.claim("go")
    elif what == "leave":
        driver.leave("go")
    elif what == "tick":
        driver.machine.tick(3.0)
    else:
        getattr(driver, what)()
    assert driver.machine.active_time(3.0) == 0


@pytest.mark.parametrize("what", ["ask", "rest", "pause", "suspend", "cancel", "fail", "snapshot"])
def test_the_time_up_to_an_input_counts_if_something_ran(what: str) -> None:
    driver = Driver(REQUESTED).start()
    go = driver.find("go")
    driver.now = 5.0
    if what == "ask":
        driver.ask(go)
    elif what == "rest":
        driver.machine.inside.rest(go, True, 5.0)
    elif what == "fail":
        driver.machine.fail(TimeoutError(), 5.0)
    elif what == "snapshot":
        assert driver.snapshot().run[0].active == 5
    else:
        getattr(driver, what)()
    if what != "snapshot":
        driver.now = 50.0
    assert driver.machine.active_time(driver.now) == 5


def test_time_in_which_children_rest_does_not_count() -> None:
    driver = Driver(REQUESTED).start()
    go = driver.find("go")
    driver.machine.inside.rest(go, True, 0.0)
    driver.now = 20.0
    driver.machine.inside.rest(go, False, 20.0)
    assert driver.machine.active_time(25.0) == 5


def test_a_run_that_has_ended_is_not_active() -> None:
    driver = Driver(REQUESTED).start()
    driver.find("go")
    driver.now = 2.0
    driver.succeed("go", StopEvent())
    assert driver.machine.active_time(99.0) == 2


def test_active_time_survives_a_restoration() -> None:
    driver = Driver(RUN).start()
    driver.take()
    driver.advance(7)
    again = driver.restored()
    assert again.machine.active_time(again.now) == 7
    again.take()
    again.advance(3)
    assert isinstance(again.error, WorkflowTimeoutError)


def test_the_limit_is_reached_whatever_the_clock_rounds() -> None:
    """A clock that stands at the deadline must not be asked to come back at the same time."""
    plan = make_plan(step("go", Go), timeout=0.1)
    driver = Driver(plan, now=1_000_000.0).start()
    driver.take()
    deadline = driver.machine.next_deadline
    assert deadline is not None
    assert 0.09 < deadline - driver.now < 0.1
    driver.machine.tick(deadline)
    assert isinstance(driver.error, WorkflowTimeoutError)


def test_a_stop_that_is_due_when_the_time_is_up_counts() -> None:
    driver = Driver(RUN).start()
    driver.succeed("go", Go(), sends=[(StopEvent(result="just"), 10.0)])
    driver.take()
    driver.advance(10)
    assert driver.result == "just"


def test_the_earlier_of_two_deadlines_is_next() -> None:
    plan = make_plan(step("go", Go, timeout=5), timeout=10)
    driver = Driver(plan).start()
    assert driver.machine.next_deadline == 10
    driver.take()
    assert driver.machine.next_deadline == 5


def test_a_tick_before_anything_is_due_changes_nothing() -> None:
    driver = Driver(RUN).start()
    driver.take()
    before = driver.machine._ledger.sequence
    driver.advance(1)
    assert driver.machine._ledger.sequence == before


# ---- timers ------------------------------------------------------------------------------------


def test_dropped_timers_do_not_pile_up() -> None:
    driver = Driver(make_plan(step("go", Go, timeout=1e9))).start()
    for _ in range(300):
        driver.machine.handling.succeeded(driver.machine.handling.take(0.0), Go(), None, 0.0)  # type: ignore[arg-type]
    assert len(driver.machine._ledger.timers._heap) < 150


def test_timers_that_are_due_at_once_ring_in_the_order_of_their_setting() -> None:
    driver = Driver(TIMED).start()
    driver.succeed("go", sends=[(Work(n), 5.0) for n in range(9)])
    driver.advance(5)
    assert driver.queued() == [("work", (n,)) for n in range(9)]


def test_timers_are_compacted_when_most_of_them_were_dropped() -> None:
    delivery = Driver(TIMED).start().find("go")
    timers = Timers()
    live = [timers.set(1000.0 + n, "delay", delivery) for n in range(65)]
    dropped = [timers.set(n, "delay", delivery) for n in range(65)]
    for timer in dropped[:-1]:
        timers.drop(timer)
    assert len(timers._heap) == 130  # not worth it yet
    assert timers.earliest() == 64.0
    assert len(timers._heap) == 66  # what has surfaced is gone
    for timer in live[:64]:
        timers.drop(timer)
    assert len(timers._heap) == 66
    timers.drop(live[64])
    assert (len(timers._heap), timers.earliest()) == (1, 64.0)


def test_a_timer_may_be_dropped_twice() -> None:
    driver = Driver(TIMED).start()
    delivery = driver.find("go")
    timers = Timers()
    timer = timers.set(1.0, "delay", delivery)
    assert timers.sooner
    timers.sooner = False
    timers.set(2.0, "delay", delivery)
    assert not timers.sooner
    timers.drop(timer)
    timers.drop(timer)
    assert timers.earliest() == 2.0


def test_a_machine_says_whether_its_next_deadline_may_have_moved_forward() -> None:
    driver = Driver(TIMED).start()
    assert not driver.machine.sooner
    driver.take()
    assert driver.machine.sooner
    assert driver.machine.next_deadline == 5
    assert not driver.machine.sooner

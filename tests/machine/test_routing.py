"""Routing: every acceptor in the order of the list, stop ahead of the queue, nothing lost."""

from __future__ import annotations

import pytest

from blazen_anyio._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._exceptions import NoHandlerError
from blazen_anyio._machine import Mode

from .driver import FAN, Boom, Done, Driver, Go, Note, Other, Work, gather, make_plan, step


class Derived(Work, event_type="test.Derived"):
    pass


def test_every_acceptor_gets_the_event_in_the_order_of_the_list() -> None:
    plan = make_plan(step("b", Go), step("a", Go), step("c", Go, Note), step("d", Note))
    assert Driver(plan).start().take_all() == ["b", "a", "c"]


def test_a_step_that_accepts_a_base_receives_the_derived() -> None:
    plan = make_plan(step("go", Go), step("base", Work), step("derived", Derived))
    driver = Driver(plan).start()
    driver.succeed("go", (Derived(1), Work(2)))
    assert driver.take_all() == ["base", "derived", "base"]


@pytest.mark.parametrize(
    "event",
    [
        StepFailed("x", Go(), Boom(), 1),
        InputResponseEvent("unknown", 1),
    ],
)
def test_event_itself_does_not_match_control_events(event: Event) -> None:
    driver = Driver(make_plan(step("all", Event))).start(event)
    assert isinstance(driver.error, NoHandlerError)
    assert driver.error.event is event


def test_event_itself_does_not_match_a_request() -> None:
    driver = Driver(make_plan(step("all", Event))).start()
    driver.succeed("all", InputRequestEvent("?"))
    assert driver.take() is None
    assert len(driver.shown) == 1


def test_a_control_event_reaches_the_step_that_names_it() -> None:
    driver = Driver(make_plan(step("all", Event, InputRequestEvent))).start(InputRequestEvent("?"))
    assert driver.take_all() == ["all"]


def test_a_dynamic_event_goes_by_its_name_or_to_the_step_that_accepts_every_event() -> None:
    plan = make_plan(
        step("named", Go, dynamic=frozenset({"x"})), step("all", Event), step("dyn", DynamicEvent)
    )
    driver = Driver(plan).start(DynamicEvent("x"))
    assert driver.take_all() == ["named", "all", "dyn"]
    driver = Driver(plan).start(DynamicEvent("y"))
    assert driver.take_all() == ["all", "dyn"]


def test_events_are_handled_in_the_order_in_which_they_were_committed() -> None:
    plan = make_plan(step("go", Go), step("work", Work), step("note", Note))
    driver = Driver(plan).start()
    driver.succeed("go", (Note(1), Work(2), Note(3)))
    assert driver.queued() == [("note", (1,)), ("work", (2,)), ("note", (3,))]
    assert driver.take_all() == ["note", "work", "note"]


def test_a_stop_event_ends_the_run_ahead_of_the_queue() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    driver.succeed("go", (Work(1), StopEvent(result="end"), Work(2)))
    assert driver.take() is None
    assert driver.result == "end"
    assert driver.machine.finished


def test_only_the_first_stop_event_counts() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.succeed("go", (StopEvent(result=1), StopEvent(result=2)))
    assert driver.result == 1


def test_a_run_is_finished_when_what_ran_at_its_end_has_been_reported() -> None:
    driver = Driver(make_plan(step("a", Go), step("b", Go), step("c", Go))).start()
    driver.take_all()
    driver.succeed("a", StopEvent())
    assert not driver.machine.finished
    driver.succeed("b", StopEvent(result="late"))
    driver.fail("c", Boom("late"))
    assert driver.machine.finished
    assert driver.result is None
    assert [str(error) for error in driver.machine.late] == ["late"]


def test_an_event_that_nobody_accepts_fails_the_run_before_anything_changes() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    driver.succeed(
        "go", (Work(1), Note(9)), sends=[Work(2)], writes={"key": 1}, removes=frozenset()
    )
    assert isinstance(driver.error, NoHandlerError)
    assert driver.error.source == "go"
    assert driver.error.event == Note(9)
    assert driver.queued() == [("go", (0,))]
    assert driver.machine.finished
    assert driver.snapshot().state == {}


@pytest.mark.parametrize(
    "sends", [[Note()], [(Note(), 5.0)], [[Note()]]], ids=["plain", "delayed", "fan-out"]
)
def test_what_nobody_accepts_is_found_however_it_is_sent(
    sends: list[Event | list[Event] | tuple[Event, float]],
) -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.succeed("go", sends=sends)
    assert isinstance(driver.error, NoHandlerError)
    assert driver.queued() == [("go", (0,))]


def test_what_nobody_accepts_is_found_in_every_form_of_a_return() -> None:
    for returned in (Note(), (Work(), Note()), [Work(), Note()]):
        driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
        driver.succeed("go", returned)
        assert isinstance(driver.error, NoHandlerError)


def test_an_event_from_outside_that_nobody_accepts_fails_the_run_and_loses_nothing() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.send(Note())
    assert isinstance(driver.error, NoHandlerError)
    assert driver.error.source is None
    assert driver.queued() == [("go", (0,))]


def test_an_early_event_that_nobody_accepts_fails_the_run() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.send_early("go", Note())
    assert isinstance(driver.error, NoHandlerError)
    driver.stop_everything()
    assert driver.queued() == [("go", (0,))]


def test_unhandled_events_are_dropped_without_a_trace_if_the_workflow_says_so() -> None:
    driver = Driver(make_plan(step("go", Go), ignore_unhandled=True)).start()
    driver.succeed("go", (Note(1), Go()))
    driver.send(Note(2))
    assert driver.take_all() == ["go"]
    assert len(driver.snapshot().events) == 1


def test_a_gathered_type_outside_every_bound_scope_counts_as_unhandled() -> None:
    for returned in (Done(1), (Done(1),)):
        driver = Driver(FAN).start()
        driver.succeed("split", returned)
        assert isinstance(driver.error, NoHandlerError)


def test_an_event_of_a_gather_may_go_to_another_step_outside_the_scope() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]), gather("join", Done), step("also", Done, Other)
    )
    driver = Driver(plan).start()
    driver.succeed("split", (Done(1),))
    assert driver.take_all() == ["also"]


def test_a_delayed_event_that_a_changed_workflow_accepts_no_longer_stays_in_the_snapshot() -> None:
    driver = Driver(make_plan(step("go", Go), step("note", Note))).start()
    driver.succeed("go", sends=[(Note(7), 5.0)])
    again = driver.restored(make_plan(step("go", Go)))
    again.advance(5)
    assert isinstance(again.error, NoHandlerError)
    last = again.restored(driver.plan)
    last.advance(0)
    assert last.take_all() == ["note"]


def test_a_step_is_found_by_its_name() -> None:
    assert FAN.step("join").mode is Mode.GATHER
    with pytest.raises(KeyError):
        FAN.step("nobody")


def test_a_plan_tells_which_events_it_accepts_from_outside() -> None:
    assert FAN.accepts(Go())
    assert not FAN.accepts(Done())
    assert make_plan(step("go", Go), ignore_unhandled=True).accepts(Done())

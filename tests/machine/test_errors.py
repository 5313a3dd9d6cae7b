"""Failures: retries, error steps, bounds; what fails a run and what it keeps."""

from __future__ import annotations

import pytest

from blazen_anyio._events import StepFailed, StopEvent
from blazen_anyio._exceptions import NoHandlerError, StepFailedError

from .driver import FAN, Boom, Done, Driver, Go, Note, Work, gather, make_plan, step


def _handled(**options: object) -> Driver:
    plan = make_plan(step("go", Go), step("work", Work), step("on_error", StepFailed, **options))
    return Driver(plan).start()


# ---- retries -----------------------------------------------------------------------------------


def test_a_retry_comes_when_its_delay_is_over_and_counts_the_attempts() -> None:
    driver = Driver(FAN).start()
    driver.fail("split", retry_in=2)
    assert driver.machine.next_deadline == 2
    driver.advance(1.9)
    assert driver.take() is None
    driver.advance(0.1)
    assert driver.find("split").attempts == 1
    assert driver.find("split").first_tried == 0


def test_a_delayed_retry_holds_no_slot() -> None:
    driver = Driver(make_plan(step("go", Go, max_concurrency=1))).start()
    driver.send(Go())
    driver.fail("go", retry_in=5)
    assert driver.take_all() == ["go"]


def test_a_retry_queues_behind_what_is_there_when_it_is_due() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work), max_concurrency=1)).start()
    driver.fail("go", retry_in=1)
    driver.send(Work())
    driver.send(Work())
    driver.take()
    driver.advance(1)
    assert driver.restored().queued() == [("work", (0,)), ("work", (0,)), ("go", (0,))]
    driver.succeed("work")
    assert driver.take() == "work"


def test_the_attempts_and_the_delay_survive_a_restoration() -> None:
    driver = Driver(FAN).start()
    driver.fail("split", retry_in=5)
    driver.advance(2)
    again = driver.restored()
    assert again.machine.next_deadline == 5
    again.advance(3)
    assert again.find("split").attempts == 1
    assert again.find("split").first_tried == 0


def test_retries_that_are_due_at_once_come_in_the_order_of_their_failures() -> None:
    for restored in (False, True):
        driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
        driver.succeed("go", (Work(1), Work(2)))
        driver.take_all()
        first, second = driver.running
        driver.running.clear()
        driver.machine.handling.failed(second, Boom(), 1.0, 0.0)
        driver.machine.handling.failed(first, Boom(), 1.0, 0.0)
        if restored:
            driver = driver.restored()
        driver.advance(1)
        driver.take_all()
        assert [d.events for d in driver.running] == [Work(2), Work(1)]


def test_a_failure_with_no_one_to_handle_it_fails_the_run_and_stays_in_the_snapshot() -> None:
    driver = Driver(FAN).start()
    boom = Boom()
    driver.fail("split", boom)
    error = driver.error
    assert isinstance(error, StepFailedError)
    assert (error.step, error.event, error.attempts, error.error) == ("split", Go(), 1, boom)
    assert driver.queued() == [("split", (0,))]
    assert driver.restored().find("split").attempts == 0


# ---- error steps -------------------------------------------------------------------------------


def test_an_error_step_gets_the_failure_as_an_event() -> None:
    driver = _handled()
    boom = Boom("why")
    driver.fail("go", boom)
    failure = driver.events("on_error")
    assert (failure.step, failure.event, failure.error, failure.attempts) == ("go", Go(), boom, 1)
    assert failure.message == "why"
    driver.succeed("on_error", StopEvent(result="recovered"))
    assert driver.result == "recovered"


def test_an_error_step_may_be_for_some_steps_only() -> None:
    driver = _handled(for_steps=frozenset({"work"}))
    driver.succeed("go", Work())
    driver.fail("work")
    assert driver.take_all() == ["on_error"]
    driver.send(Go())
    driver.fail("go")
    assert isinstance(driver.error, StepFailedError)


def test_every_error_step_that_wants_a_failure_gets_it() -> None:
    plan = make_plan(
        step("go", Go),
        step("all", StepFailed),
        step("others", StepFailed, for_steps=frozenset({"other"})),
        step("its", StepFailed, for_steps=frozenset({"go"})),
    )
    driver = Driver(plan).start()
    driver.fail("go")
    assert driver.take_all() == ["all", "its"]


def test_a_failure_that_a_step_sends_goes_to_the_error_steps_that_are_for_it() -> None:
    failure = StepFailed("go", Go(), None, 1)
    driver = _handled(for_steps=frozenset({"go"}))
    driver.succeed("go", failure)
    assert driver.take_all() == ["on_error"]
    driver = _handled(for_steps=frozenset({"work"}))
    driver.succeed("go", failure)
    assert isinstance(driver.error, NoHandlerError)
    plan = make_plan(
        step("go", Go, Work),
        step("some", StepFailed, for_steps=frozenset({"work"})),
        step("its", StepFailed, for_steps=frozenset({"go"})),
    )
    driver = Driver(plan).start()
    driver.succeed("go", failure)
    assert driver.take_all() == ["its"]


def test_a_failure_that_no_error_step_is_for_may_be_ignored() -> None:
    plan = make_plan(
        step("go", Go),
        step("on_error", StepFailed, for_steps=frozenset({"other"})),
        ignore_unhandled=True,
    )
    driver = Driver(plan).start()
    driver.succeed("go", StepFailed("go", Go(), None, 1))
    assert driver.take() is None


def test_a_handlers_own_failure_is_never_routed_to_an_error_step() -> None:
    plan = make_plan(step("go", Go), step("a", StepFailed), step("b", StepFailed))
    driver = Driver(plan).start()
    driver.fail("go")
    driver.fail("a", Boom("second"))
    assert isinstance(driver.error, StepFailedError)
    assert driver.error.step == "a"


@pytest.mark.parametrize("where", ["workflow", "step"])
def test_recoveries_in_one_line_of_causes_are_bounded(where: str) -> None:
    bound = {"max_recoveries": 3}
    plan = make_plan(
        step("go", Go),
        step("on_error", StepFailed, **(bound if where == "step" else {})),
        **(bound if where == "workflow" else {}),  # type: ignore[arg-type]
    )
    driver = Driver(plan).start()
    recovered = 0
    while driver.status is None:
        driver.fail("go")
        if driver.status is None:
            driver.succeed("on_error", Go())
            recovered += 1
    assert recovered == 3
    assert isinstance(driver.error, StepFailedError)


def test_recoveries_of_separate_lines_do_not_add_up() -> None:
    driver = Driver(
        make_plan(step("go", Go), step("on_error", StepFailed), max_recoveries=1)
    ).start()
    for _ in range(5):
        driver.fail("go")
        driver.send(Go())
        driver.succeed("on_error")
    assert driver.status is None


def test_a_failure_inherits_the_token_of_what_failed() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        gather("join", Done),
        step("on_error", StepFailed),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.fail("work")
    driver.succeed("work", Done(1))
    assert driver.take_all() == ["on_error"]
    driver.succeed("on_error", Done(0))
    assert driver.events("join") == [Done(0), Done(1)]


def test_a_failing_gather_reports_all_it_was_called_with() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [Done(1), Done(2)])
    driver.fail("join")
    assert isinstance(driver.error, StepFailedError)
    assert driver.error.event == [Done(1), Done(2)]
    assert driver.restored().events("join") == [Done(1), Done(2)]


def test_a_cleanup_that_fails_in_a_suspension_uses_up_no_attempt_and_is_told() -> None:
    driver = Driver(FAN).start()
    driver.take()
    driver.suspend()
    driver.fail("split", Boom("cleanup"))
    assert driver.status == "suspended"
    assert [str(error) for error in driver.machine.late] == ["cleanup"]
    assert driver.restored().find("split").attempts == 0


# ---- errors that no step made ------------------------------------------------------------------


def test_a_run_may_fail_over_an_error_from_outside_its_steps() -> None:
    driver = Driver(FAN).start()
    driver.machine.fail(Boom("handler"), driver.now)
    assert str(driver.error) == "handler"
    driver.machine.fail(Boom("later"), driver.now)
    assert str(driver.error) == "handler"
    assert [str(error) for error in driver.machine.late] == ["later"]
    assert driver.kinds.count("run_failed") == 1


def test_errors_after_the_end_are_kept_and_change_nothing() -> None:
    driver = Driver(make_plan(step("go", Go), step("note", Go, Note))).start()
    driver.take_all()
    driver.succeed("go", StopEvent(result=1))
    driver.fail("note", Boom("late"))
    assert driver.result == 1
    assert [str(error) for error in driver.machine.late] == ["late"]
    assert driver.queued() == [("note", (0,))]

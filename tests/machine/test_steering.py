"""Pause, suspend, cancel, close; stalled, idle, at rest; and what is told of a run."""

from __future__ import annotations

from typing import Any

import pytest

from blazen_anyio._events import InputRequestEvent, InputResponseEvent, StopEvent
from blazen_anyio._exceptions import NonDeterministicStepError, WorkflowStalledError
from blazen_anyio._machine import Machine, in_rows

from .driver import FAN, Boom, Driver, Go, Note, Work, make_plan, step

PLAN = make_plan(
    step("go", Go, waits=(Note,)),
    step("work", Work),
    step("answer", InputResponseEvent),
    external=(Note, Go),
)


# ---- pause -------------------------------------------------------------------------------------


def test_a_pause_stops_dispatch_at_once_and_lets_what_runs_go_on() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.pause()
    driver.succeed("go", Work())
    assert driver.take() is None
    assert not driver.machine.has_backlog()
    driver.resume()
    assert driver.take_all() == ["work"]


def test_a_paused_run_takes_and_commits_inputs() -> None:
    driver = Driver(PLAN).start()
    driver.succeed("go", InputRequestEvent("?"))
    driver.pause()
    driver.send(Go())
    driver.respond(driver.shown[0].request_id, 1)
    assert driver.queued() == [("go", (0,)), ("answer", (0,))]
    assert driver.take() is None


def test_pausing_and_resuming_twice_is_once() -> None:
    driver = Driver(PLAN).start()
    driver.resume()
    driver.pause()
    driver.pause()
    driver.resume()
    driver.resume()
    assert driver.kinds.count("run_paused") == driver.kinds.count("run_resumed") == 1


def test_a_paused_run_ends_when_what_runs_stops_it() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.pause()
    driver.succeed("go", StopEvent(result=3))
    assert driver.result == 3


# ---- suspend -----------------------------------------------------------------------------------


def test_a_suspended_run_keeps_what_was_not_handled_and_uses_up_no_attempt() -> None:
    driver = Driver(PLAN).start()
    driver.send(Go())
    driver.take_all()
    driver.succeed("go", Work())
    driver.suspend()
    assert driver.status is None
    assert driver.follow() == ["go"]
    assert driver.status == "suspended"
    again = driver.restored()
    assert again.take_all() == ["go", "work"]
    assert again.find("go").attempts == 0


def test_a_run_in_which_nothing_runs_is_suspended_at_once() -> None:
    driver = Driver(PLAN).start()
    driver.suspend()
    assert driver.status == "suspended"
    driver.suspend()
    assert driver.cancelled == []
    driver.resume()
    driver.pause()
    assert driver.kinds.count("run_suspended") == 1


@pytest.mark.parametrize("ending", ["succeed", "fail", "retry", "release"])
def test_a_suspension_ends_however_the_last_attempt_does(ending: str) -> None:
    driver = Driver(
        make_plan(step("go", Go), step("work", Work), step("all", Go), external=(Go,))
    ).start()
    driver.take_all()
    driver.suspend()
    driver.release("all")
    assert driver.status is None
    if ending == "succeed":
        driver.succeed("go", Work())
        assert driver.queued() == [("all", (0,)), ("work", (0,))]
    elif ending == "release":
        driver.release("go")
    elif ending == "retry":
        driver.fail("go", retry_in=9)
    else:
        driver.fail("go")  # a cleanup that fails: no attempt is used up
    assert driver.status == "suspended"
    assert driver.kinds.count("run_suspended") == 1
    assert all(row.attempts == 0 for row in driver.snapshot().deliveries.values())


def test_a_stop_that_comes_during_a_suspension_counts() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.suspend()
    driver.succeed("go", StopEvent(result="done"))
    assert driver.result == "done"


def test_what_waits_is_cancelled_and_delivered_again_after_a_suspension() -> None:
    driver = Driver(PLAN).start()
    driver.send(Go())
    driver.take_all()
    first, second = driver.running
    driver.wait(first)
    driver.wait(second)
    driver.send(Note())
    driver.claim(second)  # it queues for its slot
    driver.suspend()
    assert driver.follow() == ["go", "go"]
    assert driver.status == "suspended"
    again = driver.restored()
    assert again.take_all() == ["go", "go"]
    assert {d.effects[0].settled for d in again.running if d.effects} == {None, "answered"}


def test_a_resumption_is_refused_while_a_run_is_being_suspended() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.suspend()
    driver.resume()
    assert driver.machine.paused


def test_a_suspended_run_waits_until_its_last_commit_is_durable() -> None:
    driver = Driver(PLAN, gated=True).start()
    driver.suspend()
    assert driver.status is None
    driver.committed(1)
    assert driver.status == "suspended"


# ---- cancel ------------------------------------------------------------------------------------


def test_a_cancelled_run_hands_nothing_out_and_keeps_what_was_not_handled() -> None:
    driver = Driver(PLAN).start()
    driver.send(Go())
    driver.take()
    driver.cancel()
    assert driver.status == "cancelled"
    assert driver.take() is None
    assert not driver.machine.finished
    driver.stop_everything()
    driver.cancel()
    assert driver.machine.finished
    assert driver.queued() == [("go", (0,)), ("go", (0,))]
    assert driver.kinds.count("run_cancelled") == 1


# ---- stalled, idle, closed ---------------------------------------------------------------------


def test_a_run_with_nothing_left_to_do_has_stalled_at_once() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [])
    driver.succeed("join")
    assert isinstance(driver.error, WorkflowStalledError)
    assert driver.error.waiting == ()


def test_a_stall_names_what_each_join_waits_for() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    driver.succeed("go", (Work(1), Work(2), Work(3)))
    for _ in range(3):
        driver.succeed("work", collects={Work.event_type: (True, 0)})
    assert isinstance(driver.error, WorkflowStalledError)
    assert driver.error.waiting == ("step 'work' holds 3 of test.Work and waits for more",)


def test_a_run_is_not_stalled_while_anything_is_delayed() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.succeed("go", sends=[(Go(), 5.0)])
    assert driver.status is None


def test_a_run_that_may_receive_events_idles_while_somebody_is_there() -> None:
    driver = Driver(PLAN).start()
    driver.succeed("go")
    assert driver.status is None
    assert driver.machine.at_rest
    driver.send(Go())
    assert not driver.machine.at_rest
    driver.succeed("go")
    driver.close()
    driver.close()
    assert driver.status == "suspended"
    assert not driver.machine.at_rest


def test_a_run_that_only_waits_for_answers_is_suspended_when_nobody_is_there() -> None:
    driver = Driver(FAN).start()
    driver.close()
    driver.succeed("split", [Work(0), InputRequestEvent("?")])
    assert driver.status is None
    driver.succeed("work")
    assert driver.status == "suspended"
    assert len(driver.restored().machine.requests) == 1


def test_a_run_whose_requests_a_handler_answers_goes_on_waiting() -> None:
    driver = Driver(FAN)
    driver.machine.answers_requests = True
    driver.start()
    driver.close()
    driver.succeed("split", [InputRequestEvent("?")])
    assert driver.status is None
    assert not driver.machine.at_rest


def test_a_run_with_a_timed_wait_goes_on_when_nobody_is_there() -> None:
    driver = Driver(make_plan(step("go", Go, waits=(Note,)))).start()
    driver.close()
    driver.wait("go", timeout=5)
    assert driver.status is None
    driver.advance(5)
    assert driver.take_all() == ["go"]


def test_a_run_with_an_untimed_wait_is_suspended_when_nobody_is_there() -> None:
    driver = Driver(make_plan(step("go", Go, waits=(Note,)))).start()
    driver.wait("go")
    assert driver.status is None
    driver.close()
    assert driver.status == "suspended"
    assert driver.restored().take_all() == ["go"]


def test_a_closed_run_is_not_suspended_before_an_offered_event_has_been_judged() -> None:
    plan = make_plan(step("go", Go, waits=(Note,)), step("note", Go))
    driver = Driver(plan).start()
    driver.close()
    driver.wait("go")
    machine = driver.machine
    machine.handling.succeeded(driver.find("note"), Note(1), None, 0.0)
    assert machine.outcome is None
    assert not machine.at_rest
    driver._after()
    driver.claim("go")
    assert driver.take_all() == ["go"]


def test_a_closed_run_is_suspended_when_nobody_claims_what_was_offered() -> None:
    plan = make_plan(step("go", Go, waits=(Note,)), step("note", Go))
    driver = Driver(plan).start()
    driver.close()
    driver.wait("go")
    driver.succeed("note", Note(1))
    driver.judged()
    assert driver.status == "suspended"


def test_a_run_that_is_being_suspended_is_not_cancelled_twice() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.suspend()
    driver.suspend()
    assert len(driver.cancelled) == 1


@pytest.mark.parametrize("order", [("pause", "close"), ("close", "pause")])
def test_a_paused_run_is_suspended_when_nobody_is_there_to_resume_it(order: list[str]) -> None:
    driver = Driver(PLAN).start()
    for how in order:
        getattr(driver, how)()
    assert driver.status == "suspended"
    assert driver.restored().take_all() == ["go"]


@pytest.mark.parametrize("ending", ["succeed", "retry", "release"])
def test_a_paused_run_is_suspended_when_its_last_attempt_has_ended(ending: str) -> None:
    driver = Driver(PLAN).start()
    driver.send(Go())
    driver.take()
    driver.pause()
    driver.close()
    assert driver.status is None
    if ending == "succeed":
        driver.succeed("go", Work())
    elif ending == "retry":
        driver.fail("go", retry_in=3)
    else:
        driver.release("go")
    assert driver.status == "suspended"


@pytest.mark.parametrize("claimed", [False, True])
def test_a_pause_does_not_wait_for_a_waiter(claimed: bool) -> None:
    driver = Driver(PLAN).start()
    driver.wait("go", timeout=100)
    driver.pause()
    assert driver.machine.at_rest
    if claimed:
        driver.send(Note())
        driver.claim("go")
    driver.close()
    assert driver.status == "suspended"


def test_a_step_that_begins_to_wait_in_a_paused_and_closed_run_is_the_last() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.pause()
    driver.close()
    driver.ask("go")
    assert driver.status == "suspended"


def test_a_gated_run_is_not_at_rest_before_everything_is_durable() -> None:
    driver = Driver(PLAN, gated=True).start()
    driver.committed(1)
    driver.succeed("go")
    assert not driver.machine.at_rest
    driver.committed(2)
    assert driver.machine.at_rest


# ---- children and memos ------------------------------------------------------------------------


def test_a_child_run_is_kept_with_its_invocation_until_that_is_handled() -> None:
    driver = Driver(PLAN).start()
    go = driver.find("go")
    child = driver.machine.inside.begin_child(go, "inner", "", 0.0)
    driver._after()
    driver.machine.inside.end_child(child, StopEvent(result=4), lambda: 4, 0.0)
    driver._after()
    again = driver.restored()
    same = again.machine.inside.begin_child(again.find("go"), "inner", "", 0.0)
    again._after()
    assert (same.has_ended, same.written_result) == (True, 4)
    assert not again.machine.inside.begin_child(again.find("go"), "other", "", 0.0).has_ended
    again._after()
    again.succeed("go")
    assert again.snapshot().children == {}


def test_an_answer_to_a_child_that_has_not_begun_again_is_kept_for_it() -> None:
    driver = Driver(PLAN).start()
    child = driver.machine.inside.begin_child(driver.find("go"), "inner", "", 0.0)
    child.save = lambda: {"saved": 1}
    again = driver.restored()
    ((go, same),) = again.machine.children
    assert go.step.name == "go"
    assert same.is_dormant
    again.machine.inside.answer_child(same, "request", "yes", 0.0)
    again._after()
    last = again.restored()
    ((_, kept),) = last.machine.children
    assert kept.answers == {"request": "yes"}
    last.machine.inside.end_child(kept, StopEvent(), lambda: "written", 0.0)
    assert last.machine.children == []
    assert not kept.is_dormant


def test_a_later_attempt_runs_its_children_anew() -> None:
    driver = Driver(PLAN).start()
    child = driver.machine.inside.begin_child(driver.find("go"), "inner", "", 0.0)
    child.save = lambda: {"saved": 1}
    assert next(iter(driver.snapshot().children.values())).saved == {"saved": 1}
    driver.machine.inside.end_child(child, StopEvent(), lambda: "written", 0.0)
    driver.fail("go", retry_in=0)
    assert driver.snapshot().children == {}
    driver.advance(0)
    assert driver.machine.inside.begin_child(driver.find("go"), "other", "", 0.0) is not child


def test_an_attempt_that_was_put_back_asks_for_the_same_children_again() -> None:
    """No attempt was used up, so what comes is a later delivery, in the same process."""
    driver = Driver(PLAN).start()
    go = driver.find("go")
    children = [driver.machine.inside.begin_child(go, "inner", "", 0.0) for _ in range(2)]
    driver.release("go")
    go = driver.find("go")
    assert [driver.machine.inside.begin_child(go, "inner", "", 0.0) for _ in range(2)] == children


@pytest.mark.parametrize("other", [("other", "a"), ("inner", "b")])
def test_a_child_of_another_kind_than_before_fails_the_run(other: tuple[str, str]) -> None:
    """Another workflow, or another first event."""
    driver = Driver(PLAN).start()
    driver.machine.inside.begin_child(driver.find("go"), "inner", "a", 0.0)
    driver._after()
    again = driver.restored()
    again.machine.inside.begin_child(again.find("go"), *other, 0.0)
    again.succeed("go")
    assert isinstance(again.error, NonDeterministicStepError)


def test_children_side_by_side_may_be_asked_for_in_another_order() -> None:
    driver = Driver(PLAN).start()
    go = driver.find("go")
    first = driver.machine.inside.begin_child(go, "inner", "a", 0.0)
    second = driver.machine.inside.begin_child(go, "inner", "b", 0.0)
    driver.machine.inside.end_child(first, StopEvent(), lambda: "a", 0.0)
    driver.machine.inside.end_child(second, StopEvent(), lambda: "b", 0.0)
    again = driver.restored()
    go = again.find("go")
    for digest in "ba":
        child = again.machine.inside.begin_child(go, "inner", digest, 0.0)
        assert child.written_result == digest


def test_a_memo_is_kept_over_attempts_and_deliveries_until_the_invocation_is_handled() -> None:
    driver = Driver(PLAN).start()
    driver.machine.inside.remember(driver.find("go"), "key", [1], 0.0)
    driver._after()
    driver.fail("go", retry_in=0)
    driver.advance(0)
    again = driver.restored()
    go = again.find("go")
    assert go.memos == {"key": [1]}
    again.machine.inside.remember(go, "more", 2, 0.0)
    again._after()
    again.succeed("go")
    assert again.snapshot().memos == {}


def test_children_and_memos_need_no_journal() -> None:
    machine = Machine(PLAN, "run")
    machine.start(Go(), 0.0)
    go = machine.handling.take(0.0)
    assert go is not None
    machine.inside.begin_child(go, "inner", "", 0.0)
    machine.inside.remember(go, "key", 1, 0.0)
    machine.handling.failed(go, Boom(), 0.0, 0.0)
    assert go.children is None
    machine.tick(0.0)
    assert machine.handling.take(0.0) is go
    machine.handling.succeeded(go, None, None, 0.0)
    assert in_rows(machine.snapshot(0.0)).memos == {}


def test_a_run_whose_children_rest_is_at_rest_itself() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    go = driver.find("go")
    for resting in (True, True, False, False, True):
        driver.machine.inside.rest(go, resting, 0.0)
        assert driver.machine.at_rest is resting
    assert driver.status is None
    driver.machine.inside.rest(go, False, 0.0)
    driver.succeed("go", StopEvent(result=1))
    driver.machine.inside.rest(go, True, 0.0)
    assert driver.result == 1


def test_a_run_whose_children_rest_is_suspended_when_nobody_is_there() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    go = driver.find("go")
    driver.close()
    driver.machine.inside.rest(go, True, 0.0)
    assert driver.status == "suspended"
    driver.stop_everything()
    assert driver.restored().take_all() == ["go"]


def test_a_paused_run_does_not_wait_for_children_that_rest() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    go = driver.find("go")
    driver.pause()
    driver.machine.inside.rest(go, True, 0.0)
    assert driver.machine.at_rest
    driver.close()
    assert driver.status == "suspended"


def test_an_attempt_ends_while_its_children_rest() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    driver.machine.inside.rest(driver.find("go"), True, 0.0)
    driver.succeed("go", Work())
    assert driver.take_all() == ["work"]
    driver.succeed("work")
    assert isinstance(driver.error, WorkflowStalledError)


def test_an_attempt_may_begin_to_wait_while_its_children_rest() -> None:
    driver = Driver(PLAN).start()
    go = driver.find("go")
    driver.machine.inside.rest(go, True, 0.0)
    assert not driver.machine.busy
    driver.ask("go")
    driver.respond(driver.shown[0].request_id, 1)
    assert driver.take_all() == ["go"]
    assert driver.machine.busy


# ---- what can be read --------------------------------------------------------------------------


def test_a_run_is_busy_while_any_attempt_runs_and_not_while_it_waits() -> None:
    driver = Driver(PLAN).start()
    assert not driver.machine.busy
    go = driver.find("go")
    assert driver.machine.busy
    assert driver.machine.running == [go]
    driver.wait("go")
    assert not driver.machine.busy
    assert driver.machine.running == []


def test_state_and_versions_tell_which_commit_wrote_a_key() -> None:
    driver = Driver(PLAN).start()
    driver.succeed("go", Work(), writes={"a": 1})
    driver.succeed("work", writes={"b": 1}, removes=frozenset({"a"}))
    assert driver.machine.state == {"b": 1}
    assert driver.machine.versions == {"a": 3, "b": 3}


def test_a_runner_is_told_when_it_has_more_to_do_than_to_take_the_next() -> None:
    machine = Machine(PLAN, "run")
    assert not machine.answers_requests
    machine.start(Go(), 0.0)
    assert not machine.wants_attention()
    machine.send(Note(), 0.0)
    assert machine.wants_attention()  # an event is offered
    machine.orders.clear()
    assert not machine.wants_attention()
    machine.cancel(0.0)
    assert machine.wants_attention()


# ---- facts -------------------------------------------------------------------------------------


def _told(driver: Driver) -> list[tuple[Any, ...]]:
    return [tuple(part for part in fact[:7] if part is not None) for fact in driver.facts]


def _numbers(driver: Driver, kind: str) -> list[tuple[int | None, int | None]]:
    """The invocation and the cause of the facts of a kind."""
    return [fact[7:] for fact in driver.facts if fact[0] == kind]


def test_facts_tell_what_happened_in_its_order() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    driver.advance(2)
    driver.fail("go", retry_in=1)
    driver.advance(1)
    driver.take()
    driver.advance(1)
    driver.succeed("go", StopEvent())
    assert _told(driver) == [
        ("run_started", 0.0, "test.Go"),
        ("event_routed", 0.0, "test.Go"),
        ("step_started", 0.0, "go", "test.Go", 1),
        ("step_failed", 2.0, "go", "test.Go", 1, 2.0, f"{Boom.__module__}.Boom"),
        ("step_started", 3.0, "go", "test.Go", 2),
        ("step_completed", 4.0, "go", "test.Go", 2, 1.0),
        ("run_completed", 4.0),
    ]


def test_facts_tell_of_a_failed_run_with_its_error() -> None:
    driver = Driver(FAN).start()
    driver.fail("split")
    assert _told(driver)[-1] == (
        "run_failed",
        0.0,
        "blazen_anyio.StepFailedError",
    )


def test_facts_tell_of_requests_inside_steps_and_of_cancelled_attempts() -> None:
    driver = Driver(PLAN).start()
    driver.ask("go")
    driver.respond(driver.shown[0].request_id, 1)
    driver.take()
    driver.suspend()
    driver.follow()
    kinds = driver.kinds[3:]
    assert kinds == [
        "step_waiting",
        "input_requested",
        "input_received",
        "step_continued",
        "run_paused",
        "step_cancelled",
        "run_suspended",
    ]


def test_facts_of_one_invocation_have_its_number_on_every_attempt_and_in_its_waits() -> None:
    driver = Driver(PLAN).start()
    driver.take()
    (first,) = driver.running
    driver.fail("go", retry_in=0)
    driver.advance(0)
    driver.ask("go")
    driver.respond(driver.shown[0].request_id, 1)
    driver.take()
    driver.succeed("go", StopEvent())
    of_it = ("step_started", "step_failed", "step_waiting", "step_continued", "step_completed")
    assert {pair for kind in of_it for pair in _numbers(driver, kind)} == {(first.id, 0)}
    assert _numbers(driver, "input_requested") == [(first.id, None)]
    assert _numbers(driver, "input_received") == [(first.id, None)]


def test_facts_name_the_invocation_that_caused_an_event() -> None:
    plan = make_plan(step("go", Go), step("work", Work), step("note", Note), step("all", Note))
    for returned in (Work(), Note()):
        driver = Driver(plan).start()
        driver.take()
        (delivery,) = driver.running
        driver.succeed("go", returned)
        driver.take()
        assert _numbers(driver, "event_routed") == [(None, 0), (None, delivery.id)]
        assert _numbers(driver, "step_started")[-1][1] == delivery.id


def test_facts_that_no_commit_makes_true_are_told_at_once() -> None:
    driver = Driver(PLAN, gated=True).start()
    driver.committed(1)
    driver.take()
    driver.pause()
    assert driver.kinds[-1] == "run_paused"
    driver.resume()
    assert driver.kinds[-1] == "run_resumed"
    driver.suspend()
    driver.follow()
    assert driver.kinds[-3:] == ["run_paused", "step_cancelled", "run_suspended"]
    restored = Driver(PLAN, gated=True, tables=driver.snapshot())
    assert restored.kinds == ["run_resumed"]


@pytest.mark.parametrize("gated", [False, True])
def test_an_attempt_that_fails_while_it_is_put_down_is_told_at_once(gated: bool) -> None:
    driver = Driver(PLAN, gated=gated).start()
    if gated:
        driver.committed(1)
    driver.take()
    driver.suspend()
    driver.fail("go")
    assert driver.kinds[-2:] == ["step_failed", "run_suspended"]


def test_every_attempt_that_began_is_told_to_have_ended() -> None:
    plan = make_plan(step("go", Go), step("all", Go))
    driver = Driver(plan).start()
    driver.take_all()
    driver.succeed("go", StopEvent())
    driver.succeed("all", StopEvent())  # too late: nothing comes of it
    assert driver.kinds[-3:] == ["step_completed", "run_completed", "step_cancelled"]
    driver = Driver(plan).start()
    driver.succeed("go", Note())
    assert driver.kinds[-2:] == ["step_failed", "run_failed"]
    assert driver.facts[-2][6] == "blazen_anyio.NoHandlerError"


def test_a_gather_that_has_nothing_to_gather_has_no_known_cause() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [])
    driver.take()
    assert _numbers(driver, "step_started")[-1][1] is None


def test_facts_tell_of_requests_that_a_step_returns_once_they_are_durable() -> None:
    driver = Driver(PLAN, gated=True).start()
    driver.committed(1)
    driver.succeed("go", InputRequestEvent("?"))
    assert "input_requested" not in driver.kinds
    driver.committed(2)
    assert driver.kinds[-3:-1] == ["step_completed", "input_requested"]


def test_a_request_that_is_repeated_is_told_once() -> None:
    driver = Driver(PLAN).start()
    driver.ask("go")
    driver.fail("go", retry_in=0)
    driver.advance(0)
    driver.ask("go")
    assert driver.kinds.count("input_requested") == 1


def test_facts_tell_of_every_event_that_is_routed() -> None:
    plan = make_plan(step("go", Go), step("work", Work), step("note", Note), step("all", Note))
    for returned in (Work(), Note()):
        driver = Driver(plan).start()
        driver.succeed("go", returned)
        assert driver.facts[-1][0] == "event_routed"
        assert driver.facts[-1][3] == returned.event_type


def test_a_run_nobody_listens_to_tells_nothing_and_ends_all_the_same() -> None:
    driver = Driver(PLAN)
    driver.machine.tell(None)
    driver.start()
    driver.fail("go", retry_in=0)
    driver.advance(0)
    driver.release("go")
    driver.ask("go")
    driver.succeed("go", StopEvent(result=1))
    assert driver.result == 1
    assert driver.facts == []


def test_a_run_that_goes_on_tells_so() -> None:
    driver = Driver(PLAN).start()
    assert driver.restored().kinds == ["run_resumed"]


def test_a_restored_run_with_nothing_to_do_has_stalled_at_once() -> None:
    driver = Driver(FAN).start()
    driver.succeed("split", [])
    driver.succeed("join")
    assert isinstance(driver.restored().error, WorkflowStalledError)

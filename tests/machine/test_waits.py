"""Waiting inside a step, and requests to humans."""

from __future__ import annotations

import pytest

from blazen_anyio._events import InputRequestEvent, InputResponseEvent, StepFailed, StopEvent
from blazen_anyio._exceptions import NoHandlerError, UnknownRequestError
from blazen_anyio._machine import Effect

from .driver import Boom, Done, Driver, Go, Note, Work, gather, make_plan, step

WAITS = make_plan(
    step("go", Go, waits=(Note,), timeout=10),
    step("work", Work),
    external=(Note,),
)

ASKS = make_plan(
    step("go", Go),
    step("answer", InputResponseEvent),
    step("on_error", StepFailed),
)


# ---- waits -------------------------------------------------------------------------------------


def test_a_wait_ends_with_the_event_that_was_claimed_for_it() -> None:
    driver = Driver(WAITS).start()
    wait = driver.wait("go")
    assert wait.settled is None
    assert driver.machine.inside.waits() == [(driver.find("go"), wait)]
    driver.send(Note(1))
    driver.claim("go")
    assert driver.take_all() == ["go"]
    assert driver.find("go").waiting_for is None
    assert (wait.settled, wait.answer) == ("answered", Note(1))
    driver.succeed("go")
    assert driver.snapshot().events == {}


def test_what_nobody_has_claimed_sits_in_the_mailbox_and_is_offered_to_the_next_wait() -> None:
    driver = Driver(WAITS).start()
    driver.send(Note(1))
    driver.send(Note(2))
    assert [record.event for record in driver.offered] == [Note(1), Note(2)]
    driver.offered.clear()
    driver.wait("go")
    assert [record.event for record in driver.offered] == [Note(1), Note(2)]
    driver.claim("go", driver.offered[1])
    assert [row.mailbox for row in driver.snapshot().events.values()].count(True) == 1


def test_the_mailbox_survives_a_restoration() -> None:
    driver = Driver(WAITS).start()
    driver.send(Note(1))
    again = driver.restored()
    again.wait("go")
    again.claim("go")
    assert again.find("go").effects is not None


def test_an_event_that_was_claimed_is_in_no_mailbox_after_a_restoration() -> None:
    plan = make_plan(step("go", Go, waits=(Note,)), step("note", Note), external=(Note,))
    driver = Driver(plan).start()
    driver.wait("go")
    driver.send(Note(1))
    driver.claim("go")
    again = driver.restored()
    again.succeed("note")
    again.wait("go")  # given again, not claimed
    again.succeed("go", Go())
    again.wait("go")
    assert again.offered == []


def test_a_delayed_event_comes_into_the_mailbox_when_it_is_due() -> None:
    driver = Driver(WAITS).start()
    driver.succeed("go", sends=[(Note(1), 2.0)])
    assert driver.offered == []
    driver.advance(2)
    again = driver.restored()
    again.send(Go())
    again.wait("go")
    again.claim("go")


def test_an_unclaimed_event_of_a_scope_that_is_over_survives_a_restoration() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("wait", Work, waits=(Note,)),
        gather("join", Done),
        external=(Note,),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Note(1)])
    again = driver.restored()
    last = again.restored()
    assert again.snapshot() == last.snapshot()
    last.send(Work())
    last.wait("wait")
    last.claim("wait")
    wait = last.find("wait")
    assert wait.effects is not None
    assert wait.effects[0].answer == Note(1)


def test_waiters_are_told_in_the_order_in_which_they_began() -> None:
    driver = Driver(WAITS).start()
    driver.send(Go())
    driver.take_all()
    first, second = driver.running
    driver.machine.inside.wait(second, "", None, 0.0)
    driver.machine.inside.wait(first, "", None, 0.0)
    assert [delivery for delivery, _ in driver.machine.inside.waits()] == [second, first]


def test_a_claimed_event_is_given_again_to_a_later_attempt_and_delivery() -> None:
    driver = Driver(WAITS).start()
    driver.wait("go")
    driver.send(Note(1))
    driver.claim("go")
    driver.fail("go", retry_in=0)
    driver.advance(0)
    assert driver.wait("go").answer == Note(1)
    again = driver.restored()
    assert again.wait("go").answer == Note(1)


def test_an_unsettled_wait_goes_on_in_the_next_attempt_with_its_old_time_limit() -> None:
    driver = Driver(WAITS).start()
    driver.wait("go", timeout=5)
    again = driver.restored()
    again.advance(3)
    wait = again.wait("go", timeout=5)
    assert wait.settled is None
    again.advance(2)
    assert again.take_all() == ["go"]
    assert wait.settled == "timed_out"


def test_a_wait_times_out() -> None:
    driver = Driver(WAITS).start()
    wait = driver.wait("go", timeout=5)
    assert driver.status is None
    driver.advance(5)
    assert driver.take_all() == ["go"]
    assert (wait.settled, wait.answer) == ("timed_out", None)


def test_a_wait_that_ends_in_time_drops_its_time_limit() -> None:
    driver = Driver(WAITS).start()
    driver.wait("go", timeout=5)
    driver.send(Note())
    driver.claim("go")
    driver.take()
    assert driver.machine.next_deadline == 10  # the step's
    driver.advance(6)
    assert driver.cancelled == []


def test_the_time_limit_of_a_step_stands_still_while_it_waits() -> None:
    driver = Driver(WAITS).start()
    driver.take()
    driver.advance(4)
    driver.wait("go")
    driver.advance(1000)
    assert driver.cancelled == []
    driver.send(Note())
    driver.claim("go")
    driver.take()
    driver.advance(5.5)
    assert driver.cancelled == []
    driver.advance(0.5)
    assert [d.doom for d in driver.cancelled] == ["timeout"]


def test_a_pause_does_not_lose_what_a_waiter_waits_for() -> None:
    driver = Driver(WAITS).start()
    driver.wait("go")
    driver.pause()
    driver.send(Note())
    driver.claim("go")
    assert driver.take() is None
    driver.resume()
    assert driver.take_all() == ["go"]


@pytest.mark.parametrize("end", ["succeed", "fail", "retry", "release"])
def test_an_attempt_may_end_while_the_engine_makes_it_wait(end: str) -> None:
    driver = Driver(WAITS).start()
    driver.wait("go", timeout=50)
    if end == "succeed":
        driver.succeed("go", Work())
        assert driver.take_all() == ["work"]
    elif end == "fail":
        driver.fail("go")
        assert driver.status == "failed"
    elif end == "retry":
        driver.fail("go", retry_in=1)
        driver.advance(1)
        assert driver.take_all() == ["go"]
    else:
        driver.release("go")
        assert driver.take_all() == ["go"]
    assert driver.machine.inside.waits() == []


@pytest.mark.parametrize("end", ["succeed", "fail", "retry", "release"])
def test_an_attempt_may_end_while_it_queues_for_its_slot(end: str) -> None:
    driver = Driver(WAITS).start()
    driver.wait("go")
    driver.send(Note())
    driver.claim("go")
    getattr(driver, "fail" if end == "retry" else end)(
        "go", **({"retry_in": 1} if end == "retry" else {})
    )
    driver.advance(1)
    assert driver.take_all() == (["go"] if end in ("retry", "release") else [])
    assert [state.pending for state in driver.machine.counts()] == [
        1 if end == "fail" else 0,
        0,
    ]


@pytest.mark.parametrize("answered", [False, True])
def test_a_step_that_leaves_its_wait_goes_on_in_a_slot_of_its_own(answered: bool) -> None:
    """The limit holds: it queues for a slot, and its time stands still until it has one."""
    plan = make_plan(step("go", Go, waits=(Note,), max_concurrency=1, timeout=10), external=(Note,))
    driver = Driver(plan).start()
    driver.send(Go())
    first = driver.find("go")
    driver.advance(4)
    driver.wait(first)
    assert driver.take_all() == ["go"]
    if answered:
        driver.send(Note())
        driver.claim(first)
    driver.leave(first)
    driver.leave(first)  # once is enough
    assert driver.machine.inside.waits() == []
    assert driver.take() is None
    other = next(each for each in driver.machine.running if each is not first)
    driver.succeed(other)
    assert driver.take() == "go" and first.resumes
    driver.advance(6)
    assert first.doom == "timeout"  # its time has gone on from where it stood
    assert driver.machine.counts()[0].running == 1


def test_what_a_step_asked_is_withdrawn_when_it_leaves_its_wait() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.ask("go", "sure?")
    (request,) = driver.machine.requests
    driver.leave("go")
    assert driver.machine.requests == []
    assert driver.machine.closed_requests[request.request_id] == "withdrawn"


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("asks", [False, True])
def test_a_wait_that_was_left_is_waited_in_again_by_a_later_attempt(
    restored: bool, asks: bool
) -> None:
    """It keeps its number: what an attempt lets out afterwards is not taken for something else."""
    driver = Driver(WAITS).start()

    def attempt() -> Effect:
        wait = driver.ask("go", timeout=5) if asks else driver.wait("go", timeout=5)
        driver.advance(2)
        driver.leave("go")
        driver.take_all()
        driver.send_early("go", Work(1))
        return wait

    attempt()
    if restored:
        driver = driver.restored()
    else:
        driver.fail("go", retry_in=10)
        driver.advance(10)
    again = attempt()
    assert again.settled is None  # its time has begun anew
    driver.succeed("go")
    assert [d.events for d in driver.running] == [Work(1)]
    assert driver.machine.requests == []


def test_a_request_that_was_left_is_made_again_and_may_be_answered_then() -> None:
    driver = Driver(ASKS).start()
    driver.ask("go")
    driver.leave("go")
    driver.fail("go", retry_in=0)
    driver.advance(0)
    again = driver.ask("go")
    first, second = driver.shown
    assert first.request_id != second.request_id
    driver.respond(second.request_id, "yes")
    assert driver.take_all() == ["go"]
    assert again.answer == "yes"


def test_a_step_that_is_being_cancelled_does_not_queue_for_a_slot() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    go = driver.find("go")
    driver.ask(go, "sure?")
    driver.machine.suspend(driver.now)
    assert not driver.machine.inside.leave_wait(go, driver.now)


def test_a_waiter_that_is_being_cancelled_takes_no_event_from_the_others() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work, waits=(Note,)),
        gather("join", Done, count=1),
        external=(Note,),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.take_all()
    first, second = driver.running
    driver.wait(first)
    driver.succeed(second, Done(1))
    assert driver.machine.inside.waits() == []
    assert driver.follow() == ["work"]
    assert driver.events("join") == [Done(1)]


def test_a_loser_that_queues_for_its_slot_is_cancelled_too() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work, waits=(Note,)),
        gather("join", Done, count=1),
        external=(Note,),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.take_all()
    first, second = driver.running
    driver.wait(first)
    driver.send(Note())
    driver.claim(first)
    assert first.phase == "ready"
    driver.succeed(second, Done(1))
    assert driver.follow() == ["work"]
    assert driver.events("join") == [Done(1)]
    assert [state.pending for state in driver.machine.counts()] == [0, 0, 0]


# ---- requests ----------------------------------------------------------------------------------


def test_a_request_gets_an_id_and_is_shown_and_its_answer_is_routed() -> None:
    driver = Driver(ASKS).start()
    driver.succeed("go", InputRequestEvent("name?", request_id="mine"))
    (request,) = driver.shown
    assert request.request_id.startswith("run-")
    assert driver.machine.requests == [request]
    assert driver.status is None
    driver.respond(request.request_id, "Ada")
    assert driver.events("answer") == InputResponseEvent(request.request_id, "Ada")
    driver.succeed("answer", StopEvent(result="ok"))
    assert driver.snapshot().requests == {}


def test_several_requests_are_open_at_once_and_answered_in_any_order() -> None:
    driver = Driver(ASKS).start()
    driver.succeed("go", tuple(map(InputRequestEvent, "abc")))
    ids = [request.request_id for request in driver.machine.requests]
    assert len(set(ids)) == 3
    assert [request.prompt for request in driver.machine.requests] == ["a", "b", "c"]
    for request_id in reversed(ids):
        driver.respond(request_id, request_id)
    driver.take_all()
    assert [d.events.request_id for d in driver.running] == ids[::-1]  # type: ignore[union-attr]


def test_the_answer_belongs_to_the_scope_and_branch_of_the_request() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        step("answer", InputResponseEvent),
        gather("join", Done),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Work(1)])
    driver.succeed("work", InputRequestEvent("?"))
    driver.succeed("work", Done(1))
    assert driver.take() is None  # the open request holds the scope
    driver.respond(driver.shown[0].request_id, 7)
    driver.succeed("answer", Done(0))
    assert driver.events("join") == [Done(0), Done(1)]


def test_an_answer_to_no_open_request_is_refused_with_the_reason_and_changes_nothing() -> None:
    driver = Driver(ASKS).start()
    driver.ask("go", timeout=1)
    first = driver.shown[0].request_id
    driver.advance(1)
    driver.take_all()
    driver.ask("go", "again")
    second = driver.shown[1].request_id
    driver.respond(second, 1)
    assert driver.machine.closed_requests == {first: "withdrawn", second: "answered"}
    before = driver.snapshot()
    for request_id, reason in (("x", "unknown"), (first, "withdrawn"), (second, "answered")):
        with pytest.raises(UnknownRequestError) as caught:
            driver.respond(request_id, 1)
        assert caught.value.reason == reason
    assert driver.snapshot() == before


def test_only_so_many_closed_requests_are_remembered() -> None:
    machine = Driver(ASKS).start().machine
    for _ in range(1001):
        machine.send(InputRequestEvent("?"), 0.0)
        machine.respond(machine.requests[0].request_id, 1, 0.0)
    assert len(machine._ledger.closed_requests) == 1000


def test_an_answer_that_nobody_accepts_fails_the_run_and_leaves_the_request_open() -> None:
    driver = Driver(make_plan(step("go", Go))).start()
    driver.succeed("go", InputRequestEvent("?"))
    driver.respond(driver.shown[0].request_id, 1)
    assert isinstance(driver.error, NoHandlerError)
    assert len(driver.snapshot().requests) == 1


def test_requests_survive_a_restoration_with_their_ids() -> None:
    driver = Driver(ASKS).start()
    driver.succeed("go", (InputRequestEvent("a"), InputRequestEvent("b")))
    again = driver.restored()
    assert again.machine.requests == driver.machine.requests == again.shown
    again.respond(driver.shown[1].request_id, 1)
    assert again.take_all() == ["answer"]


def test_a_request_inside_a_step_resumes_it_with_the_answer() -> None:
    driver = Driver(ASKS).start()
    asked = driver.ask("go")
    assert driver.machine.inside.waits() == []
    driver.respond(driver.shown[0].request_id, "yes")
    assert driver.take_all() == ["go"]
    assert (asked.settled, asked.answer) == ("answered", "yes")


@pytest.mark.parametrize("restored", [False, True])
def test_a_request_inside_a_step_is_made_once_and_its_answer_given_again(restored: bool) -> None:
    driver = Driver(ASKS).start()
    driver.ask("go")
    request_id = driver.shown[0].request_id
    if restored:
        driver = driver.restored()
        assert [request.request_id for request in driver.machine.requests] == [request_id]
    else:
        driver.fail("go", retry_in=0)
    driver.respond(request_id, "yes")  # before the step asks again
    driver.advance(0)
    assert driver.ask("go").answer == "yes"
    assert driver.machine.requests == []


def test_a_request_inside_a_step_times_out_and_is_withdrawn() -> None:
    driver = Driver(ASKS).start()
    asked = driver.ask("go", timeout=3)
    driver.advance(3)
    assert driver.take_all() == ["go"]
    assert asked.settled == "timed_out"
    assert driver.machine.requests == []


@pytest.mark.parametrize("end", ["succeed", "fail"])
def test_a_request_is_withdrawn_when_what_asked_it_is_gone(end: str) -> None:
    driver = Driver(ASKS).start()
    driver.ask("go")
    request_id = driver.shown[0].request_id
    getattr(driver, end)("go")
    assert driver.machine.requests == []
    assert driver.snapshot().requests == driver.snapshot().effects == {}
    if driver.status is None:
        with pytest.raises(UnknownRequestError, match="withdrawn"):
            driver.respond(request_id, 1)
    driver.restored()


@pytest.mark.parametrize("outside", [False, True])
def test_an_answer_that_comes_as_an_event_reaches_the_request(outside: bool) -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work))).start()
    asked = driver.ask("go")
    response = InputResponseEvent(driver.shown[0].request_id, "yes")
    if outside:
        driver.send(response)
    else:
        driver.send(Work())
        driver.succeed("work", response)
    assert driver.take_all() == ["go"]
    assert asked.answer == "yes"


def test_an_answer_that_comes_as_an_event_goes_into_the_scope_of_its_request() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work),
        gather("join", InputResponseEvent),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [InputRequestEvent("?")])
    driver.send(Work())
    driver.succeed("work", InputResponseEvent(driver.shown[0].request_id, 5))
    assert [event.response for event in driver.events("join")] == [5]


def test_a_request_sent_with_a_delay_is_opened_when_it_is_due() -> None:
    driver = Driver(ASKS).start()
    driver.succeed("go", sends=[(InputRequestEvent("?"), 3.0)])
    assert driver.shown == []
    driver.advance(3)
    assert len(driver.machine.requests) == 1


def test_what_is_answered_in_a_failed_attempt_stays_answered_when_it_is_routed() -> None:
    driver = Driver(ASKS).start()
    driver.ask("go")
    driver.fail("go", Boom())
    assert driver.take_all() == ["on_error"]
    assert driver.machine.requests == []


def test_a_queued_step_leaves_with_its_request_when_its_scope_closes() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("work", Work, max_concurrency=1),
        step("note", Note),
        gather("join", Done, count=1),
    )
    driver = Driver(plan).start()
    driver.succeed("split", [Work(0), Note(1)])
    driver.ask("work")
    again = driver.restored()
    note = again.find("note")
    again.pause()
    again.release("work")
    again.succeed(note, Done(1))
    again.resume()
    assert again.machine.requests == []
    assert again.take_all() == ["join"]

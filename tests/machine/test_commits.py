"""Commits: all or nothing, in order; deltas are facts; nothing gets out before it is durable."""

from __future__ import annotations

from blazen_anyio._events import InputRequestEvent, StopEvent
from blazen_anyio._exceptions import JoinIncompleteError, StepFailedError, WorkflowStalledError
from blazen_anyio._machine import Delta, Machine, Mode, Outputs, Tables

from .driver import FAN, Boom, Done, Driver, Go, Note, Other, Work, gather, make_plan, step

TWO = make_plan(step("go", Go), step("work", Work), step("note", Note))


def test_sends_come_before_what_is_returned() -> None:
    driver = Driver(TWO).start()
    driver.succeed("go", Note(3), sends=[Work(1), Work(2)])
    assert driver.queued() == [("work", (1,)), ("work", (2,)), ("note", (3,))]


def test_a_failed_attempt_leaves_no_trace() -> None:
    driver = Driver(TWO).start()
    before = driver.snapshot()
    driver.fail("go")
    assert driver.queued() == [("go", (0,))]
    assert driver.snapshot().state == before.state == {}


def test_state_writes_and_removes_apply_with_the_attempt() -> None:
    driver = Driver(TWO).start()
    driver.succeed("go", Work(), writes={"a": 1, "b": 2})
    assert driver.snapshot().state["a"].value == 1
    driver.succeed("work", Work(), writes={"b": 3}, removes=frozenset({"a", "never"}))
    assert {key: row.value for key, row in driver.snapshot().state.items()} == {"b": 3}


def test_state_survives_a_restoration() -> None:
    driver = Driver(TWO).start()
    driver.succeed("go", Work(), writes={"a": [1]})
    assert driver.restored().snapshot().state["a"].value == [1]


def test_collected_events_wait_until_they_are_taken_and_are_taken_oldest_first() -> None:
    driver = Driver(make_plan(step("go", Go), step("work", Work), external=(Work,))).start()
    driver.succeed("go", tuple(map(Work, range(3))))
    driver.succeed("work", collects={"w": (True, 0)})
    driver.succeed("work", collects={"w": (True, 0)})
    again = driver.restored()
    assert again.machine.handling.collected(again.find("work"), "w") == [Work(0), Work(1)]
    again.succeed("work", collects={"w": (True, 2)})
    again.send(Work(9))
    assert again.machine.handling.collected(again.find("work"), "w") == [Work(2)]
    assert again.machine.handling.collected(again.find("work"), "other") == []
    again.succeed("work", collects={"w": (False, 1), "other": (False, 1)})
    assert again.snapshot().joins == {}


def test_a_run_without_a_store_makes_no_deltas() -> None:
    machine = Machine(TWO, "run")
    machine.start(Go(), 0.0)
    delivery = machine.handling.take(0.0)
    assert delivery is not None
    outputs = Outputs(writes={"a": 1, "b": 2}, removes=frozenset({"b"}))
    machine.handling.succeeded(delivery, (Work(), StopEvent(result=5)), outputs, 0.0)
    assert not machine.deltas
    assert machine.state == {"a": 1}
    assert machine.outcome is not None


def test_an_unstored_run_snapshots_and_goes_through_everything() -> None:
    """No journal: each rule must hold without one."""
    plan = make_plan(
        step("split", Go, gathers=["join"], generates=True),
        step("work", Work, waits=(Note,)),
        gather("join", Done),
        external=(Note,),
    )
    machine = Machine(plan, "run")
    machine.start(Go(), 0.0)
    split = machine.handling.take(0.0)
    assert split is not None
    machine.inside.give(split, Work(1), "1", 0.0)
    machine.handling.failed(split, Boom(), 0.0, 0.0)
    machine.tick(0.0)
    while (delivery := machine.handling.take(0.0)) is not None:
        if delivery.step.name == "split":
            machine.inside.give(delivery, Work(2), "2", 0.0)
            machine.handling.succeeded(delivery, None, None, 0.0)
        elif delivery.doom == "discard":
            machine.handling.released(delivery, 0.0)
        elif delivery.step.name == "work" and not delivery.resumes:
            machine.inside.wait(delivery, "", None, 0.0)
            machine.send(Note(), 0.0)
            machine.inside.claim(delivery, next(iter(machine._ledger.mailbox.values())), 0.0)
        elif delivery.step.name == "work":
            machine.inside.ask(delivery, InputRequestEvent("?"), "?", None, 0.0)
            machine.respond(machine.requests[0].request_id, 1, 0.0)
            machine.handling.succeeded(delivery, Done(2), None, 0.0)
        else:
            assert delivery.events == [Done(2)]
            machine.handling.succeeded(delivery, StopEvent(result="x"), None, 0.0)
    assert machine.outcome is not None
    assert machine.outcome.kind == "completed"


def test_deltas_are_numbered_by_one_from_one() -> None:
    machine = Machine(TWO, "run", journaled=True)
    machine.start(Go(), 0.0)
    delivery = machine.handling.take(0.0)
    assert delivery is not None
    machine.handling.succeeded(delivery, Work(), None, 0.0)
    assert [delta.sequence for delta in machine.deltas] == [1, 2]


def test_a_row_that_came_and_went_within_a_commit_is_harmless() -> None:
    tables = Tables()
    tables.apply(Delta(sequence=1, removes=(("events", 7),)))
    assert tables == Tables()


def test_an_event_that_is_claimed_and_also_handled_by_a_step_keeps_its_row() -> None:
    plan = make_plan(step("go", Go, waits=(Note,)), step("note", Note))
    driver = Driver(plan).start()
    driver.wait("go")
    driver.send(Note(1))
    driver.claim("go")  # the driver compares deltas and snapshot after each input
    assert driver.take_all() == ["note", "go"]
    driver.restored()


def test_a_retried_step_that_fails_for_good_is_stored_as_not_yet_tried() -> None:
    driver = Driver(TWO).start()
    driver.fail("go", retry_in=1)
    driver.advance(1)
    driver.fail("go")
    assert isinstance(driver.error, StepFailedError)
    assert driver.error.attempts == 2
    (row,) = driver.tables.deliveries.values()
    assert (row.attempts, row.first_tried) == (0, None)


# ---- the gate ----------------------------------------------------------------------------------


def test_nothing_emitted_is_dispatched_before_its_commit_is_durable() -> None:
    driver = Driver(TWO, gated=True).start()
    assert driver.take() is None
    driver.committed(1)
    assert driver.take() == "go"
    driver.succeed("go", Work())
    assert driver.take() is None
    driver.committed(2)
    assert driver.take() == "work"


def test_acknowledgements_may_come_batched_and_late() -> None:
    driver = Driver(TWO, gated=True).start()
    driver.send(Go())
    driver.send(Go())
    driver.committed(2)
    assert driver.take_all() == ["go", "go"]
    driver.committed(1)
    assert driver.take_all() == []
    driver.committed(3)
    assert driver.take_all() == ["go"]


def test_nothing_is_told_before_it_is_durable() -> None:
    driver = Driver(TWO, gated=True).start()
    driver.committed(1)
    driver.succeed("go", Work())
    assert driver.kinds == ["run_started", "event_routed", "step_started"]
    driver.committed(2)
    assert driver.kinds[3] == "step_completed"


def test_an_ungated_run_without_a_listener_tells_nothing() -> None:
    driver = Driver(TWO, gated=True)
    driver.machine.tell(None)
    driver.start()
    driver.committed(1)
    driver.succeed("go", Work())
    driver.committed(2)
    assert driver.facts == []


def test_a_request_is_shown_when_it_is_durable() -> None:
    driver = Driver(TWO, gated=True).start()
    driver.committed(1)
    driver.succeed("go", InputRequestEvent("?"))
    assert not driver.shown
    driver.committed(2)
    assert len(driver.shown) == 1


def test_the_end_is_told_once_and_only_when_it_is_durable() -> None:
    driver = Driver(TWO, gated=True).start()
    driver.committed(1)
    driver.succeed("go", StopEvent(result=4))
    assert driver.status is None
    assert "run_completed" not in driver.kinds
    driver.committed(2)
    assert driver.result == 4
    assert driver.kinds.count("run_completed") == 1


def _stop_held() -> Driver:
    """A run whose stop event is committed and not durable, with a second step running."""
    driver = Driver(make_plan(step("go", Go), step("also", Go), step("more", Go)), gated=True)
    driver.start()
    driver.committed(1)
    driver.take_all()
    driver.succeed("go", StopEvent(result="first"))
    return driver


def test_after_a_committed_stop_nothing_more_is_handed_out() -> None:
    plan = make_plan(step("go", Go), max_concurrency=1)
    driver = Driver(plan, gated=True).start()
    driver.send(Go())
    driver.committed(2)
    driver.succeed("go", StopEvent())
    assert driver.take() is None
    assert not driver.machine.has_backlog()


def test_what_succeeds_after_a_committed_stop_is_discarded() -> None:
    driver = _stop_held()
    driver.succeed("also", StopEvent(result="second"), writes={"late": 1})
    driver.committed(9)
    assert driver.result == "first"
    assert driver.snapshot().state == {}


def test_a_failure_after_a_committed_stop_does_not_overrule_it() -> None:
    driver = _stop_held()
    driver.fail("also", Boom("late"))
    driver.committed(9)
    assert driver.result == "first"
    assert [str(error) for error in driver.machine.late] == ["late"]


def test_cancelling_overrules_an_end_that_is_not_durable() -> None:
    driver = _stop_held()
    driver.cancel()
    assert driver.status == "cancelled"
    driver.committed(9)
    assert driver.status == "cancelled"
    assert driver.kinds.count("run_completed") == 0


def test_an_end_that_can_not_be_made_durable_does_not_count() -> None:
    """The store fails: the run does, too, whatever it had committed in memory."""
    driver = _stop_held()
    driver.machine.fail(Boom("store"), driver.now)
    assert str(driver.error) == "store"
    driver.committed(9)
    assert str(driver.error) == "store"


def test_a_stall_is_found_when_the_last_commit_is_durable() -> None:
    driver = Driver(TWO, gated=True).start()
    driver.committed(1)
    driver.succeed("go")
    assert driver.status is None
    driver.committed(2)
    assert isinstance(driver.error, WorkflowStalledError)


def test_a_half_pair_fails_a_run_when_that_is_durable() -> None:
    plan = make_plan(
        step("split", Go, gathers=["join"]),
        step("pair", Work, Note, mode=Mode.PAIR),
        gather("join", Done),
    )
    driver = Driver(plan, gated=True).start()
    driver.committed(1)
    driver.succeed("split", [Work(1)])
    assert driver.status is None
    driver.committed(2)
    assert isinstance(driver.error, JoinIncompleteError)


def test_an_attempt_that_ends_before_its_resumption_is_durable_is_not_handed_out() -> None:
    plan = make_plan(step("go", Go, waits=(Note,)), external=(Note,))
    driver = Driver(plan, gated=True).start()
    driver.committed(1)
    driver.wait("go")
    driver.send(Note())
    driver.claim("go")
    driver.succeed("go", Go())
    driver.committed(4)
    assert driver.take() is None
    driver.committed(5)
    assert driver.take_all() == ["go"]


def test_a_retry_is_not_let_in_by_the_commit_before_it() -> None:
    """The attempt fails while its resumption waits for the store; then the retry waits, too."""
    plan = make_plan(step("go", Go, waits=(Note,)), external=(Note,))
    driver = Driver(plan, gated=True).start()
    driver.committed(1)
    driver.wait("go")
    driver.send(Note())
    driver.claim("go")  # commit 4
    driver.fail("go", retry_in=0)  # commit 5
    driver.advance(0)  # commit 6
    driver.committed(4)
    assert driver.take() is None
    driver.committed(6)
    assert driver.take_all() == ["go"]


def test_a_queued_delivery_that_is_cut_before_it_is_durable_never_runs() -> None:
    driver = Driver(
        make_plan(
            step("split", Go, gathers=["join"]),
            step("work", Work),
            gather("join", Done, count=1),
        ),
        gated=True,
    ).start()
    driver.committed(1)
    driver.succeed("split", [Work(1), Done(2)])
    driver.committed(2)
    assert driver.take_all() == ["join"]
    assert driver.events("join") == [Done(2)]


def test_a_gated_run_restores_with_everything_ready() -> None:
    driver = Driver(FAN, gated=True).start()
    again = driver.restored()  # which is a commit of its own
    assert again.take_all() == ["split"]
    again.succeed("split", [Work(1)], sends=[])
    again.committed(2)
    assert again.take_all() == ["work"]


def test_other_events_stay_out_of_a_place() -> None:
    driver = Driver(make_plan(step("go", Go), step("pair", Work, Other, mode=Mode.PAIR))).start()
    driver.succeed("go", (Work(1), Work(2), Other(3)))
    assert driver.events("pair") == [Work(1), Other(3)]

"""``drive``: a run by hand, in plain synchronous tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import pytest

from blazen_anyio import (
    Context,
    DefinitionError,
    Event,
    Gather,
    InputRequestEvent,
    InputResponseEvent,
    NoHandlerError,
    NonDeterministicStepError,
    Retry,
    RunEndedError,
    StartEvent,
    StepFailed,
    StepFailedError,
    StepTimeoutError,
    StopEvent,
    UnknownRequestError,
    Workflow,
    WorkflowFullError,
    step,
)
from blazen_anyio.testing import drive

from .shop import Invoice, Item, Order, Priced, shop


class Work(Event):
    n: int


class Done(Event):
    n: int


class Ping(Event):
    n: int


def test_a_run_is_driven_from_start_to_result():
    run = drive(shop, Order(["tea", "bread"]))
    assert [each.step for each in run.ready] == ["split"]
    assert (run.status, run.ended, run.error) == ("running", False, None)
    run.complete("split", [Item("tea"), Item("bread")])
    first, second = run.ready
    assert (first.event, first.attempt) == (Item("tea"), 1)
    run.complete(second, Priced("bread", 5))
    run.complete(first, Priced("tea", 3))
    assert run.find("add_up").event == [Priced("tea", 3), Priced("bread", 5)]
    run.complete("add_up", Invoice(8))
    assert (run.status, run.ended, run.ready) == ("completed", True, ())
    assert run.result == Invoice(8)
    assert [fact.kind for fact in run.facts][-1] == "run_completed"
    assert repr(run) == "<DrivenRun of 'shop', completed, at 0 s>"


def test_no_body_is_called_and_none_is_ready_by_another_name():
    run = drive(shop, {"items": []})
    with pytest.raises(LookupError, match="step 'price' is not ready; split is"):
        run.complete("price", Priced("x", 1))
    with pytest.raises(LookupError, match="no result"):
        _ = run.result
    invocation = run.ready[0]
    run.complete(invocation, [])
    with pytest.raises(LookupError, match="is over"):
        run.complete(invocation, [])
    with pytest.raises(NoHandlerError):
        drive(shop, Work(1))


def test_failures_are_retried_by_the_steps_policy():
    run = drive(shop, Order(["tea"]))
    run.complete("split", [Item("tea")])
    run.fail("price", ConnectionError())
    assert run.ready == ()
    assert run.next_deadline == 0.1
    run.advance(0.1)
    assert run.ready[0].attempt == 2
    run.fail("price", ConnectionError())
    run.advance(10)
    run.fail("price", KeyError("last"))
    assert isinstance(run.error, StepFailedError)
    assert isinstance(run.error.error, KeyError)
    with pytest.raises(LookupError, match="it is failed") as caught:
        _ = run.result
    assert caught.value.__cause__ is run.error
    half = drive(shop, Order(["tea"]), random=lambda: 0.5)
    half.complete("split", [Item("tea")])
    half.fail("price", ConnectionError)
    assert half.next_deadline == 0.05


def test_a_failure_without_policy_goes_to_the_error_step():
    @step
    async def body(ev: StartEvent) -> Done: ...

    @step
    async def recover(ev: StepFailed) -> StopEvent: ...

    @step
    async def end(ev: Done) -> StopEvent: ...

    run = drive(Workflow("w", [body, recover, end]))
    run.fail("body", ValueError("x"))
    assert run.ready[0].event.message == "x"
    run.complete("recover", StopEvent(result=1))
    assert run.result == 1


def test_a_timeout_ends_the_attempt():
    run = drive(shop, Order(["tea"]))
    run.complete("split", [Item("tea")])
    run.advance(60)
    assert run.ready == ()
    assert [fact.kind for fact in run.facts][-1] == "step_timed_out"
    run.advance(1)
    assert run.ready[0].attempt == 2
    run.advance(1000)
    assert isinstance(run.error.error, StepTimeoutError)


@step(waits=[Ping], emits=[Done, Ping])
async def waits(ev: Work, ctx: Context) -> Done: ...


@step
async def begin(ev: StartEvent) -> list[Work]: ...


@step
async def join(parts: list[Done]) -> StopEvent: ...


waiting = Workflow("waiting", [begin, waits, join], external=[Ping])


def test_an_attempt_waits_for_an_event_and_receives_it():
    run = drive(waiting)
    run.complete("begin", [Work(1), Work(2)])
    first, second = run.ready
    with pytest.raises(LookupError, match="has not received"):
        _ = first.received
    run.wait(first, Ping, where=lambda ping: ping.n == 1)
    run.wait(second, Ping, where=lambda ping: ping.n == 2)
    assert (run.ready, run.waiting) == ((), (first, second))
    run.send(Ping(2))
    assert run.ready == (second,)
    assert second.received == Ping(2)
    run.send(Ping(1))
    assert first.received == Ping(1)
    run.complete(first, Done(1))
    run.complete(second, Done(2))
    assert run.ready[0].event == [Done(1), Done(2)]


def test_who_waits_for_something_else_does_not_receive_it():
    class Pong(Event):
        n: int

    @step(waits=[Ping, Pong])
    async def either(ev: Work, ctx: Context) -> Done: ...

    run = drive(Workflow("either", [begin, either, join], external=[Ping, Pong]))
    run.complete("begin", [Work(1), Work(2)])
    first, second = run.ready
    run.wait(first, Ping)
    run.wait(second, Pong)
    run.send(Pong(2))
    assert (run.ready, run.waiting, second.received) == ((second,), (first,), Pong(2))


def test_a_wait_is_over_in_time():
    run = drive(waiting)
    run.complete("begin", [Work(1)])
    run.wait("waits", Ping, timeout=5)
    run.advance(5)
    with pytest.raises(TimeoutError):
        _ = run.ready[0].received


def test_an_attempt_asks_and_a_human_answers():
    run = drive(waiting)
    with pytest.raises(LookupError, match="no request"):
        run.answer(1)
    run.complete("begin", [Work(1), Work(2), Work(3)])
    one, two, three = run.ready
    run.ask(one, "one?")
    run.ask(two, InputRequestEvent("two?"))
    run.ask(three, "three?")
    assert [request.prompt for request in run.requests] == ["one?", "two?", "three?"]
    run.answer("2", run.requests[1])
    run.answer("1")
    run.answer("3", run.requests[0].request_id)
    assert [each.received for each in (one, two, three)] == ["1", "2", "3"]
    with pytest.raises(UnknownRequestError):
        run.answer("x", "nobody")


@step
async def pages(ev: StartEvent) -> AsyncIterator[Work]:
    yield Work(1)


@step(max_pending=1, max_concurrency=1)
async def read(ev: Work) -> Done: ...


book = Workflow("book", [pages, read, join])


def test_a_generator_yields_and_waits_for_room():
    run = drive(book)
    run.emit("pages", Work(1))
    assert [each.step for each in run.ready] == ["pages", "read"]
    assert not run.emit("pages", Work(2))
    assert [each.step for each in run.waiting] == ["pages"]
    run.complete("read", Done(1))
    assert [each.step for each in run.ready] == ["pages", "read"]
    run.complete("pages")
    run.complete("read", Done(2))
    run.complete("join", StopEvent(result=2))
    assert run.result == 2


def test_an_attempt_sends_early_and_has_to_repeat_it():
    run = drive(waiting)
    run.complete("begin", [Work(1)])
    assert run.emit("waits", Ping(1))
    again = run.restored()
    again.emit("waits", Ping(1))
    with pytest.raises(NonDeterministicStepError):
        run.restored().emit("waits", Ping(2))


def test_what_an_attempt_sends_and_writes_takes_effect_with_it():
    run = drive(waiting)
    run.complete("begin", [Work(1), Work(2)])
    run.complete("waits", Done(1), sends=[Ping(1), (Ping(2), 5)], state={"seen": 1})
    assert run.state == {"seen": 1}
    run.wait("waits", Ping, where=lambda ping: ping.n == 2)
    assert run.ready == ()
    run.advance(5)
    assert run.ready[0].received == Ping(2)


def test_a_fan_out_by_hand():
    @step
    async def split(ev: StartEvent, ctx: Context) -> list[Work] | None: ...

    @step
    async def work(ev: Work) -> Done: ...

    run = drive(Workflow("by hand", [split, work, join]))
    run.complete("split", fan_outs=[[Work(1)], [Work(2), Work(3)]])
    for invocation in run.ready:
        run.complete(invocation, Done(invocation.event.n))
    assert [each.event for each in run.ready] == [[Done(1)], [Done(2), Done(3)]]


def test_losers_of_a_race_are_cancelled_at_once():
    @step
    async def work(ev: Work) -> Done: ...

    @step
    async def first(parts: Annotated[list[Done], Gather(count=1)]) -> StopEvent: ...

    run = drive(Workflow("race", [begin, work, first]))
    run.complete("begin", [Work(1), Work(2)])
    run.complete("work", Done(1))
    assert [each.step for each in run.ready] == ["first"]


def test_pause_resume_cancel_and_close():
    run = drive(shop, Order(["tea"]))
    run.pause()
    assert run.status == "paused"
    run.complete("split", [Item("tea")])
    assert run.ready == ()
    run.resume()
    assert [each.step for each in run.ready] == ["price"]
    run.cancel()
    assert (run.status, run.ready) == ("cancelled", ())
    idle = drive(waiting)
    idle.complete("begin", [Work(1)])
    idle.ask("waits", "?")
    idle.close()
    assert idle.status == "suspended"


def test_a_run_goes_on_from_its_snapshot():
    run = drive(shop, Order(["tea", "bread"]))
    run.complete("split", [Item("tea"), Item("bread")])
    run.complete("price", Priced("tea", 3))
    run.advance(7)
    again = run.restored()
    assert again.now == 7
    assert [each.event for each in again.ready] == [Item("bread")]
    assert again.snapshot().run_id == "driven"
    again.complete("price", Priced("bread", 5))
    assert again.ready[0].event == [Priced("tea", 3), Priced("bread", 5)]


def test_wrong_times_are_refused():
    with pytest.raises(ValueError, match="advance"):
        drive(shop, Order([])).advance(-1)


def test_a_policy_counts_from_the_first_attempt():
    @step(retry=Retry(max_attempts=9, initial=10, max_elapsed=15))
    async def body(ev: StartEvent) -> StopEvent: ...

    run = drive(Workflow("w", [body]))
    run.fail("body", ValueError())
    run.advance(10)
    run.fail("body", ValueError())
    assert run.status == "failed"


def test_an_event_that_nobody_takes_from_outside():
    run = drive(shop, Order([]))
    with pytest.raises(NoHandlerError):
        run.send(Ping(1))


# ---- what the engine would not take -------------------------------------------------------------


@pytest.mark.parametrize(
    ("give", "says"),
    [
        (lambda run: run.complete("begin", 3), "step 'begin' returned a int"),
        (lambda run: run.complete("begin", [Work(1), 3]), "returned a list with a int in it"),
        (lambda run: run.complete("begin", Work), "step 'begin' returned a type"),
        (lambda run: run.complete("begin", sends=[Work(1)]), "takes no context"),
        (lambda run: run.complete("begin", fan_outs=[[Work(1)]]), "takes no context"),
        (lambda run: run.complete("begin", state={"n": 1}), "can't send, fan out or write state"),
        (lambda run: run.emit("begin", Work(1)), "takes no context, without which it can't send"),
        (lambda run: run.wait("begin", Ping), "without which it can't wait"),
        (lambda run: run.ask("begin", "?"), "without which it can't ask"),
        (lambda run: run.fail("begin", "boom"), "an exception or its class, not 'boom'"),
        (lambda run: run.fail("begin", int), "an exception or its class, not <class 'int'>"),
        (lambda run: run.send("boom"), "send takes an event, not 'boom'"),
    ],
)
def test_what_a_step_could_not_do_is_refused_and_changes_nothing(give, says):
    run = drive(waiting)
    with pytest.raises(TypeError, match=says):
        give(run)
    assert [each.step for each in run.ready] == ["begin"]
    run.complete("begin", [Work(1)])
    assert run.status == "running"


@pytest.mark.parametrize(
    ("give", "error", "says"),
    [
        (lambda run: run.complete("waits", sends=[3]), TypeError, "sends= takes events, and pairs"),
        (lambda run: run.complete("waits", sends=[(1, 2, 3)]), TypeError, "sends= takes events"),
        (lambda run: run.complete("waits", sends=[(Ping(1), -1)]), ValueError, "delay takes a"),
        (lambda run: run.complete("waits", fan_outs=[[3]]), TypeError, "each list of fan_outs="),
        (lambda run: run.complete("waits", state={1: 2}), TypeError, "a state key is a string"),
        (lambda run: run.emit("waits", 3), TypeError, "emit takes an event, not 3"),
        (lambda run: run.emit("waits", Ping(1), delay=-1), ValueError, "delay takes a"),
        (lambda run: run.wait("waits", 3), TypeError, "wait takes a class of events, not 3"),
        (lambda run: run.wait("waits", Done), DefinitionError, "waits for Done; declare it"),
        (lambda run: run.wait("waits", Ping, timeout=-1), ValueError, "timeout takes a"),
        (lambda run: run.ask("waits", 3), TypeError, "ask takes a question or an Input"),
        (lambda run: run.ask("waits", "?", timeout=-1), ValueError, "timeout takes a"),
    ],
)
def test_what_a_context_would_refuse_is_refused_and_changes_nothing(give, error, says):
    run = drive(waiting)
    run.complete("begin", [Work(1)])
    with pytest.raises(error, match=says):
        give(run)
    assert [each.step for each in run.ready] == ["waits"]
    run.complete("waits", Done(1))
    assert [each.step for each in run.ready] == ["join"]


def test_a_generator_returns_nothing():
    run = drive(book)
    with pytest.raises(TypeError, match="a generator and returns nothing"):
        run.complete("pages", [Work(1)])


def test_what_nobody_accepts_fails_the_run_as_in_production():
    run = drive(shop, Order(["tea"]))
    run.complete("split", Ping(1))
    assert isinstance(run.error, NoHandlerError)
    assert run.error.source == "split"


def test_the_outside_meets_what_the_handle_of_a_run_would_raise():
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent: ...

    @step(max_pending=1, max_concurrency=1)
    async def take(ev: Ping) -> None: ...

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent: ...

    run = drive(Workflow("outside", [ask, take, answered], external=[Ping]))
    run.complete("ask", InputRequestEvent("how many?"))
    run.send(Ping(1))
    run.send(Ping(2))
    with pytest.raises(WorkflowFullError):
        run.send(Ping(3))
    with pytest.raises(UnknownRequestError):
        run.send(InputResponseEvent("nobody", 3))
    run.send(InputResponseEvent(run.requests[0].request_id, 3))
    assert run.find("answered").event.response == 3
    run.complete("answered", StopEvent())
    for late in (lambda: run.send(Ping(4)), lambda: run.answer(1)):
        with pytest.raises(RunEndedError, match="has ended: completed"):
            late()

"""Human input: several open requests, answered by id in any order, by whom and when ever."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputRequiredError,
    InputResponseEvent,
    NonDeterministicStepError,
    RunEndedError,
    StartEvent,
    StepFailedError,
    StopEvent,
    UnknownRequestError,
    Workflow,
    step,
)

from .kit import Boom, Done, Log, Work, cleanup, settle

pytestmark = pytest.mark.anyio


@step
async def ask_three(ev: StartEvent) -> tuple[InputRequestEvent, ...]:
    return tuple(InputRequestEvent(name) for name in ("a", "b", "c"))


@step(max_concurrency=1)
async def collect_three(ev: InputResponseEvent, ctx: Context) -> StopEvent | None:
    answers = ctx.collect_events(InputResponseEvent, 3)
    return None if answers is None else StopEvent(result=[each.response for each in answers])


def three(**options: Any) -> Workflow:
    """Asks three questions at once and returns the answers in the order in which they came."""
    return Workflow("three", [ask_three, collect_three], **options)


@step
async def ask_inside(ev: StartEvent, ctx: Context) -> StopEvent:
    return StopEvent(result=await ctx.request_input("name?", {"choices": ["Ada"]}))


def inside(**options: Any) -> Workflow:
    """Asks inside a step and returns the answer."""
    return Workflow("inside", [ask_inside], **options)


# ---- by the handle -----------------------------------------------------------------------------


async def test_several_requests_are_open_at_once_and_answered_in_any_order() -> None:
    async with three().start() as run:
        await settle()
        by_prompt = {request.prompt: request.request_id for request in run.requests}
        assert list(by_prompt) == ["a", "b", "c"]
        for prompt in ("b", "c", "a"):
            run.respond_to_input(by_prompt[prompt], prompt.upper())
        assert await run.result() == ["B", "C", "A"]


async def test_request_ids_are_unique_also_across_runs() -> None:
    ids = set()
    for _ in range(2):
        async with three().start() as run:
            await settle()
            ids |= {request.request_id for request in run.requests}
            run.cancel()
    assert len(ids) == 6
    assert "" not in ids


async def test_a_request_shows_on_the_stream_with_its_id() -> None:
    async with three().start() as run:
        shown = []
        async for event in run.stream_events():
            assert isinstance(event, InputRequestEvent)
            shown.append(event)
            if len(shown) == 3:
                assert tuple(shown) == run.requests
                for request in shown:
                    run.respond_to_input(request.request_id, request.prompt)
        assert await run.result() == ["a", "b", "c"]


async def test_an_answered_request_is_open_no_longer() -> None:
    async with three().start() as run:
        await settle()
        run.respond_to_input(run.requests[1].request_id, 1)
        assert [request.prompt for request in run.requests] == ["a", "c"]
        run.cancel()


async def test_other_work_goes_on_while_a_request_is_open() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[InputRequestEvent, Work]:
        return InputRequestEvent("?"), Work()

    @step
    async def work(ev: Work) -> None:
        await anyio.sleep(1)
        log("work")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    async with Workflow("w", [begin, work, answered]).start() as run:
        await anyio.sleep(2)
        assert log.lines == ["work"]
        run.respond_to_input(run.requests[0].request_id, 42)
        assert await run.result() == 42


async def test_an_answer_is_routed_into_the_branch_of_its_request() -> None:
    """Each item of a fan-out asks its own question; the gather has the answers in its order."""

    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    @step
    async def ask(ev: Work) -> InputRequestEvent:
        return InputRequestEvent(str(ev.n))

    @step
    async def answered(ev: InputResponseEvent) -> Done:
        return Done(ev.response)

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    async with Workflow("w", [begin, ask, answered, gather]).start() as run:
        await settle()
        for request in reversed(run.requests):
            run.respond_to_input(request.request_id, int(request.prompt) * 10)
            await settle()
        assert await run.result() == [0, 10, 20]


async def test_a_request_keeps_its_class_and_metadata() -> None:
    class Approval(InputRequestEvent):
        amount: int = attrs.field(kw_only=True)

    @step
    async def ask(ev: StartEvent) -> Approval:
        return Approval("ok?", {"to": "Ada"}, amount=5)

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [ask, answered]).start() as run:
        await settle()
        (request,) = run.requests
        assert isinstance(request, Approval)
        assert (request.amount, request.metadata) == (5, {"to": "Ada"})
        run.respond_to_input(request.request_id, True)


async def test_a_step_may_answer_a_request_itself() -> None:
    """An ``InputResponseEvent`` that a step emits closes the request that it names."""

    @step
    async def ask(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def watch(ev: InputRequestEvent) -> InputResponseEvent:
        return InputResponseEvent(ev.request_id, f"answer to {ev.prompt}")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    async with Workflow("w", [ask, watch, answered]).start() as run:
        assert await run.result() == "answer to ?"
        assert run.requests == ()


async def test_a_request_sent_with_send_event_is_opened_too() -> None:
    @step(emits=[InputRequestEvent])
    async def ask(ev: StartEvent, ctx: Context) -> None:
        ctx.send_event(InputRequestEvent("later", request_id="mine"))

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    async with Workflow("w", [ask, answered]).start() as run:
        await settle()
        (request,) = run.requests
        assert request.request_id != "mine"  # the engine gives the id
        run.respond_to_input(request.request_id, 1)
        assert await run.result() == 1


# ---- wrong answers -----------------------------------------------------------------------------


async def test_an_answer_to_an_unknown_request_is_an_error_and_changes_nothing() -> None:
    async with three().start() as run:
        await settle()
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input("nonsense", 1)
        assert (caught.value.request_id, caught.value.reason) == ("nonsense", "unknown")
        assert isinstance(caught.value, LookupError)
        assert len(run.requests) == 3
        run.cancel()


async def test_a_second_answer_is_an_error() -> None:
    async with three().start() as run:
        await settle()
        request_id = run.requests[0].request_id
        run.respond_to_input(request_id, 1)
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input(request_id, 2)
        assert caught.value.reason == "answered"
        run.cancel()


async def test_an_answer_to_a_request_that_was_withdrawn_is_an_error() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent | Work:
        try:
            await ctx.request_input("?", timeout=5)
        except TimeoutError:
            return Work()
        return StopEvent()

    @step
    async def idle(ev: Work) -> StopEvent:
        await anyio.sleep_forever()

    async with Workflow("w", [ask, idle]).start() as run:
        await settle()
        (request,) = run.requests
        await anyio.sleep(6)
        assert run.requests == ()
        with pytest.raises(UnknownRequestError) as caught:
            run.respond_to_input(request.request_id, 1)
        assert caught.value.reason == "withdrawn"
        run.cancel()


async def test_an_answer_may_come_as_an_event_too() -> None:
    """``send_event`` takes it for what it is, and refuses one that answers nothing."""
    for make in (three, inside):
        async with make().start() as run:
            await settle()
            with pytest.raises(UnknownRequestError):
                run.send_event(InputResponseEvent("nonsense", 1))
            for request in run.requests:
                run.send_event(InputResponseEvent(request.request_id, request.prompt))
            assert await run.result() in (["a", "b", "c"], "name?")


async def test_an_answer_after_the_run_is_an_error() -> None:
    async with three().start() as run:
        await settle()
        request_id = run.requests[0].request_id
        run.cancel()
        with pytest.raises(RunEndedError):
            run.respond_to_input(request_id, 1)


# ---- inside a step -----------------------------------------------------------------------------


async def test_a_step_can_wait_for_its_answer() -> None:
    async with inside().start() as run:
        async for request in run.stream_events():
            assert request.prompt == "name?"
            assert request.metadata == {"choices": ["Ada"]}
            run.respond_to_input(request.request_id, {"name": "Ada"})
        assert await run.result() == {"name": "Ada"}


async def test_a_step_that_waits_for_an_answer_holds_no_slot() -> None:
    @step
    async def begin(ev: StartEvent) -> list[Work]:
        return [Work(n) for n in range(3)]

    @step(max_concurrency=1)
    async def ask(ev: Work, ctx: Context) -> Done:
        return Done(await ctx.request_input(str(ev.n)))

    @step
    async def gather(done: list[Done]) -> StopEvent:
        return StopEvent(result=[each.n for each in done])

    async with Workflow("w", [begin, ask, gather]).start() as run:
        await settle()
        assert [request.prompt for request in run.requests] == ["0", "1", "2"]
        for request in reversed(run.requests):
            run.respond_to_input(request.request_id, int(request.prompt))
        assert await run.result() == [0, 1, 2]


async def test_a_request_inside_a_step_can_time_out() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        started = anyio.current_time()
        with pytest.raises(TimeoutError):
            await ctx.request_input("?", timeout=10)
        return StopEvent(result=anyio.current_time() - started)

    async with Workflow("w", [ask]).start() as run:
        assert await run.result() == pytest.approx(10)


async def test_a_request_inside_a_step_can_be_asked_of_a_subclass() -> None:
    class Approval(InputRequestEvent):
        pass

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input(Approval("ok?")))

    async with Workflow("w", [ask]).start() as run:
        await settle()
        assert isinstance(run.requests[0], Approval)
        run.respond_to_input(run.requests[0].request_id, "yes")
        assert await run.result() == "yes"


async def test_a_failing_step_withdraws_the_request_it_no_longer_waits_for() -> None:
    """It asked, was cancelled by a scope of its own while waiting, and went on to fail."""

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent | Work:
        with anyio.move_on_after(1):
            await ctx.request_input("?")
        return Work()

    @step
    async def work(ev: Work) -> StopEvent:
        return StopEvent(result="went on")

    async with Workflow("w", [ask, work]).start() as run:
        assert await run.result() == "went on"
        assert run.requests == ()


# ---- the input handler -------------------------------------------------------------------------


async def test_an_input_handler_answers() -> None:
    async def answer(request: InputRequestEvent) -> str:
        await anyio.sleep(1)
        return request.prompt.upper()

    assert sorted(await three(input_handler=answer).run()) == ["A", "B", "C"]
    assert await inside(input_handler=answer).run() == "NAME?"


async def test_the_handler_of_a_run_replaces_the_workflows() -> None:
    async def wrong(request: InputRequestEvent) -> str:
        raise AssertionError("not asked")

    async def right(request: InputRequestEvent) -> str:
        return "right"

    workflow = inside(input_handler=wrong)
    assert await workflow.run(input_handler=right) == "right"
    async with workflow.start(input_handler=right) as run:
        assert await run.result() == "right"


async def test_handlers_run_side_by_side() -> None:
    async def answer(request: InputRequestEvent) -> str:
        await anyio.sleep(5)
        return request.prompt

    started = anyio.current_time()
    await three(input_handler=answer).run()
    assert anyio.current_time() == pytest.approx(started + 5)


async def test_a_failing_handler_fails_the_run_from_its_own_exception() -> None:
    boom = Boom()

    async def answer(request: InputRequestEvent) -> str:
        raise boom

    with pytest.raises(StepFailedError) as caught:
        await three(input_handler=answer).run()
    assert caught.value.error is boom
    assert caught.value.__cause__ is boom
    assert isinstance(caught.value.event, InputRequestEvent)


async def test_a_failing_handler_that_raises_a_group_of_one_is_unwrapped() -> None:
    boom = Boom()

    async def answer(request: InputRequestEvent) -> str:
        raise ExceptionGroup("one", [boom])

    with pytest.raises(StepFailedError) as caught:
        await inside(input_handler=answer).run()
    assert caught.value.error is boom


async def test_an_interrupt_in_a_handler_comes_out_as_it_is() -> None:
    async def answer(request: InputRequestEvent) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await inside(input_handler=answer).run()


async def test_the_handle_may_be_quicker_than_the_handler() -> None:
    log = Log()

    async def answer(request: InputRequestEvent) -> str:
        await anyio.sleep(10)
        log("handler done")
        return "slow"

    @step
    async def ask(ev: StartEvent, ctx: Context) -> Work:
        return Work(await ctx.request_input("?"))

    @step
    async def work(ev: Work) -> StopEvent:
        await anyio.sleep(20)
        return StopEvent(result=ev.n)

    async with Workflow("w", [ask, work], input_handler=answer).start() as run:
        await settle()
        run.respond_to_input(run.requests[0].request_id, 7)
        assert await run.result() == 7
    assert log.lines == ["handler done"]


async def test_a_handler_is_cancelled_and_awaited_when_the_run_ends() -> None:
    log = Log()

    async def answer(request: InputRequestEvent) -> str:
        async with cleanup(log):
            await anyio.sleep_forever()

    @step
    async def begin(ev: StartEvent) -> tuple[InputRequestEvent, Work]:
        return InputRequestEvent("?"), Work()

    @step
    async def work(ev: Work) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent(result="ended")

    @step
    async def answered(ev: InputResponseEvent) -> None:
        return None

    workflow = Workflow("w", [begin, work, answered], input_handler=answer)
    assert await workflow.run() == "ended"
    assert log.lines == ["cleanup"]


async def test_a_run_waits_for_its_handler_also_when_its_handle_is_left() -> None:
    async def answer(request: InputRequestEvent) -> str:
        await anyio.sleep(10)
        return "answer"

    async with inside(input_handler=answer).start() as run:
        pass
    assert await run.result() == "answer"


# ---- nobody there ------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", [three, inside])
async def test_with_nobody_to_ask_the_run_suspends(workflow) -> None:
    with pytest.raises(InputRequiredError) as caught:
        await workflow().run(run_id="mine")
    error = caught.value
    assert error.snapshot.run_id == "mine"
    assert [request.prompt for request in error.requests] in (["a", "b", "c"], ["name?"])
    assert error.snapshot.requests == error.requests


async def test_the_run_suspends_only_when_nothing_else_is_left_to_do() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[InputRequestEvent, Work]:
        return InputRequestEvent("?"), Work()

    @step
    async def work(ev: Work, ctx: Context) -> None:
        await anyio.sleep(10)
        ctx.state["worked"] = True
        log("worked")

    @step
    async def answered(ev: InputResponseEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=(ev.response, ctx.state["worked"]))

    workflow = Workflow("w", [begin, work, answered])
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    (request,) = caught.value.requests
    resumed = workflow.resume(caught.value.snapshot, responses={request.request_id: "yes"})
    async with resumed as run:
        assert await run.result() == ("yes", True)
    assert log.lines == ["worked"]


@pytest.mark.parametrize("make", [three, inside])
async def test_a_suspended_run_goes_on_with_the_responses(make) -> None:
    workflow = make()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    responses = {request.request_id: request.prompt.upper() for request in caught.value.requests}
    async with workflow.resume(caught.value.snapshot, responses=responses) as run:
        assert run.run_id == caught.value.snapshot.run_id
        assert await run.result() in (["A", "B", "C"], "NAME?")


async def test_a_suspended_run_can_be_answered_piece_by_piece() -> None:
    workflow = three()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    error = caught.value
    while len(error.requests) > 1:
        first = error.requests[-1]
        with pytest.raises(InputRequiredError) as caught:
            async with workflow.resume(error.snapshot, responses={first.request_id: first.prompt}):
                pass
        assert len(caught.value.requests) == len(error.requests) - 1
        error = caught.value
    (last,) = error.requests
    async with workflow.resume(error.snapshot, responses={last.request_id: last.prompt}) as run:
        assert await run.result() == ["c", "b", "a"]


async def test_a_suspended_run_can_go_on_with_a_handler() -> None:
    async def answer(request: InputRequestEvent) -> str:
        return "from the handler"

    workflow = inside()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    async with workflow.resume(caught.value.snapshot, input_handler=answer) as run:
        assert await run.result() == "from the handler"


async def test_an_open_request_shows_on_the_stream_of_the_resumed_run() -> None:
    workflow = three()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    async with workflow.resume(caught.value.snapshot) as run:
        async for request in run.stream_events():
            run.respond_to_input(request.request_id, request.prompt)
        assert await run.result() == ["a", "b", "c"]


async def test_a_response_to_an_unknown_request_is_refused_on_entering() -> None:
    workflow = three()
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    with pytest.raises(UnknownRequestError) as refused:
        async with workflow.resume(caught.value.snapshot, responses={"nonsense": 1}):
            raise AssertionError("not entered")
    assert refused.value.reason == "unknown"


async def test_leaving_the_block_with_open_requests_suspends_the_run() -> None:
    workflow = three()
    with pytest.raises(InputRequiredError) as caught:
        async with workflow.start() as run:
            await settle()
    assert run.status == "suspended"
    assert len(caught.value.requests) == 3


async def test_a_step_that_asked_inside_is_not_asked_again_after_a_resume() -> None:
    """It starts from its top; the answered request is given again, the next is new."""
    log = Log()

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        log("from the top")
        first = await ctx.request_input("first")
        second = await ctx.request_input(f"second after {first}")
        return StopEvent(result=(first, second))

    workflow = Workflow("w", [ask])
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    (first,) = caught.value.requests
    snapshot = caught.value.snapshot
    with pytest.raises(InputRequiredError) as caught:
        async with workflow.resume(snapshot, responses={first.request_id: 1}):
            pass
    (second,) = caught.value.requests
    assert second.prompt == "second after 1"
    async with workflow.resume(caught.value.snapshot, responses={second.request_id: 2}) as run:
        assert await run.result() == (1, 2)
    assert log.lines == ["from the top"] * 3


async def test_a_step_that_asks_something_else_after_a_resume_fails_the_run() -> None:
    prompts = iter(["one", "other"])

    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input(next(prompts)))

    workflow = Workflow("w", [ask])
    with pytest.raises(InputRequiredError) as caught:
        await workflow.run()
    with pytest.raises(NonDeterministicStepError):
        async with workflow.resume(caught.value.snapshot) as run:
            await run.result()

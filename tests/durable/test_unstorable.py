"""What can't be stored fails what lets it out, with its type and field named; nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from blazen_anyio import (
    Context,
    InputRequestEvent,
    InputResponseEvent,
    Retry,
    StateValueError,
    StepFailed,
    StepFailedError,
    StopEvent,
    StoreError,
    Workflow,
    step,
)
from blazen_anyio.stores import MemoryStore

from .kit import Done, Go, Live, Log, Note, Work, settle
from .stores import contents, image_of

pytestmark = pytest.mark.anyio

LIVE = Live(object())


async def _return(ctx: Context) -> Any:
    return LIVE


async def _return_several(ctx: Context) -> Any:
    return Note("one"), LIVE


async def _fan_out(ctx: Context) -> Any:
    return [Note("one"), LIVE]


async def _fan_out_by_hand(ctx: Context) -> Any:
    ctx.fan_out([Note("one"), LIVE])


async def _send(ctx: Context) -> Any:
    ctx.send_event(Note("before"))
    ctx.send_event(LIVE)


async def _send_later(ctx: Context) -> Any:
    ctx.send_event(LIVE, delay=5)


async def _send_now(ctx: Context) -> Any:
    ctx.send_event(LIVE, immediate=True)


async def _ask(ctx: Context) -> Any:
    await ctx.request_input("?", {"live": object()})


async def _ask_by_event(ctx: Context) -> Any:
    return InputRequestEvent("?", {"live": object()})


async def _stop(ctx: Context) -> Any:
    return StopEvent(result=object())


async def _write_state(ctx: Context) -> Any:
    ctx.send_event(Note("before"))
    ctx.state["live"] = object()


async def _remember(ctx: Context) -> Any:
    await ctx.once("live", object)


WAYS = [
    _return,
    _return_several,
    _fan_out,
    _fan_out_by_hand,
    _send,
    _send_later,
    _send_now,
    _ask,
    _ask_by_event,
    _stop,
    _write_state,
    _remember,
]


def letting_out(way: Callable[[Context], Any], log: Log, retry: Retry | None) -> Workflow[Any]:
    @step(retry=retry)
    async def work(
        ev: Go, ctx: Context
    ) -> list[Live | Note] | Live | Note | InputRequestEvent | StopEvent | None:
        log("work")
        return await way(ctx) if ctx.attempt < 3 else StopEvent(result="third")

    @step
    async def take(ev: Live | Note | InputResponseEvent) -> StopEvent:
        log("took")
        raise AssertionError

    return Workflow("w", [work, take])


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__[1:])
async def test_the_attempt_fails_and_nothing_of_it_is_stored(
    way: Callable[[Context], Any], durability: Any
) -> None:
    log = Log()
    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await letting_out(way, log, None).run(
                Go(), run_id="run", store=store, durability=durability
            )
        error = caught.value.error
        assert isinstance(error, StateValueError)
        assert "a value of type builtins.object" in str(error)
        assert {key.split("/")[0] for key in store._data.runs["run"].rows} == {
            "events",
            "deliveries",
        }
        assert len(store._data.runs["run"].rows) == 2
    assert log.lines == ["work"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__[1:])
async def test_it_may_be_tried_again(way: Callable[[Context], Any]) -> None:
    log = Log()
    retry = Retry(max_attempts=3, jitter=False)
    async with MemoryStore() as store:
        result = await letting_out(way, log, retry).run(Go(), store=store)
    assert result == "third"
    assert log.lines == ["work"] * 3


async def test_the_error_names_type_and_field_and_an_error_step_gets_it() -> None:
    @step
    async def work(ev: Go) -> Live:
        return LIVE

    @step
    async def take(ev: Live) -> StopEvent:
        raise AssertionError

    @step
    async def mend(failure: StepFailed) -> StopEvent:
        return StopEvent(result=failure.message)

    async with MemoryStore() as store:
        message = await Workflow("w", [work, take, mend]).run(Go(), store=store)
    assert message.startswith("Live.thing: a value of type builtins.object")


async def test_what_a_generator_yields_fails_there_and_what_it_has_yielded_stays() -> None:
    log = Log()

    @step
    async def pages(ev: Go) -> AsyncIterator[Work | Live]:
        yield Work(1)
        log("one")
        try:
            yield LIVE
        finally:
            log("closed")
        raise AssertionError

    @step
    async def work(ev: Work | Live) -> Done:
        assert isinstance(ev, Work)
        await anyio.sleep(100)
        return Done()

    @step
    async def join(done: list[Done]) -> StopEvent:
        raise AssertionError

    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await Workflow("w", [pages, work, join]).run(Go(), run_id="run", store=store)
        assert isinstance(caught.value.error, StateValueError)
        kept = [row.body for row in store._data.runs["run"].rows.values()]
        assert any(b"durable.Work" in body for body in kept)
        assert not any(b"durable.Live" in body for body in kept)
    assert log.lines == ["one", "closed"]


def taking(log: Log) -> Workflow[Any]:
    @step
    async def begin(ev: Live) -> None:
        log("begin")

    @step
    async def take(ev: Note) -> StopEvent:
        return StopEvent(result=ev.text)

    return Workflow("w", [begin, take], external=[Note, Live])


async def test_a_first_event_that_can_not_be_stored_begins_nothing() -> None:
    log = Log()
    async with MemoryStore() as store:
        with pytest.raises(StateValueError, match=r"Live\.thing"):
            await taking(log).run(LIVE, store=store)
        with pytest.raises(StateValueError):
            async with taking(log).start(LIVE, store=store):
                raise AssertionError
        assert contents(store) == {}
    assert log.lines == []


async def test_an_event_from_outside_is_refused_and_the_run_goes_on() -> None:
    log = Log()
    async with (
        MemoryStore() as store,
        taking(log).start(Live(), run_id="run", store=store) as run,
    ):
        await settle()
        before = contents(store)
        with pytest.raises(StateValueError, match=r"Live\.thing"):
            run.send_event(LIVE)
        await settle()
        assert contents(store) == before
        run.send_event(Note("hello"))
        assert await run.result() == "hello"
    assert log.lines == ["begin"]


def asking(inside: bool) -> Workflow[Any]:
    @step
    async def ask(ev: Go, ctx: Context) -> InputRequestEvent | StopEvent:
        if inside:
            return StopEvent(result=await ctx.request_input("?"))
        return InputRequestEvent("?")

    @step
    async def take(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    return Workflow("asking", [ask, take])


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("nested", [True, False])
async def test_an_answer_is_refused_and_the_question_stays_open(inside: bool, nested: bool) -> None:
    workflow = asking(inside)
    if nested:
        child = workflow

        @step
        async def delegate(ev: Go, ctx: Context) -> StopEvent:
            return StopEvent(result=await ctx.run_workflow(child, ev))

        workflow = Workflow("outer", [delegate])
    async with MemoryStore() as store:
        async with workflow.start(Go(), run_id="run", store=store) as run:
            await settle()
            [request] = run.requests
            with pytest.raises(StateValueError, match="the answer to"):
                run.respond_to_input(request.request_id, object())
            assert run.requests == (request,)
            image = image_of(store)
            run.respond_to_input(request.request_id, 7)
            assert await run.result() == 7
        async with image:
            with pytest.raises(StateValueError, match="the answer to"):
                async with workflow.resume_from(
                    image, "run", responses={request.request_id: object()}
                ):
                    raise AssertionError
            async with workflow.resume_from(image, "run", responses={request.request_id: 8}) as run:
                assert await run.result() == 8


@pytest.mark.parametrize("inside", [True, False])
async def test_a_handler_that_answers_so_has_failed(inside: bool) -> None:
    async def answer(request: InputRequestEvent) -> Any:
        return object()

    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await asking(inside).run(Go(), run_id="run", store=store, input_handler=answer)
        assert caught.value.step == "input_handler"
        assert isinstance(caught.value.error, StateValueError)
        again = asking(inside).resume_from(store, "run", input_handler=lambda request: 7)
        async with again as run:
            assert await run.result() == 7


async def test_the_first_event_of_a_child_run_fails_the_step_that_begins_it() -> None:
    @step
    async def inner(ev: Live) -> StopEvent:
        raise AssertionError

    child = Workflow("child", [inner])

    @step
    async def delegate(ev: Go, ctx: Context) -> StopEvent:
        with pytest.raises(StateValueError, match=r"Live\.thing"):
            await ctx.run_workflow(child, LIVE)
        return StopEvent(result=await ctx.run_workflow(child, LIVE))

    async with MemoryStore() as store:
        with pytest.raises(StepFailedError) as caught:
            await Workflow("outer", [delegate]).run(Go(), store=store)
        assert isinstance(caught.value.error, StateValueError)


async def test_without_a_store_live_objects_pass_as_ever() -> None:
    thing = object()

    @step
    async def work(ev: Go) -> Live:
        return Live(thing)

    @step
    async def take(ev: Live) -> StopEvent:
        return StopEvent(result=ev.thing)

    assert await Workflow("w", [work, take]).run(Go()) is thing


async def test_an_event_that_was_changed_after_it_was_sent_fails_the_run() -> None:
    """No attempt can be blamed any more when the waiting step gets it."""

    @step
    async def begin(ev: Go) -> Live:
        return Live([])

    @step
    async def spoil(ev: Live) -> Work:
        ev.thing.append(object())
        return Work()

    @step(waits=[Live])
    async def wait(ev: Work, ctx: Context) -> StopEvent:
        await ctx.wait_for_event(Live)
        raise AssertionError

    async with MemoryStore() as store:
        with pytest.raises(StoreError, match="what the run has committed can't be stored: "):
            await Workflow("w", [begin, spoil, wait]).run(Go(), store=store)

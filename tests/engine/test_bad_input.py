"""Bad input: each gives one clear typed error that names what is wrong, and loses nothing."""

from __future__ import annotations

import json
from typing import Any

import anyio
import attrs
import pytest

from blazen_anyio import (
    Context,
    ContextClosedError,
    DefinitionError,
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    NoHandlerError,
    RunEndedError,
    Snapshot,
    SnapshotError,
    StartEvent,
    StepFailedError,
    StopEvent,
    UnknownRequestError,
    Workflow,
    step,
)

from .kit import Done, Log, Note, Other, Work, settle

pytestmark = pytest.mark.anyio


class Ask(StartEvent):
    name: str
    times: int = attrs.field(default=1, validator=attrs.validators.instance_of(int))


def asking(log: Log) -> Workflow:
    @step
    async def greet(ev: Ask) -> StopEvent:
        log(f"greets {ev.name}")
        return StopEvent(result=ev.name)

    return Workflow("asking", [greet])


# ---- what starts a run -------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"nmae": "Ada"}, {"name": "Ada", "age": 3}])
async def test_wrong_keywords_are_refused_before_anything_runs(fields: dict[str, Any]) -> None:
    log = Log()
    with pytest.raises(TypeError) as caught:
        await asking(log).run(**fields)
    for word in ("asking", "Ask", "name", "times"):
        assert word in str(caught.value)
    with pytest.raises(TypeError):
        asking(log).start(**fields)
    assert log.lines == []


async def test_a_value_that_a_validator_refuses_is_refused_before_anything_runs() -> None:
    log = Log()
    with pytest.raises(TypeError, match="times"):
        await asking(log).run(name="Ada", times="two")
    assert log.lines == []


async def test_an_event_and_fields_together_are_refused() -> None:
    log = Log()
    with pytest.raises(TypeError, match="name"):
        await asking(log).run(Ask(name="Ada"), name="Bob")
    assert log.lines == []


@pytest.mark.parametrize("event", ["text", 3, Ask, {"name": "Ada"}])
async def test_a_run_starts_with_an_event_only(event: Any) -> None:
    with pytest.raises(TypeError, match="event"):
        await asking(Log()).run(event)


async def test_an_event_that_nobody_accepts_can_not_start_a_run() -> None:
    log = Log()
    with pytest.raises(NoHandlerError) as caught:
        await asking(log).run(Note())
    assert caught.value.source is None
    with pytest.raises(NoHandlerError):
        asking(log).start(StartEvent())
    assert log.lines == []


async def test_keywords_are_refused_where_several_start_events_fit() -> None:
    class First(StartEvent):
        a: int

    class Second(StartEvent):
        b: int

    @step
    async def either(ev: First | Second) -> StopEvent:
        return StopEvent()

    workflow = Workflow("w", [either])
    with pytest.raises(TypeError, match=r"First, .*Second"):
        await workflow.run(a=1)
    await workflow.run(First(a=1))


# ---- definitions -------------------------------------------------------------------------------


def test_all_problems_of_a_workflow_come_in_one_error() -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        return Work()

    @step
    async def never(ev: Note) -> Other:
        return Other()

    with pytest.raises(DefinitionError) as caught:
        Workflow("w", [begin, begin, never], timeout=-1)
    text = str(caught.value)
    assert len(caught.value.problems) >= 2
    assert "timeout" in text and "twice" in text
    with pytest.raises(DefinitionError) as caught:
        Workflow("w", [begin, never])
    text = str(caught.value)
    for word in ("never", "Work", "Other", "StopEvent"):
        assert word in text
    assert isinstance(caught.value, TypeError)


def test_two_classes_with_one_event_type_are_a_definition_error() -> None:
    class One(Event, event_type="app.Same"):
        pass

    class Two(Event, event_type="app.Same"):
        pass

    @step
    async def begin(ev: StartEvent) -> One | Two:
        return One()

    @step
    async def end(ev: One | Two) -> StopEvent:
        return StopEvent()

    with pytest.raises(DefinitionError, match="app.Same"):
        Workflow("w", [begin, end])


def bad_signatures() -> list[Any]:
    async def no_event() -> StopEvent: ...

    async def no_annotation(ev) -> StopEvent: ...

    async def no_return(ev: StartEvent): ...

    async def no_event_type(ev: int) -> StopEvent: ...

    async def three(a: Work, b: Done, c: Note) -> StopEvent: ...

    async def returns_text(ev: StartEvent) -> str: ...

    def generator(ev: StartEvent) -> StopEvent:
        yield

    async def stops(ev: StopEvent) -> StopEvent: ...

    return [
        no_event,
        no_annotation,
        no_return,
        no_event_type,
        three,
        returns_text,
        generator,
        stops,
    ]


@pytest.mark.parametrize("function", bad_signatures(), ids=lambda function: function.__name__)
def test_a_signature_that_says_nothing_usable_is_an_error_at_decoration(function: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        step(function)
    assert function.__name__ in str(caught.value)


def test_a_timeout_on_a_thread_is_a_definition_error_that_says_what_to_do() -> None:
    with pytest.raises(DefinitionError, match="cooperative=True"):

        @step(timeout=1)
        def blocks(ev: StartEvent) -> StopEvent:
            return StopEvent()


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"max_pending": 0},
        {"retry": 3},
        {"name": ""},
        {"waits": [int]},
        {"accepts": []},
        {"for_steps": ["x"]},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=next(iter(options))):

        @step(**options)
        async def only(ev: StartEvent) -> StopEvent:
            return StopEvent()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"max_concurrency": 0},
        {"retry": "often"},
        {"external": [int]},
        {"on_unhandled": "drop"},
        {"max_recoveries": -1},
        {"stop": StartEvent},
    ],
    ids=str,
)
def test_settings_of_a_workflow_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent()

    with pytest.raises(DefinitionError):
        Workflow("w", [only], **options)


# ---- what steps do -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["text", 3, {}, [1], (Done(), "text"), Done, object()])
async def test_returning_what_is_no_event_fails_the_attempt(value: Any) -> None:
    @step
    async def begin(ev: StartEvent) -> StopEvent:
        return value

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, TypeError)
    assert "begin" in str(caught.value.error)


async def test_returning_a_coroutine_says_to_await_it() -> None:
    async def make() -> StopEvent:
        return StopEvent()

    kept: list[Any] = []

    @step
    async def begin(ev: StartEvent) -> StopEvent:
        kept.append(make())
        return kept[0]

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    kept[0].close()
    assert "await" in str(caught.value.error)


@pytest.mark.parametrize("method", ["send_event", "write_event_to_stream", "fan_out"])
async def test_sending_what_is_no_event_fails_the_attempt(method: str) -> None:
    @step
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        getattr(ctx, method)(["text"] if method == "fan_out" else "text")
        return StopEvent()

    with pytest.raises(StepFailedError) as caught:
        await Workflow("w", [begin]).run()
    assert isinstance(caught.value.error, TypeError)
    assert method in str(caught.value.error)


async def test_every_use_of_a_context_after_its_step_is_an_error() -> None:
    kept: list[Context] = []

    @step(waits=[Note], max_concurrency=1)
    async def begin(ev: StartEvent, ctx: Context) -> StopEvent:
        kept.append(ctx)
        return StopEvent()

    await Workflow("w", [begin], external=[Note]).run()
    (ctx,) = kept
    uses: list[Any] = [
        lambda: ctx.send_event(Work()),
        lambda: ctx.send_event(Work(), immediate=True),
        lambda: ctx.write_event_to_stream(Work()),
        lambda: ctx.fan_out([]),
        lambda: ctx.collect_events(Work, 1),
        lambda: ctx.state,
    ]
    for use in uses:
        with pytest.raises(ContextClosedError, match="begin"):
            use()
    for call in (
        lambda: ctx.wait_for_event(Note),
        lambda: ctx.request_input("?"),
        lambda: ctx.once("key", int),
    ):
        with pytest.raises(ContextClosedError, match="begin"):
            await call()
    assert "closed" in repr(ctx)


# ---- what comes from outside -------------------------------------------------------------------


async def test_wrong_input_to_a_running_run_loses_nothing() -> None:
    """Every bad call is refused with its own error, and the run ends as if none had been made."""

    @step
    async def begin(ev: StartEvent) -> InputRequestEvent:
        return InputRequestEvent("?")

    @step
    async def answered(ev: InputResponseEvent) -> StopEvent:
        return StopEvent(result=ev.response)

    async with Workflow("w", [begin, answered]).start() as run:
        await settle()
        (request,) = run.requests
        with pytest.raises(NoHandlerError):
            run.send_event(Note())
        with pytest.raises(TypeError):
            run.send_event("text")  # type: ignore[arg-type]
        with pytest.raises(UnknownRequestError):
            run.respond_to_input("nonsense", 1)
        with pytest.raises(UnknownRequestError):
            run.send_event(InputResponseEvent("nonsense", 1))
        with pytest.raises(ValueError, match="overflow"):
            run.stream_events(overflow="sometimes")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="buffer"):
            run.stream_events(buffer=0)
        assert run.requests == (request,)
        run.respond_to_input(request.request_id, "yes")
        assert await run.result() == "yes"
        with pytest.raises(RunEndedError):
            run.respond_to_input(request.request_id, "again")


async def test_a_field_of_the_wrong_type_arriving_as_json_is_refused() -> None:
    """No silent coercion: a whole number that became text is not read as a number."""

    class Counted(Event, event_type="test.Counted"):
        n: int

    @step
    async def begin(ev: StartEvent) -> Counted:
        return Counted(987_654_321)

    @step
    async def end(ev: Counted) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent(result=ev.n)

    workflow = Workflow("w", [begin, end])
    async with workflow.start() as run:
        await settle()
        data = run.snapshot().to_data()
        run.cancel()
    changed = json.loads(json.dumps(data).replace("987654321", '"987654321"'))
    assert changed != json.loads(json.dumps(data))
    with pytest.raises(SnapshotError, match=r"\.n"):
        async with workflow.resume(Snapshot.from_data(changed)):
            raise AssertionError("not entered")


async def test_an_unknown_event_type_in_a_snapshot_is_named() -> None:
    class Gone(Event, event_type="app.Gone"):
        pass

    @step
    async def begin(ev: StartEvent) -> Gone:
        return Gone()

    @step
    async def end(ev: Gone) -> StopEvent:
        await anyio.sleep(5)
        return StopEvent()

    @step
    async def begin_anew(ev: StartEvent) -> Work:
        return Work()

    @step(name="end")
    async def end_anew(ev: Work) -> StopEvent:
        return StopEvent()

    async with Workflow("w", [begin, end]).start() as run:
        await settle()
        snapshot = run.snapshot()
        run.cancel()
    with pytest.raises(SnapshotError, match="app.Gone"):
        async with Workflow("w", [begin_anew, end_anew]).resume(snapshot):
            raise AssertionError("not entered")


async def test_a_handler_that_can_not_be_called_is_refused() -> None:
    @step
    async def ask(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=await ctx.request_input("?"))

    workflow = Workflow("w", [ask])
    with pytest.raises(TypeError, match="input_handler"):
        await workflow.run(input_handler="text")  # type: ignore[arg-type]


@pytest.mark.parametrize("run_id", ["", 3, "a" * 1000])
async def test_a_run_id_that_is_none_is_refused(run_id: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="run_id"):
        await asking(Log()).run(name="Ada", run_id=run_id)


async def test_a_dynamic_event_without_a_taker_is_unhandled_under_its_own_name() -> None:
    @step(accepts=["app.Known"], emits=["app.Known"])
    async def hop(ev: DynamicEvent) -> DynamicEvent | StopEvent:
        return DynamicEvent("app.Unknown")

    with pytest.raises(NoHandlerError) as caught:
        await Workflow("w", [hop]).run(DynamicEvent("app.Known"))
    assert "app.Unknown" in str(caught.value)

"""Steps of every kind run: async, def, methods, unions, base classes, any order of parameters."""

from __future__ import annotations

import functools
import threading

import anyio
import attrs
import pytest

from blazen_anyio import (
    Context,
    DynamicEvent,
    Event,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from .kit import Done, Log, Note, Other, Work, current_task

pytestmark = pytest.mark.anyio


# ---- kinds -------------------------------------------------------------------------------------


async def test_an_async_step_runs_on_the_event_loop() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=threading.get_ident())

    assert await Workflow("w", [only]).run() == threading.get_ident()


async def test_a_plain_step_runs_in_a_thread() -> None:
    @step
    def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=threading.get_ident())

    assert await Workflow("w", [only]).run() != threading.get_ident()


@pytest.mark.parametrize("kind", ["instance", "class", "static"])
async def test_methods_are_steps(kind: str) -> None:
    class Service:
        prefix = "class"

        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        @step
        async def begin(self, ev: StartEvent) -> Work:
            return Work(len(self.prefix))

        @step
        async def of_instance(self, ev: Work) -> StopEvent:
            return StopEvent(result=(self.prefix, ev.n))

        @step
        @classmethod
        async def of_class(cls, ev: Work) -> StopEvent:
            return StopEvent(result=(cls.prefix, ev.n))

        @step
        @staticmethod
        async def of_nothing(ev: Work) -> StopEvent:
            return StopEvent(result=("static", ev.n))

    service = Service("instance")
    end = {
        "instance": service.of_instance,
        "class": service.of_class,
        "static": service.of_nothing,
    }
    assert await Workflow("w", [service.begin, end[kind]]).run() == (kind, len("instance"))


async def test_two_instances_give_two_workflows() -> None:
    class Service:
        def __init__(self, value: int) -> None:
            self.value = value

        @step
        async def only(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=self.value)

    workflows = [Workflow("w", [Service(value).only]) for value in (1, 2)]
    assert [await workflow.run() for workflow in workflows] == [1, 2]


async def test_a_partial_is_a_step() -> None:
    async def end(factor: int, ev: StartEvent) -> StopEvent:
        return StopEvent(result=factor * ev.data["n"])

    doubled = step(functools.partial(end, 2), name="doubled")
    assert await Workflow("w", [doubled]).run(n=21) == 42


async def test_a_step_is_still_a_function() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=ev.data["n"])

    assert await only(StartEvent(data={"n": 3})) == StopEvent(result=3)


# ---- parameters --------------------------------------------------------------------------------


async def test_the_context_may_stand_anywhere_or_be_left_out() -> None:
    @step
    async def first(ctx: Context, ev: StartEvent) -> Work:
        return Work(len(ctx.step_name))

    @step
    async def second(ev: Work, ctx: Context) -> Done:
        return Done(ev.n + len(ctx.step_name))

    @step
    async def third(*, ctx: Context, ev: Done) -> Other:
        return Other(ev.n + len(ctx.step_name))

    @step
    async def fourth(ev: Other) -> StopEvent:
        return StopEvent(result=ev.n)

    assert await Workflow("w", [first, second, third, fourth]).run() == 5 + 6 + 5


async def test_a_context_knows_what_it_is_part_of() -> None:
    contexts: list[Context] = []

    @step(name="renamed")
    async def only(ev: StartEvent, ctx: Context) -> StopEvent:
        contexts.append(ctx)
        return StopEvent(result=(ctx.run_id, ctx.step_name, ctx.attempt, ctx.idempotency_key))

    run_id, name, attempt, key = await Workflow("w", [only]).run(run_id="mine")
    assert (run_id, name, attempt) == ("mine", "renamed", 1)
    assert key.startswith("mine")
    assert "renamed" in repr(contexts[0])


async def test_a_union_takes_each_of_its_types() -> None:
    @step
    async def begin(ev: StartEvent) -> tuple[Work, Other]:
        return Work(), Other()

    @step(max_concurrency=1)
    async def both(ev: Work | Other, ctx: Context) -> StopEvent | None:
        ctx.state.apply("seen", lambda seen: [*seen, type(ev).__name__], [])
        return StopEvent(result=ctx.state["seen"]) if isinstance(ev, Other) else None

    assert await Workflow("w", [begin, both]).run() == ["Work", "Other"]


async def test_a_base_class_takes_what_derives_from_it() -> None:
    class Base(Event):
        n: int

    class Derived(Base):
        text: str = ""

    @step
    async def begin(ev: StartEvent) -> Derived:
        return Derived(1, "text")

    @step
    async def take(ev: Base) -> StopEvent:
        return StopEvent(result=ev)

    assert await Workflow("w", [begin, take]).run() == Derived(1, "text")


async def test_a_derived_class_does_not_take_its_base() -> None:
    class Base(Event):
        pass

    class Derived(Base):
        pass

    log = Log()

    @step
    async def begin(ev: StartEvent) -> Base:
        return Base()

    @step
    async def take_base(ev: Base) -> Note:
        log("base")
        return Note()

    @step
    async def take_derived(ev: Derived) -> None:
        log("derived")

    @step
    async def end(ev: Note) -> StopEvent:
        return StopEvent()

    await Workflow("w", [begin, take_derived, take_base, end]).run()
    assert log.lines == ["base"]


async def test_dynamic_events_go_by_their_names() -> None:
    @step(emits=["app.One", "app.Two"])
    async def begin(ev: StartEvent) -> tuple[DynamicEvent, DynamicEvent]:
        return DynamicEvent("app.One", {"n": 1}), DynamicEvent("app.Two", {"n": 2})

    @step(accepts=["app.One"])
    async def one(ev: DynamicEvent) -> None:
        assert ev.event_type == "app.One"

    @step(accepts=["app.Two"])
    async def two(ev: DynamicEvent) -> StopEvent:
        return StopEvent(result=ev.data["n"])

    assert await Workflow("w", [begin, one, two]).run() == 2


async def test_an_event_is_handed_on_by_reference() -> None:
    sent: list[Event] = []

    @step
    async def begin(ev: StartEvent) -> Work:
        sent.append(Work())
        return sent[0]

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent(result=ev is sent[0])

    assert await Workflow("w", [begin, end]).run() is True


# ---- starting and stopping ---------------------------------------------------------------------


class Ask(StartEvent):
    name: str
    times: int = attrs.field(default=1, validator=attrs.validators.instance_of(int))


class Answer(StopEvent):
    text: str


@step
async def greet(ev: Ask) -> Answer:
    return Answer(text=" ".join([f"Hello, {ev.name}!"] * ev.times))


async def test_keywords_fill_the_typed_start_event_and_the_stop_event_is_the_result() -> None:
    greeting = Workflow("greeting", [greet], stop=Answer)
    assert await greeting.run(name="Ada") == Answer(text="Hello, Ada!")
    assert await greeting.run(Ask(name="Ada", times=2)) == Answer(text="Hello, Ada! Hello, Ada!")
    async with greeting.start(name="Ada") as run:
        assert (await run.result()).text == "Hello, Ada!"


async def test_keywords_are_the_data_of_a_plain_start_event() -> None:
    @step
    async def only(ev: StartEvent) -> StopEvent:
        return StopEvent(result=dict(ev.data))

    assert await Workflow("w", [only]).run(a=1, b=2) == {"a": 1, "b": 2}
    assert await Workflow("w", [only]).run() == {}


async def test_keywords_are_the_data_where_plain_and_typed_start_events_are_accepted() -> None:
    @step
    async def plain(ev: StartEvent) -> StopEvent:
        return StopEvent(result=(type(ev).__name__, dict(ev.data)))

    @step
    async def typed(ev: Ask) -> None:
        return None

    workflow = Workflow("w", [plain, typed])
    assert await workflow.run(a=1) == ("StartEvent", {"a": 1})
    assert await workflow.run(Ask(name="Ada")) == ("Ask", {})


async def test_a_workflow_shows_its_name_and_its_graph() -> None:
    workflow = Workflow("greeting", [greet], stop=Answer)
    assert workflow.name == "greeting"
    assert "greeting" in repr(workflow)
    assert "greet" in workflow.graph.to_mermaid()


async def test_a_run_may_be_made_inside_a_step_of_another() -> None:
    """As a call like any other; it is cancelled with the step."""
    inner = Workflow("greeting", [greet], stop=Answer)

    @step
    async def outer(ev: StartEvent) -> StopEvent:
        return StopEvent(result=(await inner.run(name="Ada")).text)

    assert await Workflow("outer", [outer]).run() == "Hello, Ada!"


async def test_any_accepted_event_may_start_a_run() -> None:
    @step
    async def begin(ev: StartEvent) -> Work:
        return Work(1)

    @step
    async def end(ev: Work) -> StopEvent:
        return StopEvent(result=ev.n)

    assert await Workflow("w", [begin, end]).run(Work(5)) == 5


async def test_a_run_id_is_unique_and_sorts_by_time_unless_given() -> None:
    @step
    async def only(ev: StartEvent, ctx: Context) -> StopEvent:
        return StopEvent(result=ctx.run_id)

    workflow = Workflow("w", [only])
    ids = [await workflow.run() for _ in range(5)]
    assert len(set(ids)) == 5
    assert [each[:8] for each in ids] == sorted(each[:8] for each in ids)
    assert all(each[14] == "7" and len(each) == 36 for each in ids)
    assert await workflow.run(run_id="mine") == "mine"


# ---- own_task ----------------------------------------------------------------------------------


async def test_own_task_gives_each_attempt_a_task_of_its_own() -> None:
    tasks: list[object] = []

    @step(own_task=True)
    async def hop(ev: StartEvent | Work) -> Work | StopEvent:
        tasks.append(current_task())
        return Work() if len(tasks) < 5 else StopEvent()

    await Workflow("w", [hop]).run()
    assert len(set(tasks)) == 5


async def test_own_task_shares_no_task_with_the_steps_before_and_after() -> None:
    tasks: dict[str, object] = {}

    @step
    async def begin(ev: StartEvent) -> Work:
        tasks["begin"] = current_task()
        return Work()

    @step(own_task=True)
    async def alone(ev: Work) -> Done:
        tasks["alone"] = current_task()
        return Done()

    @step
    async def end(ev: Done) -> StopEvent:
        tasks["end"] = current_task()
        return StopEvent()

    await Workflow("w", [begin, alone, end]).run()
    assert tasks["alone"] is not tasks["begin"]
    assert tasks["alone"] is not tasks["end"]


async def test_own_task_keeps_the_order_of_events() -> None:
    log = Log()

    @step
    async def begin(ev: StartEvent) -> tuple[Event, ...]:
        return *(Work(n) for n in range(5)), Done()

    @step(own_task=True)
    async def work(ev: Work) -> None:
        log(str(ev.n))

    @step
    async def done(ev: Done) -> StopEvent:
        await anyio.sleep(1)
        return StopEvent()

    await Workflow("w", [begin, work, done]).run()
    assert log.lines == ["0", "1", "2", "3", "4"]

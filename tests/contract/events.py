"""Events, and which step gets which."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

from blazen_anyio import (
    Context,
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StepFailed,
    StopEvent,
    Workflow,
    step,
)

from .example import MINUTE, FlakyError, example
from .scripts import answering
from .vocabulary import Approved, Done, Work, collect, noted

# ---- events ------------------------------------------------------------------------------------


class Greet(Event):
    name: str
    times: int = 1
    tags: list[str] = attrs.field(factory=list, kw_only=True)


@example(["Ada", 1, [], "frozen"])
def event_with_fields() -> Workflow[Any]:
    """`class Greet(Event): name: str` is all it takes: a subclass becomes a frozen attrs class."""

    @step
    async def begin(ev: StartEvent) -> Greet:
        return Greet("Ada")

    @step
    async def greet(ev: Greet) -> StopEvent:
        await anyio.sleep(MINUTE)
        try:
            ev.name = "Bob"
        except attrs.exceptions.FrozenInstanceError:
            return StopEvent(result=[ev.name, ev.times, ev.tags, "frozen"])
        return StopEvent()

    return Workflow("greeting", [begin, greet])


class Shipped(Event, event_type="shop.Shipped"):
    weight: float


@example(["shop.Shipped", "contract.events.Greet"])
def stable_event_types() -> Workflow[Any]:
    """Each class has a stable `event_type`: module and qualified name, or what it says."""

    @step
    async def begin(ev: StartEvent) -> tuple[Shipped, Greet]:
        return Shipped(0.5), Greet("Ada", tags=["new"])

    @step
    async def name(shipped: Shipped, greet: Greet) -> StopEvent:
        await anyio.sleep(MINUTE)
        assert (shipped.weight, greet.tags) == (0.5, ["new"])
        return StopEvent(result=[shipped.event_type, greet.event_type])

    return Workflow("types", [begin, name])


class Ask(StartEvent):
    name: str


class Answer(StopEvent):
    text: str


@example({"Answer": {"text": "Hello, Ada!", "result": None}}, fields={"name": "Ada"})
def typed_start_and_stop() -> Workflow[Answer]:
    """Both may be subclassed with typed fields; `Workflow(stop=Answer)`: `run` returns an `Answer`.

    Keywords fill the one start event type that the workflow accepts.
    """

    @step
    async def greet(ev: Ask) -> Answer:
        await anyio.sleep(MINUTE)
        return Answer(text=f"Hello, {ev.name}!")

    return Workflow("answer", [greet], stop=Answer)


@example({"topic": "tides", "depth": 2}, fields={"topic": "tides", "depth": 2})
def plain_start_and_stop() -> Workflow[Any]:
    """`StartEvent(data={...})`, `StopEvent(result=...)`; a plain one returns its `.result`."""

    @step
    async def echo(ev: StartEvent) -> StopEvent:
        await checkpoint()
        return StopEvent(result=dict(ev.data))

    return Workflow("echo", [echo])


@example(8, first=Work(7))
def any_accepted_event_starts() -> Workflow[Any]:
    """Any accepted event may start a run."""

    @step
    async def work(ev: Work) -> StopEvent:
        await checkpoint()
        return StopEvent(result=ev.n + 1)

    return Workflow("work", [work])


@example(["shop.Order", {"items": ["tea"]}])
def dynamic_event() -> Workflow[Any]:
    """`DynamicEvent(event_type, data)` stands for a type this process has no class for."""

    @step(emits=["shop.Order"])
    async def begin(ev: StartEvent) -> DynamicEvent:
        return DynamicEvent("shop.Order", {"items": ["tea"]})

    @step(accepts=["shop.Order"])
    async def take(ev: DynamicEvent) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=[ev.event_type, dict(ev.data)])

    return Workflow("dynamic", [begin, take])


# ---- what a signature says ---------------------------------------------------------------------


@example([1, 20])
def union() -> Workflow[Any]:
    """One parameter annotated with an event type (or a union) says what it accepts."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Approved]:
        return Work(1), Approved(2)

    @step(max_concurrency=1)
    async def take(ev: Work | Approved) -> Done | None:
        await checkpoint()
        return Done(ev.n if isinstance(ev, Work) else 10 * ev.n)

    return Workflow("union", [begin, take, collect(2)])


@example(["first, second", 1])
def context_in_any_order() -> Workflow[Any]:
    """`Context` may be asked for or left out, in any order."""

    @step
    async def first(ctx: Context, ev: StartEvent) -> Work:
        await checkpoint()
        ctx.state["by"] = ctx.step_name
        return Work(1)

    @step
    async def second(ev: Work, ctx: Context) -> Done:
        await checkpoint()
        ctx.state["by"] = f"{ctx.state['by']}, {ctx.step_name}"
        return Done(ctx.attempt)

    @step
    async def last(done: Done, context: Context) -> StopEvent:
        return StopEvent(result=[context.state["by"], done.n])

    return Workflow("contexts", [first, second, last])


class Priced(Work):
    price: int


@example([5, 30])
def subclass_is_matched() -> Workflow[Any]:
    """Matching follows the type: a step that accepts `Base` receives `Derived`."""

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Priced]:
        return Work(5), Priced(3, price=10)

    @step(max_concurrency=1)
    async def take(ev: Work) -> Done:
        await anyio.sleep(MINUTE)
        return Done(ev.n * ev.price if isinstance(ev, Priced) else ev.n)

    return Workflow("matching", [begin, take, collect(2)])


@example(
    ["StartEvent", "Work", "Done"],
    script=answering({"how many?": 3}),
)
def event_matches_what_is_the_users() -> Workflow[Any]:
    """`Event` itself matches every event of the user's, but no control event."""

    @step
    async def audit(ev: Event, ctx: Context) -> None:
        kind = type(ev).__name__
        ctx.state.apply("notes", lambda notes: [*notes, kind], [])

    @step
    async def begin(ev: StartEvent) -> Work:
        return Work(1)

    @step
    async def work(ev: Work) -> None:
        raise FlakyError("no")

    @step
    async def mend(failure: StepFailed) -> InputRequestEvent:
        return InputRequestEvent("how many?")

    @step
    async def answered(ev: InputResponseEvent) -> Done:
        return Done(ev.response)

    return Workflow("audit", [audit, begin, work, mend, answered, noted])

"""Strategies from event classes and workflows, and the state machine made of a workflow."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal

import attrs
import pytest
from attrs import validators
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from blazen_anyio import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from blazen_anyio.testing import (
    WorkflowStateMachine,
    drive,
    events,
    plain_values,
    returns,
    routes,
    simulate,
    starts,
    workflows,
)

from .shop import Invoice, Item, Order, Priced, shop


class Colour(Enum):
    RED = 1
    BLUE = 2


class Part(Event):
    n: int


def even(instance: object, attribute: object, value: int) -> None:
    if value % 2:
        raise ValueError("odd")


class Everything(Event):
    """An event with fields of many types."""

    number: int
    ratio: float
    name: str = attrs.field(validator=validators.and_(validators.min_len(2), validators.max_len(4)))
    data: bytes
    choice: Literal["a", "b"]
    colour: Colour
    maybe: int | None
    parts: list[Part]
    table: dict[str, int]
    mapping: Mapping[str, float]
    row: tuple[int, str]
    rows: tuple[int, ...]
    tags: set[int]
    queue: deque[int]
    fixed: frozenset[str]
    sequence: Sequence[int]
    anything: Any
    marked: Annotated[int, "note"]
    small: int = attrs.field(validator=[validators.ge(1), validators.lt(4)])
    positive: int = attrs.field(validator=[validators.gt(0), validators.le(5)])
    share: float = attrs.field(validator=[validators.gt(0), validators.lt(1)])
    one_of: str = attrs.field(validator=validators.in_(["x", "y"]))
    code: str = attrs.field(validator=validators.matches_re("[a-c]{3}"))
    optional: str | None = attrs.field(
        default=None, validator=validators.optional(validators.in_(["z"]))
    )
    some: float | None = attrs.field(
        default=None, validator=validators.optional(validators.ge(0.0))
    )
    even: int = attrs.field(default=0, validator=even)


@given(events(Everything))
@settings(max_examples=30)
def test_drawn_events_are_valid_and_equal_to_themselves(event):
    assert 1 <= event.small < 4 and 0 < event.positive <= 5 and 0 < event.share < 1
    assert 2 <= len(event.name) <= 4
    assert event.even % 2 == 0
    assert event.optional in (None, "z")
    assert event == attrs.evolve(event)


def test_all_values_are_reached():
    assert find(events(Everything), lambda event: event.optional == "z")
    assert find(events(Everything), lambda event: event.colour is Colour.BLUE)
    assert find(events(Everything), lambda event: len(event.parts) == 2)


@given(events(Part, n=st.just(7)))
def test_a_field_can_be_given(event):
    assert event.n == 7


def test_what_can_not_be_drawn_is_said():
    class Live(Event):
        socket: unknown  # noqa: F821

    with pytest.raises(TypeError, match="no field 'm'"):
        events(Part, m=st.just(1))
    assert events(Live, socket=st.just(1)).example is not None

    class Strict(Event):
        n: int = attrs.field()

        def __attrs_post_init__(self) -> None:
            raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        find(events(Strict), lambda event: True)


def test_an_annotation_without_values_is_named():
    class Odd(Event):
        what: 7

    with pytest.raises(TypeError, match=r"Odd\.what: no values can be drawn"):
        events(Odd)
    assert find(events(Odd, what=st.just(1)), lambda event: True) == Odd(1)


@given(plain_values())
def test_plain_values_are_equal_to_themselves(value):
    assert value == value


@given(starts(shop))
def test_starts_are_what_the_workflow_takes(event):
    assert isinstance(event, Order)
    assert drive(shop, event).status == "running"


def test_starts_of_several_types():
    @step(accepts=["app.Other"])
    async def dynamic(ev: DynamicEvent) -> StopEvent: ...

    @step
    async def plain(ev: StartEvent) -> StopEvent: ...

    other = Workflow("other", [dynamic])
    assert find(starts(other), lambda event: isinstance(event, DynamicEvent))
    data = find(starts(other, data=st.just({"n": 1})), lambda event: True)
    assert data == DynamicEvent("app.Other", {"n": 1})

    class Second(StartEvent):
        n: int

    @step
    async def second(ev: Second) -> StopEvent: ...

    both = Workflow("both", [plain, second])
    assert find(starts(both), lambda event: type(event) is StartEvent)
    assert find(starts(both), lambda event: type(event) is Second)
    with pytest.raises(TypeError, match="several types"):
        starts(both, data=st.just({}))
    assert find(starts(shop, items=st.just(["x"])), lambda event: event.items == ["x"])


def test_outcomes_are_what_a_step_declares():
    assert find(returns(shop, "split"), lambda returned: len(returned) == 2)
    assert find(returns(shop, "add_up"), lambda returned: returned.total > 2)
    with pytest.raises(KeyError):
        returns(shop, "nobody")

    @step
    async def maybe(ev: StartEvent) -> StopEvent | None: ...

    assert find(returns(Workflow("m", [maybe]), "maybe"), lambda returned: returned is None) is None


@given(routes(shop))
@settings(max_examples=30)
def test_a_route_is_a_way_through_the_workflow(route):
    run = drive(shop, route.start)
    for move in route.moves:
        (invocation,) = (each for each in run.ready if each.id == move.invocation)
        assert invocation.step == move.step
        run.complete(invocation, move.returns)
    assert run.status == route.status


def test_routes_reach_answers_and_ends():
    @step
    async def ask(ev: StartEvent) -> InputRequestEvent | None: ...

    @step
    async def take(ev: InputResponseEvent) -> StopEvent: ...

    human = Workflow("human", [ask, take])
    assert find(routes(human), lambda r: r.status == "completed" and r.moves[1].step is None)
    assert find(routes(shop), lambda r: r.status == "completed")
    assert find(routes(shop, max_moves=1), lambda r: r.status == "running")

    @step
    async def idle(ev: StartEvent) -> None: ...

    @step
    async def end(ev: Part) -> StopEvent: ...

    idles = Workflow("idles", [idle, end], external=[Part])
    assert find(routes(idles), lambda r: r.status == "running" and len(r.moves) == 1)


@given(workflows())
@settings(max_examples=10, deadline=None)
def test_whole_workflows_can_be_drawn(random):
    assert simulate(random.workflow, random.start, human=random.human).result == random.result


# ---- the state machine --------------------------------------------------------------------------


SETTINGS = settings(max_examples=10, stateful_step_count=30, deadline=None)


class ShopMachine(WorkflowStateMachine):
    workflow = shop

    @invariant()
    def at_most_four_prices_at_once(self) -> None:
        assert sum(each.step == "price" for each in self.run.ready) <= 4


TestShop = ShopMachine.TestCase
TestShop.settings = SETTINGS


@step
async def talk(ev: StartEvent) -> tuple[InputRequestEvent, Part]: ...


@step
async def heard(ev: Part) -> None: ...


@step
async def answered(ev: InputRequestEvent) -> StopEvent: ...


class Said(Event):
    text: str


@step
async def tell(ev: Said) -> AsyncIterator[Part]:
    yield Part(1)


@step
async def took(ev: InputResponseEvent) -> StopEvent | None: ...


class TalkMachine(WorkflowStateMachine):
    """Requests, events from outside and a generator."""

    workflow = Workflow("talk", [talk, heard, tell, took], external=[Said])


TestTalk = TalkMachine.TestCase
TestTalk.settings = SETTINGS


def test_where_nothing_is_ready_the_run_goes_on_or_time_passes():
    machine = ShopMachine()
    machine.run = drive(shop, Order(["tea"]))
    machine.run.pause()
    machine.run.complete("split", [Item("tea")])
    machine.complete(None)
    assert machine.run.status == "running"
    machine.run.fail("price", ValueError())
    machine.complete(None)
    assert machine.run.ready[0].attempt == 2
    machine.run.complete("price", Priced("tea", 3))
    machine.run.complete("add_up", Invoice(3))
    completed = machine.run
    machine.snapshot_and_restore()
    assert machine.run is completed


@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_the_machine_lets_a_generator_yield_and_nobody_else(data):
    machine = TalkMachine()
    machine.begin(data)
    machine.emit(data)
    assert [each.step for each in machine.run.ready] == ["talk"]
    machine.run.complete("talk", InputRequestEvent("?"))
    machine.emit(data)
    assert machine.run.ready == ()
    machine.run.send(Said("x"))
    machine.emit(data)
    assert [(each.step, each.effects) for each in machine.run.ready] == [("tell", 1), ("heard", 0)]
    assert isinstance(machine.run.find("heard").event, Part)


@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_the_machine_sends_in_vain_where_there_is_no_room(data):
    @step(max_pending=1, max_concurrency=1)
    async def busy(ev: Said) -> None: ...

    class Narrow(WorkflowStateMachine):
        workflow = Workflow("narrow", [talk, heard, busy, took], external=[Said])

    machine = Narrow()
    machine.begin(data)
    for _ in range(3):
        machine.send(data)
    assert [each.step for each in machine.run.ready] == ["talk", "busy"]
    machine.run.complete("busy")
    machine.run.complete("busy")
    assert [each.step for each in machine.run.ready] == ["talk"]


def test_an_invariant_of_the_users_is_checked_after_every_rule():
    class Broken(WorkflowStateMachine):
        workflow = shop

        @invariant()
        def never_add_up(self) -> None:
            assert all(each.step != "add_up" for each in self.run.ready)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Broken, settings=settings(max_examples=50, database=None, phases=[Phase.generate])
        )

"""From JSON to events: a field takes what its annotation asks for."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict, TypeVar
from uuid import UUID

import attrs
import pytest
from typing_extensions import TypeAliasType

from blazen_anyio import DynamicEvent, Event, StartEvent, secret
from blazen_anyio._cli.errors import CommandError
from blazen_anyio._cli.fields import event_named, make_event

T = TypeVar("T")
UserId = NewType("UserId", UUID)
ID = "a3f5cbe0-8f1b-4d43-9f0a-2b9d2a1f6c11"


class Colour(enum.Enum):
    RED = "r"
    ONE = 1


@attrs.frozen
class Point:
    x: int
    _y: Decimal = Decimal(0)
    hidden: int = attrs.field(default=0, init=False)


@dataclass
class Line:
    start: Point
    ends: list[Point] = field(default_factory=list)
    label: str = ""


@dataclass
class Key:
    bits: int = field(metadata={"secret": True})


class Options(TypedDict):
    size: int


class Holder(Event):
    value: Any


def event_with(annotation: Any) -> type[Event]:
    return type("Made", (Event,), {"__annotations__": {"value": annotation}})


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (Any, {"a": [1, None]}, {"a": [1, None]}),
        (int, 1, 1),
        (float, 1, 1),
        (str | None, None, None),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, 1.1, Decimal("1.1")),
        (datetime, "2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (date, "2026-01-02", date(2026, 1, 2)),
        (time, "03:04", time(3, 4)),
        (timedelta, 90.5, timedelta(seconds=90.5)),
        (UUID, ID, UUID(ID)),
        (UserId, ID, UUID(ID)),
        (Path, "/a/b", Path("/a/b")),
        (bytes, "AAE=", b"\0\1"),
        (Colour, "RED", Colour.RED),
        (Colour, 1, Colour.ONE),
        (Literal["a", 1], "a", "a"),
        (Options, {"size": 1}, {"size": 1}),
        (tuple[int, Decimal], [1, "2"], (1, Decimal(2))),
        (tuple[Decimal, ...], [1, 2], (Decimal(1), Decimal(2))),
        (tuple, [1, 2], (1, 2)),
        (set[UUID], [ID], {UUID(ID)}),
        (frozenset[str], ["a"], frozenset({"a"})),
        (Sequence[Decimal], [1], [Decimal(1)]),
        (list[Decimal] | Decimal, ["1"], [Decimal(1)]),
        (Optional[Decimal], "1", Decimal(1)),  # noqa: UP045  # as people write it, too
        (Annotated[Decimal, "money"], 1, Decimal(1)),
        (Mapping[str, Decimal], {"a": 1}, {"a": Decimal(1)}),
        (Point, {"x": 1, "y": "2"}, Point(1, Decimal(2))),
        (Line, {"start": {"x": 1}, "ends": [{"x": 2}]}, Line(Point(1), [Point(2)])),
        (T, [1], [1]),
        (TypeAliasType("Money", Decimal), 1, Decimal(1)),
    ],
)
def test_a_value_is_read_as_the_annotation_asks(annotation: Any, given: Any, value: Any) -> None:
    event = make_event(event_with(annotation), {"value": given})
    assert event.value == value  # type: ignore[attr-defined]
    assert type(event.value) is type(value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("annotation", "given", "problem"),
    [
        (int, "1", "Made.value: expected int, got '1'"),
        (int, True, "Made.value: expected int, got True"),
        (Decimal, "much", "Made.value: expected Decimal, got 'much'"),
        (Decimal, [1], "Made.value: expected Decimal, got list"),
        (Decimal, {}, "Made.value: expected Decimal, got {}"),
        (datetime, 5, "Made.value: expected datetime, got 5"),
        (bytes, "?", "Made.value: expected bytes, got '?'"),
        (str, {"a": "b" * 100}, "Made.value: expected str, got {'a': '" + "b" * 50),
        (Colour, "r2", "Made.value: expected one of RED, ONE, got 'r2'"),
        (Literal["a"], "b", "Made.value: expected"),
        (tuple[int, str], [1], "Made.value: expected a tuple of 2, got one of 1"),
        (list[Decimal], ["1", "x"], "Made.value[1]: expected Decimal, got 'x'"),
        (list[Point] | None, [{"x": 1}, {"x": "y"}], "Made.value[1].x: expected int, got 'y'"),
        (Line, {"start": {}}, "Made.value.start: missing: x"),
        (Line, {"start": {"x": 1, "hidden": 2}}, "Made.value.start: there is no field 'hidden'"),
        (Mapping[str, Decimal], {"a": "b"}, "Made.value.a: expected Decimal, got 'b'"),
    ],
)
def test_a_misfit_is_named_with_its_place(annotation: Any, given: Any, problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        make_event(event_with(annotation), {"value": given})
    assert caught.value.message.startswith(problem)
    assert caught.value.hint.startswith("it takes value: ")


def test_validators_have_a_say() -> None:
    class Checked(Event):
        number: int = attrs.field(validator=attrs.validators.gt(3))

    with pytest.raises(CommandError, match=r"Checked: ValueError: 'number' must be > 3: 1"):
        make_event(Checked, {"number": 1})


def test_no_error_shows_a_secret() -> None:
    class Login(Event):
        user: str
        password: str = secret()
        pin: int = attrs.field(
            default=5, metadata={"secret": True}, validator=attrs.validators.gt(3)
        )

    for given in {"password": ["hush"]}, {"password": "hush", "pin": 1}:
        with pytest.raises(CommandError) as caught:
            make_event(Login, {"user": "u", **given})
        assert "hush" not in str(caught.value)
        assert "1" not in caught.value.message
    with pytest.raises(CommandError, match=r"Login.user: expected str, got 1"):
        make_event(Login, {"user": 1, "password": ""})


def test_a_secret_of_a_dataclass_is_one_too() -> None:
    with pytest.raises(CommandError, match=r"^Made.value.bits: expected int$"):
        make_event(event_with(Key), {"value": {"bits": "hush"}})


def test_plain_start_events_and_dynamic_ones_take_any_fields() -> None:
    assert make_event(StartEvent, {"a": 1}) == StartEvent(data={"a": 1})
    assert make_event("made.up", {"a": 1}) == DynamicEvent("made.up", {"a": 1})
    with pytest.raises(CommandError, match=r"made.up takes a JSON object with its fields, not 1"):
        make_event("made.up", 1)


def test_events_are_found_by_type_and_by_class() -> None:
    class Other(Event, event_type="tests.Other"):
        pass

    class Holder2(Event, event_type="x.Other"):
        pass

    Holder2.__name__ = "Other"
    assert event_named("Holder", [Holder, Other]) is Holder
    assert event_named(Holder.event_type, [Holder, Other]) is Holder
    assert event_named("tests.Other", [Other, Holder2]) is Other
    assert event_named("unknown", [Other]) == "unknown"
    with pytest.raises(CommandError, match="several events are called Other") as caught:
        event_named("Other", [Other, Holder2])
    assert caught.value.hint == "name one of tests.Other, x.Other"

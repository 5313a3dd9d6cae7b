"""Typed fields refuse data of another type, and nothing else."""

from __future__ import annotations

import datetime as dt
import json
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
)

import attrs
import pytest
from codec_values import Colour, Level, Point, Typed, event_through_json

from blazen_anyio._codec import Codec
from blazen_anyio._events import Event
from blazen_anyio._exceptions import SnapshotError, StateValueError

T = TypeVar("T")


def event_with(annotation: Any) -> tuple[Codec, type[Event]]:
    """An event class with one field ``it`` of this annotation."""

    body = {"__annotations__": {"it": annotation}, "__module__": __name__}
    cls = type(Event)("Carrying", (Event,), body, event_type="test.Carrying")
    return Codec([cls]), cls


class Named(Protocol):
    name: str


class Movie(TypedDict):
    title: str


UserId = NewType("UserId", int)


class OddMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError("no")


class Odd(metaclass=OddMeta):
    pass


class Items(Generic[T]):
    def __iter__(self) -> Any: ...


@attrs.define
class OwnItems(Generic[T]):
    first: Any

    def __iter__(self) -> Any: ...


@attrs.frozen
class Settings(Mapping[str, Any]):
    items_: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.items_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_)

    def __len__(self) -> int:
        return len(self.items_)


class TestTypedFields:
    @pytest.mark.parametrize(
        ("annotation", "data", "where", "message"),
        [
            (str, 1, "", "expected str, got int"),
            (str, None, "", "expected str, got None"),
            (int, "1", "", "expected int, got str"),
            (int, 1.0, "", "expected int, got float"),
            (int, True, "", "expected int, got bool"),
            (float, "1.5", "", "expected float, got str"),
            (float, True, "", "expected float, got bool"),
            (bool, 1, "", "expected bool, got int"),
            (bool, "true", "", "expected bool, got str"),
            (None, 0, "", "expected None, got int"),
            (bytes, "x", "", "expected bytes, got str"),
            (Decimal, "1", "", "expected Decimal, got str"),
            (dt.datetime, "2026-01-01", "", "expected datetime, got str"),
            (Path, "x", "", "expected Path, got str"),
            (Colour, "RED", "", "expected Colour, got str"),
            (Point, {"x": 1}, "", "expected Point, got dict"),
            (Event, {}, "", "expected Event, got dict"),
            (UserId, "1", "", "expected int, got str"),
            (Annotated[int, "doc"], "1", "", "expected int, got str"),
            (Final[int], "1", "", "expected int, got str"),
            (int | None, "1", "", "expected int | None, got str"),
            (Optional[int], "1", "", "expected int | None, got str"),  # noqa: UP045
            (int | str, 1.5, "", "expected int | str, got float"),
            (list[int] | None, ["x"], "[0]", "expected int, got str"),
            (list[int] | dict[str, int], [1, "x"], "[1]", "expected int, got str"),
            (list[int] | list[bool], ["x"], "", "expected list[int] | list[bool], got list"),
            (Literal["a", 1], True, "", "expected Literal['a', 1], got bool"),
            (Literal["a"], [], "", "expected Literal['a'], got list"),
            (list[int], [1, "2"], "[1]", "expected int, got str"),
            (list[list[int]], [[1], [2, None]], "[1][1]", "expected int, got None"),
            (list, {}, "", "expected list, got dict"),
            (list[int], {}, "", "expected list, got dict"),
            (Sequence[int], [1, None], "[1]", "expected int, got None"),
            (Sequence[str], 1, "", "expected Sequence, got int"),
            (tuple[int, str], [1, "x"], "", "expected tuple, got list"),
            (tuple[int, str], {"$": "tuple", "v": [1]}, "", "a tuple of 2, got one of 1"),
            (tuple[int, str], {"$": "tuple", "v": [1, 2]}, "[1]", "expected str, got int"),
            (tuple[int, ...], {"$": "tuple", "v": [1, ""]}, "[1]", "expected int, got str"),
            (set[int], {"$": "set", "v": ["x"]}, "[0]", "expected int, got str"),
            (dict[str, int], {"a b": "x"}, '["a b"]', "expected int, got str"),
            (dict[int, int], {"a": 1}, ".a", "expected int, got str"),
            (Mapping[str, int], {"a": None}, ".a", "expected int, got None"),
            (Mapping[str, int], [], "", "expected Mapping, got list"),
            (Movie, [], "", "expected dict, got list"),
            (Items[int], 1, "", "expected Items, got int"),
            (OwnItems[int], 1, "", "expected OwnItems, got int"),
            (Callable[[list[int]], int], 1, "", "expected Callable, got int"),
            (Iterable[int], 1, "", "expected Iterable, got int"),
        ],
        ids=str,
    )
    def test_refuse_another_type(
        self, annotation: Any, data: Any, where: str, message: str
    ) -> None:
        codec, cls = event_with(annotation)
        with pytest.raises(SnapshotError) as caught:
            codec.decode_event(
                {"type": cls.event_type, "fields": {"it": data}}, "$.events[3].event"
            )
        assert caught.value.path == f"$.events[3].event.it{where}"
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (str, "x"),
            (float, 1),
            (float, 1.5),
            (complex, 1),
            (int, Level.LOW),
            (object, 1),
            (Any, 1),
            (T, 1),
            (Named, 1),
            (Odd, 1),
            (Movie, {"title": 1}),
            (Event, Typed("x")),
            (Event | list[Event], [Typed("x")]),
            (int | Any, "x"),
            (Literal["a", 1], "a"),
            (Sequence[int], (1, 2)),
            (Sequence[str], "text"),
            (list, [1]),
            (list[Any], [1, "x"]),
            (tuple[int, Any], (1, "x")),
            (tuple[int, ...], (1, 2)),
            (dict[str, Any], {"a": 1}),
            (dict[Any, int], {None: 1}),
            (Mapping[str, int], {"a": 1}),
            (UserId, 1),
            ("NoSuchName", 1),
            ("1 +", 1),
        ],
        ids=str,
    )
    def test_take_what_a_type_checker_would(self, annotation: Any, value: Any) -> None:
        codec, cls = event_with(annotation)
        codec = Codec([cls], [Level, Typed])
        event = cls(value)
        data = codec.encode_event(event)
        assert "untyped" not in json.dumps(data)
        assert codec.same(event_through_json(codec, event), event)

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (str, None),
            (int, True),
            (float, "1.5"),
            (list[int], (1, "2")),
            (Mapping[str, int], {1: 1}),
        ],
        ids=str,
    )
    def test_bring_back_what_was_there_even_if_the_annotation_lies(
        self, annotation: Any, value: Any
    ) -> None:
        codec, cls = event_with(annotation)
        event = cls(value)
        assert codec.same(event_through_json(codec, event), event)

    def test_may_hold_containers_of_the_user(self) -> None:
        codec, cls = event_with(Mapping[str, int])
        codec = Codec([cls], [Settings])
        assert event_through_json(codec, cls(Settings({"a": 1}))) == cls(Settings({"a": 1}))

    def test_of_a_mapping_that_is_no_dict_are_refused_for_that(self) -> None:
        codec, cls = event_with(Mapping[str, int])
        with pytest.raises(StateValueError, match="UserDict"):
            codec.encode_event(cls(UserDict()))

    def test_may_use_aliases_that_contain_themselves(self) -> None:
        typing_extensions = pytest.importorskip("typing_extensions")
        items: list[Any] = []
        tree = typing_extensions.TypeAliasType("tree", list[list[items[0]]] if items else Any)
        items.append(tree)
        alias = typing_extensions.TypeAliasType("alias", list[int])
        codec, cls = event_with(alias)
        with pytest.raises(SnapshotError, match=r"it\[0\]: expected int, got str"):
            codec.decode_event({"type": cls.event_type, "fields": {"it": ["x"]}}, "$")
        codec, cls = event_with(tree)
        assert event_through_json(codec, cls([1])) == cls([1])

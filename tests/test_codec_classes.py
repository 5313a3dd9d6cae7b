"""Objects of the user's classes come back as they were, field by field."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections import OrderedDict
from typing import Annotated, Any, Generic, Literal, TypeVar

import attrs
import pytest
from codec_values import CODEC, Box, Level, Opaque, Point, Typed, event_through_json, through_json

from blazen_anyio._codec import Codec
from blazen_anyio._events import Event
from blazen_anyio._exceptions import DefinitionError, SnapshotError, StateValueError

T = TypeVar("T")


@attrs.define
class Awkward:
    """An attrs class with everything that makes restoring hard."""

    _private: int
    aliased: str = attrs.field(alias="other_name")
    doubled: int = attrs.field(converter=lambda value: int(value) * 2)
    positive: int = attrs.field(validator=attrs.validators.gt(0), kw_only=True)
    derived: list[int] = attrs.field(init=False)
    late: int = attrs.field(init=False)
    counted: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.derived = [self._private]
        self.counted += 1


@attrs.frozen(slots=False, unsafe_hash=True, cache_hash=True)
class Hashed:
    name: str


@attrs.frozen(unsafe_hash=True, cache_hash=True)
class HashedSlots:
    name: str


@dataclasses.dataclass
class Lazy:
    base: int
    scale: dataclasses.InitVar[int] = 1
    made: int = dataclasses.field(init=False)
    left_out: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self, scale: int) -> None:
        self.made = self.base * scale

    @functools.cached_property
    def costly(self) -> int:
        return self.base + 1


@attrs.define
class LazySlots:
    base: int

    @functools.cached_property
    def costly(self) -> int:
        return self.base + 1


@dataclasses.dataclass
class Generically(Generic[T]):
    item: T


class Slotted:
    __slots__ = ("__weakref__", "hidden")


class OneSlot:
    __slots__ = "single"


@attrs.define(slots=False)
class OverSlots(Slotted):
    shown: int


@attrs.define(slots=False)
class OverOneSlot(OneSlot):
    shown: int


@dataclasses.dataclass
class Managed:
    """A field behind a property."""

    size: int

    @property  # type: ignore[no-redef]
    def size(self) -> int:
        return self.__dict__["_size"]  # type: ignore[no-any-return]

    @size.setter
    def size(self, value: int) -> None:
        self.__dict__["_size"] = value


@attrs.define
class Failure(Exception):
    code: int


@dataclasses.dataclass
class Listing(list):  # type: ignore[type-arg]
    name: str


@attrs.define
class Leaf:
    colour: Literal[Level.LOW]


@dataclasses.dataclass
class Branch:
    leaves: dict[str, list[Leaf] | None]


class Tree(Event):
    branch: Annotated[Branch | None, "doc"]


class TestClasses:
    codec = Codec(
        [], [Awkward, Hashed, HashedSlots, Lazy, LazySlots, Generically, OverSlots, OverOneSlot]
    )

    def test_are_restored_as_they_were_without_running_their_init_again(self) -> None:
        value = Awkward(1, other_name="a", doubled="3", positive=5)
        value.positive = 7
        back = through_json(self.codec, value)
        assert back.doubled == 6
        assert back.counted == 1
        assert back._private == 1
        assert back.aliased == "a"
        assert back.derived == [1]
        assert not hasattr(back, "late")
        value.late = 9
        assert through_json(self.codec, value) == value

    def test_differ_if_a_field_is_set_in_one_only(self) -> None:
        first = Awkward(1, other_name="a", doubled=3, positive=5)
        second = self.codec.copy(first, "k")
        assert self.codec.same(first, second)
        second.late = 1
        assert not self.codec.same(first, second)

    def test_that_keep_their_hash_can_be_hashed_again(self) -> None:
        for value in (Hashed("x"), HashedSlots("x")):
            hash(value)
            assert {through_json(self.codec, value), value} == {value}

    def test_leave_cached_properties_behind(self) -> None:
        for value in (Lazy(2, 3), LazySlots(2)):
            assert value.costly == 3
            back = through_json(self.codec, value)
            assert back == value
            assert back.costly == 3

    def test_that_are_generic_come_back(self) -> None:
        assert through_json(self.codec, Generically[int](1)) == Generically(1)

    def test_with_more_than_their_fields_are_refused(self) -> None:
        box = Box(1)
        box.extra = 1  # type: ignore[attr-defined]
        over, over_one = OverSlots(1), OverOneSlot(1)
        assert through_json(self.codec, [over, over_one]) == [over, over_one]
        over.hidden = over_one.single = 1
        for codec, value in ((CODEC, box), (self.codec, over), (self.codec, over_one)):
            with pytest.raises(StateValueError, match="is not a field"):
                codec.copy(value, "k")

    def test_with_less_than_their_fields_are_refused(self) -> None:
        point = Point(1)
        del point.y
        with pytest.raises(StateValueError, match="its field 'y' is not set"):
            CODEC.copy(point, "k")

    def test_with_a_field_behind_a_property_go_through_it(self) -> None:
        codec = Codec([], [Managed])
        with pytest.raises(StateValueError, match="_size"):
            codec.copy(Managed(1), "k")

    @pytest.mark.parametrize(
        ("missing", "expected"),
        [("plain", 1), ("made", [2]), ("from_self", 6)],
    )
    def test_fill_in_defaults_for_fields_that_data_lacks(self, missing: str, expected: Any) -> None:
        @attrs.define
        class Grown:
            base: int
            plain: int = 1
            made: list[int] = attrs.field(factory=lambda: [2])
            from_self: int = attrs.Factory(lambda self: self.base + 1, takes_self=True)

        codec = Codec([], [Grown])
        data = codec.encode(Grown(5, 10, [10], 10), "k")
        del data["fields"][missing]
        assert getattr(codec.decode(data, "$"), missing) == expected

    def test_fill_in_defaults_of_dataclasses(self) -> None:
        @dataclasses.dataclass
        class Grown:
            base: int
            plain: int = 1
            made: list[int] = dataclasses.field(default_factory=lambda: [2])

        codec = Codec([], [Grown])
        data = codec.encode(Grown(5, 10, [10]), "k")
        del data["fields"]["plain"], data["fields"]["made"]
        assert codec.decode(data, "$") == Grown(5)

    def test_do_not_guess_what_a_converter_or_a_broken_factory_would_make(self) -> None:
        def broken() -> int:
            raise OSError("no")

        @attrs.define
        class Grown:
            converted: int = attrs.field(default="1", converter=int)
            made: int = attrs.field(factory=broken)

        codec = Codec([], [Grown])
        data = codec.encode(Grown(1, 2), "k")
        without = {**data, "fields": {"made": 2}}
        with pytest.raises(SnapshotError, match=r"\$\.converted: missing"):
            codec.decode(without, "$")
        with pytest.raises(SnapshotError, match="fails to make a default") as caught:
            codec.decode({**data, "fields": {"converted": 1}}, "$")
        assert isinstance(caught.value.__cause__, OSError)

    @pytest.mark.parametrize("bad", [Opaque, Failure, Listing, 1, "Point", [Point], OrderedDict])
    def test_that_can_not_be_restored_are_refused_by_name(self, bad: Any) -> None:
        with pytest.raises(DefinitionError, match="can't be restored") as caught:
            Codec([], [bad, Opaque])
        assert repr(bad) in caught.value.problems[0]

    def test_that_need_no_naming_may_be_named(self) -> None:
        Codec([Typed, Typed], [int, list, dt.datetime, Event, Point, Point])

    def test_under_one_name_are_refused(self) -> None:
        def make() -> type:
            @attrs.define
            class Twin:
                pass

            return Twin

        class First(Event, event_type="same"): ...

        class Second(Event, event_type="same"): ...

        with pytest.raises(DefinitionError) as caught:
            Codec([First, Second], [make(), make()])
        assert len(caught.value.problems) == 2
        assert "both called 'same'" in caught.value.problems[0]

    def test_are_found_in_the_annotations_of_fields(self) -> None:
        codec = Codec([Tree])
        tree = Tree(Branch({"a": [Leaf(Level.LOW)], "b": None}))
        assert event_through_json(codec, tree) == tree

    def test_of_which_one_annotation_can_not_be_read_keep_the_other_checks(self) -> None:
        @attrs.define
        class Half:
            bad: NoSuchName  # type: ignore[name-defined]  # noqa: F821
            good: int

        codec = Codec([], [Half])
        data = codec.encode(Half(1, 2), "k")
        assert codec.decode(data, "$") == Half(1, 2)
        data["fields"]["good"] = "2"
        with pytest.raises(SnapshotError, match=r"\$\.good: expected int, got str"):
            codec.decode(data, "$")

    def test_without_annotations_take_any_value(self) -> None:
        cls = attrs.make_class("Bare", ["x"])
        codec = Codec([], [cls])
        assert through_json(codec, cls(1)) == cls(1)

    def test_of_a_module_that_is_gone_can_be_used(self) -> None:
        cls = attrs.make_class("Orphan", {"x": attrs.field(type="int")})
        cls.__module__ = "no.such.module"
        codec = Codec([], [cls])
        assert through_json(codec, cls(1)) == cls(1)

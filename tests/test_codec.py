"""Values and events come back as they were, and what can't is refused where it goes in."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import json
import math
import os
import subprocess
import sys
import zoneinfo
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
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
from codec_values import (
    CODEC,
    EXAMPLES,
    Box,
    Colour,
    Holding,
    Key,
    Level,
    Pair,
    Point,
    Typed,
    values,
)
from hypothesis import given

from blazen_anyio._codec import Codec, faults, scalars
from blazen_anyio._events import (
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    LifecycleEvent,
    StartEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._exceptions import DefinitionError, SnapshotError, StateValueError

T = TypeVar("T")


def through_json(codec: Codec, value: Any) -> Any:
    return codec.decode(json.loads(json.dumps(codec.encode(value, "value"))), "$")


def event_through_json(codec: Codec, event: Event) -> Event:
    return codec.decode_event(json.loads(json.dumps(codec.encode_event(event))), "$")


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


class Opaque:
    """A class that no codec knows."""


def _zone_without_a_name() -> zoneinfo.ZoneInfo:
    with Path(zoneinfo.TZPATH[0], "UTC").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


class TestValues:
    @pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
    def test_come_back_the_same(self, value: Any) -> None:
        assert CODEC.same(through_json(CODEC, value), value)
        assert CODEC.same(CODEC.copy(value, "k"), value)

    @given(values)
    def test_of_any_shape_come_back_the_same(self, value: Any) -> None:
        assert CODEC.same(through_json(CODEC, value), value)
        assert CODEC.same(CODEC.copy(value, "k"), value)

    def test_come_back_with_the_same_order_of_a_dict(self) -> None:
        for value in ({"b": 1, "a": 2}, {2: 1, 1: 2}):
            assert list(through_json(CODEC, value)) == list(value)

    def test_are_written_as_themselves_where_json_has_a_form_for_them(self) -> None:
        value = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
        assert CODEC.encode(value, "k") == value

    def test_are_written_without_regard_to_the_decimal_context(self) -> None:
        with localcontext() as context:
            context.capitals = 0
            context.prec = 1
            assert CODEC.same(through_json(CODEC, Decimal("1.23E+99")), Decimal("1.23E+99"))

    def test_named_time_zones_keep_their_rules(self) -> None:
        value = dt.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
        back = through_json(CODEC, value)
        assert back.tzinfo is value.tzinfo

    def test_zones_of_an_installed_package_count_as_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scalars, "_packaged_zones", lambda: frozenset({"Packaged/Zone"}))
        assert scalars._is_installed("Packaged/Zone")
        assert not scalars._is_installed("Other/Zone")

    def test_the_zones_of_installed_packages_are_those_of_zoneinfo(self) -> None:
        assert scalars._packaged_zones() == zoneinfo.available_timezones()

    def test_up_to_the_depth_limit_come_back(self) -> None:
        deep = nested(faults.MAX_DEPTH)
        assert CODEC.same(through_json(CODEC, deep), deep)
        with_scalar: Any = Decimal(1)
        for _ in range(faults.MAX_DEPTH):
            with_scalar = (with_scalar,)
        assert CODEC.same(through_json(CODEC, with_scalar), with_scalar)
        objects: Any = Colour.RED
        for _ in range(faults.MAX_DEPTH):
            objects = Point(objects)
        assert CODEC.same(through_json(CODEC, CODEC.copy(objects, "k")), objects)


class TestCopies:
    def test_share_nothing_that_can_change(self) -> None:
        inner = [1]
        value = {"list": inner, "object": Point(inner), "tuple": (inner,), "array": bytearray(b"x")}
        copied = CODEC.copy(value, "k")
        inner.append(2)
        value["array"].extend(b"y")
        assert copied == {
            "list": [1],
            "object": Point([1]),
            "tuple": ([1],),
            "array": bytearray(b"x"),
        }

    @pytest.mark.parametrize("value", [1, "x", None, 1.5, b"x", Decimal(1), Colour.RED])
    def test_of_immutable_atoms_are_the_atoms(self, value: Any) -> None:
        assert CODEC.copy(value, "k") is value

    def test_of_aware_datetimes_are_the_same_object(self) -> None:
        value = dt.datetime.now(dt.UTC)
        assert CODEC.copy(value, "k") is value

    @pytest.mark.parametrize(
        "value",
        [
            Opaque(),
            lambda: None,
            OrderedDict(),
            defaultdict(int),
            deque(),
            namedtuple("N", "x")(1),
            UserDict(),
            type("Text", (str,), {})("x"),
            type("Number", (int,), {})(1),
            enum.Enum("Unknown", "A").A,
            range(3),
            memoryview(b"x"),
            ValueError("x"),
            int,
            iter([]),
            object(),
            _zone_without_a_name(),
            dt.timezone(dt.timedelta(hours=1), "\udc80"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_of_what_could_not_be_restored_are_refused_by_name(self, value: Any) -> None:
        with pytest.raises(StateValueError) as caught:
            CODEC.copy(value, "results")
        assert caught.value.key == "results"
        assert caught.value.value_type is type(value)
        assert str(caught.value).startswith("results: a value of type ")

    @pytest.mark.parametrize(
        ("value", "where"),
        [
            ([1, [2, Opaque()]], "[1][1]"),
            ({"a b": {"c": Opaque()}}, '["a b"].c'),
            ({(1, 2): Opaque()}, "[(1, 2)]"),
            (Point(1, Opaque()), ".y"),
            ({10**5000: Opaque()}, "[<int>]"),
            ((1, {2, Pair(1, Opaque())}), "[1][1].right"),
        ],
    )
    def test_say_where_inside_a_value_the_offender_is(self, value: Any, where: str) -> None:
        with pytest.raises(StateValueError, match="Opaque") as caught:
            CODEC.copy(value, "k")
        if isinstance(value, tuple):  # where in a set is chance
            where = where[-6:]
        assert where in str(caught.value)
        with pytest.raises(StateValueError, match="Opaque"):
            CODEC.encode(value, "k")

    def test_of_values_that_contain_themselves_are_refused(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        holder = Point(1)
        holder.x = holder
        around: dict[Any, Any] = {}
        around["me"] = around
        for value in (endless, holder, around):
            with pytest.raises(StateValueError, match="or contains itself"):
                CODEC.copy(value, "k")
            with pytest.raises(StateValueError, match="or contains itself"):
                CODEC.encode(value, "k")

    def test_of_too_deep_values_are_refused(self) -> None:
        with pytest.raises(StateValueError, match="nests deeper than 100 levels"):
            CODEC.copy(nested(faults.MAX_DEPTH + 1), "k")

    def test_that_would_grow_without_end_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("copying", "writing"):
            monkeypatch.setattr(f"blazen_anyio._codec.{module}.MAX_ITEMS", 1000)
        shared: Any = [1]
        for _ in range(20):
            shared = [shared, shared]
        with pytest.raises(StateValueError, match="items in all"):
            CODEC.copy(shared, "k")
        with pytest.raises(StateValueError, match="items in all"):
            CODEC.encode(shared, "k")

    def test_near_the_end_of_the_stack_give_a_typed_error(self) -> None:
        deep = nested(90)
        other = nested(90)
        written = CODEC.encode(deep, "k")

        def at_the_edge(work: Callable[[], Any]) -> Any:
            try:
                return at_the_edge(work)
            except RecursionError:
                return work()

        for work in (lambda: CODEC.copy(deep, "k"), lambda: CODEC.encode(deep, "k")):
            with pytest.raises(StateValueError, match="the stack that is left"):
                at_the_edge(work)
        with pytest.raises(StateValueError, match="the stack that is left"):
            at_the_edge(lambda: CODEC.encode_event(Holding(deep)))
        with pytest.raises(SnapshotError, match="the stack that is left"):
            at_the_edge(lambda: CODEC.decode(written, "$"))
        assert at_the_edge(lambda: CODEC.same(deep, other)) is False


class TestSame:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (1, True),
            (1, 1.0),
            (0.0, -0.0),
            (1.5, 2.5),
            (math.nan, 1.0),
            ("1", 1),
            ([1], (1,)),
            ([1], [1.0]),
            ([1, 2], [1]),
            ([1, [2]], [1, [3]]),
            ({1}, {1.0}),
            ({1}, {1, 2}),
            (frozenset({1}), {1}),
            ({1: 2}, {1.0: 2}),
            ({"a": 1}, {"a": True}),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
            (Decimal("1.0"), Decimal("1.00")),
            (b"x", bytearray(b"x")),
            (bytearray(b"x"), bytearray(b"y")),
            (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, fold=1)),
            (Point(1), Point(2)),
            (Point(1), Key(1)),
            (Colour.RED, Colour.GREEN),
            (Level.LOW, 1),
            (Opaque(), Opaque()),
            ([Opaque()], [Opaque()]),
            ({Opaque()}, {Opaque()}),
        ],
    )
    def test_tells_apart(self, first: Any, second: Any) -> None:
        assert not CODEC.same(first, second)
        assert not CODEC.same(second, first)

    def test_takes_nan_for_nan_and_sets_in_any_order(self) -> None:
        assert CODEC.same(float("nan"), float("nan"))
        assert CODEC.same([float("nan"), [1]], [float("nan"), [1]])
        assert CODEC.same({"b", "a", 1}, {1, "a", "b"})

    def test_takes_anything_for_itself(self) -> None:
        thing = Opaque()
        assert CODEC.same(thing, thing)

    def test_is_false_and_not_endless_for_values_that_contain_themselves(self) -> None:
        first: list[Any] = []
        first.append(first)
        second: list[Any] = []
        second.append(second)
        assert not CODEC.same(first, second)
        one, other = Point(1), Point(1)
        one.x, other.x = one, other
        assert not CODEC.same(one, other)

    def test_ignores_the_live_error_of_a_failure(self) -> None:
        first = StepFailed.of("s", StartEvent(), ValueError("x"), 1)
        second = attrs.evolve(first, error=None)
        assert CODEC.same(first, second)

    def test_sees_attributes_that_are_no_fields(self) -> None:
        first, second = Box(1), Box(1)
        first.extra = 1  # type: ignore[attr-defined]
        assert not CODEC.same(first, second)


class TestMalformedValues:
    @pytest.mark.parametrize(
        ("data", "path", "message"),
        [
            ({"$": "spam", "v": 1}, "$", "unknown tag 'spam'"),
            ({"$": 1}, "$", "unknown tag"),
            ({"$": []}, "$", "unknown tag"),
            ({"$": "tuple"}, "$", "exactly the keys $, v"),
            ({"$": "tuple", "v": [], "w": 1}, "$", "exactly the keys $, v"),
            ({"$": "tuple", "w": []}, "$", "exactly the keys $, v"),
            ({"$": "tuple", "v": {}}, "$", "expected a list of items"),
            ({"$": "set", "v": [1, 1]}, "$", "there twice"),
            ({"$": "set", "v": [[]]}, "$", "can't be in a set"),
            ({"$": "frozenset", "v": 1}, "$", "expected a list of items"),
            ({"$": "dict", "k": [1], "v": []}, "$", "1 keys and 0 values"),
            ({"$": "dict", "k": [1, True], "v": [1, 2]}, "$", "there twice"),
            ({"$": "dict", "k": [{}], "v": [1]}, "$", "or be a key"),
            ({"$": "int", "v": "12"}, "$", "this is not how a int is written"),
            ({"$": "int", "v": 12}, "$", "this is no int"),
            ({"$": "float", "v": "1_0.5"}, "$", "this is not how"),
            ({"$": "complex", "v": ["1.0"]}, "$", "this is no complex"),
            ({"$": "bytes", "v": "x"}, "$", "this is no bytes"),
            ({"$": "bytes", "v": "eB=="}, "$", "this is not how"),
            ({"$": "decimal", "v": "one"}, "$", "this is no decimal"),
            ({"$": "decimal", "v": " 1"}, "$", "this is not how"),
            ({"$": "decimal", "v": 1.5}, "$", "this is not how"),
            ({"$": "date", "v": "20260101"}, "$", "this is not how"),
            ({"$": "date", "v": "2026-13-01"}, "$", "this is no date"),
            ({"$": "datetime", "v": ["2026-01-01T00:00:00", True, None]}, "$", "not how"),
            ({"$": "datetime", "v": ["2026-01-01T00:00:00", 0]}, "$", "this is no datetime"),
            ({"$": "datetime", "v": ["2026-01-01T00:00:00", 0, ["No/Where"]]}, "$", "installed"),
            ({"$": "timedelta", "v": [0, 86400, 0]}, "$", "this is not how"),
            ({"$": "timezone", "v": [[0, 0, 0], None, 1]}, "$", "this is no timezone"),
            ({"$": "zone", "v": ["../../etc/passwd"]}, "$", "no time zone"),
            ({"$": "zone", "v": [1]}, "$", "this is no zone"),
            ({"$": "uuid", "v": "{00000000-0000-0000-0000-000000000007}"}, "$", "not how"),
            ({"$": "str", "v": "eA=="}, "$", None),
            ({"$": "PurePosixPath", "v": "a//b"}, "$", "this is not how"),
            (
                {"$": "enum", "type": "codec_values.Colour", "member": "BLUE"},
                "$",
                "no member 'BLUE'",
            ),
            ({"$": "enum", "type": "codec_values.Colour", "member": []}, "$", "no member"),
            ({"$": "enum", "type": "codec_values.Access", "member": "READ"}, "$", "no member"),
            ({"$": "enum", "type": "codec_values.Access", "member": 64}, "$", "no member"),
            ({"$": "enum", "type": "os.Path", "member": "x"}, "$", "unknown enum 'os.Path'"),
            ({"$": "object", "type": "os.system", "fields": {}}, "$", "unknown class 'os.system'"),
            ({"$": "object", "type": 1, "fields": {}}, "$", "expected the name of a type"),
            ({"$": "object", "type": "codec_values.Point", "fields": []}, "$", "fields of Point"),
            ({"$": "object", "type": "codec_values.Point", "fields": {}}, "$.x", "missing"),
            (
                {"$": "object", "type": "codec_values.Point", "fields": {"x": 1, "z": 1}},
                "$",
                "Point has no field 'z'",
            ),
            (
                {"$": "event", "type": "app.Gone", "fields": {}},
                "$",
                "unknown event type 'app.Gone'",
            ),
            ({"$": "untyped", "v": 1}, "$", "unknown tag 'untyped'"),
            ({"a": [1, {"$": "tuple", "v": [{"$": "int", "v": ""}]}]}, "$.a[1][0]", "no int"),
            (nested(faults.MAX_DEPTH + 1), "$" + "[0]" * faults.MAX_DEPTH, "deeper than 100"),
            ((1,), "$", "expected JSON data, got tuple"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_are_refused_with_the_path(self, data: Any, path: str, message: str | None) -> None:
        if message is None:
            assert CODEC.decode(data, "$") == "x"
            return
        with pytest.raises(SnapshotError) as caught:
            CODEC.decode(data, "$")
        assert caught.value.path == path
        assert message in str(caught.value)

    def test_quote_what_is_long_only_in_part(self) -> None:
        with pytest.raises(SnapshotError) as caught:
            CODEC.decode({"$": "x" * 10_000}, "$")
        assert len(str(caught.value)) < 200
        with pytest.raises(SnapshotError) as caught:
            CODEC.decode({"x" * 10_000: {"$": 0}}, "$")
        assert len(str(caught.value)) < 200

    def test_import_nothing(self) -> None:
        CODEC.decode({"$": "zone", "v": ["UTC"]}, "$")
        hostile = ["antigravity", "this", "xml.dom.minidom", "wsgiref.simple_server"]
        before = set(sys.modules)
        for name in hostile:
            for data in (
                {"$": "object", "type": f"{name}.Thing", "fields": {}},
                {"$": "enum", "type": f"{name}.Thing", "member": "x"},
                {"$": "event", "type": f"{name}.Thing", "fields": {}},
                {"$": "zone", "v": [name]},
                {"$": "zone", "v": [name.replace(".", "/")]},
                {"$": "py/object", "v": name},
            ):
                with pytest.raises(SnapshotError):
                    CODEC.decode(data, "$")
        assert set(sys.modules) == before


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


@attrs.frozen
class Settings(Mapping[str, Any]):
    items_: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.items_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_)

    def __len__(self) -> int:
        return len(self.items_)


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


class Fetch(Event):
    url: str
    client: Any = None


class TestEvents:
    codec = Codec([Fetch, Typed, Holding], [Colour])

    @pytest.mark.parametrize(
        "event",
        [
            StartEvent(data={"a": (1, 2)}),
            StopEvent(result={1, 2}),
            InputRequestEvent("why?", {"choices": ["a"]}, request_id="r"),
            InputResponseEvent("r", None),
            DynamicEvent("app.Other", {"x": 1}),
            LifecycleEvent("step_started", "s", None, None, 1, None),
            Typed("x", 1, 0.25, ["a"], Colour.RED),
            Holding(Typed("inner")),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_come_back_as_they_were(self, event: Event) -> None:
        back = event_through_json(self.codec, event)
        assert self.codec.same(back, event)
        assert back == event

    def test_are_written_as_type_and_fields(self) -> None:
        assert self.codec.encode_event(StopEvent(result=1)) == {
            "type": "blazen::StopEvent",
            "fields": {"result": 1},
        }

    def test_that_are_dynamic_keep_the_name_of_their_type(self) -> None:
        data = self.codec.encode_event(DynamicEvent("app.Other", {"x": 1}))
        assert data == {
            "type": "blazen::DynamicEvent",
            "fields": {"event_type": "app.Other", "data": {"x": 1}},
        }

    def test_of_a_failure_lose_the_live_error_and_keep_its_description(self) -> None:
        failure = StepFailed.of("work", Fetch("u"), ValueError("bad"), 3)
        back = event_through_json(self.codec, failure)
        assert isinstance(back, StepFailed)
        assert back == attrs.evolve(failure, error=None)
        assert back.message == "bad"
        assert "ValueError: bad" in back.traceback_text
        assert self.codec.copy(failure, "k").error is None

    @pytest.mark.parametrize(
        ("event", "key", "text"),
        [
            (Fetch("u", Opaque()), "Fetch.client", "Fetch.client: a value of type"),
            (Fetch("u", {"a": [Opaque()]}), "Fetch.client", "(at .a[0]) can't be restored"),
            (Holding(Fetch("u", Opaque())), "Holding.value", "(at .client)"),
        ],
    )
    def test_with_a_live_object_name_event_and_field(
        self, event: Event, key: str, text: str
    ) -> None:
        with pytest.raises(StateValueError) as caught:
            self.codec.encode_event(event)
        assert caught.value.key == key
        assert caught.value.value_type is Opaque
        assert text in str(caught.value)

    def test_that_are_no_plain_objects_are_refused(self) -> None:
        with pytest.raises(StateValueError, match="Event"):
            self.codec.encode_event(Event())
        with pytest.raises(StateValueError, match="is not a field") as caught:
            self.codec.encode_event(_with_extra(Fetch("u")))
        assert caught.value.key == "Fetch"

    def test_of_a_class_that_the_codec_was_not_given_are_written_but_not_read(self) -> None:
        class Stranger(Event):
            x: int

        for _ in range(2):
            data = self.codec.encode_event(Stranger(1))
        assert self.codec.encode(Stranger(1), "k") == {"$": "event", **data}
        with pytest.raises(SnapshotError, match="name its class in Workflow"):
            self.codec.decode_event(data, "$")
        assert Codec([Stranger]).decode_event(data, "$") == Stranger(1)
        with pytest.raises(StateValueError):
            self.codec.copy(Stranger(1), "k")

    def test_of_a_renamed_class_are_read_under_the_new_name(self) -> None:
        data = self.codec.encode_event(Holding([Typed("x", colour=Colour.RED)]))
        text = json.dumps(data).replace("Typed", "Old").replace("Colour", "OldColour")
        renames = {
            "codec_values.Old": "codec_values.Typed",
            "codec_values.OldColour": "codec_values.Colour",
        }
        with pytest.raises(SnapshotError, match="unknown event type 'codec_values.Old'; .*renames"):
            self.codec.decode_event(json.loads(text), "$")
        assert self.codec.decode_event(json.loads(text), "$", renames) == Holding(
            [Typed("x", colour=Colour.RED)]
        )

    @pytest.mark.parametrize(
        "data", [None, [], {}, {"type": "x"}, {"type": "x", "fields": {}, "more": 1}]
    )
    def test_that_do_not_look_like_events_are_refused(self, data: Any) -> None:
        with pytest.raises(SnapshotError, match="expected an event"):
            self.codec.decode_event(data, "$")

    def test_with_an_unknown_field_are_refused(self) -> None:
        data = self.codec.encode_event(Fetch("u"))
        data["fields"]["extra"] = 1
        with pytest.raises(SnapshotError, match="Fetch has no field 'extra'"):
            self.codec.decode_event(data, "$")

    @pytest.mark.parametrize("mark", [{"$": "untyped"}, {"$": "untyped", "v": 1, "w": 1}])
    def test_with_a_broken_mark_are_refused(self, mark: Any) -> None:
        with pytest.raises(SnapshotError, match="exactly the keys"):
            self.codec.decode_event({"type": Fetch.event_type, "fields": {"url": mark}}, "$")


def _with_extra(event: Event) -> Event:
    object.__setattr__(event, "extra", 1)
    return event


_DIGEST_PROGRAM = """
import sys
sys.path[:0] = {path!r}
from codec_values import CODEC, Holding
names = {{"a", "b", "c", "d", "e"}}
ordered = {{name: 1 for name in names}}
print(CODEC.digest(Holding((names, ordered, {{(name,): 1 for name in names}}))))
"""


class TestDigest:
    def test_is_the_same_in_every_process(self) -> None:
        program = _DIGEST_PROGRAM.format(path=[p for p in sys.path if p])
        digests = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONHASHSEED": seed},
                check=True,
                capture_output=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(digests) == 1
        assert len(digests.pop().strip()) == 32

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (Holding(1), Holding(True)),
            (Holding(1), Holding(1.0)),
            (Holding([1, 2]), Holding([2, 1])),
            (Holding("x"), Typed("x")),
            (Holding({1: 1}), Holding({1: 2})),
        ],
    )
    def test_tells_events_apart(self, first: Event, second: Event) -> None:
        assert CODEC.digest(first) != CODEC.digest(second)

    def test_does_not_count_the_order_of_dicts(self) -> None:
        assert CODEC.digest(Holding({"a": 1, "b": 2})) == CODEC.digest(Holding({"b": 2, "a": 1}))
        assert CODEC.digest(Holding([{1: 1, 2: 2}])) == CODEC.digest(Holding([{2: 2, 1: 1}]))

    def test_leaves_out_what_can_not_be_written(self) -> None:
        codec = Codec([Fetch])
        assert codec.digest(Fetch("u", Opaque())) == codec.digest(Fetch("u", lambda: None))
        assert codec.digest(Fetch("u", Opaque())) != codec.digest(Fetch("v", Opaque()))

    def test_of_an_event_that_can_not_be_written_is_of_its_type(self) -> None:
        codec = Codec([Fetch])
        assert codec.digest(Event()) == codec.digest(Event())
        assert codec.digest(_with_extra(Fetch("u"))) == codec.digest(_with_extra(Fetch("v")))

    def test_leaves_out_what_is_not_set(self) -> None:
        class Late(Event):
            x: int = attrs.field(init=False)

        codec = Codec([Late])
        assert codec.digest(Late()) == codec.digest(Late())


def test_unknown_types_are_all_found() -> None:
    data = {
        "type": "app.Gone",
        "fields": {
            "a": [{"$": "enum", "type": "app.Shade", "member": "X"}],
            "b": {
                "$": "object",
                "type": "app.Thing",
                "fields": {"c": {"$": "event", "type": "app.E"}},
            },
            "d": {"type": "plain", "$": "tuple"},
            "e": {"$": "object", "type": 1},
            "f": {"$": "object", "type": "codec_values.Point", "fields": {}},
        },
    }
    found = set(CODEC.reader({}).unknown_types(data))
    assert found == {
        "event type 'app.Gone'",
        "enum 'app.Shade'",
        "class 'app.Thing'",
        "event type 'app.E'",
    }

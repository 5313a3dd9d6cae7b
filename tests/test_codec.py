"""Values come back as they were, and what can't come back is refused where it goes in."""

from __future__ import annotations

import datetime as dt
import enum
import io
import math
import struct
import sys
import zoneinfo
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

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
    Opaque,
    Pair,
    Point,
    nested,
    through_json,
    values,
)
from hypothesis import given

from blazen_anyio._codec import faults, scalars
from blazen_anyio._events import StartEvent, StepFailed
from blazen_anyio._exceptions import SnapshotError, StateValueError


def _zone_without_a_name() -> zoneinfo.ZoneInfo:
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    data = b"TZif" + bytes(16) + counts + struct.pack(">l2b", 0, 0, 0) + b"UTC\0"
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(data))


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

    @pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, bytearray(b"x")], ids=repr)
    def test_of_containers_of_atoms_are_other_containers(self, value: Any) -> None:
        copied = CODEC.copy(value, "k")
        assert copied == value
        assert copied is not value

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
            ({"$": "zone", "v": ["../zoneinfo/UTC"]}, "$", "no time zone"),
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
        with pytest.raises(SnapshotError):  # the standard library looks into tzdata by itself
            CODEC.decode({"$": "zone", "v": ["No/Such_Zone"]}, "$")
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

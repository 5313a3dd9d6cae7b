"""Many events are written and read in columns: the same as one by one, only quicker."""

from __future__ import annotations

import copy
import functools
import json
import random
from typing import Any, Literal

import attrs
import pytest
from codec_values import (
    CODEC,
    Access,
    Box,
    Colour,
    Holding,
    Key,
    Level,
    Opaque,
    Pair,
    Point,
    Typed,
    hashable_scalars,
    values,
)
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._codec import Codec, Malformed, check_packed, pack, read_packed, unpack
from blazen_anyio._codec.classes import JSON_ATOMS, ObjectPlan, make_objects, plan_of
from blazen_anyio._codec.packing import pack_events
from blazen_anyio._codec.scalars import are_plain, is_plain_float, is_plain_int, is_plain_text
from blazen_anyio._events import Event, StartEvent, StepFailed, StopEvent
from blazen_anyio._exceptions import SnapshotError, StateValueError


class Empty(Event):
    """Without fields."""


class Strict(Event):
    flag: bool
    kind: Literal["a", "b"] = "a"
    many: float | None = None


class Unset(Event):
    name: str
    later: int = attrs.field(init=False)


class Caching(Event):
    name: str
    later: int = attrs.field(init=False)

    @functools.cached_property
    def loud(self) -> str:
        return self.name.upper()


class WithSlot:
    __slots__ = ("extra",)


class Slotted(WithSlot, Event):
    name: str


class Twin(Event, event_type="app.Twin"):
    number: int


class OtherTwin(Event, event_type="app.Twin"):
    number: int


PACKING = Codec(
    [Holding, Typed, Empty, Strict, Unset, Twin], [Colour, Level, Access, Point, Key, Box, Pair]
)

events = st.one_of(
    st.builds(Holding, values),
    st.builds(Holding, hashable_scalars),
    st.builds(Holding, st.text(st.characters(codec=None, categories=None), max_size=3)),
    st.builds(Typed, st.text(max_size=3), st.integers(), st.floats(), st.lists(st.text())),
    st.builds(Typed, values, colour=st.sampled_from(Colour)),
    st.builds(Empty),
    st.builds(Strict, st.booleans(), st.sampled_from(["a", "b", "c"]), st.none() | st.floats()),
    st.builds(Strict, hashable_scalars, hashable_scalars, hashable_scalars),
    st.builds(Unset, st.text(max_size=3)),
    st.builds(StopEvent, result=values),
)


def one_by_one(given: list[Event], codec: Codec = CODEC) -> dict[str, Any]:
    return pack(map(codec.encode_event, given))


def read_one_by_one(packed: dict[str, Any]) -> list[Event]:
    return [PACKING.decode_event(data, "$") for data in unpack(packed)]


def through_json(packed: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(packed))
    return read


def same(first: list[Event], second: list[Event]) -> bool:
    return len(first) == len(second) and all(map(PACKING.same, first, second))


class TestWriting:
    @given(st.lists(events, max_size=6))
    def test_in_columns_is_the_same_as_one_by_one(self, given: list[Event]) -> None:
        packed = PACKING.encode_events(given)
        # The order of fields counts as well: a digest is taken of the text.
        assert json.dumps(packed) == json.dumps(one_by_one(given, PACKING))
        assert list(unpack(packed)) == list(map(PACKING.encode_event, given))

    def test_groups_events_by_their_type(self) -> None:
        assert PACKING.encode_events([Twin(1), Empty(), Twin(2)]) == {
            "shapes": [
                {"type": "app.Twin", "fields": {"number": [1, 2]}},
                {"type": Empty.event_type, "fields": {}},
            ],
            "of": [0, 1, 0],
        }

    def test_groups_events_by_the_fields_that_are_set(self) -> None:
        complete = Unset("b")
        object.__setattr__(complete, "later", 1)
        packed = PACKING.encode_events([Unset("a"), complete])
        assert [shape["fields"] for shape in packed["shapes"]] == [
            {"name": ["a"]},
            {"name": ["b"], "later": [1]},
        ]

    def test_leaves_out_what_is_cached_even_if_a_field_is_not_set(self) -> None:
        event = Caching("a")
        assert event.loud == "A"
        (shape,) = CODEC.encode_events([event, event])["shapes"]
        assert shape["fields"] == {"name": ["a", "a"]}

    def test_of_a_class_whose_bases_have_slots_is_the_same_as_one_by_one(self) -> None:
        given: list[Event] = [Slotted("a"), Slotted("b")]
        assert CODEC.encode_events(given) == one_by_one(given)

    def test_of_two_classes_with_one_name_is_one_shape(self) -> None:
        assert pack_events([Twin(1), OtherTwin(2)], CODEC._registry) is None
        packed = CODEC.encode_events([Twin(1), OtherTwin(2)])
        assert packed["shapes"] == [{"type": "app.Twin", "fields": {"number": [1, 2]}}]

    def test_drops_live_errors(self) -> None:
        failed = StepFailed.of("s", StartEvent(), ValueError("x"), 1)
        (shape,) = CODEC.encode_events([failed, failed])["shapes"]
        assert shape["fields"]["error"] == [None, None]

    def test_shares_nothing_with_the_events(self) -> None:
        tags = ["a"]
        packed = CODEC.encode_events([Holding(tags), Holding({"a": 1})])
        tags.append("b")
        assert packed["shapes"][0]["fields"]["value"] == [["a"], {"a": 1}]

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            (Holding(Opaque()), r"Holding\.value.*Opaque"),
            (Holding([1, Opaque()]), r"Holding\.value.*\(at \[1\]\)"),
        ],
    )
    def test_of_what_could_not_be_restored_fails_as_one_by_one(
        self, event: Event, message: str
    ) -> None:
        with pytest.raises(StateValueError, match=message) as caught:
            CODEC.encode_events([Holding(1), event])
        with pytest.raises(StateValueError) as expected:
            CODEC.encode_event(event)
        assert str(caught.value) == str(expected.value)

    def test_of_an_event_with_an_attribute_that_is_no_field_fails_as_one_by_one(self) -> None:
        odd = Holding(1)
        object.__setattr__(odd, "more", 1)
        with pytest.raises(StateValueError, match="attribute 'more' is not a field"):
            CODEC.encode_events([odd])

    def test_of_an_event_that_contains_itself_is_refused(self) -> None:
        holder: list[Any] = []
        holder.append(holder)
        with pytest.raises(StateValueError, match="contains itself"):
            CODEC.encode_events([Holding(holder)])

    def test_near_the_end_of_the_stack_fails_with_a_typed_error(self) -> None:
        value: Any = 1
        for _ in range(90):
            value = Pair(value, 0)

        def at_the_edge() -> Any:
            try:
                return at_the_edge()
            except RecursionError:
                return PACKING.encode_events([Holding(value)])

        with pytest.raises(StateValueError, match="the stack that is left"):
            at_the_edge()


HOSTILE: list[Any] = [
    None, True, 0, -1, 1.5, "x", [], {}, {"$": "tuple", "v": []}, {"$": "untyped", "v": 1},
    {"$": "enum", "type": "codec_values.Colour", "member": "RED"}, {"$": "odd"}, [{"$": 1}], 2**70,
]  # fmt: skip


def read_both(packed: dict[str, Any]) -> tuple[Any, Any]:
    """What is read in columns and one by one: the events, or the kind of fault."""
    try:
        quick: Any = read_packed(packed, PACKING.reader({}))
    except Malformed:
        quick = SnapshotError
    try:
        return quick, read_one_by_one(packed)
    except SnapshotError:
        return quick, SnapshotError


class TestReading:
    @given(st.lists(events, max_size=6))
    def test_gives_the_events(self, given: list[Event]) -> None:
        packed = through_json(PACKING.encode_events(given))
        assert check_packed(packed) == len(given)
        assert same(read_packed(packed, PACKING.reader({})), given)
        assert same(read_one_by_one(packed), given)

    @given(st.lists(events, min_size=1, max_size=6), st.data())
    def test_of_changed_data_accepts_and_refuses_the_same_as_one_by_one(
        self, given: list[Event], data: st.DataObject
    ) -> None:
        packed = copy.deepcopy(PACKING.encode_events(given))
        shape = data.draw(st.sampled_from(packed["shapes"]))
        fields = shape["fields"]
        name = data.draw(st.sampled_from([*fields, "odd"]))
        count = len(next(iter(fields.values()), [0]))
        match data.draw(st.sampled_from(["value", "drop", "rename", "type"])):
            case "value" if name in fields:
                place = data.draw(st.integers(0, count - 1))
                fields[name][place] = data.draw(st.sampled_from(HOSTILE))
            case "drop":
                fields.pop(name, None)
            case "rename" if name in fields:
                fields[name + "x"] = fields.pop(name)
            case _:
                shape["type"] = data.draw(st.sampled_from(["odd", StopEvent.event_type]))
        quick, exact = read_both(packed)
        if exact is SnapshotError:
            assert quick is SnapshotError
        else:
            assert same(quick, exact)

    def test_runs_no_init(self) -> None:
        class Counting(Event):
            number: int = attrs.field(converter=lambda number: number + 1)

        codec = Codec([Counting])
        packed = through_json(codec.encode_events([Counting(1)]))
        (event,) = read_packed(packed, codec.reader({}))
        assert isinstance(event, Counting)
        assert event.number == 2

    def test_of_many_events_keeps_their_order(self) -> None:
        chance = random.Random("order")
        given = [chance.choice([Twin(number), Typed(str(number))]) for number in range(1000)]
        assert read_packed(through_json(PACKING.encode_events(given)), PACKING.reader({})) == given

    @pytest.mark.parametrize(
        ("packed", "message"),
        [
            (None, "expected events"),
            ([], "expected events"),
            ({"shapes": []}, "expected events"),
            ({"shapes": [], "of": [], "more": 1}, "expected events"),
            ({"shapes": {}, "of": []}, "expected lists"),
            ({"shapes": [], "of": {}}, "expected lists"),
            ({"shapes": [], "of": [0]}, "the number of a shape"),
            ({"shapes": [{"type": "x", "fields": {}}], "of": [-1]}, "the number of a shape"),
            ({"shapes": [{"type": "x", "fields": {}}], "of": [False]}, "the number of a shape"),
            ({"shapes": [{"type": "x", "fields": {}}], "of": [0.0]}, "the number of a shape"),
            ({"shapes": [[]], "of": []}, "shape 0 is not a type and fields"),
            ({"shapes": [{"type": "x"}], "of": []}, "shape 0 is not a type and fields"),
            ({"shapes": [{"type": 1, "fields": {}}], "of": []}, "shape 0 is not"),
            ({"shapes": [{"type": "x", "fields": []}], "of": []}, "shape 0 is not"),
            ({"shapes": [{"type": "x", "fields": {"a": 1}}], "of": [0]}, "shape 0 is not"),
            ({"shapes": [{"type": "x", "fields": {"a": []}}], "of": [0]}, "a value per event"),
            ({"shapes": [{"type": "x", "fields": {"a": [1]}}], "of": []}, "a value per event"),
        ],
    )
    def test_of_another_form_is_refused(self, packed: Any, message: str) -> None:
        with pytest.raises(Malformed, match=message):
            check_packed(packed)


class TestPlain:
    @given(st.lists(st.one_of(hashable_scalars, st.text(max_size=2)), max_size=4))
    def test_values_are_told_at_once_as_one_by_one(self, given: list[Any]) -> None:
        tests: dict[type, Any] = {str: is_plain_text, int: is_plain_int, float: is_plain_float}
        plain = [
            type(value) in JSON_ATOMS and (type(value) not in tests or tests[type(value)](value))
            for value in given
        ]
        assert are_plain(given, JSON_ATOMS) == all(plain)

    def test_values_of_another_kind_are_not(self) -> None:
        assert are_plain([1, "a"], JSON_ATOMS)
        assert not are_plain([1, "a"], frozenset({int}))
        assert not are_plain(["\ud800", 1], JSON_ATOMS)
        assert are_plain(["\u00e4", 1.5, None], JSON_ATOMS)

    @pytest.mark.parametrize("count", [1, 16, 17, 100])
    @pytest.mark.parametrize("last", [1, 2**70, "\ud800", float("nan"), (1,)], ids=repr)
    def test_or_not_are_written_alike_by_the_few_and_by_the_many(
        self, count: int, last: Any
    ) -> None:
        items = [*range(count), last]
        named = {f"key {number}": item for number, item in enumerate(items)}
        written = [CODEC.encode(item, "k") for item in items]
        assert CODEC.encode(items, "k") == written
        assert CODEC.encode(items, "k") is not items
        assert CODEC.encode(named, "k") == dict(zip(named, written, strict=True))
        assert CODEC.encode(named, "k") is not named


def test_objects_are_made_alike_with_and_without_slots() -> None:
    @attrs.frozen
    class Slotted:
        a: int
        b: int

    @attrs.frozen(slots=False)
    class Plain:
        a: int
        b: int

    for cls in (Slotted, Plain):
        made = make_objects(cls, {"a": [1, 2], "b": [3, 4]}, 2)
        assert made == [cls(1, 3), cls(2, 4)]


def test_objects_of_a_class_that_caches_its_hash_are_complete() -> None:
    @attrs.frozen(cache_hash=True)
    class Hashed:
        number: int

    plan = plan_of(Hashed)
    assert isinstance(plan, ObjectPlan)
    made = plan.restore_all({"number": [1, 2]}, 2)
    assert list(map(hash, made)) == [hash(Hashed(1)), hash(Hashed(2))]

"""Classes and Hypothesis strategies for all that the codec can keep."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import attrs
from hypothesis import strategies as st

from blazen_anyio._codec import Codec
from blazen_anyio._events import Event


class Colour(enum.Enum):
    RED = "red"
    GREEN = (0, 255, 0)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@attrs.define
class Point:
    x: Any
    y: Any = 0


@attrs.frozen
class Key:
    name: Any


@dataclasses.dataclass
class Box:
    content: Any
    label: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    left: Any
    right: Any


class Holding(Event):
    value: Any


class Typed(Event):
    name: str
    count: int = 0
    ratio: float = 0.5
    tags: list[str] = attrs.field(factory=list)
    colour: Colour | None = None


CODEC = Codec([Holding, Typed], [Colour, Level, Access, Point, Key, Box, Pair])

_any_text = st.text(st.characters(codec=None, categories=None), max_size=20)
_zones = st.one_of(
    st.none(),
    st.timezones(),
    st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))),
    st.builds(dt.timezone, st.just(dt.timedelta(hours=1)), st.text(max_size=5)),
)
_posix = st.builds(PurePosixPath, st.text(max_size=10))

hashable_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**52, max_value=2**200),
    st.floats(),
    st.complex_numbers(),
    _any_text,
    st.binary(max_size=10),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=_zones),
    st.times(timezones=_zones),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Colour, *Level, *Access, Access.READ | Access.WRITE, Access(0)]),
    _posix,
    st.builds(Path, _posix),
    st.builds(PureWindowsPath, st.just("c:/a/b")),
    _zones,
)

hashables = st.recursive(
    hashable_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Key, inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=5,
)

values = st.recursive(
    st.one_of(
        hashables,
        st.binary(max_size=10).map(bytearray),
        st.sampled_from([Decimal("sNaN12"), Decimal("-NaN"), Decimal("Infinity")]),
        st.sets(hashables, max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(_any_text, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Box, inner, _any_text),
        st.builds(Pair, inner, inner),
        st.builds(Holding, inner),
    ),
    max_leaves=12,
)

EXAMPLES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53,
    2**53 + 1,
    -(2**64) - 1,
    10**5000,
    0.0,
    -0.0,
    1e16,
    1e-300,
    float("inf"),
    float("-inf"),
    float("nan"),
    complex(-0.0, float("nan")),
    "",
    "text",
    "\0",
    "\ud800",
    "\ud83d\ude00",  # two lone surrogates, which JSON would join into one character
    "\U0001f600",
    b"\x00\xff",
    bytearray(b"\x00\xff"),
    Decimal("1.0"),
    Decimal("1.00"),
    Decimal("-0"),
    Decimal("1E+1000"),
    Decimal("sNaN"),
    dt.date(1, 1, 1),
    dt.datetime(2026, 10, 25, 2, 30, fold=1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    dt.time(1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(seconds=3601), "odd")),
    dt.timedelta(days=-1, microseconds=1),
    uuid.UUID(int=7),
    PurePosixPath("a/b"),
    PurePosixPath("\udcff"),
    PurePosixPath("\0x"),
    Path("x"),
    Colour.GREEN,
    Level.HIGH,
    Access.READ | Access.WRITE,
    [],
    (),
    {},
    set(),
    frozenset(),
    [[], (), {}],
    {"$": 1},
    {"$": "tuple", "v": [1]},
    {"\ud800": 1},
    {1: 2, (1, 2): 3, None: 4, 1.5: 5, frozenset({1}): 6},
    {1: {True: "x"}},
    {float("nan"), 1, "1"},
    {"type": "x", "fields": {}},
    Point(1, [2]),
    Box({"a": 1}),
    Pair(1, 2),
    Key("k"),
    Holding([Holding(1), Typed("x")]),
]


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

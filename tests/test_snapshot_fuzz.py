"""A snapshot that was changed in any way is refused with a ``SnapshotError``, or is still the same.

``BLAZEN_FUZZ`` says how many mutations to try (100,000 in the session ``fuzz``); the seed is fixed.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from codec_values import CODEC, EXAMPLES
from snapshot_runs import STEPS, read_rows, sealed, snapshot, write_rows

from blazen_anyio._exceptions import SnapshotError
from blazen_anyio._snapshot import Snapshot

# Without the system's time zones, the first use imports a package of them.
CODEC.decode({"$": "zone", "v": ["Europe/Berlin"]}, "$")

MUTATIONS = int(os.environ.get("BLAZEN_FUZZ", "3000"))

ORIGINAL = snapshot()
KEYED = ORIGINAL.to_bytes("key")
UNKEYED = ORIGINAL.to_bytes()
HEADER = ("format", "version", "digest", "signature")
CONTENTS: list[dict[str, Any]] = [
    # In columns, and in rows.
    {name: part for name, part in json.loads(UNKEYED).items() if name not in HEADER},
    ORIGINAL.to_data(),
]

INSERTED = [
    b"[",
    b"}",
    b'"',
    b",",
    b"\\",
    b" ",
    b"0",
    b"-",
    b"1e999",
    b"NaN",
    b"null",
    b"\0",
    b"\xff",
]

HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**53 + 1,
    10**400,
    0.0,
    -0.5,
    1e308,
    "",
    "x",
    "work",
    "\0",
    "\ud800",
    "$",
    [],
    {},
    [[]],
    {"$": "tuple", "v": []},
    {"$": "untyped", "v": 1},
    {"$": "event", "type": "blazen::StopEvent", "fields": {}},
    {"$": "object", "type": "codec_values.Point", "fields": {"x": 1}},
    {"$": "enum", "type": "codec_values.Access", "member": -1},
    {"$": "zone", "v": ["Europe/Berlin"]},
    {"$": "set", "v": [{"$": "decimal", "v": "sNaN"}]},
    *(CODEC.encode(example, "k") for example in EXAMPLES),
]


# ---- bytes -----------------------------------------------------------------------------------


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def delete(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.choice((1, 1, 1, 2, 8, 200))]


def duplicate(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.choice((1, 2, 8, 200))]


def insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = chance.choice(INSERTED)


def swap(data: bytearray, chance: random.Random) -> None:
    first, second = chance.randrange(len(data)), chance.randrange(len(data))
    data[first], data[second] = data[second], data[first]


BYTES = (flip, delete, duplicate, insert, swap)


# ---- structure -------------------------------------------------------------------------------


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container inside ``data`` with each of its keys or indexes."""
    waiting = [data]
    while waiting:
        part = waiting.pop()
        keys = part.keys() if isinstance(part, dict) else range(len(part))
        for key in keys:
            yield part, key
            if isinstance(part[key], dict | list):
                waiting.append(part[key])


def replace(part: Any, key: Any, chance: random.Random, others: list[tuple[Any, Any]]) -> None:
    part[key] = copy.deepcopy(chance.choice(HOSTILE))


def remove(part: Any, key: Any, chance: random.Random, others: list[tuple[Any, Any]]) -> None:
    del part[key]


def exchange(part: Any, key: Any, chance: random.Random, others: list[tuple[Any, Any]]) -> None:
    other, other_key = chance.choice(others)
    part[key] = copy.deepcopy(other[other_key])


def repeat(part: Any, key: Any, chance: random.Random, others: list[tuple[Any, Any]]) -> None:
    if isinstance(part, list):
        part.insert(key, copy.deepcopy(part[key]))
    else:
        part[f"{key}x"] = part[key]


def nudge(part: Any, key: Any, chance: random.Random, others: list[tuple[Any, Any]]) -> None:
    value = part[key]
    if isinstance(value, int | float):
        part[key] = value + chance.choice((1, -1, 1.0))
    elif isinstance(value, str):
        part[key] = value + "x"
    else:
        part[key] = [value]


STRUCTURE: tuple[Callable[..., None], ...] = (replace, remove, exchange, repeat, nudge)


def restructured(chance: random.Random) -> Any:
    """The content, in columns or in rows, with one to three changes of its structure."""
    content = copy.deepcopy(chance.choice(CONTENTS))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        found = list(places(content))
        part, key = chance.choice(found)
        chance.choice(STRUCTURE)(part, key, chance, found)
    return content


# ---- what must hold --------------------------------------------------------------------------


def is_same_or_refused(data: bytes, key: str | None) -> bool:
    """Whether a document is refused with the one typed error, or is still the original."""
    try:
        read = Snapshot.from_bytes(data, key)
    except SnapshotError:
        return True
    return read == ORIGINAL


@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "unkeyed"])
@pytest.mark.parametrize("mutate", BYTES)
def test_mutated_bytes_are_refused_or_say_the_same(
    mutate: Callable[[bytearray, random.Random], None], keyed: bool
) -> None:
    chance = random.Random(f"{mutate.__name__} {keyed}")
    before = set(sys.modules)
    for number in range(MUTATIONS // 20):
        data = bytearray(KEYED if keyed else UNKEYED)
        for _ in range(chance.choice((1, 1, 2, 5))):
            mutate(data, chance)
        assert is_same_or_refused(bytes(data), "key" if keyed else None), (number, bytes(data))
    assert set(sys.modules) == before


def test_mutated_structure_does_not_agree_with_the_digest() -> None:
    chance = random.Random("digest")
    header = json.loads(UNKEYED)
    for number in range(MUTATIONS // 10):
        content = restructured(chance)
        document = {**header, **content} if chance.random() < 0.9 else {**content, **header}
        data = json.dumps(document).encode()
        assert is_same_or_refused(data, None), (number, content)


def test_mutated_structure_with_a_digest_that_agrees_gives_rows_or_one_typed_error() -> None:
    chance = random.Random("structure")
    before = set(sys.modules)
    read = 0
    for number in range(MUTATIONS * 4 // 10):
        content = restructured(chance)
        try:
            rows = read_rows(Snapshot.from_json(sealed(content)), steps=STEPS)
        except SnapshotError as error:
            assert error.path.startswith("$"), (number, content)
        else:
            again = write_rows(rows)
            assert read_rows(again).events.keys() == rows.events.keys()
            read += 1
    assert read, "the mutations are too coarse to get through"
    assert set(sys.modules) == before

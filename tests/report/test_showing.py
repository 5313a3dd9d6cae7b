"""Values are shown as bounded text without secrets, whatever they are."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio import Event, secret
from blazen_anyio._report.showing import clean, show


class Login(Event):
    user: str
    password: str = secret()


@attrs.frozen
class Account:
    name: str
    token: str = attrs.field(metadata={"secret": True})
    note: str = attrs.field(default="left out", repr=False)


@dataclasses.dataclass
class Card:
    owner: str
    number: str = dataclasses.field(metadata={"secret": True})
    hint: str = dataclasses.field(default="left out", repr=False)


class Colour(enum.Enum):
    RED = 1


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (1.5, "1.5"),
        ("it's", '"it\'s"'),
        (b"\x00", "b'\\x00'"),
        ([], "[]"),
        ({}, "{}"),
        ((), "()"),
        (set(), "{}"),
        ({"a": [1]}, "{\n  'a': [\n    1\n  ]\n}"),
        ((1,), "(\n  1\n)"),
        ({2, 1}, "{\n  1\n  2\n}"),
        (Colour.RED, "<Colour.RED: 1>"),
    ],
)
def test_values_are_written_part_by_part(value: object, text: str) -> None:
    assert show(value) == text


SECRETS: list[Any] = [
    Login("ada", "hunter2"),
    Account("ada", "hunter2"),
    Card("ada", "hunter2"),
]


@pytest.mark.parametrize("value", SECRETS)
def test_secret_fields_are_hidden_and_others_are_not(value: object) -> None:
    text = show(value)
    assert "'ada'" in text
    assert "***" in text
    assert "hunter2" not in text
    assert "left out" not in text


@pytest.mark.parametrize("value", SECRETS)
def test_secrets_are_hidden_however_deep_they_are(value: Any) -> None:
    nested: Any = value
    for _ in range(12):
        assert "hunter2" not in show({"k": (nested, [nested])})
        nested = [nested]


@pytest.mark.parametrize("value", [Account("ada", "hunter2")])
def test_secrets_are_hidden_in_keys_and_sets(value: Any) -> None:
    assert "hunter2" not in show({value: 1})
    assert "hunter2" not in show({value})
    assert "Account(…)" in show({value: 1})


def test_what_cannot_be_written_is_named() -> None:
    assert show([Rude(), 10**5000]) == "[\n  <Rude>\n  <int>\n]"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        b"x" * 1_000_000,
        ["x"] * 100_000,
        {str(n): list(range(100)) for n in range(1000)},
        "\u202e" * 100_000,
    ],
    ids=["text", "bytes", "list", "nested", "escapes"],
)
def test_large_values_are_cut(value: object) -> None:
    assert len(show(value)) < 60_000


def test_what_is_cut_says_so() -> None:
    assert show(list(range(103))).endswith("  … 3 more\n]")
    assert show("x" * 3000).endswith("(3,000 in all)")
    assert clean("x" * 400).endswith("(400 characters)")


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "[…]" in show(loop)


@pytest.mark.parametrize(
    "letter", ["\u202e", "\u2066", "\x00", "\x1b", "\u200f", "\ud800", "\ufeff"]
)
def test_letters_that_hide_or_reorder_are_escaped(letter: str) -> None:
    assert letter not in clean(f"a{letter}b")
    assert clean(f"a{letter}b").isprintable()


def test_lines_stay_lines() -> None:
    assert clean("a\nb") == "a\nb"


@given(st.text())
def test_clean_text_can_be_encoded_and_printed(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert cleaned.replace("\n", "").isprintable()

"""Showing: any value as text that is safe to look at.

The rule: a secret field is never shown, whatever holds it; every text is bounded; and characters
that could hide or reorder what stands around them are written as escapes. What a user's ``repr``
says is shown for classes that nothing is known about, and if it fails, the class is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from .._events import is_secret

__all__ = ["clean", "show"]

_SECRET = "***"
_LONGEST_NAME = 300
_LONGEST_LEAF = 2_000
_MOST_ITEMS = 100
_MOST_LINES = 500
_DEEPEST = 8

_Parts = tuple[str, Sequence[tuple[str, object]], str]


def clean(text: str, longest: int = _LONGEST_NAME) -> str:
    """Escape what can't be seen, or changes how the rest is seen, and cut what is too long.

    Example: a right-to-left override becomes the six characters of its escape.
    """
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def show(value: object) -> str:
    """Write a value for a reader, over several lines if it has parts.

    Args:
        value: anything. Of events, attrs classes and dataclasses the fields are written, but not
            the secret ones (see :func:`~blazen_anyio.secret`), nor what a ``repr`` leaves out.
    """
    writer = _Writer()
    writer.write("", value, 0)
    return "\n".join(writer.lines)


class _Hidden:
    """Stands for a secret."""

    def __repr__(self) -> str:
        return _SECRET


_HIDDEN = _Hidden()


class _Writer:
    """Writes lines until there are enough of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, label: str, value: object, depth: int) -> None:
        indent = "  " * depth
        parts = _parts(value)
        if parts is None:
            self.lines.append(f"{indent}{label}{_leaf(value)}")
            return
        opening, items, closing = parts
        if not items or depth >= _DEEPEST:
            inside = "…" if items else ""
            self.lines.append(f"{indent}{label}{opening}{inside}{closing}")
            return
        self.lines.append(f"{indent}{label}{opening}")
        self._write_items(items, depth + 1)
        self.lines.append(f"{indent}{closing}")

    def _write_items(self, items: Sequence[tuple[str, object]], depth: int) -> None:
        for place, (label, item) in enumerate(items):
            if place == _MOST_ITEMS or len(self.lines) >= _MOST_LINES:
                self.lines.append(f"{'  ' * depth}… {len(items) - place:,} more")
                return
            self.write(label, item, depth)


def _parts(value: object) -> _Parts | None:
    """What a value consists of: how it opens, its labelled parts, how it closes."""
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return "{", [(f"{_leaf(key)}: ", item) for key, item in pairs], "}"
    if isinstance(value, list):
        return "[", [("", item) for item in cast("list[object]", value)], "]"
    if isinstance(value, tuple):
        return "(", [("", item) for item in cast("tuple[object, ...]", value)], ")"
    if isinstance(value, (set, frozenset)):
        members = sorted(cast("set[object]", value), key=_leaf)  # the same in every process
        return "{", [("", each) for each in members], "}"
    fields = _fields(value)
    return None if fields is None else (f"{type(value).__name__}(", fields, ")")


def _fields(value: object) -> list[tuple[str, object]] | None:
    """The fields of an object whose class declares them, the secret ones hidden."""
    kind: type[Any] = type(value)
    found: list[tuple[str, bool, Mapping[Any, Any]]]
    if attrs.has(kind):
        found = [(each.name, bool(each.repr), each.metadata) for each in attrs.fields(kind)]
    elif dataclasses.is_dataclass(kind):
        found = [(each.name, each.repr, each.metadata) for each in dataclasses.fields(kind)]
    else:
        return None
    return [
        (f"{name} = ", _HIDDEN if is_secret(metadata) else getattr(value, name, _HIDDEN))
        for name, is_shown, metadata in found
        if is_shown
    ]


def _leaf(value: object) -> str:
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST_LEAF:
        return f"{clean(repr(value[:_LONGEST_LEAF]), 2 * _LONGEST_LEAF)}… ({len(value):,} in all)"
    if _fields(value) is not None:
        return f"{type(value).__name__}(…)"  # as a key or in a set: its repr may tell a secret
    try:
        return clean(repr(value), _LONGEST_LEAF)
    except Exception:  # a number with thousands of digits, or what a user has written
        return f"<{type(value).__qualname__}>"

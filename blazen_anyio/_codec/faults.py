"""What goes wrong inside the codec, and where.

A fault is raised at the innermost place and collects the path on its way out: each container that
it passes adds its own segment. Paths thus cost nothing as long as nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from .._exceptions import SnapshotError, StateValueError

__all__ = [
    "MAX_DEPTH",
    "MAX_ITEMS",
    "Malformed",
    "Unstorable",
    "kind_of",
    "segment",
    "shown",
    "too_deep",
    "too_large",
    "under",
]

MAX_DEPTH = 100
"""How many containers a value may nest. A level takes at most three stack frames and two levels of
JSON, so this leaves two thirds of Python's default recursion limit to the caller."""

MAX_ITEMS = 10_000_000
"""How many items a value may hold in all. Stops shared references from growing into a huge tree."""

_SHOWN = 80

kind_of: Callable[[object], type[Any]] = type
"""The exact class of a value. Everything here goes by it; subclasses are other types."""


def shown(text: object) -> str:
    """Quote something that data brought, shortened, so that a message stays readable."""
    quoted = text if isinstance(text, str) else _described(text)
    return repr(quoted if len(quoted) <= _SHOWN else quoted[: _SHOWN - 3] + "...")


def _described(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # a number with thousands of digits, or what a user has written
        return f"<{type(value).__qualname__}>"


def segment(key: object) -> str:
    """Write one step of a path: ``.name``, ``["a key"]`` or ``[3]``."""
    if not isinstance(key, str):
        return f"[{_described(key)[:_SHOWN]}]"
    if key.isidentifier() and len(key) <= _SHOWN:
        return f".{key}"
    import json  # only a fault has a path

    return f"[{json.dumps(key[:_SHOWN])}]"


class _Fault(Exception):
    """The base: a reason, and the path from the outermost value to it, innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.segments: list[str] = []

    def at(self, key: object) -> None:
        """Note that the fault lies under ``key`` of the container it passes."""
        self.segments.append(segment(key))

    @property
    def path(self) -> str:
        """The path, to be appended to that of the outermost value."""
        return "".join(reversed(self.segments))


class Unstorable(_Fault):  # internal, it always ends as a StateValueError
    """A value that could not be restored exactly."""

    def __init__(self, kind: type[Any], reason: str = "") -> None:
        super().__init__(reason)
        self.kind = kind

    def error(self, key: str) -> StateValueError:
        """Make what the user sees; ``key`` is the state key, or the field of an event."""
        reason = self.reason
        if self.segments:
            reason = reason or (
                "can't be restored exactly; use plain data, or name the class in "
                "Workflow(types=[...])"
            )
            reason = f"(at {self.path}) {reason}"
        return StateValueError(key, self.kind, reason)


def too_deep(kind: type[Any]) -> Unstorable:
    """Refuse a value that nests without end, or nearly so."""
    return Unstorable(kind, f"nests deeper than {MAX_DEPTH} levels, or contains itself")


def too_large(kind: type[Any]) -> Unstorable:
    """Refuse a value that holds too much."""
    return Unstorable(kind, f"holds more than {MAX_ITEMS:,} items in all")


class Malformed(_Fault):  # internal, it always ends as a SnapshotError
    """Data that is not what the codec writes.

    Attributes:
        unknown: it names a step, type or class that is not known here.
    """

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.unknown = unknown

    def error(self, path: str) -> SnapshotError:
        """Make what the user sees."""
        return SnapshotError(self.reason, path + self.path)


@contextmanager
def under(key: object) -> Generator[None]:
    """Note for faults inside that they lie under ``key``."""
    try:
        yield
    except Malformed as fault:
        fault.at(key)
        raise

"""What state is made of: typed keys, the committed values, and what a commit changes of them."""

from __future__ import annotations

from enum import Enum
from types import UnionType
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, final

import attrs

__all__ = [
    "MISSING",
    "Changes",
    "Committed",
    "Mark",
    "StateCodec",
    "StateKey",
    "default_of",
    "name_of",
]

T = TypeVar("T")


class Mark(Enum):
    """Stands where no value is: ``None`` is a value."""

    MISSING = "missing"


MISSING: Final = Mark.MISSING


class StateCodec(Protocol):
    """What state has to know about values."""

    def copy(self, value: Any, key: str, /) -> Any:
        """Copy ``value``, or return it if nobody can change it.

        Raises:
            StateValueError: it could not be restored exactly from a snapshot.
        """
        ...

    def same(self, a: Any, b: Any, /) -> bool:
        """Say whether two values are equal and of the same type all the way down."""
        ...


@attrs.frozen(repr=False)
class Committed:
    """The state that all attempts share. Only a commit changes it.

    A commit stores a value before its version; see ``overlay``.

    Attributes:
        values: what is stored. A value is replaced and never changed in place.
        versions: the number of the commit that last wrote each key, removed ones included. A key
            that no commit has written has the version 0.
    """

    values: dict[str, Any] = attrs.field(factory=lambda: dict[str, Any]())
    versions: dict[str, int] = attrs.field(factory=lambda: dict[str, int]())


@attrs.frozen(slots=False, repr=False)  # made once per attempt, and quicker so
class Changes:
    """What a commit has to store. It shares no object with the attempt that made it.

    Attributes:
        writes: new values by key.
        removes: keys that go.
    """

    writes: dict[str, Any]
    removes: frozenset[str]


@final
class StateKey(Generic[T]):
    """A typed key of ``ctx.state``.

    To type checkers ``ctx.state[count]`` is an ``int`` if ``count`` is ``StateKey("count", int)``.
    Nothing checks the type at run time. The name alone makes the key: the string ``"count"`` and
    every ``StateKey("count", ...)`` mean the same entry.

    Args:
        name: the key under which the value is stored.
        type: the type of the value.
        default: what reading gives while the key is missing, and what ``apply`` starts from. A list
            or another container is copied each time. Without it a missing key is a ``KeyError``.

    Raises:
        TypeError: the name is no string.
    """

    __slots__ = ("default", "name", "type")

    def __init__(
        self,
        name: str,
        type: type[T] | UnionType,
        *,
        default: T | Literal[Mark.MISSING] = MISSING,
    ) -> None:
        self.name: Final = name_of(name)
        self.type: Final = type
        self.default: Final = default

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, StateKey) else NotImplemented

    def __hash__(self) -> int:
        return hash((StateKey, self.name))

    def __repr__(self) -> str:
        kind = getattr(self.type, "__qualname__", self.type)
        default = "" if self.default is MISSING else f", default={self.default!r}"
        return f"StateKey({self.name!r}, {kind}{default})"


def name_of(key: object) -> str:
    """Return the string under which the value of ``key`` is stored.

    Raises:
        TypeError: it is neither a string nor a :class:`StateKey`.
    """
    if isinstance(key, StateKey):
        return key.name
    if not isinstance(key, str):
        raise TypeError(f"a state key is a string or a StateKey, not {key!r}")
    # A subclass, as a member of a StrEnum has, becomes the plain string that it equals.
    return key if key.__class__ is str else str.__str__(key)


def default_of(key: str | StateKey[Any]) -> Any:
    """Return the default that a typed key has, or MISSING."""
    return MISSING if isinstance(key, str) else key.default

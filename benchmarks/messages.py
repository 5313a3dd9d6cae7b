"""The events of the hand-written loop and of the floor: plain frozen classes, like the engine's."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=False)
class Hop:
    """One link of a chain."""

    number: int


@attrs.frozen(slots=False)
class Work:
    """One item of a fan-out."""

    number: int


@attrs.frozen(slots=False)
class Done:
    """The result of one item."""

    number: int


@attrs.frozen(slots=False)
class Begin:
    """Starts a run."""

    count: int


@attrs.frozen(slots=False)
class Middle:
    """Between the steps of a short run."""

    count: int


@attrs.frozen(slots=False)
class Finish:
    """Ends a run."""

    result: int


@attrs.frozen(slots=False)
class Item:
    """One queued event of a snapshot."""

    number: int
    name: str


def large_state() -> dict[str, str]:
    """About a megabyte of state: a thousand entries."""
    return {f"key {number}": "0123456789abcdef" * 64 for number in range(1000)}

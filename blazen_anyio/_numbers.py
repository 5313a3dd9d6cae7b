"""Numbers that users pass: whole ones and seconds. A wrong type is a ``TypeError``."""

from __future__ import annotations

import math

__all__ = ["check_count", "check_number", "check_seconds"]


def check_count(what: str, value: object, *, least: int = 1) -> None:
    """Check a whole number from ``least``.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is less.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} takes a whole number from {least}, not {value!r}")
    if value < least:
        raise ValueError(f"{what} takes a whole number from {least}, not {value!r}")


def check_seconds(what: str, value: object) -> None:
    """Check a number of seconds from 0; see :func:`check_number`."""
    check_number(what, value, "number of seconds")


def check_number(what: str, value: object, kind: str = "number") -> None:
    """Check a finite number from 0.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, infinite or not a number (NaN).
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{what} takes a {kind} from 0, not {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{what} takes a {kind} from 0, not {value!r}")

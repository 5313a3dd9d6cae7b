"""Run ids: text that names a run, the user's own or a UUIDv7."""

from __future__ import annotations

import os
import time

__all__ = ["checked_run_id"]

_LONGEST = 200


def checked_run_id(run_id: object) -> str:
    """Return ``run_id``, or a new one for ``None``.

    Raises:
        TypeError: it is no string.
        ValueError: it is empty, longer than 200 characters, or can't be printed.
    """
    if run_id is None:
        return _new_run_id()
    if not isinstance(run_id, str):
        raise TypeError(f"run_id takes a string, not {run_id!r}")
    if not 0 < len(run_id) <= _LONGEST or not run_id.isprintable():
        raise ValueError(f"run_id takes 1 to {_LONGEST} characters that can be printed")
    return run_id


def _new_run_id() -> str:
    """Make a UUIDv7: unique, and sorted by time. The standard library has one from 3.14 on."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

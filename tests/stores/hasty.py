"""An SQLite store that does not wait for the disk: few tests are about a loss of power."""

from __future__ import annotations

from typing import Any

import attrs

from blazen_anyio.stores import SQLiteStore

__all__ = ["HastyStore"]


class HastyStore(SQLiteStore):
    """As safe as any against all but a crash of the machine."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        off: Any = "OFF"
        self._settings = attrs.evolve(self._settings, synchronous=off)

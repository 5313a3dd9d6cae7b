"""Tables put into sheets, for tests that say what a run is like row by row."""

from __future__ import annotations

from blazen_anyio._machine import Sheets, Tables
from blazen_anyio._machine.sheets import ROWS, sheet_of

__all__ = ["in_sheets"]


def in_sheets(tables: Tables) -> Sheets:
    return {name: sheet_of(row, getattr(tables, name).values()) for name, row in ROWS.items()}

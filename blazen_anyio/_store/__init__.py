"""Stores: what keeps runs beyond the life of a process, and what is kept.

The rule of the package: a store keeps sealed records and knows nothing of what is in them. The
engine decides what a record says, in which order records change, and whether they are intact; a
store makes each change durable as a whole, and sees to it that one process at a time makes them.
"""

from __future__ import annotations

from .content import RESULT, Head, content_of, open_rows
from .journal import HistoryEntry, HistoryFact, LogEntry, replay
from .records import ENDED, UNFINISHED, Claim, Commit, Row, StoredRun, StoredStatus
from .seal import Cipher, RunSeal, Seal
from .store import Store

__all__ = [
    "ENDED",
    "RESULT",
    "UNFINISHED",
    "Cipher",
    "Claim",
    "Commit",
    "Head",
    "HistoryEntry",
    "HistoryFact",
    "LogEntry",
    "Row",
    "RunSeal",
    "Seal",
    "Store",
    "StoredRun",
    "StoredStatus",
    "content_of",
    "open_rows",
    "replay",
]

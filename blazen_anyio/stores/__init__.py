"""Where runs are kept: in memory for tests, in an SQLite file, or in a store of one's own.

::

    async with SQLiteStore("runs.db") as store:
        await workflow.run(order, store=store, run_id="order-17")

A store of one's own subclasses :class:`Store`; the suite in
``blazen_anyio.testing.store_conformance`` says whether it keeps its promises.
"""

from __future__ import annotations

from .._store import (
    Cipher,
    Claim,
    Commit,
    HistoryEntry,
    HistoryFact,
    Row,
    Seal,
    Store,
    StoredRun,
    StoredStatus,
)
from .encryption import AESGCMCipher
from .memory import MemoryStore
from .sqlite import SQLiteStore

__all__ = [
    "AESGCMCipher",
    "Cipher",
    "Claim",
    "Commit",
    "HistoryEntry",
    "HistoryFact",
    "MemoryStore",
    "Row",
    "SQLiteStore",
    "Seal",
    "Store",
    "StoredRun",
    "StoredStatus",
]

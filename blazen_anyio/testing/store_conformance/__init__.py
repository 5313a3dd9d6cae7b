"""The conformance suite for stores: what every store has to do, as a class of tests.

Subclass it in a test module of yours, say how to make a store, and run pytest; anyio's own plugin
runs each case on asyncio and on trio::

    class TestMyStore(StoreConformance):
        def make_store(self, place: Path, clock: Callable[[], float]) -> Store:
            return MyStore(place / "runs.db", clock=clock)

The suite uses nothing but the protocol of :class:`~blazen_anyio.stores.Store`. What can't be asked
of every store in the same way, such as the death of a process or a failing disk, is left to tests
of its own.
"""

from __future__ import annotations

from .base import ManualClock
from .claiming import ClaimingCases
from .committing import CommittingCases
from .creating import CreatingCases
from .living import LivingCases
from .looking import LookingCases
from .removing import RemovingCases

__all__ = ["ManualClock", "StoreConformance"]


class StoreConformance(
    CreatingCases, ClaimingCases, CommittingCases, LookingCases, RemovingCases, LivingCases
):
    """The cases that every store has to pass; see the module for how to use them.

    ``make_store`` makes a store that is not open yet. Stores made for the same ``place``, a fresh
    directory for each case, share their data, and each acts as a process of its own. ``clock``
    tells the time that the store is to go by; if it can't be given one, set ``uses_clock`` to
    false, and cases that need it are skipped.
    """

"""State: what ``ctx.state`` is to one attempt.

The rule of the package: an attempt reads committed state under its own writes, and changes nothing
before its commit. ``values`` says what is stored and what a commit changes, ``overlay`` keeps what
one attempt reads and writes, and ``mapping`` is what a step sees of it.
"""

from __future__ import annotations

from .mapping import State
from .values import Changes, Committed, StateCodec, StateKey

__all__ = ["Changes", "Committed", "State", "StateCodec", "StateKey"]

"""As for the engine: nothing may be left running, and nothing may hang."""

from __future__ import annotations

from engine.conftest import logged, nothing_left

__all__ = ["logged", "nothing_left"]

"""The engine with the history off and nobody listening: what a lifecycle fact costs is the rest."""

from __future__ import annotations

from .engine import unrecorded_chain as chain

__all__ = ["chain"]

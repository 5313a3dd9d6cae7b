"""All examples, in the order of the contract."""

from __future__ import annotations

from . import (
    children,
    early,
    effects,
    errors,
    events,
    fan_in,
    joins,
    live_objects,
    putting_down,
    routing,
    runs,
    state,
    steps,
    waiting,
)
from .example import EXAMPLES

__all__ = ["EXAMPLES", "MODULES"]

MODULES = (
    events,
    steps,
    effects,
    early,
    state,
    routing,
    fan_in,
    joins,
    errors,
    runs,
    putting_down,
    waiting,
    live_objects,
    children,
)

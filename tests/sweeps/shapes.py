"""All shapes."""

from __future__ import annotations

from . import composed, flows, outside, troubles
from .shape import Shape

__all__ = ["SHAPES"]

SHAPES: dict[str, Shape] = {
    made.name: made
    for module in (flows, troubles, outside, composed)
    for made in vars(module).values()
    if isinstance(made, Shape)
}

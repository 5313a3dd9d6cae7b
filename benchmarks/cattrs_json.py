"""The rows of the engine's snapshot as attrs classes, through a cattrs converter for JSON.

What somebody writes who has no engine: a class per kind of row, a tagged union of the event
classes. There is no digest and no check of references, and values are coerced as cattrs does.
"""

from __future__ import annotations

import gc
import time
from functools import cache

import attrs
from cattrs.preconf.json import JsonConverter, make_converter
from cattrs.strategies import configure_tagged_union

from .messages import Item, Work, large_state
from .workloads import Timed


@attrs.frozen
class EventRow:
    """An event on its way."""

    id: int
    event: Item | Work
    cause: int
    position: int


@attrs.frozen
class DeliveryRow:
    """An event on its way to one step."""

    id: int
    order: int
    step: str
    events: list[int]


@attrs.frozen
class Saved:
    """All that a run needs to go on."""

    run_id: str
    events: list[EventRow]
    deliveries: list[DeliveryRow]
    state: dict[str, str]


async def snapshot_dump(events: int) -> Timed:
    """Write the rows to JSON."""
    converter, saved = _converter(), _saved(events)
    gc.collect()
    started = time.process_time()
    text = converter.dumps(saved)
    seconds = time.process_time() - started
    return Timed(text.count('"item '), seconds)


async def snapshot_load(events: int) -> Timed:
    """Read the rows from JSON."""
    converter = _converter()
    text = converter.dumps(_saved(events))
    gc.collect()
    started = time.process_time()
    saved = converter.loads(text, Saved)
    seconds = time.process_time() - started
    return Timed(len(saved.deliveries), seconds)


@cache
def _converter() -> JsonConverter:
    converter = make_converter()
    configure_tagged_union(Item | Work, converter)
    converter.loads(converter.dumps(_saved(1)), Saved)  # writes and compiles its functions
    return converter


def _saved(events: int) -> Saved:
    numbers = range(events)
    return Saved(
        run_id="01a20d92-16b9-7cce-ba74-a724fcf694cc",
        events=[EventRow(2 * n, Item(n, f"item {n}"), 2, n) for n in numbers],
        deliveries=[DeliveryRow(2 * n + 1, 2 * n + 1, "hold", [2 * n]) for n in numbers],
        state=large_state(),
    )

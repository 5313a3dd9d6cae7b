"""How a run ended, and what the runner has to do: the machine's outputs besides invocations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import attrs

from .._events import Event, InputRequestEvent, StopEvent
from .live import Delivery, Record

__all__ = [
    "Cancel",
    "Offer",
    "Order",
    "Outcome",
    "Outputs",
    "Returned",
    "Show",
    "emitted",
    "leaving",
]


@attrs.frozen
class Outcome:
    """How a run ended.

    Attributes:
        kind: ``"completed"`` with ``event``; ``"failed"`` with ``error``; ``"cancelled"``; or
            ``"suspended"``: it can go on from its snapshot.
        event: the stop event.
        error: what failed the run.
    """

    kind: Literal["completed", "failed", "cancelled", "suspended"]
    event: StopEvent | None = None
    error: BaseException | None = None


@attrs.frozen(eq=False, repr=False)
class Cancel:
    """Cancel the running attempt of ``delivery``, whose ``doom`` says why, and report its end."""

    delivery: Delivery


@attrs.frozen(eq=False, repr=False)
class Show:
    """A request to a human is open: publish it, and ask the input handler if there is one."""

    request: InputRequestEvent


@attrs.frozen(eq=False, repr=False)
class Offer:
    """An event that steps wait for has come: judge ``where`` conditions and ``claim`` it."""

    record: Record


Order = Cancel | Show | Offer

Returned = Event | list[Event] | tuple[Event, ...] | None
"""What a step returns: a list is a fan-out, a tuple several events without one."""


@attrs.define(eq=False, repr=False)
class Outputs:
    """What an attempt leaves besides its return value; it takes effect with the attempt or never.

    Attributes:
        sends: in the order of the calls: an event with a delay in seconds, or a list of events
            (``ctx.fan_out``) with 0.
        writes, removes: changes of the state.
        collects: by the ``event_type`` collected: whether the attempt's own event is deposited, and
            how many of the oldest entries are then taken.
    """

    sends: list[tuple[Event | list[Event], float]] = attrs.field(
        factory=list[tuple[Event | list[Event], float]]
    )
    writes: dict[str, Any] = attrs.field(factory=dict[str, Any])
    removes: frozenset[str] = frozenset()
    collects: dict[str, tuple[bool, int]] = attrs.field(factory=dict[str, tuple[bool, int]])


def leaving(returned: Returned, outputs: Outputs | None) -> Iterator[tuple[Sequence[Event], bool]]:
    """What an attempt sends and returns, together with whether it is a fan-out."""
    for sent, _ in outputs.sends if outputs is not None else ():
        yield (sent, True) if isinstance(sent, list) else ((sent,), False)
    if isinstance(returned, Event):
        yield (returned,), False
    elif returned is not None:
        yield returned, isinstance(returned, list)


def emitted(returned: Returned, outputs: Outputs | None) -> Iterator[Event]:
    """All events that an attempt sends and returns."""
    for events, _ in leaving(returned, outputs):
        yield from events

"""What the model of a run is made of; see :mod:`.model`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from blazen_anyio._events import (
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from blazen_anyio._machine import StepPlan

__all__ = [
    "Label",
    "MDelivery",
    "MEffect",
    "MEvent",
    "MJoined",
    "MRequest",
    "MScope",
    "NotTheSame",
    "label",
]

Label = tuple[Any, ...]


class NotTheSame(Exception):
    """The attempt does not repeat its early effects; the run has failed over it."""


def label(event: Event) -> Label:
    """What makes an event this event, also where machine and model have an object each."""
    if isinstance(event, InputRequestEvent):
        return ("request", event.prompt)
    if isinstance(event, InputResponseEvent):
        return ("response", event.response)
    if isinstance(event, StopEvent):
        return ("stop", event.result)
    if isinstance(event, StepFailed):
        failed = event.event if isinstance(event.event, list) else [event.event]
        return ("failed", event.step, *map(label, failed))
    return (type(event).__name__, getattr(event, "n", None))


@attrs.define(eq=False)
class MScope:
    seq: int
    parent: MScope | None
    branch: int
    opener: StepPlan | None
    recoveries: int
    holder: MDelivery | None = None
    items: int = 0
    closing: bool = False
    abandoned: bool = False
    over: bool = False

    def outwards(self) -> Iterator[MScope]:
        scope: MScope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def dead(self) -> bool:
        return any(scope.closing or scope.abandoned for scope in self.outwards())


@attrs.define(eq=False)
class MEvent:
    seq: int
    event: Event
    cause: int
    position: int
    scope: MScope
    branch: int
    recoveries: int


@attrs.define(eq=False)
class MEffect:
    kind: str
    digest: str
    event: Event | None = None
    settled: str | None = None
    answer: Any = None
    due: float | None = None


@attrs.define(eq=False)
class MDelivery:
    """``step`` is ``None`` for an event that is sent with a delay."""

    seq: int
    place: int
    step: StepPlan | None
    events: list[MEvent]
    scope: MScope
    branch: int
    recoveries: int
    gate: int = 0
    state: str = "queued"
    attempts: int = 0
    doom: str | None = None
    due: float | None = None
    timer: tuple[float, int] | None = None
    left: float | None = None
    waits_in: MEffect | None = None
    room_of: StepPlan | None = None
    resumed: bool = False
    effects: list[MEffect] = attrs.field(factory=list)
    cursor: int = 0
    opened: MScope | None = None
    has_left: bool = False

    @property
    def is_its_own_master(self) -> bool:
        """Whether a copy of it would take another course.

        It waits at a yield for room, which a later attempt does not do again; or it left a wait,
        which a later attempt waits in; or its time is up.
        """
        waits_for_room = self.waits_in is not None and self.waits_in.kind == "yield"
        return waits_for_room or self.has_left or self.doom == "timeout"

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(label(event.event) for event in self.events)

    @property
    def name(self) -> str:
        return self.step.name if self.step is not None else ""


@attrs.define(eq=False)
class MRequest:
    event: InputRequestEvent
    scope: MScope
    branch: int
    recoveries: int
    delivery: MDelivery | None = None
    effect: MEffect | None = None


@attrs.define(eq=False)
class MJoined:
    seq: int
    step: StepPlan
    scope: MScope
    branch: int
    side: int
    event: MEvent

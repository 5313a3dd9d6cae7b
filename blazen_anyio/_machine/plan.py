"""The plan: what the machine has to know of a workflow, as plain frozen data.

The graph module builds it from the steps and has checked it; the machine trusts it. It names no
function, no clock and no task: only types, limits, and which gather steps close which fan-outs.
"""

from __future__ import annotations

from enum import Enum, unique

import attrs

from .._events import (
    CONTROL_EVENTS,
    DynamicEvent,
    Event,
    InputRequestEvent,
    StepFailed,
    StopEvent,
)

__all__ = ["Mode", "Plan", "Route", "StepPlan", "matches"]


@unique
class Mode(Enum):
    """How a step takes its events."""

    EACH = "each"  # one event per invocation
    GATHER = "gather"  # list[Done]: all of a fan-out scope, when it has drained
    BATCH = "batch"  # Annotated[list[Done], Batch(n)]: every n, in order of arrival
    PAIR = "pair"  # (a: A, b: B): first in, first out within one branch


def matches(kind: type[Event], accepted: type[Event]) -> bool:
    """Say whether who accepts ``accepted`` takes an event of class ``kind``.

    ``Event`` itself stands for every event of the user's; control events must be named.
    """
    return issubclass(kind, accepted) and not (
        accepted is Event and issubclass(kind, CONTROL_EVENTS)
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class StepPlan:
    """One step, as the machine sees it.

    Attributes:
        index: the position in the workflow's list, which is the order of dispatch.
        name: unique in the workflow.
        accepts: event classes. For ``GATHER`` and ``BATCH`` the classes of the elements; for
            ``PAIR`` exactly two, in the order of the parameters.
        dynamic: event type names (of :class:`DynamicEvent`) that it accepts besides.
        mode: how it takes its events.
        max_concurrency: how many invocations may run at once; ``None`` for no limit.
        max_pending: how many deliveries may wait for it; ``None`` for no limit.
        timeout: seconds an attempt may run; ``None`` for no limit.
        for_steps: for a step that accepts ``StepFailed``: whose failures; ``None`` for everybody's.
        waits: event classes that it may wait for inside.
        generates: whether it is a generator, which emits as it goes.
        gathers: indexes of the gather steps bound to this step. If there are any, what it fans out
            opens a scope.
        count: ``GATHER``: fire at this many and cancel the rest of the scope; ``None`` for all.
        size: ``BATCH``: how many make a batch.
        max_recoveries: for an error step: how often the failures of one line of causes may be
            routed to it; ``None`` for the workflow's bound.
        at_most_once: an attempt that was begun and did not end is never repeated.
    """

    index: int
    name: str
    accepts: tuple[type[Event], ...]
    dynamic: frozenset[str] = frozenset()
    mode: Mode = Mode.EACH
    max_concurrency: int | None = None
    max_pending: int | None = None
    timeout: float | None = None
    for_steps: frozenset[str] | None = None
    waits: tuple[type[Event], ...] = ()
    generates: bool = False
    gathers: tuple[int, ...] = ()
    count: int | None = None
    size: int = 0
    max_recoveries: int | None = None
    at_most_once: bool = False

    def takes(self, kind: type[Event], name: str) -> bool:
        """Say whether an event of class ``kind`` and type name ``name`` is for this step."""
        if kind is DynamicEvent and name in self.dynamic:
            return True
        return any(matches(kind, accepted) for accepted in self.accepts)

    @property
    def joins(self) -> bool:
        """Whether an invocation takes several events."""
        return self.mode is not Mode.EACH

    @property
    def is_handler(self) -> bool:
        """Whether the step handles failures; its own are never routed to an error step."""
        return any(issubclass(accepted, StepFailed) for accepted in self.accepts)


@attrs.frozen(eq=False, repr=False)
class Route:
    """Where events of one type go.

    Attributes:
        steps: the accepting steps in the order of the workflow's list.
        straight: the one step that an event goes to by itself, if nothing else can follow from it;
            the common case, decided once instead of per event.
        gathered: the one gather of all that an event goes to, likewise.
        anywhere: some step takes it in any scope, whichever it is; what only gathers accept needs a
            fan-out, and a failure may be of a step that no error step is for.
        stop: the event ends the run.
        awaited: some step may wait for it inside (``waits``).
    """

    steps: tuple[StepPlan, ...]
    straight: StepPlan | None
    gathered: StepPlan | None
    anywhere: bool
    stop: bool
    awaited: bool


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Plan:
    """A whole workflow, as the machine sees it.

    Attributes:
        name: the workflow's.
        steps: in the order of the workflow's list.
        timeout: seconds a run may be active; ``None`` for no limit.
        max_concurrency: how many invocations of the run may run at once.
        external: event classes that may come from outside while the run idles.
        ignore_unhandled: whether an event that nobody accepts is dropped instead of failing the
            run.
        max_recoveries: how many failures in one line of causes error steps may handle.
        max_deliveries: how often an event may be handed to a step in processes that died; ``None``
            for no limit.
    """

    name: str
    steps: tuple[StepPlan, ...]
    timeout: float | None = None
    max_concurrency: int | None = None
    external: tuple[type[Event], ...] = ()
    ignore_unhandled: bool = False
    max_recoveries: int = 100
    max_deliveries: int | None = 10
    routes: dict[type[Event] | str, Route] = attrs.field(
        factory=dict[type[Event] | str, Route], init=False, repr=False
    )

    def route(self, event: Event) -> Route:
        """Find where ``event`` goes. Worked out once per type and kept."""
        kind = type(event)
        key: type[Event] | str = kind if kind is not DynamicEvent else event.event_type
        found = self.routes.get(key)
        if found is None:
            found = self.routes[key] = self._find_route(kind, event.event_type)
        return found

    def _find_route(self, kind: type[Event], name: str) -> Route:
        steps = tuple(step for step in self.steps if step.takes(kind, name))
        awaited = any(issubclass(kind, waited) for step in self.steps for waited in step.waits)
        stop = issubclass(kind, StopEvent)
        anywhere = (
            stop
            or awaited
            or issubclass(kind, InputRequestEvent)
            or any(
                step.mode is not Mode.GATHER
                and (step.for_steps is None or not issubclass(kind, StepFailed))
                for step in steps
            )
        )
        only = steps[0] if len(steps) == 1 else None
        if awaited or issubclass(kind, CONTROL_EVENTS):
            only = None
        return Route(
            steps=steps,
            straight=only if only is not None and only.mode is Mode.EACH else None,
            gathered=only if only is not None and _gathers_all(only) else None,
            anywhere=anywhere,
            stop=stop,
            awaited=awaited,
        )

    def accepts(self, event: Event) -> bool:
        """Say whether an event from outside, and so of no fan-out, is accepted."""
        return self.ignore_unhandled or self.route(event).anywhere

    def step(self, name: str) -> StepPlan:
        """Find a step by its name.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


def _gathers_all(step: StepPlan) -> bool:
    """Whether the step is a gather that waits for all of a fan-out."""
    return step.mode is Mode.GATHER and step.count is None

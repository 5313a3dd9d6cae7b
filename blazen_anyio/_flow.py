"""Flow: where events may go, as far as the annotations tell.

Everything here is a *may*: a step that emits ``Base`` may emit any subclass of it, so its events
may come to a step that accepts ``Derived``. A step with a context and without ``emits=`` may send
anything; checks that would have to guess what leave it alone (:attr:`Step.sends_anything`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from ._annotations import describe
from ._events import (
    CONTROL_EVENTS,
    DynamicEvent,
    Event,
    InputRequestEvent,
    InputResponseEvent,
    StepFailed,
    StopEvent,
)
from ._options import EventKind
from ._step import Step

__all__ = ["Flow", "Hop", "accepted_by", "label", "may_be", "spread", "trail"]


@attrs.frozen(eq=False, repr=False)
class Hop:
    """One way to get to a step.

    Attributes:
        source: the index of the step that emits; ``None`` from outside.
        kind: what it emits.
        target: the index of the step that takes it.
    """

    source: int | None
    kind: EventKind
    target: int


def may_be(kind: type[Event], accepted: type[Event]) -> bool:
    """Say whether an event that is declared as ``kind`` may come to who accepts ``accepted``."""
    if issubclass(kind, accepted):
        return accepted is not Event or not issubclass(kind, CONTROL_EVENTS)
    if issubclass(accepted, CONTROL_EVENTS) and not issubclass(kind, CONTROL_EVENTS):
        return False
    return issubclass(accepted, kind)


def label(kind: EventKind) -> str:
    """Write an event type for people."""
    return kind if isinstance(kind, str) else describe(kind)


def accepted_by(step: Step) -> str:
    """Write what a step accepts for people."""
    return " | ".join((*map(describe, step.accepts), *sorted(step.dynamic)))


class Flow:
    """The steps of a workflow and where their events may go.

    Args:
        steps: in the order of the workflow's list.
        stop: the stop event of the workflow.
        for_steps: for each error step that is not for everybody's failures: whose, by name.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        stop: type[StopEvent],
        for_steps: Mapping[int, frozenset[str]],
    ) -> None:
        self.steps = steps
        self.stop = stop
        self._takers: dict[EventKind, tuple[int, ...]] = {}
        self._after_singles: dict[int, tuple[Hop, ...]] = {}
        self._after_fan_out: dict[int, tuple[Hop, ...]] = {}
        self._handlers = [
            (index, for_steps.get(index)) for index, step in enumerate(steps) if step.is_handler
        ]

    def takers(self, kind: EventKind) -> tuple[int, ...]:
        """Find the steps that may take ``kind``. Worked out once per kind."""
        found = self._takers.get(kind)
        if found is None:
            found = self._takers[kind] = tuple(
                index for index, step in enumerate(self.steps) if _takes(step, kind)
            )
        return found

    def may_stop(self, kind: EventKind) -> bool:
        """Say whether an event of ``kind`` may end the run."""
        return not isinstance(kind, str) and (
            issubclass(kind, StopEvent) or issubclass(self.stop, kind)
        )

    def emitted(self, index: int) -> tuple[EventKind, ...]:
        """All that a step emits."""
        step = self.steps[index]
        return (*step.emits, *step.emits_dynamic, *(step.fans_out or ()))

    def hops(self, kinds: Iterable[EventKind], source: int | None = None) -> Iterator[Hop]:
        """Yield where events of ``kinds`` may go; a question leads to who takes the answer."""
        for kind in kinds:
            for target in self.takers(kind):
                yield Hop(source, kind, target)
            if not isinstance(kind, str) and issubclass(kind, InputRequestEvent):
                for target in self.takers(InputResponseEvent):
                    yield Hop(source, InputResponseEvent, target)

    def after(self, index: int) -> tuple[Hop, ...]:
        """All that may directly follow a step."""
        return self.after_singles(index) + self.after_fan_out(index)

    def after_singles(self, index: int) -> tuple[Hop, ...]:
        """What may follow from what a step emits other than by fanning out, or from its failure."""
        found = self._after_singles.get(index)
        if found is None:
            step = self.steps[index]
            hops = self.hops((*step.emits, *step.emits_dynamic), index)
            found = self._after_singles[index] = (*hops, *self.failures(index))
        return found

    def after_fan_out(self, index: int) -> tuple[Hop, ...]:
        """What may follow from what a step fans out."""
        found = self._after_fan_out.get(index)
        if found is None:
            hops = self.hops(self.steps[index].fans_out or (), index)
            found = self._after_fan_out[index] = tuple(hops)
        return found

    def failures(self, index: int) -> Iterator[Hop]:
        """Yield the error steps that a failure of a step goes to."""
        step = self.steps[index]
        if step.is_handler:
            return
        for handler, names in self._handlers:
            if names is None or step.name in names:
                yield Hop(index, StepFailed, handler)


def _takes(step: Step, kind: EventKind) -> bool:
    if isinstance(kind, str):
        return kind in step.dynamic or any(
            issubclass(DynamicEvent, accepted) for accepted in step.accepts
        )
    if step.dynamic and may_be(kind, DynamicEvent):
        return True
    return any(may_be(kind, accepted) for accepted in step.accepts)


def spread(first: Iterable[Hop], after: Callable[[int], Iterable[Hop]]) -> dict[int, Hop]:
    """Follow hops as far as they go, nearest first; return the first way to each step."""
    reached: dict[int, Hop] = {}
    waiting = deque(first)
    while waiting:
        hop = waiting.popleft()
        if hop.target not in reached:
            reached[hop.target] = hop
            waiting.extend(after(hop.target))
    return reached


def trail(flow: Flow, reached: Mapping[int, Hop], last: Hop, root: int | None = None) -> str:
    """Write the way that ends with ``last``, as in ``StartEvent -> split -> Work -> work``.

    Args:
        flow: the steps.
        reached: what :func:`spread` found.
        last: the end of the way.
        root: the index of the step where the way begins; ``None`` for outside.
    """
    parts = [flow.steps[last.target].name]
    hop = last
    while True:
        parts.append(label(hop.kind))
        if hop.source is None:
            break
        parts.append(flow.steps[hop.source].name)
        if hop.source == root:
            break
        hop = reached[hop.source]
    return " -> ".join(reversed(parts))

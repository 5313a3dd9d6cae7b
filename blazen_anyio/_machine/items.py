"""Items: what of a fan-out nobody has looked at yet.

A fan-out of a hundred thousand events would make as many records and deliveries in one go, hold the
event loop meanwhile and keep all of them in memory. Instead its items stay a queue of events that
have their numbers and their places in the run already; each becomes a record and a delivery when it
is next. Whoever looks, dispatch, a snapshot or a store, sees what would be there if they had been
made at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal

from .._events import Event
from .live import Delivery, Record, Scope
from .plan import StepPlan
from .records import Put

__all__ = ["Items"]


class Items:
    """Events of a fan-out that go to one step, each by itself.

    A member of its scope, and one entry in the queues of dispatch, until its last event is made a
    delivery.

    Args:
        step: who handles them.
        events: the events.
        first: the record of the first of them; the others follow it in number and position.
        branches: whether each is a branch of its own.

    Attributes:
        phase: never ``"ready"``: dispatch has to make a delivery of it.
        scope: the scope that they belong to.
    """

    __slots__ = ("_branches", "_events", "_first", "_made", "phase", "scope", "step")

    def __init__(
        self, step: StepPlan, events: Iterable[Event], first: Record, *, branches: bool
    ) -> None:
        self.step = step
        self.scope: Scope = first.scope
        self.phase: Literal["items"] = "items"
        self._events = deque(events)
        self._first = first
        self._branches = branches
        self._made = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries that will be made, none of which becomes the run's."""
        for ahead, event in enumerate(self._events, self._made):
            yield self._make(event, ahead)

    @property
    def order(self) -> int:
        """The place of the next one in the queue."""
        return self._first.id + 2 * self._made + 1

    def next(self) -> Delivery:
        """Make the next delivery, in its scope."""
        delivery = self._make(self._events.popleft(), self._made)
        self._made += 1
        self.scope.members[delivery] = None
        if not self._events:
            del self.scope.members[self]
        return delivery

    def copy(self) -> Items:
        """What is left of them now, to be written down while they are being handled."""
        left = Items(self.step, self._events, self._first, branches=self._branches)
        left._made = self._made
        return left

    def rows(self) -> Iterator[Put]:
        """The rows of those that are left."""
        for delivery in self:
            for record in delivery.records:
                yield "events", record.id, record.row()
            yield "deliveries", delivery.id, delivery.row()

    def clear(self) -> int:
        """Forget what is left; say how many that is."""
        left = len(self._events)
        self._events.clear()
        return left

    def _make(self, event: Event, ahead: int) -> Delivery:
        first = self._first
        number, scope, recoveries = first.id + 2 * ahead, first.scope, first.recoveries
        branch = first.branch + ahead if self._branches else first.branch
        position = first.position + ahead
        record = Record(number, event, first.cause, position, scope, branch, recoveries)
        record.holders = 1
        return Delivery(number + 1, self.step, (record,), scope, branch, recoveries)

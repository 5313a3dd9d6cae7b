"""Items: what is queued that nobody has looked at yet.

A fan-out of a hundred thousand events would make as many records and deliveries in one go, hold the
event loop meanwhile and keep all of them in memory. Instead its items stay a queue of events that
have their numbers and their places in the run already; each becomes a record and a delivery when it
is next. Whoever looks, dispatch, a snapshot or a store, sees what would be there if they had been
made at once. So it is with most of a queue that is restored; see ``restored``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Literal, Protocol

from .._events import Event
from .live import Delivery, Record, Scope
from .plan import StepPlan
from .records import Put

__all__ = ["FanOut", "Items"]


class Maker(Protocol):
    """Makes the deliveries of items, by how many have been made before."""

    def make(self, event: Event, before: int) -> Delivery:
        """Make the delivery of an event, and its record."""
        ...

    def order(self, before: int) -> int:
        """The place of a delivery in the queue."""
        ...


class Items:
    """Events that go to one step, each by itself.

    A member of their scope, and one entry in the queues of dispatch, until the last event is made a
    delivery.

    Args:
        step: who handles them.
        scope: the scope that they belong to.
        events: the events.
        maker: makes their deliveries.
        made: how many it has made before.

    Attributes:
        phase: never ``"ready"``: dispatch has to make a delivery of it.
    """

    __slots__ = ("_events", "_made", "_maker", "phase", "scope", "step")

    def __init__(
        self, step: StepPlan, scope: Scope, events: Iterable[Event], maker: Maker, made: int = 0
    ) -> None:
        self.step = step
        self.scope = scope
        self.phase: Literal["items"] = "items"
        self._events = deque(events)
        self._maker = maker
        self._made = made

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries that will be made, none of which becomes the run's."""
        return map(self._maker.make, self._events, count(self._made))

    @property
    def order(self) -> int:
        """The place of the next one in the queue."""
        return self._maker.order(self._made)

    def next(self) -> Delivery:
        """Make the next delivery, in its scope."""
        delivery = self._maker.make(self._events.popleft(), self._made)
        self._made += 1
        self.scope.members[delivery] = None
        if not self._events:
            del self.scope.members[self]
        return delivery

    def copy(self) -> Items:
        """What is left of them now, to be written down while they are being handled."""
        return Items(self.step, self.scope, self._events, self._maker, self._made)

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


class FanOut:
    """Makes the deliveries of a fan-out's events that go to one step.

    Args:
        step: who handles them.
        first: the record of the first of them; the others follow it in number and position.
        branches: whether each is a branch of its own.
    """

    __slots__ = ("_branches", "_first", "_step")

    def __init__(self, step: StepPlan, first: Record, *, branches: bool) -> None:
        self._step = step
        self._first = first
        self._branches = branches

    def order(self, before: int) -> int:
        return self._first.id + 2 * before + 1

    def make(self, event: Event, before: int) -> Delivery:
        first = self._first
        number, scope, recoveries = first.id + 2 * before, first.scope, first.recoveries
        branch = first.branch + before if self._branches else first.branch
        position = first.position + before
        record = Record(number, event, first.cause, position, scope, branch, recoveries)
        record.holders = 1
        return Delivery(number + 1, self._step, (record,), scope, branch, recoveries)

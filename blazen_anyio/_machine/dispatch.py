"""Dispatch: which delivery is handled next. First come, first served, within the limits.

One queue holds the deliveries in the order of their commits. A delivery whose step is full moves to
that step's own queue, so that it never blocks another step; when the step frees a slot, its oldest
goes ahead of everything that has not been looked at yet (a small heap, oldest first). Each delivery
is looked at twice at most, which keeps dispatch linear. Work is conserved: :meth:`Dispatch.take`
returns ``None`` only if nothing may run now. Items, of a fan-out or restored, are one entry, which
stays in its place until each of them was the next.
"""

from __future__ import annotations

import heapq
from collections import deque

from .items import Items
from .live import Delivery, Effect
from .plan import Plan, StepPlan

__all__ = ["Dispatch", "StepState"]


class StepState:
    """One step's queue and counts within a run.

    Attributes:
        running: attempts that hold a slot.
        pending: deliveries that wait for the step (queued or behind its limit).
        full: a heap of deliveries that were next but found no slot, by their order.
        done, failed, retried: invocations handled, invocations failed for good, attempts repeated.
        wants_room: generators that wait until the step has room for one more pending delivery.
    """

    __slots__ = (
        "done",
        "failed",
        "full",
        "limit",
        "pending",
        "plan",
        "retried",
        "running",
        "wants_room",
    )

    def __init__(self, plan: StepPlan) -> None:
        self.plan = plan
        self.limit = plan.max_concurrency
        self.running = 0
        self.pending = 0
        self.full: list[tuple[int, Delivery | Items]] = []
        self.done = 0
        self.failed = 0
        self.retried = 0
        self.wants_room: list[tuple[Delivery, Effect]] = []

    def block(self, waiting: Delivery | Items) -> None:
        """Let a delivery wait for a slot, in the order of the queue."""
        heapq.heappush(self.full, (waiting.order, waiting))


class Dispatch:
    """The queues of a run."""

    __slots__ = ("_freed", "_handed_out", "_limit", "_ready", "_reserved", "running", "steps")

    def __init__(self, plan: Plan) -> None:
        self.steps = [StepState(step) for step in plan.steps]
        self.running = 0
        self._limit = plan.max_concurrency
        self._ready: deque[Delivery | Items] = deque()
        self._freed: list[tuple[int, Delivery]] = []
        self._reserved: dict[Delivery, int] = {}
        self._handed_out: deque[Delivery] = deque()

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery behind all others."""
        if delivery.phase != "held":
            self.steps[delivery.step.index].pending += 1
        delivery.phase = "ready"
        self._ready.append(delivery)

    def expect(self, items: Items) -> None:
        """Count items as pending, before they are queued."""
        self.steps[items.step.index].pending += len(items)

    def add_items(self, items: Items) -> None:
        """Queue items behind all others."""
        self._ready.append(items)

    def drop_items(self, items: Items) -> int:
        """Take items out of the run; say how many. The queues skip what is left of them."""
        dropped = items.clear()
        self.steps[items.step.index].pending -= dropped
        return dropped

    def hold(self, delivery: Delivery) -> None:
        """Count a delivery as pending that may not be queued before its commit is durable."""
        delivery.phase = "held"
        self.steps[delivery.step.index].pending += 1

    def put_back(self, delivery: Delivery) -> None:
        """Queue a delivery in its old place: it was taken before and is not handled yet."""
        delivery.phase = "ready"
        self.steps[delivery.step.index].pending += 1
        heapq.heappush(self._freed, (delivery.order, delivery))

    def put_first(self, delivery: Delivery) -> None:
        """Queue a held delivery in its old place: it was next before it was held."""
        delivery.phase = "ready"
        heapq.heappush(self._freed, (delivery.order, delivery))

    def reserve(self, delivery: Delivery, number: int) -> None:
        """Let one that was taken keep its slot, and be next after :meth:`hand_out`."""
        delivery.phase = "held"
        self._reserved[delivery] = number

    def hand_out(self, delivery: Delivery, number: int) -> None:
        """What has a slot under this number is the next to be taken."""
        if self._reserved.get(delivery) == number:
            self._handed_out.append(delivery)

    def take_back(self) -> list[Delivery]:
        """Queue what has a slot and was not taken again, in its old place; return it."""
        taken, self._reserved = list(self._reserved), {}
        self._handed_out.clear()
        for delivery in taken:
            self.free(delivery.step)
            self.put_back(delivery)
        return taken

    def has_backlog(self) -> bool:
        """Say whether :meth:`take` has anything to look at.

        True also when all of it will turn out to be dropped or behind a step's limit.
        """
        if self._handed_out:
            return True
        if self._limit is not None and self.running >= self._limit:
            return False
        return bool(self._ready or self._freed)

    def take(self) -> Delivery | None:
        """Take the next delivery that may run; it then holds a slot until :meth:`free`."""
        while self._handed_out:
            delivery = self._handed_out.popleft()
            if self._reserved.pop(delivery, None) is not None:
                delivery.phase = "running"
                return delivery
        if self._limit is not None and self.running >= self._limit:
            return None
        while self._freed or self._ready:
            queued = heapq.heappop(self._freed)[1] if self._freed else self._ready.popleft()
            step = self.steps[queued.step.index]
            if step.limit is not None and step.running >= step.limit:
                step.block(queued)
                continue
            found = queued if queued.phase == "ready" else self._look_at(queued, step)
            if found is not None:
                step.pending -= 1
                step.running += 1
                self.running += 1
                found.phase = "running"
                return found
        return None

    def _look_at(self, queued: Delivery | Items, step: StepState) -> Delivery | None:
        """Find what is next where something else is queued than a delivery that may run."""
        if isinstance(queued, Items):
            delivery = queued.next() if queued else None
            if queued:
                self._ready.appendleft(queued)
            return delivery
        if step.full:
            self._free_next(step)  # it was next for a slot and was dropped
        return None

    def drop(self, delivery: Delivery) -> None:
        """Take a pending delivery out of the run. The queues skip it when they come to it."""
        delivery.phase = "gone"
        if self._reserved.pop(delivery, None) is not None:
            self.free(delivery.step)
        else:
            self.steps[delivery.step.index].pending -= 1

    def free(self, step: StepPlan) -> None:
        """Give back a slot of ``step``; its oldest delivery that waits for one is next."""
        self.running -= 1
        state = self.steps[step.index]
        state.running -= 1
        if state.full:
            self._free_next(state)

    def _free_next(self, step: StepState) -> None:
        while step.full:
            order, oldest = heapq.heappop(step.full)
            if oldest.phase == "ready":
                heapq.heappush(self._freed, (order, oldest))
                return
            if isinstance(oldest, Items) and oldest:
                heapq.heappush(self._freed, (order, oldest.next()))
                if oldest:
                    step.block(oldest)
                return

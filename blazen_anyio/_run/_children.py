"""Children: runs inside a step of another run.

A child is driven in the task of the step that asked for it, so it is cancelled with it and has
finished when the step goes on. What it shows goes to the streams of the outermost run, its requests
to that run's handle, and its snapshot into that run's snapshot: only the outermost run is
suspended. A later delivery of the step goes on with its n-th child; a later attempt runs its
children anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from .._events import Event, InputRequestEvent
from .._exceptions import RequestProblem
from .._machine import Child, Delivery
from ._streams import Broadcast

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Children", "Forwarding"]

_CLOSED_REQUESTS_KEPT = 1000


class Forwarding:
    """Stands for the streams of a child: shows everything on those of the run around it.

    Args:
        outer: the streams of the run around, or what stands for them.
        run_id: the child's run id, which leads the path of what it shows.
    """

    def __init__(self, outer: Broadcast | Forwarding, run_id: str) -> None:
        self._outer = outer
        self._run_id = run_id

    @property
    def congested(self) -> int:
        """How many subscribers of the outermost run hold dispatch up."""
        return self._outer.congested

    @property
    def wants_lifecycle(self) -> bool:
        """Whether anybody watches facts."""
        return self._outer.wants_lifecycle

    def publish(self, event: Event, path: tuple[str, ...] = ()) -> None:
        """Show an event with the path of the run that it comes from."""
        self._outer.publish(event, (self._run_id, *path))

    def publish_fact(self, event: Event, path: tuple[str, ...] = ()) -> None:
        """Show a fact with the path of the run that it comes from."""
        self._outer.publish_fact(event, (self._run_id, *path))

    def close(self) -> None:
        """The child has ended; the streams go on."""


@attrs.define(eq=False, repr=False)
class _Siblings:
    """The child runs that one attempt is running, and those of them that wait for the outside."""

    running: set[Runner]
    resting: set[Runner]


class Children:
    """The child runs of a run.

    A child is *dormant* if it came with a snapshot and its step has not got to it again. What is
    asked in it is open all the same, and an answer is kept until the child can take it.

    Attributes:
        renames: old to new names, for the snapshots of dormant children.
    """

    def __init__(self, owner: Runner) -> None:
        self._owner = owner
        self._running: dict[Runner, tuple[Delivery, Child]] = {}
        self._siblings: dict[Delivery, _Siblings] = {}
        self._restored = owner.machine.children
        self._closed: dict[str, RequestProblem] = {}
        self.renames: Mapping[str, str] = {}

    def __iter__(self) -> Iterator[Runner]:
        return iter(list(self._running))

    def delivery_of(self, child: Runner) -> Delivery:
        """The delivery whose step runs a child that has not ended."""
        return self._running[child][0]

    # ---- running -------------------------------------------------------------------------------

    async def drive(self, child: Runner, record: Child, delivery: Delivery) -> None:
        """Run a child to its end, inside the step that handles ``delivery``."""
        record.save, record.asks = child.save, child.requests.kept
        self._running[child] = delivery, record
        self._siblings.setdefault(delivery, _Siblings(set(), set())).running.add(child)
        self.settle(delivery)
        try:
            if self._owner.machine.paused:
                child.pause()
            for request_id in list(record.answers):
                child.requests.respond(request_id, record.answers.pop(request_id))
            await child.drive()
        finally:
            self._ended(child)

    def _ended(self, child: Runner) -> None:
        delivery, _ = self._running.pop(child)
        siblings = self._siblings[delivery]
        siblings.running.discard(child)
        siblings.resting.discard(child)
        self.settle(delivery)
        if not siblings.running:
            del self._siblings[delivery]
        for request_id, why in child.requests.closed():
            self._closed[request_id] = why
        while len(self._closed) > _CLOSED_REQUESTS_KEPT:
            del self._closed[next(iter(self._closed))]

    def stirred(self, child: Runner) -> None:
        """A child was told something: see whether it has completed, or waits for the outside."""
        delivery, record = self._running[child]
        stop = child.machine.stopped_by
        if stop is not None and not record.has_ended:
            # Even if that is not durable yet: nothing else of the child is left for a snapshot.
            write = partial(child.codec.encode_event, stop)
            self._owner.machine.inside.end_child(record, stop, write, self._owner.clock())
            self._owner.after_input()
        resting = self._siblings[delivery].resting
        if child.machine.at_rest != (child in resting):
            resting ^= {child}
            self.settle(delivery)

    def settle(self, delivery: Delivery) -> None:
        """An attempt does nothing while all its child runs wait for the outside; tell the run."""
        siblings = self._siblings.get(delivery)
        if siblings is not None:
            resting = 0 < len(siblings.running) == len(siblings.resting)
            self._owner.machine.inside.rest(delivery, resting, self._owner.clock())
            self._owner.after_input()

    # ---- requests ------------------------------------------------------------------------------

    def requests(self) -> list[InputRequestEvent]:
        """The open requests of all children, and of theirs."""
        found = [request for child in self for request in child.requests.open()]
        for record in self._dormant():
            found += _unanswered(record)
        return found

    def respond(self, request_id: str, response: Any) -> bool:
        """Answer a request of a child, if it is one."""
        for child in self:
            if any(each.request_id == request_id for each in child.requests.open()):
                child.requests.respond(request_id, response)
                return True
        for record in self._dormant():
            if any(each.request_id == request_id for each in _unanswered(record)):
                if self._owner.scribe is not None:
                    self._owner.codec.encode(response, f"the answer to {request_id}")
                now = self._owner.clock()
                self._owner.machine.inside.answer_child(record, request_id, response, now)
                self._owner.after_input()
                return True
        return False

    def why_closed(self, request_id: str) -> RequestProblem | None:
        """Why a request of a child is open no more; ``None`` if there was none."""
        if any(request_id in record.answers for record in self._dormant()):
            return "answered"
        for child in self:
            if (why := child.requests.why_closed(request_id)) is not None:
                return why
        return self._closed.get(request_id)

    def closed(self) -> Iterator[tuple[str, RequestProblem]]:
        """The requests of children that have ended, and why they are open no more."""
        yield from self._closed.items()

    def kept(self) -> list[InputRequestEvent]:
        """The open requests of all children that a snapshot holds, running or failed."""
        found: list[InputRequestEvent] = []
        for _, record in self._owner.machine.children:
            found += _unanswered(record) if record.asks is None else record.asks()
        return found

    def _dormant(self) -> list[Child]:
        """The dormant children; those whose attempt is over have gone with it."""
        self._restored = [
            (delivery, record)
            for delivery, record in self._restored
            if record.is_dormant
            and delivery.children is not None
            and record in delivery.children.runs
        ]
        return [record for _, record in self._restored]


def _unanswered(record: Child) -> list[InputRequestEvent]:
    if record.saved is None:
        return []
    from .._snapshot import requests_in  # nobody else pays for its imports

    return [each for each in requests_in(record.saved) if each.request_id not in record.answers]

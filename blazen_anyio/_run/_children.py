"""Children: runs inside a step of another run.

A child is driven in the task of the step that asked for it, so it is cancelled with it and has finished
when the step goes on. What it shows goes to the streams of the outermost run, its requests to that
run's handle, and its snapshot into that run's snapshot: only the outermost run is suspended. A later
delivery of the step goes on with its n-th child; a later attempt runs its children anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .._events import Event, InputRequestEvent
from .._machine import Delivery
from ._streams import Broadcast, EventStream, Overflow

if TYPE_CHECKING:
    from ._runner import Runner

__all__ = ["Children", "Forwarding"]


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

    def subscribe(
        self, *, buffer: int = 1024, overflow: Overflow = "error", lifecycle: bool = False
    ) -> EventStream:
        """Subscribe to the streams of the outermost run."""
        return self._outer.subscribe(buffer=buffer, overflow=overflow, lifecycle=lifecycle)

    def close(self) -> None:
        """The child has ended; the streams go on."""


class Children:
    """The child runs of a run that go on now."""

    def __init__(self, owner: Runner) -> None:
        self._owner = owner
        self._running: dict[Runner, Delivery] = {}
        self.responses: dict[str, Any] = {}
        """Answers given at a resume to requests of children that have not begun again."""

    def __iter__(self) -> Iterator[Runner]:
        return iter(list(self._running))

    async def drive(self, child: Runner, delivery: Delivery) -> None:
        """Run a child to its end, inside the step that handles ``delivery``."""
        owner = self._owner
        self._running[child] = delivery
        try:
            if owner.machine.paused:
                child.pause()
            self._answer(child)
            await child.drive()
        finally:
            del self._running[child]
            self.stirred(delivery)

    def stirred(self, delivery: Delivery) -> None:
        """See whether all child runs of an attempt now wait for somebody outside."""
        runs = [child for child, owner in self._running.items() if owner is delivery]
        resting = bool(runs) and all(child.machine.at_rest for child in runs)
        self._owner.machine.rest(delivery, resting, self._owner.clock())
        self._owner.after_input()

    def stirred_by(self, child: Runner) -> None:
        """A child has been told something."""
        if child in self._running:
            self.stirred(self._running[child])

    def requests(self) -> list[InputRequestEvent]:
        """The open requests of all children, and of theirs."""
        return [request for child in self for request in child.requests.open()]

    def asked(self, request_id: str) -> Runner | None:
        """The child, or child of a child, in which a request is open."""
        for child in self:
            if any(each.request_id == request_id for each in child.requests.open()):
                return child
        return None

    def _answer(self, child: Runner) -> None:
        """Give a child that goes on the answers that came with the resume."""
        for request in child.machine.requests:
            if request.request_id in self.responses:
                response = self.responses.pop(request.request_id)
                child.requests.respond(request.request_id, response)
        child.children.responses.update(self.responses)

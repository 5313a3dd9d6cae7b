"""The driver: what stands for the runner where a run is driven by hand.

It keeps the attempts that are open, and carries out what the machine wants, at once: everything
that may run is handed out, what the engine cancels ends as a well-behaved step would, and an event
that somebody waits for is offered to them. It starts no task and calls no step body.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from .._events import Event
from .._exceptions import StepTimeoutError
from .._launch import Launcher
from .._machine import Cancel, Delivery, Effect, Machine, Offer, Order, RawFact, Record

__all__ = ["Driver", "Invocation"]


@attrs.frozen(eq=False)
class Invocation:
    """One attempt of a step, as you are to make it.

    Attributes:
        step: the name of the step.
        event: what it is called with; a list for a step that gathers or pairs.
        attempt: which attempt, counted from 1.
    """

    step: str
    event: Any
    attempt: int
    _delivery: Delivery = attrs.field(repr=False)
    _inside: Inside = attrs.field(repr=False)

    @property
    def id(self) -> int:
        """The same on every attempt, and no other invocation's in the run."""
        return self._delivery.id

    @property
    def effects(self) -> int:
        """How many early effects (yields, immediate sends, waits, requests) it has had."""
        return self._delivery.cursor

    @property
    def received(self) -> Any:
        """What its last wait or request has brought it, once it is ready again.

        Raises:
            TimeoutError: nothing came in time.
            LookupError: it has not waited, or waits still.
        """
        effect = self._inside.effect
        if effect is None or effect.settled is None:
            raise LookupError(f"step {self.step!r} has not received anything")
        if effect.settled == "timed_out":
            raise TimeoutError("nothing came in time")
        return effect.answer


@attrs.define
class Inside:
    """What an attempt waits for inside.

    Attributes:
        effect: its last wait or request.
        kind: the class of the event that it waits for; ``None`` if it waits for none.
        where: what else has to be true of the event.
    """

    effect: Effect | None = None
    kind: type[Event] | None = None
    where: Callable[[Any], bool] | None = None

    def fits(self, record: Record) -> bool:
        """Whether an event is what the attempt waits for."""
        if self.kind is None or not record.mailbox or not isinstance(record.event, self.kind):
            return False
        return self.where is None or self.where(record.event)


class Driver:
    """Stands for the runner of one run.

    Args:
        launcher: of the workflow.
        machine: of the run.
        random: numbers for the jitter of retries.
        now: the virtual time to begin with, in seconds.

    Attributes:
        launcher, machine, random: as above.
        now: the virtual time.
        facts: what happened, oldest first.
        open: the attempts that have been handed out and have not ended, oldest first.
    """

    def __init__(
        self, launcher: Launcher, machine: Machine, random: Callable[[], float], now: float
    ) -> None:
        self.launcher = launcher
        self.machine = machine
        self.random = random
        self.now = now
        self.facts: list[RawFact] = []
        self.open: dict[Delivery, Invocation] = {}
        machine.tell(self.facts.append)

    def delivery_of(self, invocation: Invocation) -> Delivery:
        """The delivery of an attempt that has not ended.

        Raises:
            LookupError: it has ended.
        """
        if self.open.get(invocation._delivery) is not invocation:
            raise LookupError(f"this attempt of step {invocation.step!r} is over")
        return invocation._delivery

    def fail(self, delivery: Delivery, error: BaseException) -> None:
        """Report that an attempt has failed, with what the step's retry policy says to that."""
        retry = self.launcher.bodies[delivery.step.index].retry
        wait = None
        if retry is not None:
            first = delivery.started if delivery.first_tried is None else delivery.first_tried
            wait = retry.delay(delivery.attempts + 1, self.now - first, error, self.random())
        self.machine.handling.failed(delivery, error, wait, self.now)

    def follow(self) -> None:
        """Carry out what the machine wants, and hand out all that may run."""
        machine, goes_on = self.machine, True
        while goes_on:
            while machine.orders:
                self._carry_out(machine.orders.popleft())
            delivery = machine.handling.take(self.now)
            if delivery is not None and not delivery.resumes:
                self._hand_out(delivery)
            goes_on = delivery is not None or bool(machine.orders)
        if machine.outcome is not None:
            for left in list(self.open):
                del self.open[left]
                machine.handling.released(left, self.now)

    def _carry_out(self, order: Order) -> None:
        if isinstance(order, Cancel):
            self._cancel(order.delivery)
        elif isinstance(order, Offer):
            self._offer(order.record)
            self.machine.inside.judged(self.now)

    def _hand_out(self, delivery: Delivery) -> None:
        name, attempt = delivery.step.name, delivery.attempts + 1
        self.open[delivery] = Invocation(name, delivery.events, attempt, delivery, Inside())

    def _cancel(self, delivery: Delivery) -> None:
        """An attempt is cancelled, and ends at once."""
        del self.open[delivery]
        if delivery.doom == "timeout":
            timeout = delivery.step.timeout
            assert timeout is not None, "only an attempt with a time limit runs out of it"
            self.fail(delivery, StepTimeoutError(delivery.step.name, delivery.events, timeout))
        else:
            self.machine.handling.released(delivery, self.now)

    def _offer(self, record: Record) -> None:
        """Let the waiting attempts judge an event, first come, first served."""
        for delivery, _ in self.machine.inside.waits():
            if self.open[delivery]._inside.fits(record):
                self.machine.inside.claim(delivery, record, self.now)
                return

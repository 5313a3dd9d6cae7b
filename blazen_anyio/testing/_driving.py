"""Driving by hand: a run in a plain synchronous test, with no event loop and no step body.

You are the steps: look at what is ready, complete it with what the step would return, and see what
follows. Everything that may run is handed out at once; what the engine cancels ends as a
well-behaved step would, at once. The rules are the engine's own, and so are the snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from .._events import Event, InputRequestEvent
from .._exceptions import NoHandlerError, StepTimeoutError
from .._machine import (
    Cancel,
    Delivery,
    Effect,
    Machine,
    Offer,
    Order,
    Outcome,
    Outputs,
    RawFact,
    Record,
)
from .._numbers import check_seconds
from .._run._outcomes import result_of
from .._snapshot import Snapshot
from .._workflow import Workflow
from ._production import Start, first_event
from ._transcript import SimulatedFact

__all__ = ["DrivenRun", "Invocation", "drive"]

E = TypeVar("E", bound=Event)


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
    _inside: _Inside = attrs.field(repr=False)

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
class _Inside:
    """What an attempt is doing inside."""

    effect: Effect | None = None
    kind: type[Event] | None = None
    where: Callable[[Any], bool] | None = None


Which = Invocation | str
"""An invocation, or the name of a step for its oldest one."""


def drive(
    workflow: Workflow[Any],
    start: Start = None,
    *,
    run_id: str = "driven",
    random: Callable[[], float] = lambda: 1.0,
) -> DrivenRun:
    """Begin a run of ``workflow`` to be driven by hand.

    Args:
        workflow: the workflow; none of its step bodies is called.
        start: what starts the run.
        run_id: its id.
        random: numbers for the jitter of retries; by default each wait has its full length.

    Raises:
        TypeError: ``start`` does not fit the workflow.
        NoHandlerError: no step accepts it.

    Example::

        run = drive(shop, Order(["tea", "bread"]))
        run.complete("split", [Item("tea"), Item("bread")])
        run.complete("price", Priced("tea", 3))
        run.fail("price", ConnectionError())
        run.advance(60)
        assert run.ready[0].attempt == 2
    """
    event = first_event(workflow, start)
    run = DrivenRun(workflow, Machine(workflow.graph.plan, run_id), random)
    run._begin(lambda machine: machine.start(event, 0.0))
    return run


class DrivenRun:
    """A run that you drive by hand; see :func:`drive`.

    Attributes:
        now: the virtual time, in seconds.
    """

    def __init__(
        self, workflow: Workflow[Any], machine: Machine, random: Callable[[], float]
    ) -> None:
        self._workflow = workflow
        self._launcher = workflow._launcher
        self._machine = machine
        self._random = random
        self._facts: list[RawFact] = []
        self._open: dict[Delivery, Invocation] = {}
        self.now = 0.0
        machine.publish = self._facts.append

    def __repr__(self) -> str:
        return f"<DrivenRun of {self._workflow.name!r}, {self.status}, at {self.now:g} s>"

    def _begin(self, first: Callable[[Machine], object]) -> None:
        first(self._machine)
        self._follow()

    # ---- what can be read ----------------------------------------------------------------------

    @property
    def ready(self) -> tuple[Invocation, ...]:
        """The attempts that are yours to make, oldest first; none that waits inside."""
        return tuple(
            invocation for delivery, invocation in self._open.items() if delivery.phase == "running"
        )

    @property
    def waiting(self) -> tuple[Invocation, ...]:
        """The attempts that wait inside, for an event, an answer, room or their slot."""
        return tuple(
            invocation for delivery, invocation in self._open.items() if delivery.phase != "running"
        )

    @property
    def requests(self) -> tuple[InputRequestEvent, ...]:
        """The open requests for input."""
        return tuple(self._machine.requests)

    @property
    def state(self) -> Mapping[str, Any]:
        """The committed state."""
        return dict(self._machine.state)

    @property
    def facts(self) -> tuple[SimulatedFact, ...]:
        """What happened, oldest first."""
        return tuple(SimulatedFact(*fact) for fact in self._facts)

    @property
    def status(self) -> str:
        """``"running"``, ``"paused"``, or how the run ended."""
        outcome = self._machine.outcome
        if outcome is not None:
            return outcome.kind
        return "paused" if self._machine.paused else "running"

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; ``None`` while it goes on."""
        return self._machine.outcome

    @property
    def result(self) -> Any:
        """What the run returned.

        Raises:
            LookupError: it has not completed.
        """
        outcome = self._machine.outcome
        if outcome is None or outcome.kind != "completed":
            raise LookupError(f"the run has no result: it is {self.status}")
        return result_of(outcome.event)

    @property
    def error(self) -> BaseException | None:
        """What failed the run, if anything has."""
        outcome = self._machine.outcome
        return None if outcome is None else outcome.error

    @property
    def next_deadline(self) -> float | None:
        """When something is due by itself; ``None`` if nothing is."""
        return self._machine.next_deadline

    def find(self, step: str) -> Invocation:
        """The oldest ready invocation of a step.

        Raises:
            LookupError: there is none.
        """
        for invocation in self.ready:
            if invocation.step == step:
                return invocation
        names = ", ".join(invocation.step for invocation in self.ready) or "nothing"
        raise LookupError(f"step {step!r} is not ready; {names} is; the run is {self.status}")

    # ---- being a step --------------------------------------------------------------------------

    def complete(
        self,
        which: Which,
        returns: Event | list[Event] | tuple[Event, ...] | None = None,
        *,
        sends: Sequence[Event | tuple[Event, float]] = (),
        fan_outs: Sequence[list[Event]] = (),
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """An attempt succeeds.

        Args:
            which: the invocation, or a step for its oldest ready one.
            returns: what the step returns.
            sends: what it has sent besides; a pair of an event and seconds for one with a delay.
            fan_outs: what it has fanned out with ``ctx.fan_out``.
            state: what it has written.

        Raises:
            LookupError: there is no such invocation.
        """
        delivery = self._take(which)
        pairs: list[tuple[Event | list[Event], float]] = []
        pairs += [each if isinstance(each, tuple) else (each, 0.0) for each in sends]
        pairs += [(list(events), 0.0) for events in fan_outs]
        outputs = None
        if pairs or state:
            outputs = Outputs(sends=pairs, writes=dict(state or {}))
        self._machine.succeeded(delivery, returns, outputs, self.now)
        self._follow()

    def fail(self, which: Which, error: BaseException) -> None:
        """An attempt raises; the step's retry policy says what follows.

        Raises:
            LookupError: there is no such invocation.
        """
        self._failed(self._take(which), error)
        self._follow()

    def emit(self, which: Which, event: Event, *, delay: float = 0) -> bool:
        """An attempt lets an event out early: a generator yields, another step sends at once.

        Returns:
            Whether there is room for more; if not, the generator waits at its ``yield``.
        """
        delivery = self._delivery(which)
        digest = self._launcher.codec.digest(event)
        room = True
        try:
            if delivery.step.generates:
                room = self._machine.give(delivery, event, digest, self.now)
            else:
                self._machine.send_early(delivery, event, digest, delay, self.now)
        finally:
            self._follow()
        return room

    def wait(
        self,
        which: Which,
        kind: type[E],
        *,
        where: Callable[[E], bool] | None = None,
        timeout: float | None = None,
    ) -> None:
        """An attempt waits for an event; when it is ready again, :attr:`Invocation.received` is it.

        Raises:
            LookupError: there is no such invocation.
        """
        delivery = self._delivery(which)
        inside = self._open[delivery]._inside
        inside.kind, inside.where = kind, where
        inside.effect = self._machine.wait(delivery, kind.event_type, timeout, self.now)
        self._follow()

    def ask(
        self, which: Which, prompt: str | InputRequestEvent, *, timeout: float | None = None
    ) -> None:
        """An attempt asks a human and waits; see :meth:`wait`."""
        delivery = self._delivery(which)
        request = prompt if isinstance(prompt, InputRequestEvent) else InputRequestEvent(prompt)
        inside = self._open[delivery]._inside
        inside.kind = None
        inside.effect = self._machine.ask(
            delivery, request, self._launcher.codec.digest(request), timeout, self.now
        )
        self._follow()

    # ---- being the outside ---------------------------------------------------------------------

    def send(self, event: Event) -> None:
        """Send an event from outside.

        Raises:
            NoHandlerError: no step accepts it; the run goes on.
        """
        if not self._machine.plan.accepts(event):
            raise NoHandlerError(event, None)
        self._machine.send(event, self.now)
        self._follow()

    def answer(self, response: Any, request: InputRequestEvent | str | None = None) -> None:
        """Answer a request, by default the oldest.

        Raises:
            UnknownRequestError: it is not open.
            LookupError: none is.
        """
        if request is None:
            if not self.requests:
                raise LookupError("no request is open")
            request = self.requests[0]
        request_id = request if isinstance(request, str) else request.request_id
        self._machine.respond(request_id, response, self.now)
        self._follow()

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that is due in it.

        Raises:
            ValueError: ``seconds`` is negative or not finite.
        """
        check_seconds("advance", seconds)
        end = self.now + seconds
        while (due := self._machine.next_deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self._machine.tick(self.now)
            self._follow()
        self.now = end

    def pause(self) -> None:
        """Stop dispatch."""
        self._machine.pause(self.now)
        self._follow()

    def resume(self) -> None:
        """Dispatch again."""
        self._machine.resume(self.now)
        self._follow()

    def cancel(self) -> None:
        """Cancel the run."""
        self._machine.cancel(self.now)
        self._follow()

    def close(self) -> None:
        """Nobody is there any more who could send or answer, as after the block of a handle."""
        self._machine.close(self.now)
        self._follow()

    def snapshot(self) -> Snapshot:
        """Write the run down as it is; what is in flight counts as not handled."""
        return Snapshot.of(
            self._machine.snapshot(self.now),
            run_id=self._machine.run_id,
            workflow=self._workflow.name,
            codec=self._launcher.codec,
            offset=0.0,
            requests=self._machine.requests,
        )

    def restored(self) -> DrivenRun:
        """Another run that goes on from the text of a snapshot of this one."""
        snapshot = Snapshot.from_json(self.snapshot().to_json())
        tables = snapshot.tables(
            self._launcher.codec,
            offset=0.0,
            renames={},
            steps=[body.name for body in self._launcher.bodies],
        )
        machine = Machine.restore(self._machine.plan, snapshot.run_id, tables, self.now)
        run = DrivenRun(self._workflow, machine, self._random)
        run.now = self.now
        run._begin(lambda restored: restored.go_on(self.now))
        return run

    # ---- inside --------------------------------------------------------------------------------

    def _delivery(self, which: Which) -> Delivery:
        invocation = self.find(which) if isinstance(which, str) else which
        if self._open.get(invocation._delivery) is not invocation:
            raise LookupError(f"this attempt of step {invocation.step!r} is over")
        return invocation._delivery

    def _take(self, which: Which) -> Delivery:
        delivery = self._delivery(which)
        del self._open[delivery]
        return delivery

    def _failed(self, delivery: Delivery, error: BaseException) -> None:
        retry = self._launcher.bodies[delivery.step.index].retry
        wait = None
        if retry is not None:
            first = delivery.started if delivery.first_tried is None else delivery.first_tried
            wait = retry.delay(delivery.attempts + 1, self.now - first, error, self._random())
        self._machine.failed(delivery, error, wait, self.now)

    def _follow(self) -> None:
        """Carry out what the machine wants, and take all that may run."""
        machine, goes_on = self._machine, True
        while goes_on:
            while machine.orders:
                self._carry_out(machine.orders.popleft())
            delivery = machine.take(self.now)
            if delivery is not None and not delivery.resumes:
                self._hand_out(delivery)
            goes_on = delivery is not None or bool(machine.orders)
        if machine.outcome is not None:
            for left in list(self._open):
                del self._open[left]
                machine.released(left, self.now)

    def _carry_out(self, order: Order) -> None:
        if isinstance(order, Cancel):
            self._end(order.delivery)
        elif isinstance(order, Offer):
            self._offer(order.record)
            self._machine.judged(self.now)

    def _hand_out(self, delivery: Delivery) -> None:
        events, attempt = delivery.events, delivery.attempts + 1
        self._open[delivery] = Invocation(delivery.step.name, events, attempt, delivery, _Inside())

    def _end(self, delivery: Delivery) -> None:
        """An attempt is cancelled, and ends at once."""
        del self._open[delivery]
        if delivery.doom == "timeout":
            timeout = delivery.step.timeout
            assert timeout is not None, "only an attempt with a time limit runs out of it"
            self._failed(delivery, StepTimeoutError(delivery.step.name, delivery.events, timeout))
        else:
            self._machine.released(delivery, self.now)

    def _offer(self, record: Record) -> None:
        """Let the waiting attempts judge an event, first come, first served."""
        for delivery, _ in self._machine.waits():
            inside = self._open[delivery]._inside
            fits = inside.kind is not None and isinstance(record.event, inside.kind)
            if fits and record.mailbox and (inside.where is None or inside.where(record.event)):
                self._machine.claim(delivery, record, self.now)
                return

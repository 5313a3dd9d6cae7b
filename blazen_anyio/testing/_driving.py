"""Driving by hand: a run in a plain synchronous test, with no event loop and no step body.

You are the steps and the outside: look at what is ready, complete it with what the step would
return, let time pass, and see what follows. The rules are the engine's own, and so are the
snapshots. What the machine wants in between is carried out by :mod:`._driver`; what can be seen
of a run is in :mod:`._driven_view`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .._events import Event, InputRequestEvent, InputResponseEvent
from .._exceptions import NoHandlerError, RunEndedError, WorkflowFullError
from .._machine import Delivery, Machine, Outputs
from .._numbers import check_seconds
from .._run import Body
from .._snapshot import Snapshot
from .._state.values import name_of
from .._workflow import Workflow
from ._driven_view import DrivenView
from ._driver import Driver, Invocation
from ._given import (
    check_context,
    check_error,
    check_event,
    check_returns,
    check_timeout,
    check_waits,
    fanned_out,
    request_of,
    sent,
)
from ._production import Start, first_event

__all__ = ["DrivenRun", "drive"]

E = TypeVar("E", bound=Event)


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

    Returns:
        The run, with its first steps ready.

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
    driver = Driver(workflow._launcher, Machine(workflow.graph.plan, run_id), random, 0.0)
    driver.machine.start(event, driver.now)
    driver.follow()
    return DrivenRun(workflow, driver)


class DrivenRun(DrivenView):
    """A run that you drive by hand; see :func:`drive`."""

    def __init__(self, workflow: Workflow[Any], driver: Driver) -> None:
        super().__init__(workflow, driver)
        self._codec = driver.launcher.codec

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
            TypeError: the step can't do that, or the engine would not take it; nothing has changed.
            ValueError: a delay is negative or not finite.
        """
        delivery = self._delivery(which)
        check_returns(delivery.step, returns)
        pairs = sent(sends) + fanned_out(fan_outs)
        writes = {name_of(key): value for key, value in (state or {}).items()}
        outputs = None
        if pairs or writes:
            check_context(self._body(delivery), "send, fan out or write state")
            outputs = Outputs(sends=pairs, writes=writes)
        del self._driver.open[delivery]
        self._machine.handling.succeeded(delivery, returns, outputs, self.now)
        self._driver.follow()

    def fail(self, which: Which, error: BaseException | type[BaseException]) -> None:
        """An attempt raises; the step's retry policy says what follows.

        Args:
            which: the invocation, or a step for its oldest ready one.
            error: an exception or its class.

        Raises:
            LookupError: there is no such invocation.
            TypeError: ``error`` is no exception.
        """
        delivery, raised = self._delivery(which), check_error(error)
        del self._driver.open[delivery]
        self._driver.fail(delivery, raised)
        self._driver.follow()

    def emit(self, which: Which, event: Event, *, delay: float = 0) -> bool:
        """An attempt lets an event out early: a generator yields, another step sends at once.

        Args:
            which: the invocation, or a step for its oldest ready one.
            event: the event.
            delay: seconds until it is sent; of no meaning for a generator.

        Returns:
            Whether there is room for more; if not, the generator waits at its ``yield``.

        Raises:
            LookupError: there is no such invocation.
            TypeError: ``event`` is no event, or the step can't send any before it ends.
            ValueError: ``delay`` is negative or not finite.
            NonDeterministicStepError: an earlier attempt has let out another event here.
        """
        delivery = self._delivery(which)
        check_event(event, "emit")
        check_seconds("delay", delay)
        if not delivery.step.generates:
            check_context(self._body(delivery), "send")
        digest = self._codec.digest(event)
        room = True
        try:
            if delivery.step.generates:
                room = self._machine.inside.give(delivery, event, digest, self.now)
            else:
                self._machine.inside.send_early(delivery, event, digest, delay, self.now)
        finally:
            self._driver.follow()
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

        Args:
            which: the invocation, or a step for its oldest ready one.
            kind: the class of the event.
            where: what else has to be true of it.
            timeout: seconds to wait at most; ``None`` for as long as it takes.

        Raises:
            LookupError: there is no such invocation.
            DefinitionError: the step does not declare this wait.
            TypeError: the step takes no context, or ``kind`` is no class of events.
            ValueError: ``timeout`` is negative or not finite.
        """
        delivery = self._delivery(which)
        check_context(self._body(delivery), "wait")
        check_waits(delivery.step, kind)
        check_timeout(timeout)
        inside = self._driver.open[delivery]._inside
        inside.kind, inside.where = kind, where
        inside.effect = self._machine.inside.wait(delivery, kind.event_type, timeout, self.now)
        self._driver.follow()

    def ask(
        self, which: Which, prompt: str | InputRequestEvent, *, timeout: float | None = None
    ) -> None:
        """An attempt asks a human and waits; when it is ready again, it has received the answer.

        Args:
            which: the invocation, or a step for its oldest ready one.
            prompt: the question, or the whole request.
            timeout: seconds to wait at most; ``None`` for as long as it takes.

        Raises:
            LookupError: there is no such invocation.
            TypeError: the step takes no context, or ``prompt`` is neither text nor a request.
            ValueError: ``timeout`` is negative or not finite.
        """
        delivery = self._delivery(which)
        check_context(self._body(delivery), "ask")
        check_timeout(timeout)
        request = request_of(prompt)
        digest = self._codec.digest(request)
        inside = self._driver.open[delivery]._inside
        inside.kind = None
        inside.effect = self._machine.inside.ask(delivery, request, digest, timeout, self.now)
        self._driver.follow()

    # ---- being the outside ---------------------------------------------------------------------

    def send(self, event: Event) -> None:
        """Send an event from outside; an ``InputResponseEvent`` answers its request.

        Raises:
            TypeError: ``event`` is no event.
            NoHandlerError: no step accepts it; the run goes on.
            UnknownRequestError: it answers a request that is not open.
            WorkflowFullError: a step that accepts it has ``max_pending`` deliveries waiting.
            RunEndedError: the run has ended.
        """
        check_event(event, "send")
        if type(event) is InputResponseEvent:
            self.answer(event.response, event.request_id)
            return
        self._check_going()
        if not self._machine.plan.accepts(event):
            raise NoHandlerError(event, None)
        if not self._machine.handling.has_room(event):
            raise WorkflowFullError(event)
        self._machine.send(event, self.now)
        self._driver.follow()

    def answer(self, response: Any, request: InputRequestEvent | str | None = None) -> None:
        """Answer a request.

        Args:
            response: the answer.
            request: which request, or its id; by default the oldest.

        Raises:
            UnknownRequestError: it is not open.
            LookupError: none is.
            RunEndedError: the run has ended.
        """
        self._check_going()
        if request is None:
            if not self.requests:
                raise LookupError("no request is open")
            request = self.requests[0]
        request_id = request if isinstance(request, str) else request.request_id
        self._machine.respond(request_id, response, self.now)
        self._driver.follow()

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that is due in it.

        Raises:
            ValueError: ``seconds`` is negative or not finite.
        """
        check_seconds("advance", seconds)
        end = self.now + seconds
        while (due := self._machine.next_deadline) is not None and due <= end:
            self._driver.now = max(self.now, due)
            self._machine.tick(self.now)
            self._driver.follow()
        self._driver.now = end

    def pause(self) -> None:
        """Stop dispatch."""
        self._machine.pause(self.now)
        self._driver.follow()

    def resume(self) -> None:
        """Dispatch again."""
        self._machine.resume(self.now)
        self._driver.follow()

    def cancel(self) -> None:
        """Cancel the run."""
        self._machine.cancel(self.now)
        self._driver.follow()

    def close(self) -> None:
        """Nobody is there any more who could send or answer, as after the block of a handle."""
        self._machine.close(self.now)
        self._driver.follow()

    def snapshot(self) -> Snapshot:
        """Write the run down as it is; what is in flight counts as not handled."""
        return Snapshot.of(
            self._machine.snapshot(self.now),
            run_id=self._machine.run_id,
            workflow=self._workflow.name,
            codec=self._codec,
            offset=0.0,
            requests=self._machine.requests,
        )

    def restored(self) -> DrivenRun:
        """Another run that goes on from the text of a snapshot of this one."""
        launcher, now = self._driver.launcher, self.now
        snapshot = Snapshot.from_json(self.snapshot().to_json())
        names = [body.name for body in launcher.bodies]
        sheets = snapshot.sheets(self._codec, offset=0.0, renames={}, steps=names)
        machine = Machine.restore(self._machine.plan, snapshot.run_id, sheets, now)
        driver = Driver(launcher, machine, self._driver.random, now)
        machine.go_on(now)
        driver.follow()
        return DrivenRun(self._workflow, driver)

    # ---- inside --------------------------------------------------------------------------------

    def _delivery(self, which: Which) -> Delivery:
        invocation = self.find(which) if isinstance(which, str) else which
        return self._driver.delivery_of(invocation)

    def _body(self, delivery: Delivery) -> Body:
        return self._driver.launcher.bodies[delivery.step.index]

    def _check_going(self) -> None:
        if self.ended:
            raise RunEndedError(f"run {self._machine.run_id!r} has ended: {self.status}")

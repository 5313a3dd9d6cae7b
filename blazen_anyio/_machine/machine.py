"""The machine: decides what happens next in a run. Without clock, randomness, user code or I/O.

Inputs are method calls and carry their time; every verdict of user code (a retry policy, a ``where``
condition) and every random number comes in with them. Out come the next invocation (:meth:`take`), what
the runner has to do (``orders``), facts (``publish``) and the deltas of commits (``deltas``). The same
inputs in the same order give the same run.

A run's life, as inputs::

    start -> (take -> succeeded | failed | released)* -> outcome

The rules, each at home in its module: dispatch (first come, first served, within limits), routing
(every acceptor, in order), scopes (when a gather fires), early effects (nothing let out twice), ledger
(what a commit changes, and the gate). Here are the rules of a run as a whole:

* An attempt takes effect when it is reported as succeeded, with all that it returned, sent and wrote,
  in one commit; or not at all.
* The first committed stop event ends the run. What is still running is to be cancelled; what comes of
  it is discarded.
* A run that fails, is cancelled or is suspended keeps everything that was not handled, in flight
  included, so that it can go on from its snapshot.
* With nothing queued, running, delayed or awaited the run has stalled, unless it may receive events
  from outside; a run that only the outside could move on is suspended once nobody is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._events import Event, InputRequestEvent, InputResponseEvent, StepFailed, StopEvent
from .._exceptions import (
    NoHandlerError,
    NonDeterministicStepError,
    StepFailedError,
    WorkflowStalledError,
    WorkflowTimeoutError,
)
from .dispatch import StepState
from .early import Early
from .facts import FactKind, RawFact
from .ledger import Ledger
from .live import Child, Children, Delivery, Effect, EffectKind, Record
from .outcome import Offer, Order, Outcome, Outputs, Show
from .plan import Plan, StepPlan
from .records import Delta, Tables
from .routing import ROUTER, Routing
from .scopes import Scopes, is_dead
from .tables import dump, load

__all__ = ["Machine"]


class Machine:
    """Decides what happens next in one run of a workflow.

    Args:
        plan: the workflow.
        run_id: the run's id; requests derive theirs from it.
        gated: hold the effects of each commit back until :meth:`committed`.
        journaled: make a delta of each commit even so (a gated run always does).

    Attributes:
        orders: what the runner has to do; it takes them out after each input.
        deltas: what was committed; the store takes them out after each input.
        late: errors of attempts that ended after the run had.
        answers_requests: whether an input handler answers requests.
    """

    def __init__(
        self, plan: Plan, run_id: str, *, gated: bool = False, journaled: bool = False
    ) -> None:
        self.plan = plan
        self.run_id = run_id
        self._ledger = ledger = Ledger(plan, journaled=journaled, gated=gated)
        self._dispatch = ledger.dispatch
        self._scopes = Scopes(ledger)
        self._routing = Routing(ledger, self._scopes, run_id)
        self._early = Early(ledger, self._routing, self._scopes)
        self.orders: deque[Order] = ledger.orders
        self.deltas: deque[Delta] = ledger.deltas
        self.late: list[BaseException] = []
        self.answers_requests = False
        self.paused = False
        self._open = True
        self._suspending = False
        self._told_end = False
        self._out = 0
        self._since = 0.0

    @classmethod
    def restore(
        cls,
        plan: Plan,
        run_id: str,
        tables: Tables,
        now: float,
        *,
        gated: bool = False,
        journaled: bool = False,
    ) -> Machine:
        """Make a machine that goes on from ``tables``, which fit the plan."""
        machine = cls(plan, run_id, gated=gated, journaled=journaled)
        load(machine._ledger, tables)
        machine._since = now
        return machine

    def go_on(self, now: float) -> None:
        """Begin to run what was restored."""
        self._since = now
        self._tell("run_resumed", now)
        self.orders.extend(Show(request) for request in self.requests)
        for delivery in list(self._ledger.deliveries()):
            opened = delivery.opened
            if is_dead(delivery.scope) or (opened is not None and opened.closing):
                self._scopes.discard(delivery)  # it was being cancelled
        self._commit(now)

    def snapshot(self, now: float) -> Tables:
        """Write down all that the run needs to go on: what was not handled, and the state."""
        self._account(now)
        return dump(self._ledger)

    # ---- what can be read ----------------------------------------------------------------------

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, once it has."""
        return self._ledger.outcome

    @property
    def finished(self) -> bool:
        """Whether the run has ended and every attempt that was handed out has been reported."""
        return self._ledger.outcome is not None and not self._out

    @property
    def backlog(self) -> bool:
        """Whether another :meth:`take` might hand something out now."""
        return not self.paused and self._ledger.ending is None and self._dispatch.backlog

    @property
    def sooner(self) -> bool:
        """Whether :attr:`next_deadline` may be earlier than when this was last asked."""
        return self._ledger.timers.sooner

    @property
    def busy(self) -> bool:
        """Whether any attempt is running (and not waiting in the engine)."""
        return self._dispatch.running > 0

    @property
    def running(self) -> list[Delivery]:
        """The deliveries whose attempts run, in no particular order."""
        return [each for each in self._ledger.deliveries() if each.phase == "running"]

    @property
    def state(self) -> dict[str, Any]:
        """The committed state. To be read only; values are replaced, never changed in place."""
        return self._ledger.state

    @property
    def versions(self) -> dict[str, int]:
        """By state key, the number of the commit that last wrote it."""
        return self._ledger.versions

    def counts(self) -> list[StepState]:
        """The counts of each step, in the order of the workflow's list."""
        return self._dispatch.steps

    def active_time(self, now: float) -> float:
        """How many seconds the run has been active."""
        self._account(now)
        return self._ledger.active_time

    @property
    def requests(self) -> list[InputRequestEvent]:
        """The open requests in the order in which they were made."""
        return [request.event for request in self._ledger.requests.values()]

    @property
    def publish(self) -> Callable[[RawFact], object] | None:
        """Where facts go; ``None`` (the default) makes them cost nothing."""
        return self._ledger.publish

    @publish.setter
    def publish(self, sink: Callable[[RawFact], object] | None) -> None:
        self._ledger.publish = sink

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`tick` is next due, if nothing else happens."""
        self._ledger.timers.sooner = False
        if self._ledger.ending is not None:
            return None
        due, limit = self._ledger.timers.earliest(), self._time_limit()
        if due is None or limit is None:
            return limit if due is None else due
        return min(due, limit)

    # ---- events from outside -------------------------------------------------------------------

    def start(self, event: Event, now: float) -> None:
        """Begin the run with its first event."""
        self._since = now
        self._tell("run_started", now, event_type=event.event_type)
        self.send(event, now)

    def send(self, event: Event, now: float) -> None:
        """Take an event from outside."""
        self._account(now)
        ledger = self._ledger
        if self._routing.unaccepted(event, ledger.root) is not None:
            self._fail_run(NoHandlerError(event, None), now)
            return
        self._routing.emit(event, None, 0, ledger.root, 0)
        self._commit(now)

    def respond(self, request_id: str, response: Any, now: float) -> None:
        """Take the answer to a request.

        Raises:
            UnknownRequestError: the request is not open; nothing has changed.
        """
        self._account(now)
        request = self._routing.find_request(request_id)
        event = InputResponseEvent(request_id, response)
        if self._routing.unaccepted(event, request.scope) is not None:
            self._fail_run(NoHandlerError(event, None), now)
            return
        asking = request.delivery.step.name if request.delivery is not None else None
        self._tell("input_received", now, asking, event.event_type)
        self._routing.answer(event)
        self._commit(now)

    # ---- invocations ---------------------------------------------------------------------------

    def take(self, now: float) -> Delivery | None:
        """Hand out the next invocation, or ``None`` if none may run now.

        A delivery that ``resumes`` is no new attempt: the one that waited has its slot back.
        Otherwise the runner calls the step and reports how it ended, exactly once.
        """
        ledger = self._ledger
        if self.paused or ledger.ending is not None:
            return None
        delivery = self._dispatch.take()
        if delivery is None:
            return None
        step = delivery.step
        if step.max_pending is not None:
            ledger.give_room(step)
        if delivery.waiting_for is not None:
            self._resume(delivery, now)
            return delivery
        self._out += 1
        delivery.started = now
        delivery.cursor = 0
        delivery.resumes = False
        delivery.doom = None
        if delivery.children is not None:
            delivery.children.begun = 0
        if step.timeout is not None:
            delivery.timer = ledger.timers.set(now + step.timeout, "timeout", delivery)
        if ledger.publish is not None:
            ledger.publish(
                (
                    "step_started",
                    now,
                    step.name,
                    delivery.event_type,
                    delivery.attempts + 1,
                    None,
                    None,
                )
            )
        return delivery

    def succeeded(
        self, delivery: Delivery, returned: Any, outputs: Outputs | None, now: float
    ) -> None:
        """An attempt has succeeded: commit what it returned, sent and wrote.

        Args:
            delivery: the invocation.
            returned: ``None``, an event, a tuple of events, or a list of events (a fan-out).
            outputs: what it left besides; its state changes have been found free of conflicts.
            now: the time.
        """
        ledger = self._ledger
        if ledger.ending is not None or delivery.doom == "discard":
            self._discard(delivery, now)
            return
        if self.plan.timeout is not None:
            self._account(now)
        unaccepted = self._find_unaccepted(delivery, returned, outputs)
        if unaccepted is not None:
            self._fail_run(NoHandlerError(unaccepted, delivery.step.name), now, delivery)
            return
        try:
            if delivery.effects is not None or delivery.step.generates:
                self._early.finish(delivery)
        except NonDeterministicStepError as error:
            self._fail_run(error, now, delivery)
            return
        self._end_attempt(delivery)
        if ledger.publish is not None:
            self._tell_step("step_completed", delivery, now)
        # What left early has the first positions.
        first = len(delivery.effects) if delivery.effects is not None else 0
        if outputs is not None:
            first = self._apply(delivery, outputs, first, now)
        if returned is not None:
            self._emit_returned(delivery, returned, first)
        ledger.dispatch.steps[delivery.step.index].done += 1
        ledger.settle(delivery)
        self._commit(now)

    def failed(
        self, delivery: Delivery, error: BaseException, retry_in: float | None, now: float
    ) -> None:
        """An attempt has failed.

        Args:
            delivery: the invocation.
            error: what it raised.
            retry_in: the verdict of its retry policy: seconds until the next attempt, or ``None``
                to give up.
            now: the time.
        """
        ledger = self._ledger
        kind: FactKind = "step_timed_out" if delivery.doom == "timeout" else "step_failed"
        self._tell_step(kind, delivery, now, error)
        if ledger.ending is not None or delivery.doom == "discard":
            self.late.append(error)
            self._discard(delivery, now)
            return
        self._account(now)
        self._end_attempt(delivery)
        if delivery.first_tried is None:
            delivery.first_tried = delivery.started
        delivery.attempts += 1
        ledger.forget_children(delivery)
        if retry_in is not None:
            ledger.dispatch.steps[delivery.step.index].retried += 1
            ledger.put_off(delivery, now + retry_in)
            self._commit(now)
        else:
            self._give_up(delivery, error, now)

    def released(self, delivery: Delivery, now: float) -> None:
        """An attempt was cancelled: it goes back to the queue, and no attempt is used up."""
        self._tell_step("step_cancelled", delivery, now)
        if self._ledger.ending is not None or delivery.doom == "discard":
            self._discard(delivery, now)
            return
        self._account(now)
        self._end_attempt(delivery)
        self._dispatch.put_back(delivery)
        self._check_idle(now)

    # ---- early effects -------------------------------------------------------------------------

    def send_early(
        self, delivery: Delivery, event: Event, digest: str, delay: float, now: float
    ) -> None:
        """A running attempt lets an event out at once, to be routed after ``delay`` seconds.

        Raises:
            NonDeterministicStepError: an earlier attempt let out something else; the run has failed.
        """
        due = now + delay if delay > 0 else None
        self._let_out(
            delivery, event, None, now, lambda: self._early.send(delivery, event, digest, due)
        )

    def give(self, delivery: Delivery, event: Event, digest: str, now: float) -> bool:
        """A running generator yields an event.

        Returns:
            Whether there is room for more; if not, its attempt waits until it is handed out again.

        Raises:
            NonDeterministicStepError: see :meth:`send_early`.
        """
        opener = delivery.step if delivery.step.gathers else None
        self._let_out(
            delivery, event, opener, now, lambda: self._early.give(delivery, event, digest)
        )
        return self._find_room(delivery, event, now)

    def wait(self, delivery: Delivery, digest: str, timeout: float | None, now: float) -> Effect:
        """A running attempt waits for an event that it will :meth:`claim`.

        Returns:
            The wait. If it is ``settled`` the attempt goes on at once; otherwise it goes on when it
            is handed out again.

        Raises:
            NonDeterministicStepError: see :meth:`send_early`.
        """
        due = None if timeout is None else now + timeout
        return self._suspend(
            delivery, "wait", now, lambda: self._early.wait(delivery, digest, due, now)
        )

    def ask(
        self,
        delivery: Delivery,
        event: InputRequestEvent,
        digest: str,
        timeout: float | None,
        now: float,
    ) -> Effect:
        """A running attempt asks a human and waits for the answer; see :meth:`wait`."""
        due = None if timeout is None else now + timeout
        return self._suspend(
            delivery, "request", now, lambda: self._early.ask(delivery, event, digest, due, now)
        )

    def waits(self) -> list[tuple[Delivery, Effect]]:
        """The attempts that wait for an event, in the order in which they began to.

        One that is being cancelled waits no longer: it would take an event from the others.
        """
        return [
            (delivery, effect)
            for delivery, effect in self._ledger.waiting.items()
            if effect.kind == "wait" and delivery.doom is None
        ]

    def claim(self, delivery: Delivery, record: Record, now: float) -> None:
        """An event in the mailbox satisfies the wait of an attempt."""
        self._account(now)
        effect = self._ledger.waiting[delivery]
        self._early.claim(delivery, effect, record)
        self._commit(now)

    def judged(self, now: float) -> None:
        """The waiting attempts have judged the events that were offered, and claimed what they want."""
        self._account(now)
        self._check_idle(now)

    # ---- children and memos --------------------------------------------------------------------

    def begin_child(self, delivery: Delivery, workflow: str, now: float) -> Child:
        """A running attempt begins its next child run, or goes on with the one of that number.

        Raises:
            NonDeterministicStepError: the child of that number was of another workflow.
        """
        self._account(now)
        children = delivery.children = delivery.children or Children()
        number = children.begun
        if number == len(children.runs):
            children.runs.append(Child(delivery.id, number, workflow))
        child = children.runs[number]
        if child.workflow != workflow:
            detail = f"child run {number} was of workflow {child.workflow!r}"
            error = NonDeterministicStepError(delivery.step.name, number, detail)
            self._fail_run(error, now)
            raise error
        children.begun += 1
        self._ledger.touch_child(child)
        self._commit(now)
        return child

    def end_child(self, child: Child, result: StopEvent, now: float) -> None:
        """A child run has completed."""
        self._account(now)
        child.result = result
        self._ledger.touch_child(child)
        self._commit(now)

    def rest(self, delivery: Delivery, resting: bool, now: float) -> None:
        """The child runs of a running attempt can, or can't, go on without help from outside."""
        if delivery.phase == "running":
            self._account(now)
            self._ledger.rest(delivery, resting)
            self._check_idle(now)

    def remember(self, delivery: Delivery, name: str, value: Any, now: float) -> None:
        """Keep a result with an invocation, for its later attempts and deliveries."""
        self._account(now)
        self._ledger.remember(delivery, name, value)
        self._commit(now)

    # ---- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Carry out what is due."""
        ledger, limit = self._ledger, self._time_limit()
        self._account(now)
        rung = False
        while ledger.ending is None and (timer := ledger.timers.pop_due(now)) is not None:
            rung = True
            self._ring(*timer, now)
        if rung:
            self._commit(now)
        if limit is not None and now >= limit and self.plan.timeout is not None:
            running = [delivery.step.name for delivery in self.running]
            self._fail_run(WorkflowTimeoutError(self.plan.name, self.plan.timeout, running), now)

    # ---- steering ------------------------------------------------------------------------------

    def pause(self, now: float) -> None:
        """Stop dispatch. What runs goes on; inputs are accepted and committed."""
        if not self.paused and self._ledger.ending is None:
            self._account(now)
            self.paused = True
            self._tell("run_paused", now)
            self._check_idle(now)

    def resume(self, now: float) -> None:
        """Dispatch again."""
        if self.paused and self._ledger.ending is None and not self._suspending:
            self._account(now)
            self.paused = False
            self._tell("run_resumed", now)

    def suspend(self, now: float) -> None:
        """End the run so that it can go on from its snapshot: cancel what runs, deliver it again.

        An attempt that succeeds all the same counts.
        """
        if self._ledger.ending is not None or self._suspending:
            return
        self.pause(now)
        self._suspending = True
        for delivery in list(self._ledger.deliveries()):
            if delivery.phase == "running" or delivery.waiting_for is not None:
                delivery.doom = delivery.doom or "suspend"
                self._ledger.order_cancel(delivery)
        self._check_idle(now)

    def cancel(self, now: float) -> None:
        """End the run. What was not handled stays in its snapshot."""
        if self.outcome is None:
            self._account(now)
            self._end_now(Outcome("cancelled"), now)

    def fail(self, error: BaseException, now: float) -> None:
        """End the run over an error that no step made (an input handler's, a store's)."""
        if self.outcome is None:
            self._account(now)
            self._end_now(Outcome("failed", error=error), now)
        else:
            self.late.append(error)

    def close(self, now: float) -> None:
        """Nobody is there any more who could send, answer or resume."""
        if self._open:
            self._account(now)
            self._open = False
            self._check_idle(now)

    def committed(self, sequence: int, now: float) -> None:
        """All commits up to ``sequence`` are durable: let their effects out."""
        self._account(now)
        self._ledger.release(sequence)
        self._tell_end(now)
        self._check_idle(now)

    # ---- inside: attempts ----------------------------------------------------------------------

    def _end_attempt(self, delivery: Delivery) -> None:
        self._out -= 1
        if delivery.repeated:
            delivery.repeated = []
        self._ledger.end_attempt(delivery)

    def _discard(self, delivery: Delivery, now: float) -> None:
        """An attempt has ended that does not count."""
        self._account(now)
        self._end_attempt(delivery)
        if self._ledger.ending is None:
            self._early.give_up(delivery)
            self._ledger.settle(delivery)
            self._commit(now)
        else:
            self._dispatch.put_back(delivery)

    def _give_up(self, delivery: Delivery, error: BaseException, now: float) -> None:
        """All attempts are used up: an error step takes over, or the run fails."""
        step, attempts = delivery.step, delivery.attempts
        failure = StepFailed.of(step.name, delivery.events, error, attempts)
        self._ledger.dispatch.steps[step.index].failed += 1
        if self._routing.emit_failure(failure, delivery):
            self._early.give_up(delivery)
            self._ledger.settle(delivery)
            self._commit(now)
            return
        delivery.attempts = 0
        delivery.first_tried = None
        self._ledger.touch(delivery)
        self._dispatch.put_back(delivery)
        self._end_now(
            Outcome("failed", error=StepFailedError(step.name, delivery.events, attempts, error)),
            now,
        )
        self._commit(now)

    def _find_unaccepted(
        self, delivery: Delivery, returned: Any, outputs: Outputs | None
    ) -> Event | None:
        """The first event of an attempt that nobody would accept; nothing has changed yet."""
        step, scope = delivery.step, delivery.scope
        opener = step if step.gathers else None
        unaccepted = self._routing.unaccepted
        for sent, _ in outputs.sends if outputs is not None else ():
            if isinstance(sent, list):
                found = next(
                    filter(None, (unaccepted(event, scope, opener) for event in sent)), None
                )
            else:
                found = unaccepted(sent, scope)
            if found is not None:
                return found
        if returned is None:
            return None
        if isinstance(returned, Event):
            return unaccepted(returned, scope)
        opener = opener if isinstance(returned, list) else None
        return next(filter(None, (unaccepted(event, scope, opener) for event in returned)), None)

    def _apply(self, delivery: Delivery, outputs: Outputs, position: int, now: float) -> int:
        """Carry out what an attempt leaves besides its return; return the next free position."""
        ledger = self._ledger
        if outputs.writes or outputs.removes:
            ledger.write_state(outputs.writes, outputs.removes)
        for kind, (deposited, taken) in outputs.collects.items():
            self._collect(delivery, kind, deposited, taken)
        for sent, delay in outputs.sends:
            if isinstance(sent, list):
                self._routing.fan_out(sent, delivery, position)
                position += len(sent)
                continue
            if delay > 0:
                self._routing.emit_later(sent, delivery, position, now + delay)
            else:
                self._routing.emit(sent, delivery, position, delivery.scope, delivery.branch)
            position += 1
        return position

    def _collect(self, delivery: Delivery, kind: str, deposited: bool, taken: int) -> None:
        ledger = self._ledger
        if deposited:
            ledger.join(delivery.step, ledger.root, 0, kind, delivery.records[0])
        place = (delivery.step.index, ledger.root.id, 0, kind)
        for record in ledger.unjoin(ledger.joins.take(place, taken)) if taken else ():
            ledger.let_go(record)

    def collected(self, delivery: Delivery, kind: str) -> list[Event]:
        """The events that wait under ``kind`` for ``ctx.collect_events`` in the delivery's step."""
        ledger = self._ledger
        place = (delivery.step.index, ledger.root.id, 0, kind)
        return [entry.record.event for entry in ledger.joins.peek(place, ledger.joins.count(place))]

    def _emit_returned(self, delivery: Delivery, returned: Any, first: int) -> None:
        scope, branch = delivery.scope, delivery.branch
        if isinstance(returned, Event):
            self._routing.emit(returned, delivery, first, scope, branch)
        elif isinstance(returned, list):
            self._routing.fan_out(returned, delivery, first)
        else:
            for position, event in enumerate(returned, first):
                self._routing.emit(event, delivery, position, scope, branch)

    # ---- inside: early effects -----------------------------------------------------------------

    def _let_out(
        self,
        delivery: Delivery,
        event: Event,
        opener: StepPlan | None,
        now: float,
        effect: Callable[[], None],
    ) -> None:
        if self._ledger.ending is not None or delivery.doom == "discard":
            return
        self._account(now)
        if self._routing.unaccepted(event, delivery.scope, opener) is not None:
            self._fail_run(NoHandlerError(event, delivery.step.name), now)
            return
        try:
            effect()
        except NonDeterministicStepError as error:
            self._fail_run(error, now)
            raise
        self._commit(now)

    def _suspend(
        self, delivery: Delivery, kind: EffectKind, now: float, wait: Callable[[], Effect]
    ) -> Effect:
        if self._ledger.ending is not None or delivery.doom == "discard":
            return Effect(delivery.id, -1, kind, "")  # nobody wakes it: it is being cancelled
        self._account(now)
        try:
            effect = wait()
        except NonDeterministicStepError as error:
            self._fail_run(error, now)
            raise
        self._commit(now)
        return effect

    def _resume(self, delivery: Delivery, now: float) -> None:
        delivery.waiting_for = None
        delivery.resumes = True
        if delivery.time_left is not None:
            due = now + delivery.time_left
            delivery.timer = self._ledger.timers.set(due, "timeout", delivery)
            delivery.time_left = None

    def _find_room(self, delivery: Delivery, event: Event, now: float) -> bool:
        """Make a generator wait if a step that accepts what it yielded has enough to do."""
        effects = delivery.effects
        if self._ledger.ending is not None or delivery.doom is not None or not effects:
            return True
        if delivery.cursor < len(effects):
            return True  # an earlier attempt has waited for the room
        for step in self.plan.route(event).steps:
            state = self._dispatch.steps[step.index]
            if step.max_pending is not None and state.pending >= step.max_pending:
                self._ledger.suspend_attempt(delivery, effects[-1], now)
                state.wants_room.append((delivery, effects[-1]))
                self._check_idle(now)
                return False
        return True

    def has_room(self, event: Event) -> bool:
        """Whether every step that accepts ``event`` may have one more delivery waiting for it."""
        return all(
            step.max_pending is None or self._dispatch.steps[step.index].pending < step.max_pending
            for step in self.plan.route(event).steps
        )

    # ---- inside: time --------------------------------------------------------------------------

    def _ring(self, kind: str, delivery: Delivery, now: float) -> None:
        delivery.timer = None
        if kind == "timeout":
            if delivery.doom is None:
                delivery.doom = "timeout"
                self._ledger.order_cancel(delivery)
        elif kind == "wait":
            self._early.timed_out(delivery, self._ledger.waiting[delivery])
        elif delivery.step is ROUTER:
            self._emit_due(delivery, now)
        else:
            self._ledger.wake(delivery)
            self._ledger.admit(delivery)

    def _emit_due(self, delivery: Delivery, now: float) -> None:
        event = delivery.records[0].event
        if self._routing.unaccepted(event, delivery.scope) is not None:
            # Accepted when it was sent: the workflow has changed since. The event stays put off.
            self._fail_run(NoHandlerError(event, None), now)
            return
        self._ledger.wake(delivery)
        self._routing.emit_due(delivery)

    def _time_limit(self) -> float | None:
        """When the run has been active for as long as it may be, if it goes on being active."""
        if self.plan.timeout is None or not self._is_active():
            return None
        return self._since + self.plan.timeout - self._ledger.active_time

    def _account(self, now: float) -> None:
        """Count the time since the last input if the run was active in it.

        A run's limit counts neither the time in which it is paused nor that in which it only waits
        for a human.
        """
        if self.plan.timeout is not None:
            if self._is_active():
                self._ledger.active_time += now - self._since
            self._since = now

    def _is_active(self) -> bool:
        ledger = self._ledger
        if self.paused:
            return False
        only_waits = ledger.requests or ledger.resting
        return bool(ledger.active or ledger.delayed or not only_waits)

    # ---- inside: the end -----------------------------------------------------------------------

    def _commit(self, now: float) -> None:
        """Close the change under way, with all that follows from it."""
        ledger = self._ledger
        if ledger.drained:
            self._scopes.drain()
        while ledger.news:
            kind, step, event_type = ledger.news.popleft()
            self._tell(kind, now, step, event_type)
        ledger.commit()
        if ledger.ending is not None:
            self._tell_end(now)
        elif not ledger.active or self.paused:
            self._check_idle(now)

    def _fail_run(self, error: BaseException, now: float, delivery: Delivery | None = None) -> None:
        """End the run over an error of its workflow; the attempt that met it counts as not made."""
        if delivery is not None:
            self._end_attempt(delivery)
            self._dispatch.put_back(delivery)
        if self._ledger.ending is None:
            self._end_now(Outcome("failed", error=error), now)

    def _end_now(self, outcome: Outcome, now: float) -> None:
        self._ledger.end_now(outcome)
        self._tell_end(now)

    def _tell_end(self, now: float) -> None:
        outcome = self._ledger.outcome
        if outcome is None or self._told_end:
            return
        self._told_end = True
        if self._ledger.publish is not None:
            error = None if outcome.error is None else _name(outcome.error)
            kind: FactKind = f"run_{outcome.kind}"  # type: ignore[assignment]
            self._ledger.publish((kind, now, None, None, None, None, error))

    def _check_idle(self, now: float) -> None:
        """Find out whether the run can still move on by itself, and end it if it can't."""
        ledger = self._ledger
        if ledger.ending is not None or ledger.gate:
            return
        if self._suspending:
            if not self._out:
                self._end_now(Outcome("suspended"), now)
        elif self.paused and not self._open:
            # A pause does not wait for a waiter, nor for one whose wait is over.
            if self._dispatch.running == len(ledger.resting):
                self._end_now(Outcome("suspended"), now)
        elif not ledger.active and not ledger.delayed and not self._is_being_judged:
            self._idle(now)

    @property
    def _is_being_judged(self) -> bool:
        """Whether an attempt waits that may yet claim an event that it is being offered."""
        ledger = self._ledger
        return bool(ledger.waiting) and any(isinstance(each, Offer) for each in ledger.orders)

    def _idle(self, now: float) -> None:
        if self._awaits_help():
            if not self._open:
                self._end_now(Outcome("suspended"), now)
        elif not self._awaits_itself():
            error = WorkflowStalledError(self.plan.name, self._unfinished_joins())
            self._end_now(Outcome("failed", error=error), now)

    def _awaits_itself(self) -> bool:
        """Whether something will happen without help: an answer of the handler, or a time-out."""
        ledger = self._ledger
        return bool(ledger.requests and self.answers_requests) or any(
            effect.due is not None for effect in ledger.waiting.values()
        )

    def _awaits_help(self) -> bool:
        """Whether only somebody outside can move the run on."""
        ledger = self._ledger
        return not self._awaits_itself() and bool(
            ledger.requests or ledger.waiting or ledger.resting or self.plan.external
        )

    @property
    def at_rest(self) -> bool:
        """Whether the run, inside another, does nothing before somebody outside has done something.

        A run of one's own is suspended in this state once nobody is there; a child leaves that to the
        outermost run.
        """
        ledger = self._ledger
        if ledger.ending is not None or ledger.gate:
            return False
        if self.paused:
            return self._dispatch.running == len(ledger.resting)
        if ledger.active or ledger.delayed or self._is_being_judged:
            return False
        return self._awaits_help()

    def _unfinished_joins(self) -> list[str]:
        ledger = self._ledger
        counts: dict[tuple[str, str], int] = {}
        for entry in ledger.joins:
            key = (entry.step.name, entry.record.event.event_type)
            counts[key] = counts.get(key, 0) + 1
        return [
            f"step {step!r} holds {count} of {kind} and waits for more"
            for (step, kind), count in counts.items()
        ]

    # ---- inside: facts -------------------------------------------------------------------------

    def _tell(
        self, kind: FactKind, now: float, step: str | None = None, event_type: str | None = None
    ) -> None:
        if self._ledger.publish is not None:
            self._ledger.tell((kind, now, step, event_type, None, None, None))

    def _tell_step(
        self, kind: FactKind, delivery: Delivery, now: float, error: BaseException | None = None
    ) -> None:
        if self._ledger.publish is not None:
            self._ledger.tell(
                (
                    kind,
                    now,
                    delivery.step.name,
                    delivery.event_type,
                    delivery.attempts + 1,
                    now - delivery.started,
                    None if error is None else _name(error),
                )
            )


def _name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"

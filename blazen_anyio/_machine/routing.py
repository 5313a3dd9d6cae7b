"""Routing: where an event goes once it is committed.

Every accepting step gets it, in the order of the workflow's list. A stop event ends the run, ahead
of everything that is queued. A request to a human is opened. An event of a type that steps wait for
inside sits in the mailbox until one claims it. What nobody accepts is found *before* a commit
changes anything (:meth:`Routing.unaccepted`), so that a run that fails over it has lost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, cast

import attrs

from .._events import DynamicEvent, Event, InputRequestEvent, InputResponseEvent, StepFailed
from .._exceptions import UnknownRequestError
from .items import FanOut, Items
from .ledger import Ledger
from .live import Delivery, Record, Request, Scope
from .outcome import Offer, Outcome
from .plan import Mode, Route, StepPlan
from .scopes import Scopes, is_dead

__all__ = ["ROUTER", "Routing"]

ROUTER = StepPlan(index=-1, name="", accepts=())
"""The engine itself, as the receiver of an event sent with a delay: routed when it is due."""


class Routing:
    """The rules of routing."""

    __slots__ = ("_ledger", "_run_id", "_scopes")

    def __init__(self, ledger: Ledger, scopes: Scopes, run_id: str) -> None:
        self._ledger = ledger
        self._scopes = scopes
        self._run_id = run_id

    # ---- before the commit ---------------------------------------------------------------------

    def takes_anywhere(self, events: Sequence[Event]) -> bool:
        """Whether each is known to be accepted, so far as their classes tell.

        A fan-out of a hundred thousand events is not looked at one by one.
        """
        known = self._ledger.plan.routes
        routes = [known.get(kind) for kind in set(map(type, events))]
        return all(route is not None and route.anywhere for route in routes)

    def unaccepted(
        self, event: Event, scope: Scope, opener: StepPlan | None = None
    ) -> Event | None:
        """Return ``event`` if nobody accepts it in ``scope``, or in one that ``opener`` opens."""
        plan = self._ledger.plan
        route = plan.route(event)
        if route.anywhere or plan.ignore_unhandled:
            return None
        if isinstance(event, InputResponseEvent) and event.request_id in self._ledger.requests:
            request = self._ledger.requests[event.request_id]
            if request.effect is not None:
                return None  # for the step that waits for it
            scope = request.scope
        for step in route.steps:
            if wants(step, event) and (
                step.mode is not Mode.GATHER
                or (opener is not None and step.index in opener.gathers)
                or scope.joined_by(step.index)
            ):
                return None
        return event

    # ---- the commit ----------------------------------------------------------------------------

    def emit(
        self, event: Event, cause: Delivery | None, position: int, scope: Scope, branch: int
    ) -> None:
        """Give an event its place in the run and route it."""
        if is_dead(scope):
            return
        recoveries = cause.recoveries if cause is not None else 0
        self._emit(event, cause.id if cause is not None else 0, position, scope, branch, recoveries)

    def _emit(
        self, event: Event, cause: int, position: int, scope: Scope, branch: int, recoveries: int
    ) -> None:
        ledger = self._ledger
        route = ledger.plan.route(event)
        straight = route.straight
        if straight is not None:
            # As nearly every event: nothing but a delivery follows from it.
            if ledger.publish is not None:
                ledger.note_routed(event, cause)
            record = ledger.new_record(event, cause, position, scope, branch, recoveries)
            ledger.admit(ledger.deliver(straight, record))
            return
        if route.stop:
            ledger.end(Outcome("completed", event=event))  # type: ignore[arg-type]
            return
        if isinstance(event, InputResponseEvent) and event.request_id in ledger.requests:
            self.answer(event)
            return
        if isinstance(event, InputRequestEvent):
            event = self._open(event, scope, branch, recoveries).event
        record = ledger.new_record(event, cause, position, scope, branch, recoveries)
        self._route(record, route)

    def emit_later(self, event: Event, cause: Delivery, position: int, due: float) -> None:
        """Let an event be routed when it is due; until then it holds its scope open."""
        if is_dead(cause.scope):
            return
        ledger = self._ledger
        record = ledger.new_record(
            event, cause.id, position, cause.scope, cause.branch, cause.recoveries
        )
        delivery = ledger.deliver(ROUTER, record)
        ledger.put_off(delivery, due)

    def emit_due(self, delivery: Delivery) -> None:
        """Route an event whose delay is over."""
        record = delivery.records[0]
        self._emit_again(record)
        self._ledger.settle(delivery)

    def _emit_again(self, record: Record) -> None:
        event = record.event
        if isinstance(event, (InputRequestEvent, InputResponseEvent)) or (
            self._ledger.plan.route(event).stop
        ):
            self._emit(
                event, record.cause, record.position, record.scope, record.branch, record.recoveries
            )
        else:
            self._route(record, self._ledger.plan.route(event))

    def emit_failure(self, failure: StepFailed, delivery: Delivery) -> bool:
        """Route a failure to the error steps that want it; return whether there is one.

        It inherits the token of the failed delivery. One line of causes gets a bounded number of
        recoveries, so that an error step that feeds the failing step again can't go on for ever.
        """
        ledger = self._ledger
        if delivery.step.is_handler or delivery.recoveries >= ledger.plan.max_recoveries:
            return False
        steps = [
            step
            for step in ledger.plan.route(failure).steps
            if wants(step, failure)
            and allows_recovery(step, delivery.recoveries)
            and (step.mode is not Mode.GATHER or delivery.scope.joined_by(step.index))
        ]
        if not steps:
            return False
        record = ledger.new_record(
            failure, delivery.id, 0, delivery.scope, delivery.branch, delivery.recoveries + 1
        )
        self._hand(record, steps)
        return True

    def fan_out(self, events: Sequence[Event], cause: Delivery, first: int) -> None:
        """Emit a fan-out: into a scope of its own, if a gather is bound to the step.

        ``first`` is the position of the first event among what the cause emitted.

        A step that fans out within a scope that it opened itself (a crawler) adds to that scope:
        nesting would have no end and the gather would get the results piece by piece.
        """
        step, scope = cause.step, cause.scope
        if not step.gathers:
            self._spread(events, cause, first, scope)
            return
        own = scope.opened_by(step)
        if own is not None:
            self._spread(events, cause, first, own)
            self._ledger.touch_scope(own)
            return
        opened = self._ledger.open_scope(scope, cause.branch, step, cause.recoveries)
        self._spread(events, cause, first, opened)
        if not opened.members:
            self._ledger.has_drained(opened)

    def _spread(
        self, events: Sequence[Event], cause: Delivery, position: int, scope: Scope
    ) -> None:
        """Emit a list of events; each is a branch of its own, unless they stay in their cause's."""
        branches = scope is not cause.scope
        branch = scope.items if branches else cause.branch
        if branches:
            scope.items += len(events)
        for group in _alike(events):
            first = Record(
                self._ledger.next_id, group[0], cause.id, position, scope, branch, cause.recoveries
            )
            if not self._queue(group, first, branches):
                for ahead, event in enumerate(group):
                    self.emit(event, cause, position + ahead, scope, branch + ahead * branches)
            position += len(group)
            branch += len(group) * branches

    def _queue(self, events: list[Event], first: Record, branches: bool) -> bool:
        """Let events of one class be the items of one step, unless more than that follows."""
        ledger, event = self._ledger, first.event
        step = ledger.plan.route(event).straight
        if step is None or type(event) is DynamicEvent or is_dead(first.scope):
            return False
        if ledger.publish is not None:
            ledger.note_routed(event, first.cause, times=len(events))
        maker = FanOut(step, first, branches=branches)
        ledger.queue(Items(step, first.scope, events, maker))
        return True

    def _route(self, record: Record, route: Route) -> None:
        if self._ledger.publish is not None:
            self._ledger.note_routed(record.event, record.cause)
        self._hand(record, route.steps)
        if route.awaited:
            self._post(record)
        if not record.holders:
            self._ledger.forget_record(record)  # nobody wants it

    def _hand(self, record: Record, steps: Sequence[StepPlan]) -> None:
        full: list[Scope] = []
        for step in steps:
            if step.for_steps is not None and not wants(step, record.event):
                continue
            if step.mode is Mode.EACH:
                self._ledger.admit(self._ledger.deliver(step, record))
            elif step.mode is Mode.GATHER:
                scope = record.scope.joined_by(step.index)
                if scope is not None and self._scopes.gather(step, scope, record):
                    full.append(scope)
            elif step.mode is Mode.BATCH:
                self._scopes.batch(step, record)
            else:
                self._scopes.pair(step, record)
        for scope in full:
            self._scopes.close(scope)

    def _post(self, record: Record) -> None:
        """Put an event that steps may wait for into the mailbox and offer it to those that do."""
        ledger = self._ledger
        record.mailbox = True
        ledger.hold(record)
        ledger.mailbox[record.id] = record
        ledger.touch_record(record)
        ledger.orders.append(Offer(record))

    # ---- requests ------------------------------------------------------------------------------

    def _open(
        self,
        event: InputRequestEvent,
        scope: Scope,
        branch: int,
        recoveries: int,
        asking: Delivery | None = None,
    ) -> Request:
        number = self._ledger.new_id()
        # Type checkers do not see that events are attrs classes.
        asked: InputRequestEvent = attrs.evolve(
            cast("Any", event), request_id=f"{self._run_id}-{number}"
        )
        request = Request(asked, number, scope, branch, recoveries)
        request.delivery = asking
        self._ledger.open_request(request)
        return request

    def ask(self, event: InputRequestEvent, delivery: Delivery) -> Request:
        """Open a request that ``delivery`` waits for inside its step."""
        return self._open(event, delivery.scope, delivery.branch, delivery.recoveries, delivery)

    def find_request(self, request_id: str) -> Request:
        """Find an open request.

        Raises:
            UnknownRequestError: it is not open, with the reason.
        """
        request = self._ledger.requests.get(request_id)
        if request is None:
            raise UnknownRequestError(
                request_id, self._ledger.closed_requests.get(request_id, "unknown")
            )
        return request

    def answer(self, response: InputResponseEvent) -> None:
        """Close a request: the answer goes to the step that waits for it, or into its scope."""
        ledger = self._ledger
        request = self.find_request(response.request_id)
        ledger.close_request(request, "answered")
        if request.effect is not None and request.delivery is not None:
            ledger.settle_effect(request.effect, request.delivery, "answered", response.response)
            return
        record = ledger.new_record(
            response, 0, 0, request.scope, request.branch, request.recoveries
        )
        self._route(record, ledger.plan.route(response))


def _alike(events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events, those of one class that follow each other together."""
    if len(set(map(type, events))) == 1:
        yield list(events)
        return
    for _, alike in groupby(events, type):
        yield list(alike)


def wants(step: StepPlan, event: Event) -> bool:
    """Whether an event is for a step that accepts its type: an error step may be for some steps."""
    return (
        step.for_steps is None or not isinstance(event, StepFailed) or event.step in step.for_steps
    )


def allows_recovery(step: StepPlan, recoveries: int) -> bool:
    """Whether an error step's own bound leaves room for one more recovery."""
    return step.max_recoveries is None or recoveries < step.max_recoveries

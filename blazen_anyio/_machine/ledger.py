"""The ledger: a run's live data, and how a commit changes them.

Everything that happens in a run is an *input*; what an input changes becomes one *commit* with a
sequence number. The rules (the machine, scopes, early effects) say what changes; the ledger keeps the
data, the counts and the journal straight while they do.

The gate: a commit's effects on the outside (dispatch of what it emitted, facts, shown requests, the
end of the run) are held back until the commit is durable, which ``committed(sequence)`` reports. A
run without a store has no gate and effects follow at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from .._events import Event
from .dispatch import Dispatch
from .facts import RawFact
from .joins import Entry, Joins
from .journal import Journal
from .live import Delivery, Effect, Record, Request, Scope
from .outcome import Cancel, Order, Outcome, Show
from .plan import Plan, StepPlan
from .records import ROOT, Delta, RunRow, StateRow
from .timers import Timers

__all__ = ["Ledger"]

_CLOSED_REQUESTS_KEPT = 1000


class _Held:
    """What a commit will let out once it is durable."""

    __slots__ = ("deliveries", "facts", "outcome", "sequence", "shows")

    def __init__(self) -> None:
        self.sequence = 0
        self.deliveries: list[Delivery] = []
        self.shows: list[Show] = []
        self.facts: list[RawFact] = []
        self.outcome: Outcome | None = None


class Ledger:
    """The live data of one run."""

    def __init__(self, plan: Plan, *, journaled: bool, gated: bool) -> None:
        self.plan = plan
        self.root = Scope(ROOT, None, 0, None, 0)
        self.dispatch = Dispatch(plan)
        self.timers = Timers()
        self.joins = Joins()
        self.requests: dict[str, Request] = {}
        self.closed_requests: dict[str, Literal["answered", "withdrawn"]] = {}
        self.mailbox: dict[int, Record] = {}
        self.waiting: dict[Delivery, Effect] = {}
        self.state: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self.drained: deque[Scope] = deque()
        self.outcome: Outcome | None = None
        self.orders: deque[Order] = deque()
        self.deltas: deque[Delta] = deque()
        self.sequence = 0
        self.next_id = 1
        self.active = 0
        self.delayed = 0
        self.active_time = 0.0
        self.publish: Callable[[RawFact], object] | None = None
        self.journal: Journal | None = Journal() if journaled or gated else None
        self.gate: deque[_Held] | None = deque() if gated else None
        self._held = _Held()

    # ---- numbers -------------------------------------------------------------------------------

    def new_id(self) -> int:
        """A number that nothing else in the run has."""
        number = self.next_id
        self.next_id = number + 1
        return number

    # ---- records and deliveries ----------------------------------------------------------------

    def new_record(
        self, event: Event, cause: int, position: int, scope: Scope, branch: int, recoveries: int
    ) -> Record:
        """Give an event its place in the run."""
        record = Record(self.new_id(), event, cause, position, scope, branch, recoveries)
        if self.journal is not None:
            self.journal.put("events", record.id, record.row)
        return record

    def touch_record(self, record: Record) -> None:
        """The record's row has changed."""
        if self.journal is not None:
            self.journal.put("events", record.id, record.row)

    def hold(self, record: Record) -> None:
        """Something needs the record."""
        record.holders += 1

    def let_go(self, record: Record) -> None:
        """Something needs the record no longer."""
        record.holders -= 1
        if not record.holders and self.journal is not None:
            self.journal.remove("events", record.id)

    def deliver(
        self,
        step: StepPlan,
        records: tuple[Record, ...],
        scope: Scope,
        branch: int,
        recoveries: int,
    ) -> Delivery:
        """Put events on their way to one step, within a scope."""
        delivery = Delivery(self.new_id(), step, records, scope, branch, recoveries)
        for record in records:
            record.holders += 1
        scope.members[delivery] = None
        self.active += 1
        if self.journal is not None:
            self.journal.put("deliveries", delivery.id, delivery.row)
        return delivery

    def admit(self, delivery: Delivery) -> None:
        """Let a delivery be dispatched, as soon as the commit that made it is durable."""
        if self.gate is None:
            self.dispatch.add(delivery)
        else:
            delivery.phase = "held"
            self._held.deliveries.append(delivery)

    def unqueue(self, delivery: Delivery) -> None:
        """Take a delivery that the runner does not have out of its queue or timer."""
        if delivery.phase == "delayed":
            self.wake(delivery)
        elif delivery.phase == "ready":
            self.dispatch.drop(delivery)

    def put_off(self, delivery: Delivery, due: float) -> None:
        """Let a delivery wait until ``due``; then it queues behind what is there."""
        delivery.phase = "delayed"
        delivery.due = due
        delivery.order = self.new_id()
        delivery.timer = self.timers.set(due, "delay", delivery)
        self.active -= 1
        self.delayed += 1
        self.touch(delivery)

    def wake(self, delivery: Delivery) -> None:
        """A delivery is put off no longer."""
        if delivery.timer is not None:
            self.timers.drop(delivery.timer)
        delivery.timer = delivery.due = None
        self.delayed -= 1
        self.active += 1

    def settle(self, delivery: Delivery) -> None:
        """A delivery is handled, or counts no more: its token is spent.

        The caller has taken it off the dispatch, the timers and the waiting.
        """
        delivery.phase = "gone"
        self.active -= 1
        self.leave(delivery.scope, delivery)
        for record in delivery.records:
            self.let_go(record)
        if self.journal is not None:
            self.journal.remove("deliveries", delivery.id)
            for effect in delivery.effects or ():
                self.journal.remove("effects", (delivery.id, effect.number))

    def touch(self, delivery: Delivery) -> None:
        """The delivery's row has changed."""
        if self.journal is not None:
            self.journal.put("deliveries", delivery.id, delivery.row)

    def forget_effect(self, effect: Effect) -> None:
        """The effect was undone."""
        if self.journal is not None:
            self.journal.remove("effects", (effect.delivery, effect.number))

    def touch_effect(self, effect: Effect) -> None:
        """The effect's row is new or has changed."""
        if self.journal is not None:
            self.journal.put("effects", (effect.delivery, effect.number), effect.row)

    # ---- attempts that wait in the engine ------------------------------------------------------

    def suspend_attempt(self, delivery: Delivery, effect: Effect, now: float) -> None:
        """A running attempt waits in the engine: it gives its slot back, its time limit stops."""
        if delivery.timer is not None:
            delivery.time_left = delivery.timer.due - now
            self.timers.drop(delivery.timer)
            delivery.timer = None
        self.dispatch.free(delivery.step)
        delivery.phase = "waiting"
        delivery.waiting_for = effect
        self.waiting[delivery] = effect
        self.active -= 1

    def resume_attempt(self, delivery: Delivery) -> None:
        """What a waiting attempt waited for is there: it queues for a slot."""
        self._stop_waiting(delivery)
        self.admit(delivery)

    def end_attempt(self, delivery: Delivery) -> None:
        """The runner has reported the end of an attempt, wherever it was."""
        if delivery.phase == "waiting":
            self._stop_waiting(delivery)
        elif delivery.phase == "ready":
            self.dispatch.drop(delivery)
        elif delivery.phase == "running":
            self.dispatch.free(delivery.step)
        if delivery.timer is not None:
            self.timers.drop(delivery.timer)
            delivery.timer = None
        delivery.phase = "gone"
        delivery.waiting_for = None

    def _stop_waiting(self, delivery: Delivery) -> None:
        del self.waiting[delivery]
        self.active += 1
        if delivery.timer is not None:
            self.timers.drop(delivery.timer)
            delivery.timer = None

    # ---- scopes --------------------------------------------------------------------------------

    def open_scope(self, parent: Scope, branch: int, opener: StepPlan, recoveries: int) -> Scope:
        """Open a fan-out scope."""
        scope = Scope(self.new_id(), parent, branch, opener, recoveries)
        parent.members[scope] = None
        self.touch_scope(scope)
        return scope

    def touch_scope(self, scope: Scope) -> None:
        """The scope's row is new or has changed."""
        if self.journal is not None and scope.parent is not None:
            self.journal.put("scopes", scope.id, scope.row)

    def leave(self, scope: Scope, token: Delivery | Request | Scope) -> None:
        """Spend a token of a scope; one without tokens has drained (the root never does)."""
        del scope.members[token]
        if not scope.members and scope.parent is not None:
            self.drained.append(scope)

    def close_scope(self, scope: Scope) -> None:
        """A drained scope is over."""
        assert scope.parent is not None
        self.leave(scope.parent, scope)
        if self.journal is not None:
            self.journal.remove("scopes", scope.id)

    # ---- joins ---------------------------------------------------------------------------------

    def join(
        self, step: StepPlan, scope: Scope, branch: int, slot: int | str, record: Record
    ) -> int:
        """Let a record wait in a joining step; return how many now wait in that place."""
        entry = Entry(self.new_id(), step, scope, branch, slot, record)
        record.holders += 1
        if self.journal is not None:
            self.journal.put("joins", entry.id, entry.row)
        return self.joins.add(entry)

    def unjoin(self, entries: list[Entry]) -> tuple[Record, ...]:
        """Entries taken out of the joins: their records, in order.

        The caller delivers them before it lets them go, if it does.
        """
        if self.journal is not None:
            for entry in entries:
                self.journal.remove("joins", entry.id)
        return tuple(entry.record for entry in entries)

    # ---- requests ------------------------------------------------------------------------------

    def open_request(self, request: Request) -> None:
        """A question is open."""
        self.requests[request.id] = request
        request.scope.members[request] = None
        if self.journal is not None:
            self.journal.put("requests", request.id, request.row)
        self._hold_or(self._held.shows, Show(request.event))

    def close_request(self, request: Request, why: Literal["answered", "withdrawn"]) -> None:
        """A question is open no longer; its id is remembered for a while, to tell why."""
        del self.requests[request.id]
        self.leave(request.scope, request)
        self.closed_requests[request.id] = why
        if self.journal is not None:
            self.journal.remove("requests", request.id)
        if len(self.closed_requests) > _CLOSED_REQUESTS_KEPT:
            del self.closed_requests[next(iter(self.closed_requests))]

    # ---- state ---------------------------------------------------------------------------------

    def write_state(self, writes: dict[str, Any], removes: frozenset[str]) -> None:
        """Change the committed state; the version of a key is the commit that last wrote it."""
        version = self.sequence + 1
        for key, value in writes.items():
            self.state[key] = value
            self.versions[key] = version
            if self.journal is not None:
                row = StateRow(key=key, value=value)
                self.journal.put("state", key, lambda row=row: row)  # type: ignore[misc]
        for key in removes:
            self.state.pop(key, None)
            self.versions[key] = version
            if self.journal is not None:
                self.journal.remove("state", key)

    # ---- commits and the gate ------------------------------------------------------------------

    def tell(self, fact: RawFact) -> None:
        """Publish a fact, as soon as the commit it belongs to is durable."""
        if self.publish is None:
            return
        if self.gate is None:
            self.publish(fact)
        else:
            self._held.facts.append(fact)

    def end(self, outcome: Outcome) -> None:
        """End the run with the commit under way; the first end counts."""
        if self.gate is None:
            self.outcome = self.outcome or outcome
        else:
            self._held.outcome = self._held.outcome or outcome

    def commit(self) -> None:
        """Close the change under way: number it, cut its delta, let its effects out or hold them."""
        self.sequence += 1
        if self.journal is None:
            return
        self.journal.put("run", 0, self.run_row)
        self.deltas.append(self.journal.cut(self.sequence))
        if self.gate is not None:
            held, self._held = self._held, _Held()
            held.sequence = self.sequence
            self.gate.append(held)

    def release(self, sequence: int) -> None:
        """All commits up to ``sequence`` are durable: let out what they held."""
        assert self.gate is not None, "only a gated run holds anything"
        while self.gate and self.gate[0].sequence <= sequence:
            held = self.gate.popleft()
            for delivery in held.deliveries:
                if delivery.phase == "held":
                    self.dispatch.add(delivery)
            self.orders.extend(held.shows)
            if self.publish is not None:
                for fact in held.facts:
                    self.publish(fact)
            self.outcome = self.outcome or held.outcome

    def _hold_or(self, held: list[Show], show: Show) -> None:
        if self.gate is None:
            self.orders.append(show)
        else:
            held.append(show)

    def run_row(self) -> RunRow:
        """The row about the run itself."""
        return RunRow(workflow=self.plan.name, next_id=self.next_id, active=self.active_time)

    # ---- cancelling ----------------------------------------------------------------------------

    def order_cancel(self, delivery: Delivery) -> None:
        """Have the runner cancel a running or waiting attempt; ``delivery.doom`` says why."""
        self.orders.append(Cancel(delivery))

    def deliveries(self) -> Iterator[Delivery]:
        """All live deliveries, scope by scope."""
        scopes = [self.root]
        while scopes:
            for member in scopes.pop().members:
                if isinstance(member, Delivery):
                    yield member
                elif isinstance(member, Scope):
                    scopes.append(member)

"""The ledger: a run's live data, and how a commit changes them.

Everything that happens in a run is an *input*; what an input changes becomes one *commit* with a
sequence number. The rules (the machine, scopes, early effects) say what changes; the ledger keeps
the data, the counts and the journal straight while they do.

It is the one owner of that data, which is why it is long: each group of methods changes one kind of
it. In a stored run effects on the outside go through the :mod:`gate <.gate>`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from .._events import Event, StopEvent
from .dispatch import Dispatch
from .facts import FactKind, RawFact, Sink
from .gate import Gate
from .items import Items
from .joins import Entry, Joins, Key, path_within
from .journal import Journal
from .live import Child, Delivery, Effect, Record, Request, Scope
from .outcome import Cancel, Order, Outcome, Show
from .plan import Plan, StepPlan
from .records import ROOT, Delta, MemoRow, RunRow, StateRow
from .suspects import Suspects
from .timers import Timers

__all__ = ["Ledger", "News"]

_CLOSED_REQUESTS_KEPT = 1000

News = tuple[FactKind, "str | None", str, "int | None", "int | None", int]
"""A fact about the change under way: kind, step, event type, invocation and cause; how often."""


class Ledger:
    """The live data of one run.

    Attributes:
        news: facts about the change under way, told when it is closed.
        ending: how the run ends; decided, though perhaps not durable yet. The first one counts.
        outcome: how the run has ended.
        stopped_by: the stop event that was committed, durable or not.
        carrier: what observers left with the run.
        publish: told facts at once; ``None`` if nobody listens.
        announce: told facts of a commit that has become durable.
        on_drop: told of a delivery that counts no more while the runner does not have it.
    """

    __slots__ = (
        "_stop",
        "active",
        "active_time",
        "announce",
        "carrier",
        "closed_requests",
        "delayed",
        "deltas",
        "dispatch",
        "drained",
        "ending",
        "gate",
        "joins",
        "journal",
        "mailbox",
        "news",
        "next_id",
        "on_drop",
        "orders",
        "outcome",
        "plan",
        "publish",
        "requests",
        "resting",
        "root",
        "sequence",
        "state",
        "stopped_by",
        "suspects",
        "timers",
        "versions",
        "waiting",
    )

    def __init__(self, plan: Plan, *, journaled: bool, gated: bool) -> None:
        self.plan = plan
        self.root = Scope(ROOT, None, 0, None, 0)
        self.dispatch = Dispatch(plan)
        self.suspects = Suspects(self.dispatch)
        self.timers = Timers()
        self.joins = Joins()
        self.requests: dict[str, Request] = {}
        self.closed_requests: dict[str, Literal["answered", "withdrawn"]] = {}
        self.mailbox: dict[int, Record] = {}
        self.waiting: dict[Delivery, Effect] = {}
        self.resting: dict[Delivery, None] = {}
        self.state: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self.drained: list[tuple[int, Scope]] = []
        self.ending: Outcome | None = None
        self.outcome: Outcome | None = None
        self.news: list[News] = []
        self.orders: deque[Order] = deque()
        self.deltas: deque[Delta] = deque()
        self.sequence = 0
        self.next_id = 1
        self.active = 0
        self.delayed = 0
        self.active_time = 0.0
        self.carrier = ""
        self.publish: Sink | None = None
        self.announce: Sink | None = None
        self.on_drop: Callable[[Delivery], object] | None = None
        self.journal: Journal | None = Journal() if journaled or gated else None
        self.gate: Gate | None = Gate() if gated else None
        self.stopped_by: StopEvent | None = None
        self._stop: StopEvent | None = None

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
        number = self.next_id
        self.next_id = number + 1
        record = Record(number, event, cause, position, scope, branch, recoveries)
        if self.journal is not None:
            self.journal.put("events", record.id, record.row)
        return record

    def forget_record(self, record: Record) -> None:
        """Nothing needs the record."""
        if self.journal is not None:
            self.journal.remove("events", record.id)

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
        if not record.holders:
            self.forget_record(record)

    def deliver(self, step: StepPlan, record: Record) -> Delivery:
        """Put an event on its way to one step, in its place in the run."""
        record.holders += 1
        scope, branch, recoveries = record.scope, record.branch, record.recoveries
        return self.deliver_joined(step, (record,), scope, branch, recoveries)

    def deliver_joined(
        self,
        step: StepPlan,
        records: tuple[Record, ...],
        scope: Scope,
        branch: int,
        recoveries: int,
    ) -> Delivery:
        """Put events on their way to one step that a join was holding, and still does."""
        number = self.next_id
        self.next_id = number + 1
        delivery = Delivery(number, step, records, scope, branch, recoveries)
        scope.members[delivery] = None
        self.active += 1
        if self.journal is not None:
            self.journal.put("deliveries", delivery.id, delivery.row)
        return delivery

    def queue(self, items: Items) -> None:
        """Let the items of a fan-out be dispatched, one by one."""
        items.scope.members[items] = None
        self.next_id += 2 * len(items)
        self.active += len(items)
        self.dispatch.expect(items)
        if self.journal is not None:
            self.journal.put_items(items)
        if self.gate is None:
            self.dispatch.add_items(items)
        else:
            self.gate.under_way.deliveries.append((items, items.order))

    def drop(self, items: Items) -> None:
        """What is left of items counts no more."""
        if self.on_drop is not None:
            for delivery in items:
                self.on_drop(delivery)
        if self.journal is not None:
            self.journal.remove_items(items)
        self.active -= self.dispatch.drop_items(items)
        self.leave(items.scope, items)
        self.give_room(items.step)

    def note(self) -> Sink:
        """Where facts of the commit under way go, if anybody listens."""
        assert self.publish is not None, "nobody listens"
        return self.publish if self.gate is None else self.gate.under_way.facts.append

    def note_routed(self, event: Event, cause: int, times: int = 1) -> None:
        """Note that an event, or as many like it, found its way in the change under way."""
        self.news.append(("event_routed", None, event.event_type, None, cause, times))

    def admit(self, delivery: Delivery) -> None:
        """Let a delivery be dispatched, as soon as the commit that made it is durable."""
        if self.gate is None:
            self.dispatch.add(delivery)
        else:
            self.dispatch.hold(delivery)
            self.gate.under_way.deliveries.append((delivery, delivery.order))

    def mark(self, delivery: Delivery) -> bool:
        """Note that a delivery that is next has been begun, before it is.

        Returns:
            Whether it may begin at once; if not, it is next again when the mark is durable.
        """
        delivery.begun = True
        self.touch(delivery)
        if self.gate is None:
            return True
        # It keeps its slot: the next for it is not begun yet, and must not count as if it were.
        number = self.sequence + 1
        self.dispatch.reserve(delivery, number)
        self.gate.under_way.marked.append((delivery, number))
        return False

    def take_back_marks(self) -> bool:
        """What is on record as begun and was not handed out yet has not begun.

        Returns:
            Whether there was anything, and so something to commit.
        """
        taken = self.dispatch.take_back()
        for delivery in taken:
            delivery.begun = False
            self.touch(delivery)
        return bool(taken)

    def unqueue(self, delivery: Delivery) -> None:
        """Take a delivery that the runner does not have out of its queue or timer."""
        if delivery.phase == "delayed":
            self.wake(delivery)
        else:
            self.dispatch.drop(delivery)
            self.give_room(delivery.step)
            if delivery.deliveries:
                self.suspects.release(delivery)
        if self.on_drop is not None:
            self.on_drop(delivery)

    def put_off(self, delivery: Delivery, due: float) -> None:
        """Let a delivery wait until ``due``; then it queues behind what is there."""
        delivery.phase = "delayed"
        delivery.due = due
        delivery.order = self.new_id()  # of those due at the same time the first put off is first
        delivery.timer = self.timers.set(due, "delay", delivery)
        self.active -= 1
        self.delayed += 1
        self.touch(delivery)

    def wake(self, delivery: Delivery) -> None:
        """A delivery is put off no longer."""
        if delivery.timer is not None:
            self.timers.drop(delivery.timer)
        delivery.timer = delivery.due = None
        delivery.phase = "gone"  # from its timer; the caller knows where to
        delivery.order = self.new_id()
        self.delayed -= 1
        self.active += 1
        self.touch(delivery)

    def pass_on(self, delivery: Delivery, event: Event, step: StepPlan) -> None:
        """Settle a delivery whose attempt leaves one event, for one step and in the same scope.

        What :meth:`new_record`, :meth:`deliver`, :meth:`admit` and :meth:`settle` do one after the
        other, written out: nearly every attempt ends so.
        """
        number, scope = self.next_id, delivery.scope
        branch, recoveries = delivery.branch, delivery.recoveries
        self.next_id = number + 2
        record = Record(number, event, delivery.id, 0, scope, branch, recoveries)
        record.holders = 1
        following = Delivery(number + 1, step, (record,), scope, branch, recoveries)
        scope.members[following] = None
        del scope.members[delivery]
        delivery.phase = "gone"
        if self.journal is not None:
            self.journal.put("events", number, record.row)
            self.journal.put("deliveries", number + 1, following.row)
            self._forget_rows(delivery, self.journal)
        self.admit(following)

    def pass_into(
        self, delivery: Delivery, event: Event, gather: StepPlan, gathered: Scope
    ) -> None:
        """Settle a delivery whose attempt leaves one event, for a gather of a scope around it.

        Like :meth:`pass_on`, with :meth:`join` for what is delivered there.
        """
        number, scope = self.next_id, delivery.scope
        self.next_id = number + 2
        record = Record(number, event, delivery.id, 0, scope, delivery.branch, delivery.recoveries)
        record.holders = 1
        place = self.joins.place(gather, gathered, 0, 0)
        entry = (number + 1, record, () if scope is gathered else path_within(record, gathered))
        place.entries.append(entry)
        del scope.members[delivery]
        if not scope.members:
            self.has_drained(scope)
        self.active -= 1
        delivery.phase = "gone"
        if self.journal is not None:
            self.journal.put("events", number, record.row)
            self.journal.put("joins", number + 1, partial(place.row, entry))
            self._forget_rows(delivery, self.journal)

    def settle(self, delivery: Delivery) -> None:
        """A delivery is handled, or counts no more: its token is spent.

        The caller has taken it off the dispatch, the timers and the waiting.
        """
        delivery.phase = "gone"
        self.active -= 1
        scope = delivery.scope
        del scope.members[delivery]
        if not scope.members and scope.parent is not None:
            self.has_drained(scope)
        if self.journal is not None:
            self._forget_rows(delivery, self.journal)
        if delivery.effects is not None:
            self._forget_effects(delivery.effects)
        if delivery.children is not None:
            self.forget_children(delivery)

    def _forget_rows(self, delivery: Delivery, journal: Journal) -> None:
        """A settled delivery has no row any more, nor have records that nothing else needs."""
        for record in delivery.records:
            self.let_go(record)
        journal.remove("deliveries", delivery.id)
        for name in delivery.memos or ():
            journal.remove("memos", (delivery.id, name))

    def touch(self, delivery: Delivery) -> None:
        """The delivery's row has changed."""
        if self.journal is not None:
            self.journal.put("deliveries", delivery.id, delivery.row)

    def _forget_effects(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.forget_effect(effect)
            if effect.request in self.requests:
                self.close_request(self.requests[effect.request], "withdrawn")

    def forget_effect(self, effect: Effect) -> None:
        """The effect was undone."""
        if self.journal is not None:
            self.journal.remove("effects", (effect.delivery, effect.number))

    def touch_effect(self, effect: Effect) -> None:
        """The effect's row is new or has changed."""
        if self.journal is not None:
            self.journal.put("effects", (effect.delivery, effect.number), effect.row)

    # ---- children and memos --------------------------------------------------------------------

    def touch_child(self, child: Child) -> None:
        """The child's row is new or has changed."""
        if self.journal is not None:
            self.journal.put("children", (child.delivery, child.number), child.row)

    def forget_children(self, delivery: Delivery) -> None:
        """The child runs of an invocation count no more: its next attempt runs its own."""
        children = delivery.children
        if children is None:
            return
        delivery.children = None
        if self.journal is not None:
            for child in children.runs:
                self.journal.remove("children", (child.delivery, child.number))

    def remember(self, delivery: Delivery, name: str, value: Any) -> None:
        """Keep a result with an invocation."""
        delivery.memos = delivery.memos or {}
        delivery.memos[name] = value
        if self.journal is not None:
            row = MemoRow(delivery=delivery.id, name=name, value=value)
            self.journal.put("memos", (delivery.id, name), lambda: row)

    # ---- attempts that wait in the engine ------------------------------------------------------

    def suspend_attempt(self, delivery: Delivery, effect: Effect, now: float) -> None:
        """A running attempt waits in the engine: it gives its slot back, its time limit stops."""
        if self.resting:
            self.rest(delivery, False)
        if delivery.deliveries:
            self.suspects.release(delivery)
        if delivery.timer is not None:
            delivery.time_left = delivery.timer.due - now
            self.timers.drop(delivery.timer)
            delivery.timer = None
        self.dispatch.free(delivery.step)
        delivery.phase = "waiting"
        delivery.waiting_for = effect
        self.waiting[delivery] = effect
        self.active -= 1
        self._tell_wait("step_waiting", delivery, now)

    def resume_attempt(self, delivery: Delivery) -> None:
        """What a waiting attempt waited for is there: it queues for a slot, behind the others."""
        self._stop_waiting(delivery)
        delivery.order = self.new_id()
        self.touch(delivery)
        self.admit(delivery)

    def go_on(self, delivery: Delivery, now: float) -> None:
        """An attempt that waited has its slot back: its time limit runs again."""
        delivery.waiting_for = None
        if delivery.time_left is not None:
            delivery.timer = self.timers.set(now + delivery.time_left, "timeout", delivery)
            delivery.time_left = None
        self._tell_wait("step_continued", delivery, now)

    def _tell_wait(self, kind: FactKind, delivery: Delivery, now: float) -> None:
        """Like the start of an attempt, its waits are told at once: no commit makes them true."""
        if self.publish is not None:
            step, number = delivery.step.name, delivery.id
            kind_of_event, cause = delivery.origin()
            attempt = delivery.attempts + 1
            self.publish((kind, now, step, kind_of_event, attempt, None, None, number, cause))

    def settle_effect(
        self, effect: Effect, delivery: Delivery, how: Literal["answered", "timed_out"], answer: Any
    ) -> None:
        """A wait or request inside a step is over, whether its attempt waits in it now or not."""
        effect.settled = how
        effect.answer = answer
        self.touch_effect(effect)
        if self.waiting.get(delivery) is effect:
            self.resume_attempt(delivery)

    def give_room(self, step: StepPlan) -> None:
        """Let the generators go on that wait for room in ``step``, if there is some.

        All of them: one that goes on need not yield to this step again, and then nothing would wake
        the next. So each may exceed the limit by one.
        """
        if step.max_pending is None:
            return
        state = self.dispatch.steps[step.index]
        while state.wants_room and state.pending < step.max_pending:
            delivery, effect = state.wants_room.pop(0)
            if self.waiting.get(delivery) is effect:
                # Nothing is to be committed: it goes on in its old place.
                self._stop_waiting(delivery)
                self.dispatch.put_back(delivery)

    def rest(self, delivery: Delivery, resting: bool) -> None:
        """A running attempt can, or can't, do anything before somebody outside does something."""
        if resting and delivery not in self.resting:
            self.resting[delivery] = None
            self.active -= 1
        elif not resting and delivery in self.resting:
            del self.resting[delivery]
            self.active += 1

    def end_attempt(self, delivery: Delivery) -> None:
        """The runner has reported the end of an attempt, wherever it was."""
        if self.resting:
            self.rest(delivery, False)
        if delivery.deliveries:
            self.suspects.release(delivery)
        if delivery.phase == "running":
            self.dispatch.free(delivery.step)
        elif delivery.phase == "waiting":
            self._stop_waiting(delivery)
            delivery.time_left = None
        else:
            self.dispatch.drop(delivery)
            delivery.time_left = None
            self.give_room(delivery.step)
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

    def leave(self, scope: Scope, token: Delivery | Items | Request | Scope) -> None:
        """Spend a token of a scope; one without tokens has drained (the root never does)."""
        del scope.members[token]
        if not scope.members and scope.parent is not None:
            self.has_drained(scope)

    def has_drained(self, scope: Scope) -> None:
        """A scope has no tokens; what follows from it is carried out at the end of the change.

        The oldest first, so that the order does not depend on the order in which tokens were spent.
        """
        heapq.heappush(self.drained, (scope.id, scope))

    def close_scope(self, scope: Scope) -> None:
        """A drained scope is over."""
        assert scope.parent is not None
        self.leave(scope.parent, scope)
        if self.journal is not None:
            self.journal.remove("scopes", scope.id)

    # ---- joins ---------------------------------------------------------------------------------

    def join(
        self,
        step: StepPlan,
        scope: Scope,
        branch: int,
        slot: int | str,
        record: Record,
        path: tuple[int, ...] = (),
    ) -> int:
        """Let a record wait in a joining step; return how many now wait in that place."""
        place = self.joins.place(step, scope, branch, slot)
        entry = (self.new_id(), record, path)
        place.entries.append(entry)
        record.holders += 1
        if self.journal is not None:
            self.journal.put("joins", entry[0], partial(place.row, entry))
        return len(place.entries)

    def unjoin(self, key: Key, count: int | None = None) -> list[Entry]:
        """Take the oldest ``count`` records, or all, that wait in a place of a joining step.

        The caller delivers them, and each keeps the hold that it had; or lets them go.
        """
        entries = self.joins.take(key, count)
        if self.journal is not None:
            for number, _, _ in entries:
                self.journal.remove("joins", number)
        return entries

    # ---- requests ------------------------------------------------------------------------------

    def open_request(self, request: Request) -> None:
        """A question is open."""
        self.requests[request.id] = request
        request.scope.members[request] = None
        if self.publish is not None:
            asking, invocation = request.asking
            self.news.append(
                ("input_requested", asking, request.event.event_type, invocation, None, 1)
            )
        if self.journal is not None:
            self.journal.put("requests", request.id, request.row)
        shows = self.orders if self.gate is None else self.gate.under_way.shows
        shows.append(Show(request.event))

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
        self.note()(fact)

    def end(self, outcome: Outcome) -> None:
        """End the run with the commit under way."""
        if self.ending is None:
            self.ending = outcome
            self._stop = self.stopped_by = outcome.event
            if self.gate is None:
                self.outcome = outcome
            else:
                self.gate.under_way.outcome = outcome

    def end_now(self, outcome: Outcome) -> None:
        """End the run whatever is still to be made durable; an end that is not does not count."""
        assert self.outcome is None, "a run ends once"
        self.ending = self.outcome = outcome

    def commit(self) -> None:
        """Close the change under way: number it, cut its delta, let out or hold its effects."""
        self.sequence += 1
        if self.journal is not None:
            self._cut(self.journal)

    def _cut(self, journal: Journal) -> None:
        journal.put("run", 0, self.run_row)
        facts = () if self.gate is None else self.gate.under_way.facts
        self.deltas.append(journal.cut(self.sequence, self._stop, facts))
        self._stop = None
        if self.gate is not None:
            self.gate.close(self.sequence)

    def release(self, sequence: int) -> None:
        """All commits up to ``sequence`` are durable: let out what they held."""
        assert self.gate is not None, "only a gated run holds anything"
        for held in self.gate.open(sequence):
            for delivery, order in held.deliveries:
                if isinstance(delivery, Items):
                    self.dispatch.add_items(delivery)
                elif delivery.phase == "held" and delivery.order == order:
                    self.dispatch.add(delivery)
            for delivery, number in held.marked:
                self.dispatch.hand_out(delivery, number)
            self.orders.extend(held.shows)
            if self.announce is not None:
                for fact in held.facts:
                    self.announce(fact)
            self.outcome = self.outcome or held.outcome

    def run_row(self) -> RunRow:
        """The row about the run itself."""
        return RunRow(
            workflow=self.plan.name,
            next_id=self.next_id,
            active=self.active_time,
            carrier=self.carrier,
        )

    # ---- cancelling ----------------------------------------------------------------------------

    def order_cancel(self, delivery: Delivery) -> None:
        """Have the runner cancel a running or waiting attempt; ``delivery.doom`` says why."""
        self.orders.append(Cancel(delivery))

    def deliveries(self) -> Iterator[Delivery]:
        """All live deliveries, scope by scope; not those that are items yet."""
        scopes = [self.root]
        while scopes:
            for member in scopes.pop().members:
                if isinstance(member, Delivery):
                    yield member
                elif isinstance(member, Scope):
                    scopes.append(member)

"""A machine and the model of it, driven together and compared after every input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import note

from blazen_anyio._events import Event, InputRequestEvent, InputResponseEvent
from blazen_anyio._exceptions import NonDeterministicStepError
from blazen_anyio._machine import Cancel, Delivery, Machine, Outputs, Plan, Tables, in_rows
from blazen_anyio._machine.records import DeliveryRow

from .driver import Boom, same_tables
from .model import Model
from .model_parts import Label, MDelivery, MEffect, MRequest, NotTheSame, label

__all__ = ["Sends", "Twin", "outcome_of"]

Sends = list[tuple[Event | list[Event], float]]


class Twin:
    """A machine under test and its model.

    Attributes:
        attempts: the attempts that were handed out and not reported, oldest first.
        agree: whether they did when they were compared last.
        known: by the machine's id, the deliveries of the model that were handed out some time.
    """

    def __init__(self, plan: Plan, *, gated: bool, journaled: bool = True) -> None:
        self.plan = plan
        self.gated = gated
        self.journaled = journaled
        self.now = 0.0
        self.machine = Machine(plan, "run", gated=gated, journaled=journaled)
        self.model = Model(plan, gated=gated)
        self.tables = Tables()
        self.attempts: dict[Delivery, MDelivery] = {}
        self.known: dict[int, MDelivery] = {}
        self.agree = True

    # ---- inputs --------------------------------------------------------------------------------

    def start(self, event: Event) -> None:
        self._note(f"start {event}")
        self.machine.start(event, self.now)
        self.model.send(event)
        self.compare()

    def send(self, event: Event) -> None:
        self._note(f"send {event}")
        self.machine.send(event, self.now)
        self.model.send(event)
        self.compare()

    def take(self) -> bool:
        """Take one invocation; both must choose the same."""
        self.agree = False
        expected, taken = self.model.take(), self.machine.handling.take(self.now)
        assert (expected is None) == (taken is None), (expected, taken)
        if taken is None or expected is None:
            self.agree = True
            return False
        assert taken.step is expected.step
        labels = tuple(label(record.event) for record in taken.records)
        assert labels == expected.labels
        assert taken.resumes == (taken in self.attempts)
        counts = self.machine.counts()[taken.step.index]
        assert counts.limit is None or counts.running <= counts.limit
        if taken.resumes:
            assert self.attempts[taken] is expected
        self._note(f"take {_told(taken)}")
        self.attempts[taken] = self.known[taken.id] = expected
        self.compare()
        return True

    def take_all(self) -> None:
        while self.take():
            pass

    def succeed(self, delivery: Delivery, returned: Any, sends: Sends, writes: Any) -> None:
        self._note(f"{_told(delivery)} succeeds: {returned} {sends} {writes}")
        expected = self.attempts.pop(delivery)
        outputs = Outputs(sends=sends, writes=writes) if sends or writes else None
        self.machine.handling.succeeded(delivery, returned, outputs, self.now)
        self.model.succeed(expected, returned, sends, writes)
        self.compare()

    def fail(self, delivery: Delivery, retry_in: float | None) -> None:
        self._note(f"{_told(delivery)} fails, {retry_in=}")
        expected = self.attempts.pop(delivery)
        error = Boom()
        self.machine.handling.failed(delivery, error, retry_in, self.now)
        self.model.fail(expected, error, retry_in)
        self.compare()

    def release(self, delivery: Delivery) -> None:
        self._note(f"{_told(delivery)} is released")
        expected = self.attempts.pop(delivery)
        self.machine.handling.released(delivery, self.now)
        self.model.release(expected)
        self.compare()

    def early(self, delivery: Delivery, kind: str, event: Event) -> None:
        """Send early, or yield."""
        self._note(f"{_told(delivery)} lets out ({kind}) {event}")
        digest, machine = repr(event), self.machine
        if kind == "send":
            self._both(
                lambda: machine.inside.send_early(delivery, event, digest, 0, self.now),
                lambda: self.model.early(self.attempts[delivery], kind, event, digest),
            )
        else:
            self._both(
                lambda: machine.inside.give(delivery, event, digest, self.now),
                lambda: self.model.early(self.attempts[delivery], kind, event, digest),
            )

    def wait(
        self, delivery: Delivery, digest: str, timeout: float | None, ask: InputRequestEvent | None
    ) -> None:
        self._note(f"{_told(delivery)} waits for {digest} {ask} {timeout=}")
        expected, machine = self.attempts[delivery], self.machine
        if ask is None:
            self._both(
                lambda: machine.inside.wait(delivery, digest, timeout, self.now),
                lambda: self.model.wait(expected, digest, timeout, None),
            )
        else:
            self._both(
                lambda: machine.inside.ask(delivery, ask, digest, timeout, self.now),
                lambda: self.model.wait(expected, digest, timeout, ask),
            )

    def leave(self, delivery: Delivery) -> None:
        """A scope of its own has ended its wait."""
        self._note(f"{_told(delivery)} leaves its wait")
        self.machine.inside.leave_wait(delivery, self.now)
        self.model.leave(self.attempts[delivery])
        self.compare()

    def repeat(self, delivery: Delivery) -> None:
        """Make the next early effect that an earlier attempt made."""
        effect = self.attempts[delivery].effects[delivery.cursor]
        if effect.kind in ("send", "yield"):
            assert effect.event is not None
            self.early(delivery, effect.kind, effect.event)
        else:
            ask = effect.event if isinstance(effect.event, InputRequestEvent) else None
            self.wait(delivery, effect.digest, None, ask)

    def claim(self, waiting: int, offered: int) -> None:
        self._note(f"wait {waiting} claims {offered} of the mailbox")
        delivery, _ = self.machine.inside.waits()[waiting]
        record = list(self.machine._ledger.mailbox.values())[offered]
        self.machine.inside.claim(delivery, record, self.now)
        self.model.claim(self.model.waits()[waiting], self.model.mailbox[offered])
        self.compare()

    def respond(self, request: MRequest, n: int) -> None:
        self._note(f"respond to {request.event.prompt}")
        request_id = next(
            each.request_id for each in self.machine.requests if each.prompt == request.event.prompt
        )
        response = InputResponseEvent(request_id, n)
        self.machine.respond(request_id, n, self.now)
        self.model.respond(request, response)
        self.compare()

    def advance(self, seconds: float) -> None:
        self._note(f"advance {seconds}")
        self.now += seconds
        self.machine.tick(self.now)
        self.model.tick(self.now)
        self.compare()

    def steer(self, how: str) -> None:
        """Pause, resume, suspend, cancel or close."""
        self._note(f"{how}")
        getattr(self.machine, how)(self.now)
        getattr(self.model, how)()
        self.compare()

    def acknowledge(self, commit: int) -> None:
        self._note(f"acknowledge {commit}")
        self.machine.committed(commit, self.now)
        self.model.acknowledge(commit)
        self.compare()

    def acknowledge_all(self) -> None:
        if self.gated:
            self.acknowledge(self.model.commits)

    def restore(self) -> None:
        """Go on with another machine that is made from the snapshot of this one."""
        self._note("restore")
        sheets = self.machine.snapshot(self.now)
        self.machine = Machine.restore(
            self.plan, "run", sheets, self.now, gated=self.gated, journaled=self.journaled
        )
        assert in_rows(self.machine.snapshot(self.now)) == in_rows(sheets)
        self.attempts.clear()
        self.machine.go_on(self.now)
        self.model.restore()
        self.compare()

    # ---- comparison ----------------------------------------------------------------------------

    def _note(self, what: str) -> None:
        self.agree = False
        note(what)

    def compare(self) -> None:
        self._compare()
        self.agree = True

    def _compare(self) -> None:
        machine, model, ledger = self.machine, self.model, self.machine._ledger
        while machine.deltas:
            self.tables.apply(machine.deltas.popleft())
        tables = in_rows(machine.snapshot(self.now))
        assert not self.journaled or same_tables(self.tables, tables)
        assert ledger.sequence == model.commits
        assert outcome_of(machine) == model.outcome
        assert machine.next_deadline == model.next_deadline()
        self._compare_counts()
        self._compare_cancels()
        assert [label(each) for each in machine.requests] == [
            label(each.event) for each in model.requests
        ]
        assert [self.attempts[waiting] for waiting, _ in machine.inside.waits()] == model.waits()
        assert [label(each.event) for each in ledger.mailbox.values()] == [
            label(each.event) for each in model.mailbox
        ]
        assert machine.state == model.state
        self._compare_tables(tables)

    def _compare_counts(self) -> None:
        machine, model, ledger = self.machine, self.model, self.machine._ledger
        for state in machine.counts():
            assert state.running == len(model.running(state.plan))
            assert state.pending == model.pending(state.plan)
        assert machine._dispatch.running == len(model.running())
        assert (ledger.active, ledger.delayed) == (model.active(), model.delayed())
        for delivery, expected in self.attempts.items():
            assert delivery.doom == expected.doom

    def _compare_cancels(self) -> None:
        orders = self.machine.orders
        cancelled = {self.attempts[each.delivery] for each in orders if isinstance(each, Cancel)}
        orders.clear()
        assert cancelled == set(self.model.cancelled)
        self.model.cancelled.clear()

    def _compare_tables(self, tables: Tables) -> None:
        model, events = self.model, tables.events

        def labels(row: DeliveryRow) -> tuple[Label, ...]:
            return tuple(label(events[id].event) for id in row.events)

        queue = sorted(tables.deliveries.values(), key=lambda row: row.order)
        assert [(row.step, labels(row), row.attempts, row.due) for row in queue] == [
            (each.name, each.labels, each.attempts, each.due)
            for each in sorted(model.live(), key=lambda each: each.place)
        ]
        assert Counter(
            (row.opener, row.branch, row.items, row.closing, row.abandoned, row.held > 0)
            for row in tables.scopes.values()
        ) == Counter(
            (
                scope.opener.name,
                scope.branch,
                scope.items,
                scope.closing,
                scope.abandoned,
                scope.holder is not None,
            )
            for scope in model.open_scopes()
            if scope.opener is not None
        )
        assert [
            (row.step, label(events[row.event].event)) for row in tables.joins.values()
        ] == sorted_joins(model, tables)
        effects = [effect for each in model.live() for effect in each.effects]
        assert Counter(map(_effect, effects)) == Counter(
            (row.kind, row.digest, row.settled, row.due) for row in tables.effects.values()
        )
        assert set(events) == _needed(tables), "no event is kept for nobody, and none is missing"

    def _both(self, machine: Callable[[], object], model: Callable[[], object]) -> None:
        failed = expected = False
        try:
            machine()
        except NonDeterministicStepError:
            failed = True
        try:
            model()
        except NotTheSame:
            expected = True
        assert failed == expected
        self.compare()


def sorted_joins(model: Model, tables: Tables) -> list[tuple[str, Label]]:
    """The model's joined events, in the order in which the tables happen to have them."""
    rows = [(row.step, label(tables.events[row.event].event)) for row in tables.joins.values()]
    found = Counter((each.step.name, label(each.event.event)) for each in model.joined)
    return rows if Counter(rows) == found else sorted(found.elements(), key=repr)


def outcome_of(machine: Machine) -> Label | None:
    outcome = machine.outcome
    if outcome is None:
        return None
    if outcome.event is not None:
        return label(outcome.event)
    return (outcome.kind, type(outcome.error).__name__ if outcome.error is not None else None)


def _effect(effect: MEffect) -> Label:
    return (effect.kind, effect.digest, effect.settled, effect.due)


def _needed(tables: Tables) -> set[int]:
    needed = {id for row in tables.deliveries.values() for id in row.events}
    needed |= {row.event for row in tables.joins.values()}
    return needed | {row.id for row in tables.events.values() if row.mailbox}


def _told(delivery: Delivery) -> str:
    labels = [label(record.event) for record in delivery.records]
    return f"{delivery.step.name}#{delivery.id}{labels}"

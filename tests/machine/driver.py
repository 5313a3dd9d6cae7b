"""A synchronous driver over the machine, for tests that read like the run they describe.

It builds plans by hand, keeps a virtual clock, takes what may run, reports how attempts end by the
name of their step, and collects the orders. After every input it checks that the deltas of all
commits, applied in order to empty tables, are the machine's snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from sheets import in_sheets

from blazen_anyio._events import Event, InputRequestEvent
from blazen_anyio._machine import (
    Cancel,
    Delivery,
    Effect,
    Machine,
    Mode,
    Offer,
    Outputs,
    Plan,
    RawFact,
    Record,
    Show,
    StepPlan,
    Tables,
    in_rows,
)

__all__ = ["Boom", "Done", "Draft", "Driver", "Go", "Note", "Other", "Work", "make_plan", "step"]


class Go(Event, event_type="test.Go"):
    """Starts most of the tests' runs."""


class Work(Event, event_type="test.Work"):
    n: int = 0


class Done(Event, event_type="test.Done"):
    n: int = 0


class Note(Event, event_type="test.Note"):
    n: int = 0


class Other(Event, event_type="test.Other"):
    n: int = 0


class Boom(Exception):
    """What steps of the tests raise."""


@attrs.frozen
class Draft:
    """A step before it has its place in the plan; ``gathers`` still holds names."""

    name: str
    accepts: tuple[type[Event], ...]
    gathers: tuple[str, ...]
    options: dict[str, Any]


def step(name: str, *accepts: type[Event], gathers: Iterable[str] = (), **options: Any) -> Draft:
    """Describe a step; ``gathers`` names the gather steps that are bound to it."""
    return Draft(name, accepts, tuple(gathers), options)


def gather(name: str, *accepts: type[Event], **options: Any) -> Draft:
    """Describe a gather step."""
    return step(name, *accepts, mode=Mode.GATHER, **options)


Name = str | Delivery
"""The name of a step, for its oldest attempt, or the attempt itself."""


def make_plan(*drafts: Draft, **options: Any) -> Plan:
    """Make a plan of the steps in this order."""
    places = {draft.name: index for index, draft in enumerate(drafts)}
    steps = tuple(
        StepPlan(
            index=places[draft.name],
            name=draft.name,
            accepts=draft.accepts,
            gathers=tuple(places[name] for name in draft.gathers),
            **draft.options,
        )
        for draft in drafts
    )
    return Plan(name="test", steps=steps, **options)


FAN = make_plan(
    step("split", Go, gathers=["join"]),
    step("work", Work),
    gather("join", Done),
)
"""A fan-out, its worker, and the gather bound to it."""


def same_tables(left: Tables, right: Tables) -> bool:
    """Whether two tables say the same, but for the time counted since the last commit."""
    runs = [{0: attrs.evolve(tables.run[0], active=0.0)} for tables in (left, right)]
    return attrs.evolve(left, run=runs[0]) == attrs.evolve(right, run=runs[1])


class Driver:
    """Drives one machine.

    Attributes:
        machine: what is tested.
        now: the virtual clock, in seconds.
        running: the attempts that were handed out and not reported, in the order of their taking.
        cancelled, shown, offered: the orders that came, oldest first.
        facts: what was published.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        gated: bool = False,
        tables: Tables | None = None,
        now: float = 0.0,
    ) -> None:
        self.plan = plan
        self.gated = gated
        self.now = now
        self.running: list[Delivery] = []
        self.cancelled: list[Delivery] = []
        self.shown: list[InputRequestEvent] = []
        self.offered: list[Record] = []
        self.facts: list[RawFact] = []
        self.tables = Tables()
        if tables is None:
            self.machine = Machine(plan, "run", gated=gated, journaled=True)
        else:
            for table in attrs.fields(Tables):
                getattr(self.tables, table.name).update(getattr(tables, table.name))
            self.machine = Machine.restore(
                plan, "run", in_sheets(tables), now, gated=gated, journaled=True
            )
        self.machine.tell(self.facts.append)
        self._after()
        if tables is not None:
            self.machine.go_on(now)
            self._after()

    # ---- inputs --------------------------------------------------------------------------------

    def start(self, event: Event | None = None) -> Driver:
        self.machine.start(Go() if event is None else event, self.now)
        return self._after()

    def send(self, event: Event) -> None:
        self.machine.send(event, self.now)
        self._after()

    def respond(self, request_id: str, response: Any) -> None:
        self.machine.respond(request_id, response, self.now)
        self._after()

    def take(self) -> str | None:
        """Take one invocation; return the name of its step."""
        delivery = self.machine.handling.take(self.now)
        if delivery is None:
            return None
        if not delivery.resumes:
            self.running.append(delivery)
        self._after()
        return delivery.step.name

    def take_all(self) -> list[str]:
        """Take until nothing more may run; return the names of the steps."""
        return list(iter(self.take, None))

    def succeed(
        self,
        name: Name,
        returned: Any = None,
        *,
        sends: Sequence[Event | list[Event] | tuple[Event, float]] = (),
        **outputs: Any,
    ) -> Delivery:
        """The oldest attempt of the step succeeds; a send may be a pair with its delay."""
        delivery = self.find(name)
        pairs = [sent if isinstance(sent, tuple) else (sent, 0.0) for sent in sends]
        left = Outputs(sends=pairs, **outputs) if pairs or outputs else None
        self._reported(delivery)
        self.machine.handling.succeeded(delivery, returned, left, self.now)
        self._after()
        return delivery

    def fail(
        self, name: Name, error: BaseException | None = None, *, retry_in: float | None = None
    ) -> Delivery:
        """The oldest attempt of the step fails."""
        delivery = self.find(name)
        self._reported(delivery)
        self.machine.handling.failed(delivery, error or Boom(name), retry_in, self.now)
        self._after()
        return delivery

    def release(self, name: Name) -> Delivery:
        """The oldest attempt of the step was cancelled."""
        delivery = self.find(name)
        self._reported(delivery)
        self.machine.handling.released(delivery, self.now)
        self._after()
        return delivery

    def follow(self) -> list[str]:
        """Carry out the cancels that were ordered; return the names of the steps."""
        names = []
        while self.cancelled:
            delivery = self.cancelled.pop(0)
            if delivery in self.running:
                names.append(delivery.step.name)
                self._reported(delivery)
                self.machine.handling.released(delivery, self.now)
                self._after()
        return names

    def stop_everything(self) -> None:
        """Report all attempts as cancelled, as a runner does when a run has ended."""
        for delivery in list(self.running):
            self._reported(delivery)
            self.machine.handling.released(delivery, self.now)
            self._after()

    def give(self, name: Name, event: Event) -> bool:
        """The generator yields."""
        room = self.machine.inside.give(self.find(name), event, repr(event), self.now)
        self._after()
        return room

    def send_early(self, name: Name, event: Event, delay: float = 0) -> None:
        self.machine.inside.send_early(self.find(name), event, repr(event), delay, self.now)
        self._after()

    def wait(self, name: Name, *, timeout: float | None = None, what: str = "") -> Effect:
        effect = self.machine.inside.wait(self.find(name), what, timeout, self.now)
        self._after()
        return effect

    def ask(self, name: Name, prompt: str = "?", *, timeout: float | None = None) -> Effect:
        request = InputRequestEvent(prompt)
        effect = self.machine.inside.ask(self.find(name), request, prompt, timeout, self.now)
        self._after()
        return effect

    def leave(self, name: Name) -> None:
        """A scope of the step's own ends its wait."""
        self.machine.inside.leave_wait(self.find(name), self.now)
        self._after()

    def claim(self, name: Name, record: Record | None = None) -> None:
        """The step claims what was offered last, or ``record``."""
        self.machine.inside.claim(self.find(name), record or self.offered[-1], self.now)
        self._after()

    def judged(self) -> None:
        """What was offered has been judged, and not been claimed."""
        self.machine.inside.judged(self.now)
        self._after()

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the machine whenever it is due."""
        end = self.now + seconds
        while (due := self.machine.next_deadline) is not None and due <= end:
            self.now = max(due, self.now)
            self._tick()
        self.now = end
        self._tick()

    def pause(self) -> None:
        self.machine.pause(self.now)
        self._after()

    def resume(self) -> None:
        self.machine.resume(self.now)
        self._after()

    def suspend(self) -> None:
        self.machine.suspend(self.now)
        self._after()

    def cancel(self) -> None:
        self.machine.cancel(self.now)
        self._after()

    def close(self) -> None:
        self.machine.close(self.now)
        self._after()

    def committed(self, sequence: int) -> None:
        self.machine.committed(sequence, self.now)
        self._after()

    # ---- what came of it -----------------------------------------------------------------------

    @property
    def status(self) -> str | None:
        """How the run ended, if it has."""
        outcome = self.machine.outcome
        return None if outcome is None else outcome.kind

    @property
    def result(self) -> Any:
        """What the run returned."""
        outcome = self.machine.outcome
        assert outcome is not None and outcome.event is not None, outcome
        return outcome.event.result

    @property
    def error(self) -> BaseException:
        """What failed the run."""
        outcome = self.machine.outcome
        assert outcome is not None and outcome.error is not None, outcome
        return outcome.error

    @property
    def kinds(self) -> list[str]:
        """The kinds of the facts that were published."""
        return [fact[0] for fact in self.facts]

    def find(self, name: Name) -> Delivery:
        """The oldest attempt of the step that was handed out; takes what may run if need be."""
        if isinstance(name, Delivery):
            return name
        for _ in range(2):
            for delivery in self.running:
                if delivery.step.name == name:
                    return delivery
            self.take_all()
        raise AssertionError(f"{name} is not running, only {[d.step.name for d in self.running]}")

    def events(self, name: str) -> Any:
        """What the oldest attempt of the step was called with."""
        return self.find(name).events

    def queued(self) -> list[tuple[str, tuple[int, ...]]]:
        """The deliveries of the snapshot, in order: step and the numbers of the events."""
        tables = self.snapshot()
        rows = sorted(tables.deliveries.values(), key=lambda row: row.order)
        return [
            (row.step, tuple(getattr(tables.events[id].event, "n", 0) for id in row.events))
            for row in rows
        ]

    def snapshot(self) -> Tables:
        return in_rows(self.machine.snapshot(self.now))

    def restored(self, plan: Plan | None = None) -> Driver:
        """A driver of another machine that goes on from this one's snapshot."""
        return Driver(plan or self.plan, gated=self.gated, tables=self.snapshot(), now=self.now)

    # ---- inside --------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.machine.tick(self.now)
        self._after()

    def _reported(self, delivery: Delivery) -> None:
        self.running.remove(delivery)

    def _after(self) -> Driver:
        machine = self.machine
        while machine.orders:
            order = machine.orders.popleft()
            if isinstance(order, Cancel):
                self.cancelled.append(order.delivery)
            elif isinstance(order, Show):
                self.shown.append(order.request)
            else:
                assert isinstance(order, Offer)
                self.offered.append(order.record)
        while machine.deltas:
            self.tables.apply(machine.deltas.popleft())
        if self.tables.run:
            assert same_tables(self.tables, self.snapshot()), (self.tables, self.snapshot())
        return self

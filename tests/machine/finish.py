"""Brings a machine to the end of its run with choices that depend only on what is handled."""

from __future__ import annotations

import zlib
from typing import Any

from blazen_anyio._events import Event, InputRequestEvent, StopEvent
from blazen_anyio._machine import Cancel, Delivery, Machine, in_rows

from .model_parts import Label, MDelivery, label
from .plans import Ping, Scenario
from .twin import outcome_of

__all__ = ["Course"]

ENOUGH = 2000


class Course:
    """Drives a machine until nothing moves any more.

    Attempts do again what an earlier attempt let out, then return what their step returns to bring
    the run to its end. Of those that run, the one with the first place in the queue is next.

    Attributes:
        handled: what was handled, in order.
    """

    def __init__(
        self,
        machine: Machine,
        scenario: Scenario,
        known: dict[int, MDelivery],
        running: list[Delivery],
        now: float,
    ) -> None:
        self.machine = machine
        self.scenario = scenario
        self.known = known
        self.running = running
        self.now = now
        self.pings = 0
        self.handled: list[Label] = []

    def run(self) -> None:
        for _ in range(ENOUGH):
            if not self._step():
                break
        else:
            raise AssertionError("the run does not come to its end")
        self.handled.append(("end", *(outcome_of(self.machine) or ()), *self._left()))

    def _left(self) -> tuple[Any, ...]:
        tables = in_rows(self.machine.snapshot(self.now))
        rows = sorted(tables.deliveries.values(), key=lambda row: row.order)
        queue = [(row.step, *(label(tables.events[id].event) for id in row.events)) for row in rows]
        return (tuple(queue), tuple(sorted(self.machine.state.items())))

    def _step(self) -> bool:
        self._settle()
        if self.machine.outcome is not None:
            return False
        while (taken := self.machine.handling.take(self.now)) is not None:
            if not taken.resumes:
                self.running.append(taken)
            self._repeat(taken)
            self._settle()
        executing = [each for each in self.running if each.phase == "running"]
        if executing:
            self._succeed(min(executing, key=lambda each: each.order))
            return True
        return self._help()

    def _settle(self) -> None:
        """Carry out the orders: losers end, and everything becomes durable."""
        machine = self.machine
        while True:
            if machine._ledger.gate is not None:
                machine.committed(machine._ledger.sequence, self.now)
            if not machine.orders:
                return
            order = machine.orders.popleft()
            if isinstance(order, Cancel) and order.delivery in self.running:
                self._lose(order.delivery)

    def _lose(self, delivery: Delivery) -> None:
        if delivery.doom == "discard":
            self.running.remove(delivery)
            self.machine.handling.released(delivery, self.now)

    def _repeat(self, delivery: Delivery) -> None:
        effects = self.known[delivery.id].effects if delivery.id in self.known else []
        while delivery.phase == "running" and delivery.cursor < len(delivery.effects or ()):
            effect = effects[delivery.cursor]
            if effect.kind == "send":
                assert effect.event is not None
                self.machine.inside.send_early(delivery, effect.event, effect.digest, 0, self.now)
            elif effect.kind == "yield":
                assert effect.event is not None
                self.machine.inside.give(delivery, effect.event, effect.digest, self.now)
            elif isinstance(effect.event, InputRequestEvent):
                self.machine.inside.ask(delivery, effect.event, effect.digest, None, self.now)
            else:
                self.machine.inside.wait(delivery, effect.digest, None, self.now)

    def _succeed(self, delivery: Delivery) -> None:
        self._repeat(delivery)
        self._settle()
        if delivery not in self.running or delivery.phase != "running":
            return
        labels = tuple(label(record.event) for record in delivery.records)
        self.running.remove(delivery)
        self.handled.append((delivery.step.name, delivery.attempts, *labels))
        self.machine.handling.succeeded(delivery, self._returned(delivery, labels), None, self.now)

    def _returned(self, delivery: Delivery, labels: tuple[Label, ...]) -> Any:
        name, fans = delivery.step.name, self.scenario.fans[delivery.step.name]
        if delivery.step.generates:
            return None
        if fans:
            return [_made(fans[0], name, labels)]
        return tuple(_made(kind, name, labels) for kind in self.scenario.finishes[name]) or None

    def _help(self) -> bool:
        """Nothing runs: answer, claim, send what is waited for, or let time pass."""
        machine = self.machine
        waits = sorted(machine.inside.waits(), key=lambda wait: wait[0].order)
        mailbox = list(machine._ledger.mailbox.values())
        deadline = machine.next_deadline
        if machine.requests:
            machine.respond(machine.requests[0].request_id, 1, self.now)
        elif waits and mailbox:
            machine.inside.claim(waits[0][0], mailbox[0], self.now)
        elif waits:
            self.pings += 1
            machine.send(Ping(self.pings), self.now)
        elif deadline is not None:
            self.now = max(self.now, deadline)
            machine.tick(self.now)
        else:
            return False
        return True


def _made(kind: type[Event], name: str, labels: tuple[Label, ...]) -> Event:
    n = zlib.crc32(repr((kind, name, labels)).encode())
    return StopEvent(result=n) if kind is StopEvent else kind(n=n)  # type: ignore[call-arg]

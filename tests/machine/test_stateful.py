"""Hypothesis drives the machine through randomly drawn plans, next to the model of it.

After every input the two are compared: outcome, queue, counts, scopes, joins, requests, waits,
mailbox, state, cancels, deadlines, and the deltas against the snapshot. So nothing is lost or
handled twice, limits hold, work is conserved and gathers fire once: it is so in the model, whose
rules say little else. At the end the run and a restored copy of it are brought to their end with
the same choices: they must handle the same in the same order.

A rule that can't be applied does some ordinary work instead, so that no step is wasted.
Deeper: ``HYPOTHESIS_PROFILE=thorough``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from blazen_anyio._events import Event, InputRequestEvent, StopEvent
from blazen_anyio._machine import Delivery, Machine, StepPlan

from .finish import Course
from .plans import Ping, Scenario, scenarios
from .twin import Sends, Twin

DRAW = st.data()
STEERING = ("pause", "resume", "resume", "suspend", "cancel", "close")


class MachineRules(RuleBasedStateMachine):
    """The inputs of a run, in any order that a runner could give them in."""

    gated = False
    journaled = True

    def __init__(self) -> None:
        super().__init__()
        self.serial = 0

    @initialize(scenario=scenarios(), starts=st.integers(1, 2))
    def begin(self, scenario: Scenario, starts: int) -> None:
        self.scenario = scenario
        self._begin(starts)

    def _begin(self, starts: int) -> None:
        self.twin = Twin(self.scenario.plan, gated=self.gated, journaled=self.journaled)
        self.twin.start(self.event(self.scenario.start))
        for _ in range(starts - 1):
            self.twin.send(self.event(self.scenario.start))

    # ---- what can be drawn ---------------------------------------------------------------------

    def event(self, kind: type[Event]) -> Event:
        self.serial += 1
        if kind is StopEvent:
            return StopEvent(result=self.serial)
        if kind is InputRequestEvent:
            return InputRequestEvent(f"{self.serial}")
        return kind(n=self.serial)  # type: ignore[call-arg]

    def some(self, data: Any, kinds: tuple[type[Event], ...], most: int) -> list[Event]:
        if not kinds:
            return []
        drawn = data.draw(st.lists(st.sampled_from(kinds), max_size=most))
        return [self.event(kind) for kind in drawn]

    def seldom(self, data: Any) -> bool:
        return data.draw(st.integers(0, 9)) == 9  # type: ignore[no-any-return]

    def pick(self, data: Any, accept: Callable[[Delivery], Any]) -> Delivery | None:
        """An attempt, if there is one that is accepted; what may run is taken before."""
        if not self.goes_on:
            self.clean_up()
        self.twin.take_all()
        attempts = [each for each in self.twin.attempts if accept(each)]
        return attempts[data.draw(st.integers(0, len(attempts) - 1))] if attempts else None

    def pick_running(self, data: Any) -> Delivery | None:
        """An attempt that executes, and does not wait in the engine."""
        return self.pick(data, lambda each: each.phase == "running")

    @property
    def goes_on(self) -> bool:
        return self.twin.model.ending is None

    def clean_up(self) -> None:
        """The run has ended: report what was running, then go on from its snapshot, or anew."""
        for delivery in list(self.twin.attempts):
            self.twin.release(delivery)
        self.twin.acknowledge_all()
        ending = self.twin.model.ending
        assert self.twin.machine.finished
        if ending is not None and ending[0] == "stop":
            self._begin(1)
        else:
            self.twin.restore()

    # ---- ordinary work -------------------------------------------------------------------------

    @rule(data=DRAW)
    def work(self, data: Any) -> None:
        """Something succeeds; or, where nothing runs, time passes or somebody helps."""
        delivery = self.pick_running(data)
        if delivery is not None:
            self._succeed(data, delivery)
        elif self.gated and self.twin.model.acknowledged < self.twin.model.commits:
            self.twin.acknowledge_all()
        elif self.twin.model.requests:
            self._respond(data)
        elif self.twin.model.paused:
            self.twin.steer("resume")
        elif self.twin.model.next_deadline() is not None:
            self.twin.advance(1.0)
        else:
            self.twin.send(self.event(self.scenario.start))

    @rule(data=DRAW)
    def work_more(self, data: Any) -> None:
        self.work(data)

    @rule(data=DRAW)
    def work_even_more(self, data: Any) -> None:
        self.work(data)

    @rule()
    def take(self) -> None:
        self.twin.take()

    def _succeed(self, data: Any, delivery: Delivery) -> None:
        while delivery.phase == "running" and self._repeats(data, delivery):
            if not self.goes_on:
                return
        if delivery.phase != "running":
            return
        returned, sends = self._outputs(data, delivery.step)
        key = data.draw(st.sampled_from(["", "a", "b"]))
        self.serial += 1
        self.twin.succeed(delivery, returned, sends, {key: self.serial} if key else {})

    def _repeats(self, data: Any, delivery: Delivery) -> bool:
        """Do again what an earlier attempt let out next, if there is any; seldom not."""
        if delivery.doom == "discard" or delivery.cursor >= len(delivery.effects or ()):
            return False
        if self.seldom(data):
            return False
        self.twin.repeat(delivery)
        return True

    def _outputs(self, data: Any, step: StepPlan) -> tuple[Any, Sends]:
        emits, fans = self.scenario.emits[step.name], self.scenario.fans[step.name]
        delays = st.sampled_from([0.0, 0.0, 1.0, 3.0])
        sends: Sends = [(event, data.draw(delays)) for event in self.some(data, emits, 1)]
        if step.generates:
            return None, sends
        if fans and self.seldom(data):
            sends.append((self.some(data, fans, 2), 0.0))
        if fans and not self.seldom(data):
            return self.some(data, fans, 4), sends
        returned = self.some(data, emits, 3)
        if self.seldom(data):
            return returned, sends  # a fan-out that no gather is bound to
        return (returned[0] if len(returned) == 1 else tuple(returned) or None), sends

    # ---- everything else -----------------------------------------------------------------------

    @rule(data=DRAW)
    def send(self, data: Any) -> None:
        if self.goes_on:
            kinds = (Ping, Ping, self.scenario.start, *self.scenario.emits["aside"])
            self.twin.send(self.event(data.draw(st.sampled_from(kinds))))

    @rule(data=DRAW, retry_in=st.sampled_from([None, 0.0, 1.0, 3.0, 3.0]))
    def fail(self, data: Any, retry_in: float | None) -> None:
        """An attempt fails: also one that waits inside, but none that queues for its slot."""
        delivery = self.pick(data, lambda each: each.phase != "ready")
        if delivery is not None:
            self.twin.fail(delivery, retry_in)

    @rule(data=DRAW)
    def end_while_waiting(self, data: Any) -> None:
        """An attempt succeeds that the machine believes to wait."""
        delivery = self.pick(data, lambda each: each.waiting_for is not None)
        if delivery is not None and delivery.cursor == len(delivery.effects or ()):
            self.twin.succeed(delivery, None, [], {})

    @rule(data=DRAW)
    def leave(self, data: Any) -> None:
        """A scope of the step's own ends its wait."""
        delivery = self.pick(
            data, lambda each: each.waiting_for is not None and each.waiting_for.kind != "yield"
        )
        if delivery is not None:
            self.twin.leave(delivery)

    @rule(data=DRAW)
    def follow_a_cancel(self, data: Any) -> None:
        """An attempt that is being cancelled ends."""
        delivery = self.pick(data, lambda each: each.doom is not None)
        if delivery is None:
            self.work(data)
        elif delivery.doom == "timeout":
            self.twin.fail(delivery, data.draw(st.sampled_from([None, 1.0])))
        else:
            self.twin.release(delivery)

    @rule(data=DRAW)
    def let_out_early(self, data: Any) -> None:
        delivery = self.pick_running(data)
        if delivery is None or self._repeats(data, delivery):
            return
        fans = self.scenario.fans[delivery.step.name]
        yields = delivery.step.generates and not self.seldom(data)
        kinds = fans if yields else self.scenario.emits[delivery.step.name]
        event = self.event(data.draw(st.sampled_from(kinds)))
        self.twin.early(delivery, "yield" if yields else "send", event)

    @rule(data=DRAW)
    def let_generators_yield(self, data: Any) -> None:
        delivery = self.pick(data, lambda each: each.phase == "running" and each.step.generates)
        if delivery is None:
            self.work(data)
        elif not self._repeats(data, delivery):
            kinds = self.scenario.fans[delivery.step.name]
            self.twin.early(delivery, "yield", self.event(data.draw(st.sampled_from(kinds))))

    @rule(data=DRAW, timeout=st.sampled_from([None, 2.0]), asks=st.booleans())
    def wait(self, data: Any, timeout: float | None, asks: bool) -> None:
        delivery = self.pick_running(data)
        if delivery is None or self._repeats(data, delivery):
            return
        if asks:
            request = self.event(InputRequestEvent)
            assert isinstance(request, InputRequestEvent)
            self.twin.wait(delivery, request.prompt, timeout, request)
        else:
            self.twin.wait(delivery, "ping", timeout, None)

    @rule(data=DRAW)
    def claim(self, data: Any) -> None:
        waits, mailbox = self.twin.model.waits(), self.twin.model.mailbox
        if not self.goes_on or not waits or not mailbox:
            self.work(data)
            return
        waiting = data.draw(st.integers(0, len(waits) - 1))
        self.twin.claim(waiting, data.draw(st.integers(0, len(mailbox) - 1)))

    @rule(data=DRAW)
    def respond(self, data: Any) -> None:
        if self.goes_on and self.twin.model.requests:
            self._respond(data)

    def _respond(self, data: Any) -> None:
        self.serial += 1
        requests = self.twin.model.requests
        request = requests[data.draw(st.integers(0, len(requests) - 1))]
        self.twin.respond(request, self.serial)

    @rule(seconds=st.sampled_from([0.0, 1.0, 1.0, 5.0]))
    def advance(self, seconds: float) -> None:
        self.twin.advance(seconds)

    @rule(data=DRAW, how=st.sampled_from(STEERING))
    def steer(self, data: Any, how: str) -> None:
        if how in ("pause", "resume") or self.seldom(data):
            self.twin.steer(how)

    @rule(data=DRAW)
    def acknowledge(self, data: Any) -> None:
        model = self.twin.model
        if self.gated:
            low = max(0, int(model.acknowledged) - 1)
            self.twin.acknowledge(data.draw(st.integers(low, model.commits)))
        else:
            self.work(data)

    @rule()
    def restore(self) -> None:
        if self.goes_on:
            self.twin.restore()

    # ---- the end -------------------------------------------------------------------------------

    def teardown(self) -> None:
        """A restored copy goes on as the original does, from wherever that is."""
        if not hasattr(self, "twin") or not self.twin.agree:
            return
        if not self.goes_on or self.twin.model.suspending:
            self.clean_up()
        twin = self.twin
        twin.acknowledge_all()
        if not self.goes_on or any(each.is_its_own_master for each in twin.model.live()):
            return
        twin.steer("resume")
        twin.take_all()
        copy = Machine.restore(twin.plan, "run", twin.machine.snapshot(twin.now), twin.now)
        copy.go_on(twin.now)
        if not twin.model.open:
            copy.close(twin.now)
        for delivery in [each for each in twin.attempts if each.doom == "discard"]:
            twin.release(delivery)
        original = Course(twin.machine, self.scenario, twin.known, list(twin.attempts), twin.now)
        copied = Course(copy, self.scenario, twin.known, [], twin.now)
        original.run()
        copied.run()
        assert copied.handled == original.handled


class InMemoryTest(MachineRules):
    """Without a store: the items of a fan-out are made deliveries when they are next."""

    journaled = False


class UngatedTest(MachineRules):
    """With a store that nothing waits for."""


class GatedTest(MachineRules):
    """With a store that acknowledges late."""

    gated = True


# A third of the examples that the profile says, each of many steps: there are three of these.
_SETTINGS = settings(max_examples=settings().max_examples // 3, stateful_step_count=40)
TestInMemory = InMemoryTest.TestCase
TestInMemory.settings = _SETTINGS
TestUngated = UngatedTest.TestCase
TestUngated.settings = _SETTINGS
TestGated = GatedTest.TestCase
TestGated.settings = _SETTINGS

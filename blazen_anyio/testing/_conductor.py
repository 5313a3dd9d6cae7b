"""The conductor: what the engine of a simulated run asks, and what its actors are.

Attempts of steps, tasks that user code starts, and runs' timers become actors of the director; the
engine's own tasks do not. Faults are drawn here, when an attempt begins.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._run._failures import cancelled_from_outside
from ._actors import Abandoned, Actor, Place, perform
from ._choosing import Chooser
from ._director import Director, Settings
from ._faults import Fault, Human, StepFault
from ._independence import leaves_no_trace, settles_quietly
from ._performing import Attempt, perform_attempt
from ._scopes import innermost_scope
from ._virtual_time import AnyCoroutine, Stage

if TYPE_CHECKING:
    from .._context import Context
    from .._machine import Delivery, RawFact
    from .._run import Body, Runner

__all__ = ["Conductor"]

_WRITES, _TIMERS, _ATTEMPTS, _OTHERS = range(4)
"""The ranks of actors."""

_OF_THE_ENGINE = ("input handler of run ", "resource ")
"""How the names of tasks begin in which the engine runs user code that is no step's."""


class Conductor(Director):
    """Conducts one run and its child runs.

    Args:
        stage: the hooks of the event loop.
        chooser: decides at choice points.
        settings: see there.
        root: the id of the outermost run.

    Attributes:
        facts: what happened, with the path of the run that it happened in.
        runner: of the outermost run, once it has begun.
        swallowed: the attempts, and the tasks of theirs, that were cancelled from outside and
            returned all the same.
    """

    def __init__(self, stage: Stage, chooser: Chooser, settings: Settings, root: str) -> None:
        super().__init__(stage, chooser, settings)
        self._root = root
        self._struck = 0
        self._attempts: dict[str, int] = {}
        self._requests = 0
        self._others: dict[str, int] = {}
        self._own_names: set[str] = {f"run {root}", "scribe", "lease"}
        self.facts: list[tuple[str, RawFact]] = []
        self.runner: Runner | None = None
        self.swallowed: list[str] = []

    def open(self, on_asyncio: bool) -> None:
        """Take the stage; from within the event loop."""
        super().open(on_asyncio)
        self._stage.wrap = self.wrap

    # ---- what the engine asks ------------------------------------------------------------------

    def begin(self, runner: Runner) -> Callable[[RawFact], object]:
        """A run begins; return where its facts go."""
        if runner.parent is None:
            self.runner = runner
        run_id = runner.machine.run_id
        self._own_names.update((f"run {run_id}", f"lane of run {run_id}"))
        self._own_names.update(f"step {body.name!r} of run {run_id}" for body in runner.steps)
        self.threads.limiters.extend(runner.attempts.limiters)
        path, facts = self._path(run_id), self.facts
        return lambda fact: facts.append((path, fact))

    async def attempt(
        self, runner: Runner, delivery: Delivery, context: Context | None, body: Body
    ) -> Any:
        """Run one attempt, in its lane, and return what the step returned."""
        path = self._path(runner.machine.run_id)
        label = f"{body.name}#{delivery.id}"
        place = (_ATTEMPTS, path, delivery.id, ())
        actor = self.new_actor(place, f"{path}/{label}" if path else label, body.name)
        actor.atomic = body.kind == "sync"
        actor.outer = innermost_scope(self.on_asyncio)
        attempt = Attempt(runner, delivery, context, body)
        pure = not self._settings.pure.isdisjoint(attempt.names)
        if pure:
            actor.harmless = lambda: leaves_no_trace(attempt)
        returned = await perform(self, actor, self._struck_attempt(attempt, actor))
        if pure:
            footprint = self.footprints[-1]
            footprint.harmless = leaves_no_trace(attempt) and settles_quietly(attempt, returned)
        self.note_return(actor)
        return returned

    def note_return(self, actor: Actor) -> None:
        """An actor has returned, perhaps although it was cancelled from outside of its step."""
        if actor.interrupted and cancelled_from_outside():
            self.swallowed.append(actor.label)

    async def _struck_attempt(self, attempt: Attempt, actor: Actor) -> Any:
        own = attempt.names[-1]
        number = self._attempts[own] = self._attempts.get(own, 0) + 1

        def strikes(fault: Fault) -> bool:
            return isinstance(fault, StepFault) and fault.strikes(attempt.names, number)

        faults = self._striking(strikes, actor.label)
        return await perform_attempt(attempt, self._settings.stubs, faults)

    async def turn(self, runner: Runner) -> None:
        """Wait until the run may carry out what is due."""
        path = self._path(runner.machine.run_id)
        place = (_TIMERS, path, 0, ())
        await self._wait_for_turn(place, f"{path}/timer" if path else "timer", "timer")

    async def store_turn(self) -> None:
        """Wait until a write to the store may begin, or end."""
        await self._wait_for_turn((_WRITES, "", 0, ()), "store", "store")

    async def _wait_for_turn(self, place: Place, label: str, lane: str) -> None:
        with suppress(Abandoned):
            await perform(self, self.new_actor(place, label, lane), _noop())

    def human_faults(self) -> list[Human]:
        """What goes wrong with the next answer to a request."""
        self._requests += 1
        number = self._requests

        def strikes(fault: Fault) -> bool:
            return isinstance(fault, Human) and fault.strikes(number)

        return self._striking(strikes, f"human#{number}")

    def conduct(self, label: str, body: AnyCoroutine) -> AnyCoroutine:
        """Make an actor of a coroutine of the simulation itself."""
        return _awaiting(self, self.new_actor((_OTHERS, label, 0, ()), label, label), body)

    def wrap(self, body: AnyCoroutine, name: str) -> AnyCoroutine:
        """Make an actor of a task that user code has started; leave the engine's own alone."""
        if name in self._own_names:
            return body
        parent = self._acting[-1] if self._acting else None
        if parent is None or name.startswith(_OF_THE_ENGINE):
            return _awaiting(self, self._numbered(name), body)
        parent.children += 1
        rank, name, number, below = parent.place
        place = (rank, name, number, (*below, parent.children))
        actor = self.new_actor(place, f"{parent.label}.{parent.children}", parent.lane)
        actor.outer, actor.coroutine = parent.outer, body
        return _awaiting(self, actor, body)

    def _numbered(self, name: str) -> Actor:
        """An actor that is no step's, numbered among those of its kind."""
        lane = name.partition(" of run ")[0].removeprefix("resource ")
        number = self._others[lane] = self._others.get(lane, 0) + 1
        return self.new_actor((_OTHERS, lane, number, ()), f"{lane}#{number}", lane)

    def _striking(self, strikes: Callable[[Fault], bool], label: str) -> list[Any]:
        """The faults that strike: all that are certain to, and perhaps one that is drawn."""
        certain, drawn = self._settings.certain, self._settings.drawn.faults
        candidates = [fault for fault in drawn if strikes(fault)]
        return [fault for fault in certain if strikes(fault)] + self._draw(candidates, label)

    def _draw(self, candidates: list[Fault], label: str) -> list[Fault]:
        """Draw a fault, or none."""
        drawn = self._settings.drawn
        if not candidates or self._struck >= drawn.most or self.error is not None:
            return []
        options = [f"{label} as ever", *(f"{label} {fault}" for fault in candidates)]
        prices = [0, *(1 for _ in candidates)]
        chosen = self.choose(options, prices, 0, drawn.rate)
        if chosen == 0:
            return []
        self._struck += 1
        return [candidates[chosen - 1]]

    def _path(self, run_id: str) -> str:
        return run_id[len(self._root) + 1 :]


async def _noop() -> None:
    """Nothing but a turn."""


async def _awaiting(hand: Conductor, actor: Actor, body: AnyCoroutine) -> Any:
    """A coroutine proper, as event loops want it. A task that is abandoned just ends."""
    actor.is_task = True
    try:
        returned = await perform(hand, actor, body)
        hand.note_return(actor)
        return returned
    except Abandoned:  # pragma: no cover  # Python 3.11 does not trace what is resumed by a throw
        return None

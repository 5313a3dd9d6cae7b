"""The director: gives out the turns of a simulation, one at a time.

Whenever nothing is ready, all actors that could go on are parked. The director then picks one, in a
canonical order and by its chooser, or lets time pass. So what runs next depends on the choices
alone: not on the backend, its scheduler or real time. Tasks of the engine itself are not directed:
between two turns they do what follows from the last, in an order that is the machine's.

An actor that could go on may be made to wait while the clock jumps, if the jump is no longer than
the *lateness*: as a real event loop is late.

A simulation that can't go on is ended by cancelling it. One that does not even end then is
*abandoned*: whatever its actors wait for is ended under their hands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import anyio
import attrs

from .._run._failures import cancelled_from_outside
from ._actors import Actor, Place, the_park
from ._choosing import ADVANCE, Choice, Chooser
from ._errors import EndlessError, SimulationError, StuckError
from ._faults import Fault, Faults
from ._independence import Footprint
from ._performing import Stubs
from ._scopes import is_cancelled_outside
from ._suspension import awaited_tasks, is_in, suspension_of
from ._threads import Threads
from ._transcript import Turn
from ._virtual_time import Stage, Verdict

__all__ = ["Director", "Settings"]

_SLEEPS = asyncio.sleep.__code__

_FAIR_TURNS = 50
"""How often by default an actor goes on while others could, before it is another's turn."""

_ROUNDS_TO_UNWIND = 100
"""How often everything may wait while a simulation is being abandoned."""


@attrs.frozen(kw_only=True)
class Settings:
    """What a simulation is made with, besides its chooser.

    Attributes:
        stubs: what to do instead of bodies, by step.
        certain: faults that strike for certain.
        drawn: faults that may strike.
        lateness: how long somebody who is ready may be made to wait at once, in seconds.
        max_turns: how many turns a simulation may take.
        traced: whether to note every turn.
        pure: the names of steps that touch nothing; see :mod:`._independence`.
    """

    stubs: Stubs
    certain: tuple[Fault, ...]
    drawn: Faults
    lateness: float
    max_turns: int
    traced: bool
    pure: frozenset[str] = frozenset()


class Director:
    """Gives out the turns of one simulation.

    Args:
        stage: the hooks of the event loop.
        chooser: decides at choice points.
        settings: see there.

    Attributes:
        choices: every choice point.
        turns: who did what, if that is traced.
        footprints: whose turns could have changed places.
        threads: the worker threads of the simulation.
        error: why the simulation could not go on; ``None`` if it could.
        end: ends the simulation early, by cancelling it.
        on_asyncio: the backend.
        broken: it did not even end when it was cancelled.
        frozen: it has died.
        at_turn: called before each turn with its number, from 1.
    """

    def __init__(self, stage: Stage, chooser: Chooser, settings: Settings) -> None:
        self._stage = stage
        self._chooser = chooser
        self._settings = settings
        self._actors: dict[Actor, None] = {}
        self._parked: dict[Actor, None] = {}
        self._turns = 0
        self._row = 0
        self._rounds = 0
        self._acting: list[Actor] = []  # more than one where a child run is in a step's own task
        self._last: Actor | None = None
        self._departs = False
        self._chosen_at = 0
        self._to_park: Callable[[Actor], Generator[Any, Any, None]] | None = None
        self._cancelled: type[BaseException] = BaseException
        self.choices: list[Choice] = []
        self.turns: list[Turn] = []
        self.footprints: list[Footprint] = []
        self.threads = Threads()
        self.error: SimulationError | None = None
        self.end: Callable[[], object] | None = None
        self.on_asyncio = False
        self.broken = False
        self.frozen = False
        self.at_turn: Callable[[int], object] | None = None

    def open(self, on_asyncio: bool) -> None:
        """Take the stage; from within the event loop."""
        self._to_park = the_park(on_asyncio)
        self.on_asyncio = on_asyncio
        self._cancelled = anyio.get_cancelled_exc_class()
        self.threads.limiters.append(anyio.to_thread.current_default_thread_limiter())
        self._stage.quiet = self.quiet

    def close(self) -> None:
        """Leave the stage."""
        self._stage.quiet = self._stage.wrap = None

    @property
    def leftover(self) -> tuple[str, ...]:
        """Who is still there; not a task of asyncio's that was cancelled before it had begun."""
        return tuple(actor.label for actor in self._actors if not _has_vanished(actor))

    def new_actor(self, place: Place, label: str, lane: str) -> Actor:
        """Make an actor; see :class:`Actor`."""
        actor = Actor(place, label, lane)
        self._actors[actor] = None
        return actor

    # ---- turns ---------------------------------------------------------------------------------

    def park(self, actor: Actor) -> Generator[Any, Any, None]:
        """Suspend until the actor is picked."""
        assert self._to_park is not None, "the stage has been taken"
        if self.broken:
            return _nothing()
        self._parked[actor] = None
        return self._to_park(actor)

    def is_late(self, actor: Actor) -> bool:
        """Whether a cancellation has overtaken what the actor was woken by.

        Trio lets a cancellation win over the end of a sleep that it meets before the sleeper has
        gone on, and over the end of a task group of which it has cancelled a task; anyio on asyncio
        does not look. So that both agree, it is made to.
        """
        if not (self.on_asyncio and actor.turns and cancelled_from_outside()):
            return False
        cancelled = any(task.cancelled() for task in actor.tasks)
        return cancelled or is_in(actor.coroutine, _SLEEPS)

    def sleeps_on(self, actor: Actor) -> bool:
        """Whether a cancellation does not wake the actor where it is suspended.

        Who waits for tasks is not woken on trio, where that would change nothing. On asyncio it is,
        and anyio raises the cancellation even if no task has met it.
        """
        actor.tasks = ()
        if not (self.on_asyncio and actor.children):
            return False
        tasks = awaited_tasks(actor.coroutine)
        actor.tasks = tasks or ()
        return tasks is not None

    def enter(self, actor: Actor) -> None:
        """The actor's turn begins."""
        self._parked.pop(actor, None)
        self._acting.append(actor)
        self.threads.somebody_went_on()
        actor.turns += 1
        if isinstance(actor.thrown, self._cancelled) and actor.outer is not None:
            cancelled = is_cancelled_outside(actor.outer, self.on_asyncio)
            actor.interrupted = actor.interrupted or cancelled

    def leave(self, actor: Actor, ended: BaseException | None, over: bool) -> None:
        """The actor's turn is over; perhaps it is over itself, and with an exception."""
        if actor in self._acting:  # else it has been given up without another turn
            self._acting.remove(actor)
        place = None
        if over:
            self._actors.pop(actor, None)
        else:
            before = actor.awaited
            actor.awaited, place = suspension_of(actor.coroutine)
            actor.continues = actor.awaited is not None and actor.awaited is before
            if actor.continues:
                return  # no code of the user's has run: it is a part of the turn before
        if self._settings.pure:
            harmless = not over and actor.harmless is not None and actor.harmless()
            self.footprints.append(Footprint(actor.label, self._chosen_at, harmless))
        if self._settings.traced and (over or not actor.atomic):
            self._note(actor, ended, over, place)
        self._departs = False

    def _note(
        self, actor: Actor, ended: BaseException | None, over: bool, place: str | None
    ) -> None:
        how = None
        if over:
            how = "returns" if ended is None else f"raises {type(ended).__name__}"
            if isinstance(ended, self._cancelled):
                how = "is cancelled"
        self.turns.append(
            Turn(
                time=self._stage.clock.now,
                actor=actor.label,
                lane=actor.lane,
                first=actor.turns == 1 or actor.atomic,
                ended=how,
                place=place,
                departs=self._departs,
            )
        )

    def quiet(self, due: float | None) -> Verdict:
        """Nothing is ready: see to it that something is."""
        if self.broken:
            return self._unwind(due)
        last = self._last
        if last is not None and last.continues and last in self._parked:
            self._release(last)
            return "go"
        if self.threads.are_busy(each for each in self._actors if each not in self._parked):
            return "wait"
        if not self._parked and due is None:
            return self._stuck()
        if not self._parked:
            self._last = None  # whoever is woken by then, it is the turn of the oldest
            return "jump"
        actor = self._pick(due)
        if actor is None:
            self._last = None
            self.footprints.append(Footprint("", self._chosen_at, False))
            return "jump"
        self._give_turn(actor)
        return "go"

    def _give_turn(self, actor: Actor) -> None:
        self._turns += 1
        if self._turns > self._settings.max_turns:
            self._end_early(EndlessError(self._turns))
        elif self.at_turn is not None:
            self.at_turn(self._turns)
        if self.broken or self.frozen:
            return
        self._row = self._row + 1 if actor is self._last else 0
        self._last = actor
        self._release(actor)

    def _release(self, actor: Actor) -> None:
        del self._parked[actor]
        release, actor.release = actor.release, None
        assert release is not None, "a parked actor can be released"
        release()

    def _pick(self, due: float | None) -> Actor | None:
        """Choose who goes on; ``None`` for time to pass instead."""
        self._chosen_at = len(self.choices) - 1
        parked = sorted(self._parked, key=lambda actor: actor.place)
        late = due is not None and due - self._stage.clock.now <= self._settings.lateness
        if self.error is not None or (len(parked) == 1 and not late):
            return parked[0]
        last = self._last if self._last in self._parked else None
        default = self._default(parked, last)
        options = [actor.label for actor in parked]
        prices = [int(last is not None and actor is not parked[default]) for actor in parked]
        if late:
            options.append(ADVANCE)
            prices.append(1)
        chosen = self.choose(options, prices, default, None)
        self._chosen_at = len(self.choices) - 1
        self._departs = chosen != default
        return parked[chosen] if chosen < len(parked) else None

    def _default(self, parked: Sequence[Actor], last: Actor | None) -> int:
        if last is None:
            return 0
        place = parked.index(last)
        return place if self._row < _FAIR_TURNS else (place + 1) % len(parked)

    def choose(
        self, options: Sequence[str], prices: Sequence[int], default: int, rate: float | None
    ) -> int:
        """Have the chooser decide at a choice point; see :class:`Chooser`."""
        number = len(self.choices)
        chosen = self._chooser.choose(number, options, default, rate)
        self.choices.append(Choice(tuple(options), tuple(prices), default, chosen, rate))
        return chosen

    # ---- when it does not go on ----------------------------------------------------------------

    def _stuck(self) -> Literal["go"]:
        waiting = [
            f"{actor.label} at {suspension_of(actor.coroutine)[1] or 'a place in a library'}"
            for actor in self._actors
        ]
        self._end_early(StuckError(waiting))
        return "go"

    def _end_early(self, error: SimulationError) -> None:
        """End the simulation by cancelling all of it, and leave it if even that does not help."""
        if self.error is None:
            self.error = error
            self._settings = attrs.evolve(
                self._settings, max_turns=self._turns + self._settings.max_turns
            )
            assert self.end is not None, "the stage has been taken"
            self.end()
        else:
            self.abandon()

    def freeze(self) -> None:
        """Give out no turn any more: the process has died."""
        self.frozen = True
        self.close()

    def abandon(self) -> None:
        """End every actor where it is, with no regard for it."""
        self.broken = True
        self._stage.quiet, self._stage.wrap = self.quiet, None
        self._interrupt()
        if self.end is not None:
            self.end()  # for the engine's own tasks

    def _interrupt(self) -> None:
        for actor in self._actors:
            end = actor.release if actor in self._parked else actor.interrupt
            actor.release = None
            if end is not None:
                end()
        self._parked.clear()

    def _unwind(self, due: float | None) -> Literal["go", "jump"]:
        """Let what has been abandoned come to its end."""
        self._rounds += 1
        if self._rounds > _ROUNDS_TO_UNWIND:
            self.close()
            waiting = ", ".join(self.leftover) or "no actor, perhaps for a store's thread"
            raise SimulationError(f"a simulation could not be ended: it waits for {waiting}")
        if due is not None:
            return "jump"
        self._interrupt()
        return "go"


def _has_vanished(actor: Actor) -> bool:
    return actor.turns == 0 and getattr(actor.coroutine, "cr_frame", actor) is None


def _nothing() -> Generator[Any, Any, None]:
    """Parks nobody."""
    yield from ()

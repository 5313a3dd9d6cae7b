"""The timeline: from the facts of a run to its invocations, their attempts and their waits.

The rule: nothing is made up. What the facts do not tell stays ``None`` (a bounded history has
forgotten how an attempt began, a process died and nobody knows when), and what they do not belong
to is left out. Facts are read once, in their order; child runs are told apart by their path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

import attrs

from .._store import HistoryFact

__all__ = ["Attempt", "Invocation", "Outcome", "Timeline", "Wait", "read_timeline"]

Outcome = Literal["running", "completed", "failed", "timed_out", "cancelled", "lost"]
"""How an attempt ended. One is lost if its process died in the middle of it."""

_OUTCOMES: dict[str, Outcome] = {
    "step_completed": "completed",
    "step_failed": "failed",
    "step_timed_out": "timed_out",
    "step_cancelled": "cancelled",
}
_ABOUT_ATTEMPTS = frozenset({"step_started", "step_waiting", "step_continued", *_OUTCOMES})
_ENDS = frozenset({"run_completed", "run_failed", "run_cancelled", "run_suspended"})

Path = tuple[str, ...]


@attrs.define
class Wait:
    """A stretch of an attempt in which it waited in the engine, without a slot.

    Attributes:
        begin: when it began; ``None`` if that is forgotten.
        end: when it was over; ``None`` if it is not.
    """

    begin: float | None
    end: float | None = None


@attrs.define
class Attempt:
    """One attempt of an invocation.

    Attributes:
        number: counted from 1; one that was cancelled and delivered again keeps its number.
        begin: when it began; ``None`` if that is forgotten.
        end: when it ended; of a lost one the last moment at which its process was known to live.
        outcome: see :data:`Outcome`.
        error: the type of the exception it failed with.
        waits: when it waited in the engine.
    """

    number: int | None
    begin: float | None
    end: float | None = None
    outcome: Outcome = "running"
    error: str | None = None
    waits: list[Wait] = attrs.field(factory=list[Wait])

    def close(self, outcome: Outcome, when: float, error: str | None = None) -> None:
        """It has ended, and whatever it waited for with it."""
        self.outcome, self.end, self.error = outcome, when, error
        if self.waits and self.waits[-1].end is None:
            self.waits[-1].end = when


@attrs.define(eq=False)
class Invocation:
    """One step handling one event, or what it joins.

    Attributes:
        path: the ids of the child runs that it happened in, outermost first.
        number: unique within the run of ``path``.
        step: the name of the step.
        event_type: of the event that it handles.
        cause: the number of the invocation that emitted the event; 0 for one from outside, ``None``
            where that is not known.
        ready: when the event was routed to it, the first of several; ``None`` if not known.
        attempts: in their order.
    """

    path: Path
    number: int
    step: str
    event_type: str | None
    cause: int | None
    ready: float | None = None
    attempts: list[Attempt] = attrs.field(factory=list[Attempt])

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt under way."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.outcome == "running" else None

    @property
    def outcome(self) -> Outcome:
        """That of its last attempt."""
        return self.attempts[-1].outcome


@attrs.frozen
class Timeline:
    """The invocations of a run and of its child runs, in the order in which they began.

    Attributes:
        facts: what was read.
        invocations: what came of it.
        owners: for each fact the index of its invocation, or ``None``.
    """

    facts: Sequence[HistoryFact]
    invocations: Sequence[Invocation]
    owners: Sequence[int | None]

    def causes(self) -> list[int | None]:
        """For each invocation the index of the one that caused it, if it is among them.

        What begins a child run was caused by the invocation that runs it.
        """
        places: dict[tuple[Path, int | None], int] = {
            (each.path, each.number): i for i, each in enumerate(self.invocations)
        }
        return [places.get(_cause(each)) for each in self.invocations]


def _cause(invocation: Invocation) -> tuple[Path, int | None]:
    path, cause = invocation.path, invocation.cause
    return (path[:-1], runner_of(path[-1])) if cause == 0 and path else (path, cause)


def runner_of(run_id: str) -> int | None:
    """The number of the invocation that runs a child run, which the child's id ends with.

    Example: ``"0190-aa/12.0"`` is the first child run of invocation 12.
    """
    number = run_id.rpartition("/")[2].partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None


def read_timeline(facts: Iterable[HistoryFact], *, ended: bool) -> Timeline:
    """Find the invocations that facts tell of.

    Args:
        facts: in the order in which they happened.
        ended: whether the run has ended, so that nothing of it is running any more.
    """
    reader = _Reader()
    kept = tuple(facts)
    owners = tuple(reader.read(fact) for fact in kept)
    if ended:
        reader.lose(())
    return Timeline(kept, tuple(reader.invocations), owners)


class _Reader:
    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self._places: dict[tuple[Path, int], int] = {}
        self._open: dict[int, None] = {}
        self._routed: dict[tuple[Path, int | None, str | None], list[float]] = defaultdict(list)
        self._taken: dict[tuple[Path, int | None, str | None, str], int] = defaultdict(int)
        self._paused: set[Path] = set()
        self._now = 0.0

    def read(self, fact: HistoryFact) -> int | None:
        """Read the next fact; return the index of the invocation that it is about."""
        place = None
        if fact.kind == "event_routed":
            self._routed[fact.path, fact.cause, fact.event_type].append(fact.time)
        elif fact.step is not None and fact.invocation is not None:
            place = self._read_step(fact, fact.step, fact.invocation)
        elif fact.kind == "run_paused":
            self._paused.add(fact.path)
        elif fact.kind == "run_resumed":
            self._resumed(fact.path)
        elif fact.kind in _ENDS:
            self._paused.discard(fact.path)
        self._now = fact.time
        return place

    def _resumed(self, path: Path) -> None:
        """A run that was not paused has been restored: nothing that ran before runs any more."""
        if path in self._paused:
            self._paused.discard(path)
        else:
            self.lose(path)

    def lose(self, path: Path) -> None:
        """Whatever of a run and its child runs is under way has no end that anybody knows."""
        for place in list(self._open):
            if self.invocations[place].path[: len(path)] == path:
                self._close(place, "lost", self._now)

    def _read_step(self, fact: HistoryFact, step: str, number: int) -> int | None:
        place = self._places.get((fact.path, number))
        if fact.kind not in _ABOUT_ATTEMPTS:
            return place
        if place is None:
            place = self._begin(fact, step, number)
        if fact.kind == "step_started":
            self._start(place, fact)
        elif fact.kind == "step_waiting":
            self._attempt(place, fact).waits.append(Wait(fact.time))
        elif fact.kind == "step_continued":
            self._continue(self._attempt(place, fact), fact.time)
        else:
            self._attempt(place, fact)
            self._close(place, _OUTCOMES[fact.kind], fact.time, fact.error)
        return place

    def _begin(self, fact: HistoryFact, step: str, number: int) -> int:
        place = self._places[fact.path, number] = len(self.invocations)
        ready = self._ready(fact, step) if fact.kind == "step_started" else None
        self.invocations.append(
            Invocation(fact.path, number, step, fact.event_type, fact.cause, ready)
        )
        return place

    def _ready(self, fact: HistoryFact, step: str) -> float | None:
        """When its event was routed: a step takes the events of one cause in their order."""
        source = fact.path, fact.cause, fact.event_type
        taken = self._taken[*source, step]
        self._taken[*source, step] = taken + 1
        routed = self._routed.get(source, [])
        return routed[taken] if taken < len(routed) else None

    def _start(self, place: int, fact: HistoryFact) -> None:
        if place in self._open:
            self._close(place, "lost", self._now)
        self.invocations[place].attempts.append(Attempt(fact.attempt, fact.time))
        self._open[place] = None

    def _attempt(self, place: int, fact: HistoryFact) -> Attempt:
        """The attempt under way; one whose beginning is forgotten is told by its end."""
        invocation = self.invocations[place]
        attempt = invocation.open_attempt
        if attempt is None:
            begin = None if fact.duration is None else fact.time - fact.duration
            attempt = Attempt(fact.attempt, begin)
            invocation.attempts.append(attempt)
            self._open[place] = None
        elif attempt.begin is None and fact.duration is not None:
            attempt.begin = fact.time - fact.duration
        return attempt

    def _continue(self, attempt: Attempt, when: float) -> None:
        if attempt.waits and attempt.waits[-1].end is None:
            attempt.waits[-1].end = when
        else:
            attempt.waits.append(Wait(None, when))

    def _close(self, place: int, outcome: Outcome, when: float, error: str | None = None) -> None:
        attempt = self.invocations[place].open_attempt
        assert attempt is not None, "only what is under way is closed"
        attempt.close(outcome, when, error)
        del self._open[place]

"""Transcripts: what happened in a simulation.

A transcript holds live objects (the result, the error, the fakes of the run) for checks, and says
everything else as text that depends on nothing but the seed, the schedule and the workflow:
:meth:`Transcript.to_json` is the same, byte for byte, on both backends and on every Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from .._machine import FactKind, RawFact
from ._choosing import Choice, Schedule
from ._independence import Footprint

__all__ = ["SimulatedFact", "SimulationStatus", "Transcript", "Turn", "told", "told_error"]

SimulationStatus = Literal["completed", "failed", "cancelled", "suspended", "stuck"]

_VERSION = 1
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def told(value: object) -> str:
    """The ``repr`` of a value without what differs from process to process."""
    return _ADDRESS.sub("", repr(value))


def told_error(error: BaseException) -> str:
    """The last line of an exception's traceback, likewise."""
    said = _ADDRESS.sub("", str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@attrs.frozen
class SimulatedFact:
    """One thing that happened in a run or one of its child runs.

    Attributes:
        kind: what happened.
        time: virtual seconds from the start.
        step: the step concerned, if any.
        event_type: the type of the event concerned, if any.
        attempt: which attempt, counted from 1, where a step is concerned.
        duration: virtual seconds an attempt took, where one has ended.
        error: the qualified type name of the exception, where something failed.
        invocation, cause: as in :class:`~blazen_anyio.Fact`.
        run: which child run, as a path of numbers; empty for the run itself.
    """

    kind: FactKind
    time: float
    step: str | None = None
    event_type: str | None = None
    attempt: int | None = None
    duration: float | None = None
    error: str | None = None
    invocation: int | None = None
    cause: int | None = None
    run: str = attrs.field(default="", kw_only=True)


@attrs.frozen
class Turn:
    """One turn of one actor: what it did between two suspensions.

    Attributes:
        time: virtual seconds from the start.
        actor: whose it was, as in a schedule: ``"charge#3"``.
        lane: its step, or what else it is.
        first: whether it began with it.
        ended: how it ended in it; ``None`` if it goes on.
        place: the file and line at which it is suspended; ``None`` if that is unknown.
        departs: whether the turn was chosen against the default.
    """

    time: float
    actor: str
    lane: str
    first: bool
    ended: str | None
    place: str | None
    departs: bool


@attrs.frozen(kw_only=True, eq=False)
class Transcript:
    """What happened in one simulation.

    Attributes:
        workflow: the name of the workflow.
        seed: what was drawn from.
        status: how the run ended; ``"stuck"`` if it did not.
        result: what the run returned; ``None`` unless it completed.
        error: what it raised instead; ``None`` if it completed, or was cancelled from outside.
        schedule: where it departs from the defaults; with it, and the same seed and faults, it is
            repeated exactly.
        choices: every choice point.
        turns: who did what, in order; empty unless it was traced.
        state: the committed state at the end.
        resources: what the run was given instead of resources, by opener.
        leftover: tasks of the workflow's that were still there after the run had ended.
        swallowed: attempts, and tasks of theirs, that were cancelled from outside and returned all
            the same.
        time: virtual seconds that it took.
    """

    workflow: str
    seed: int
    status: SimulationStatus
    result: Any
    error: BaseException | None
    schedule: Schedule
    choices: tuple[Choice, ...] = attrs.field(repr=False)
    turns: tuple[Turn, ...] = attrs.field(repr=False)
    state: Mapping[str, Any] = attrs.field(repr=False)
    resources: Mapping[Callable[..., object], object] = attrs.field(repr=False)
    leftover: tuple[str, ...]
    swallowed: tuple[str, ...]
    time: float
    _facts: tuple[tuple[str, RawFact], ...] = attrs.field(repr=False, alias="facts")
    _footprints: tuple[Footprint, ...] = attrs.field(repr=False, alias="footprints")

    @property
    def facts(self) -> tuple[SimulatedFact, ...]:
        """What happened, oldest first, child runs included."""
        return tuple(SimulatedFact(*raw, run=run) for run, raw in self._facts)

    def outcome(self) -> Any:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result

    def to_data(self) -> dict[str, Any]:
        """Plain data, ready for JSON: facts, outcome and seed."""
        return {
            "version": _VERSION,
            "workflow": self.workflow,
            "seed": self.seed,
            "schedule": {str(number): what for number, what in sorted(self.schedule.items())},
            "status": self.status,
            "result": told(self.result),
            "error": None if self.error is None else _described(self.error),
            "time": self.time,
            "facts": [attrs.asdict(fact) for fact in self.facts],
        }

    def to_json(self) -> str:
        """The transcript as JSON text, the same for the same seed everywhere."""
        return json.dumps(self.to_data(), indent=1, sort_keys=True)

    def to_text(self) -> str:
        """The transcript for readers: one line for each fact, and the outcome."""
        head = f"{self.workflow}, seed {self.seed}: {self.status} after {self.time:g} s"
        lines = [_line(fact) for fact in self.facts]
        if self.error is None:
            end = f"result: {told(self.result)}"
        else:
            end = f"error: {_described(self.error)}"
        return "\n".join([head, *lines, end])


def _described(error: BaseException) -> str:
    kind = type(error)
    return _ADDRESS.sub("", f"{kind.__module__}.{kind.__qualname__}: {error}")


def _line(fact: SimulatedFact) -> str:
    said: list[str] = [f"{fact.time:>10.3f}", f"{fact.kind:<16}"]
    if fact.run:
        said.append(f"[{fact.run}]")
    said += [each for each in (fact.step, fact.event_type) if each is not None]
    if fact.attempt is not None and fact.attempt > 1:
        said.append(f"attempt {fact.attempt}")
    if fact.error is not None:
        said.append(fact.error)
    return "  ".join(said)

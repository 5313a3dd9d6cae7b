"""Facts: what happened in a run, told by the machine for histories and lifecycle streams.

The machine notes a fact as a plain tuple in the order of the fields of :class:`Fact` and only when
somebody listens; the typed object is made when it is read. A fact never holds the user's event,
only its type's name, so that a history can't keep large or secret values alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs

__all__ = ["Fact", "FactKind", "RawFact", "Sink", "both"]

FactKind = Literal[
    "run_started",
    "event_routed",
    "step_started",
    "step_completed",
    "step_failed",
    "step_timed_out",
    "step_cancelled",
    "step_waiting",
    "step_continued",
    "input_requested",
    "input_received",
    "run_paused",
    "run_resumed",
    "run_completed",
    "run_failed",
    "run_cancelled",
    "run_suspended",
]

RawFact = tuple[
    FactKind,
    float,
    "str | None",
    "str | None",
    "int | None",
    "float | None",
    "str | None",
    "int | None",
    "int | None",
]

Sink = Callable[[RawFact], object]
"""Where facts go."""


def both(first: Sink | None, second: Sink | None) -> Sink | None:
    """Where facts go that two want to know, or one, or nobody."""
    if first is None or second is None:
        return first or second

    def tell(fact: RawFact) -> None:
        first(fact)
        second(fact)

    return tell


@attrs.frozen
class Fact:
    """One thing that happened in a run.

    Attributes:
        sequence: ascending by one within the run, gaps show what a bounded history has dropped.
        kind: what happened.
        time: when, on the clock of ``anyio.current_time()``.
        step: the step concerned, if any.
        event_type: the type of the event concerned, if any.
        attempt: which attempt, counted from 1, where a step is concerned.
        duration: seconds an attempt took, where one has ended.
        error: the qualified type name of the exception, where something failed.
        invocation: the number of the invocation concerned, the same on every attempt and after a
            resume; of a request, that of the invocation that waits for the answer inside its step.
        cause: the number of the invocation that emitted the event concerned, the first of several;
            0 for one from outside, ``None`` where that is not known.
    """

    sequence: int
    kind: FactKind
    time: float
    step: str | None = None
    event_type: str | None = None
    attempt: int | None = None
    duration: float | None = None
    error: str | None = None
    invocation: int | None = None
    cause: int | None = None

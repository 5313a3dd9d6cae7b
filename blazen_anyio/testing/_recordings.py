"""Recordings: what happened in a run, kept in a file, and held against what happens today.

A recording is plain JSON with a version. It holds the facts of a run by kind, step, event type and
attempt, in order; no times, no events and no results. A simulation's recording also holds its seed
and schedule, and is repeated exactly. A recording of a real run is followed as far as possible: the
step that ended next in the recording goes first. When an attempt began is not compared then: it
depends on how the event loop has scheduled the engine's own tasks.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import attrs

from .._machine import Fact
from .._run import Run
from .._workflow import Workflow
from ._choosing import Scheduled
from ._conductor import Conductor
from ._driving import DrivenRun
from ._errors import ReplayError
from ._faults import Fault, Faults
from ._performing import Stubs
from ._production import Answers, Resources, Script, Start
from ._simulation import Simulation
from ._transcript import SimulatedFact, Transcript
from ._virtual_time import Backend, Stage, run_on

__all__ = ["record", "replay"]

_FORMAT = "blazen_anyio.history"
_VERSION = 1
_LARGEST = 100_000_000
_FACTS_AROUND = 5

_BEGIN = "step_started"
_ENDS = ("step_completed", "step_failed", "step_timed_out", "step_cancelled")


@attrs.frozen
class _Recorded:
    """One fact as it is compared."""

    kind: str
    step: str | None
    event_type: str | None
    attempt: int | None
    run: str

    def __str__(self) -> str:
        said = [self.kind, *(each for each in (self.step, self.event_type) if each is not None)]
        if self.attempt is not None:
            said.append(f"attempt {self.attempt}")
        if self.run:
            said.append(f"in run {self.run}")
        return " ".join(said)


@attrs.frozen
class _Recording:
    """A whole recording.

    Attributes:
        workflow: the name of the workflow.
        seed: of a simulation; ``None`` for a real run.
        schedule: of a simulation.
        facts: what happened; of child runs only in a simulation.
    """

    workflow: str
    seed: int | None
    schedule: dict[int, str]
    facts: tuple[_Recorded, ...]


def record(run: Run[Any] | Transcript | DrivenRun, path: str | os.PathLike[str]) -> None:
    """Write down what happened in a run.

    Args:
        run: the handle of a run, a simulation's transcript, or a run that was driven by hand.
        path: where to; a file that is there is overwritten.

    Raises:
        ValueError: the run's history has forgotten facts; ``Workflow(history=None)`` keeps all.
        OSError: the file can't be written.
    """
    recording = _recording_of(run)
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "workflow": recording.workflow,
        "seed": recording.seed,
        "schedule": {str(number): what for number, what in sorted(recording.schedule.items())},
        "facts": [attrs.asdict(fact) for fact in recording.facts],
    }
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _recording_of(run: Run[Any] | Transcript | DrivenRun) -> _Recording:
    if isinstance(run, Transcript):
        return _Recording(run.workflow, run.seed, dict(run.schedule), _recorded(run.facts))
    if isinstance(run, DrivenRun):
        return _Recording(run.workflow, None, {}, _recorded(run.facts))
    if run.history.dropped:
        raise ValueError(
            f"the history of run {run.run_id!r} has forgotten {run.history.dropped} facts; "
            "record a workflow that is made with history=None"
        )
    return _Recording(run._runner.machine.plan.name, None, {}, _recorded(run.history))


def _recorded(facts: Iterable[Fact | SimulatedFact]) -> tuple[_Recorded, ...]:
    recorded: list[_Recorded] = []
    for fact in facts:
        run = fact.run if isinstance(fact, SimulatedFact) else ""
        recorded.append(_Recorded(fact.kind, fact.step, fact.event_type, fact.attempt, run))
    return tuple(recorded)


def replay(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    path: str | os.PathLike[str],
    start: Start = None,
    *,
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    backend: Backend = "asyncio",
) -> Transcript:
    """Simulate a run and hold what happens against a recording.

    Args:
        workflow: the workflow, as it is today.
        path: of the recording.
        start: what started the run.
        faults, steps, resources, human, script, backend: as for :func:`simulate`; the same as for
            the simulation that was recorded, or what plays the world of the real run.

    Returns:
        The transcript of the simulation.

    Raises:
        ReplayError: a fact differs; the message shows the first one that does.
        ValueError: the file is no recording.
        OSError: it can't be read.
    """
    recording = _read(Path(path))
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults,
        steps=steps,
        resources=resources,
        human=human,
        script=script,
    )
    stage = Stage()
    if recording.seed is None:
        following = _Following(recording.facts)
        play = partial(simulation.run, stage, following, seed=0, at_turn=following.look)
    else:
        chooser = Scheduled(recording.schedule)
        play = partial(simulation.run, stage, chooser, seed=recording.seed)
    transcript = run_on(backend, stage, play)
    facts = _recorded(transcript.facts)
    if recording.seed is None:
        facts = tuple(fact for fact in facts if not fact.run)  # a real run's history has no others
    _compare(recording.facts, facts, begins=recording.seed is not None)
    return transcript


class _Following:
    """Lets go first what ended next in a recording."""

    def __init__(self, facts: Sequence[_Recorded]) -> None:
        self._ends = [fact.step for fact in facts if fact.kind in _ENDS]
        self._facts: list[tuple[str, Any]] = []

    def look(self, conductor: Conductor, number: int) -> None:
        """See what has happened so far."""
        self._facts = conductor.facts

    def choose(self, number: int, options: Sequence[str], default: int, rate: float | None) -> int:
        """See :class:`Chooser`."""
        done = sum(1 for run, fact in self._facts if not run and fact[0] in _ENDS)
        wanted = self._ends[done] if done < len(self._ends) else None
        for place, option in enumerate(options):
            if wanted is not None and option.partition("#")[0] == wanted:
                return place
        return default


def _compare(recorded: Sequence[_Recorded], happened: Sequence[_Recorded], *, begins: bool) -> None:
    """Find the first fact that differs.

    Args:
        recorded, happened: the facts.
        begins: whether to compare when attempts began.

    Raises:
        ReplayError: there is one.
    """
    before = [number for number, fact in enumerate(recorded) if begins or fact.kind != _BEGIN]
    now = [fact for fact in happened if begins or fact.kind != _BEGIN]
    for number, fact in itertools.zip_longest(before, now):
        if number is None or recorded[number] != fact:
            raise _difference(recorded, len(recorded) if number is None else number, fact)


def _difference(
    recorded: Sequence[_Recorded], number: int, happened: _Recorded | None
) -> ReplayError:
    was = recorded[number] if number < len(recorded) else None
    lines = [
        f"fact {number} differs from the recording:",
        *(f"    {fact}" for fact in recorded[max(0, number - _FACTS_AROUND) : number]),
        f"  - {was or 'the end of the recording'}",
        f"  + {happened or 'the end of the run'}",
    ]
    return ReplayError("\n".join(lines), number)


# ---- reading ---------------------------------------------------------------------------------


def _read(path: Path) -> _Recording:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path} is larger than any recording")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no recording: {error}") from error
    if not isinstance(content, dict) or cast("Any", content).get("format") != _FORMAT:
        raise ValueError(f"{path} is no recording: its format is not {_FORMAT!r}")
    found = cast("dict[str, Any]", content)
    if found.get("version") != _VERSION:
        raise ValueError(
            f"{path} was recorded by another version: it is of version {found.get('version')!r}, "
            f"and this release reads {_VERSION}"
        )
    try:
        return _Recording(
            workflow=_text(found["workflow"]),
            seed=None if found["seed"] is None else _number(found["seed"]),
            schedule={int(number): _text(what) for number, what in found["schedule"].items()},
            facts=tuple(_fact(each) for each in found["facts"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is a damaged recording: {error!r}") from error


def _fact(data: dict[str, Any]) -> _Recorded:
    return _Recorded(
        kind=_text(data["kind"]),
        step=None if data["step"] is None else _text(data["step"]),
        event_type=None if data["event_type"] is None else _text(data["event_type"]),
        attempt=None if data["attempt"] is None else _number(data["attempt"]),
        run=_text(data["run"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return value

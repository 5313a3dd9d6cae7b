"""Sweeps: do something to a run at each of its turns, and look at what is left."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs

from .._workflow import Workflow
from ._choosing import Seeded
from ._conductor import Conductor
from ._diagram import draw
from ._errors import SimulationError, SweepError
from ._exploring import Check
from ._faults import Fault
from ._performing import Stubs
from ._production import Answers, Resources, Script, Start
from ._simulation import Simulation
from ._transcript import Transcript, told
from ._virtual_time import BACKENDS, Backend, Stage, run_on

__all__ = ["Sweep", "cancel_sweep"]

_TURNS_TO_CLEAN_UP = 1000

Way = Literal["handle", "scope"]


@attrs.frozen
class Sweep:
    """What a sweep has done.

    Attributes:
        places: how many places there were, each of them swept.
        runs: how many runs it took.
    """

    places: int
    runs: int


def cancel_sweep(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start = None,
    check: Check | None = None,
    *,
    seed: int = 0,
    ways: Iterable[Way] = ("handle", "scope"),
    faults: Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    backends: Iterable[Backend] = BACKENDS,
) -> Sweep:
    """Cancel a run before each of its turns, and see that nothing is left.

    After each cancellation every attempt has ended, none has swallowed it, every resource is
    closed and no task of the workflow's is left; and ``check`` holds.

    Args:
        workflow: the workflow, or a function that makes it; see :func:`simulate`.
        start: what starts a run.
        check: what must hold after each cancelled run, that nobody else can know: that a step has
            given back what it took, or has taken back what it did.
        seed: of the order in which the steps go on.
        ways: how to cancel: ``"handle"`` by ``run.cancel()``, ``"scope"`` by a scope around the
            run.
        faults, steps, resources, human, script: as for :func:`simulate`.
        backends: where to run; what a cancellation meets differs in part.

    Returns:
        How many places there were.

    Raises:
        SweepError: something is left, with the place and a diagram.
    """
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=tuple(faults),
        steps=steps,
        resources=resources,
        human=human,
        script=script,
    )
    total = Sweep(0, 0)
    sweeper = _CancelSweeper(simulation, check, seed)
    for backend, way in itertools.product(backends, ways):
        stage = Stage()
        done = run_on(backend, stage, functools.partial(sweeper.sweep, stage, way))
        total = Sweep(max(total.places, done.places), total.runs + done.runs)
    return total


class _CancelSweeper:
    """Cancels at each turn.

    Args:
        simulation: what is simulated.
        check: what must hold afterwards.
        seed: of the order.
    """

    def __init__(self, simulation: Simulation, check: Check | None, seed: int) -> None:
        self._simulation = simulation
        self._check = check
        self._seed = seed

    async def sweep(self, stage: Stage, way: Way) -> Sweep:
        """Cancel before turn 1, 2, and so on until the run ends before it is cancelled."""
        turns = await self._count(stage)
        self._simulation = attrs.evolve(self._simulation, max_turns=2 * turns + _TURNS_TO_CLEAN_UP)
        for number in range(1, turns + 1):
            await self._cancel(stage, way, number)
        return Sweep(turns, turns + 1)

    async def _count(self, stage: Stage) -> int:
        """How many turns the undisturbed run takes."""
        transcript = await self._simulation.run(
            stage, Seeded(self._seed), seed=self._seed, traced=True
        )
        if isinstance(transcript.error, SimulationError):
            raise transcript.error
        return len(transcript.turns)

    async def _cancel(self, stage: Stage, way: Way, at: int) -> None:
        def act(conductor: Conductor, number: int) -> None:
            if number == at:
                _cancel(conductor, way)

        try:
            transcript = await self._simulation.run(
                stage, Seeded(self._seed), seed=self._seed, traced=True, at_turn=act
            )
        except SimulationError as error:
            raise SweepError(f"cancelled ({way}) before turn {at}: {error}", at) from error
        self._judge(transcript, way, at)

    def _judge(self, transcript: Transcript, way: Way, at: int) -> None:
        failure: BaseException | None = None
        problem = _problem_of(transcript)
        if problem is None and self._check is not None:
            try:
                verdict = self._check(transcript)
            except Exception as error:
                failure = error
                problem = f"{type(error).__name__}: {error}"
            else:
                problem = "the check returned False" if verdict is False else None
        if problem is not None:
            raise SweepError(_report(transcript, way, at, problem), at, transcript) from failure


def _cancel(conductor: Conductor, way: Way) -> None:
    if way == "scope":
        assert conductor.end is not None, "the simulation has begun"
        conductor.end()
    else:
        assert conductor.runner is not None, "the run has begun"
        conductor.runner.machine.cancel(conductor.runner.clock())
        conductor.runner.after_input()


def _problem_of(transcript: Transcript) -> str | None:
    """What no cancelled run may leave, whatever the workflow."""
    if transcript.status not in ("cancelled", "completed"):
        return f"it {transcript.status}: {transcript.error!r}"
    if transcript.leftover:
        return f"tasks are left: {', '.join(transcript.leftover)}"
    if transcript.swallowed and transcript.status == "cancelled":
        return f"swallowed the cancellation: {', '.join(transcript.swallowed)}"
    return None


def _report(transcript: Transcript, way: Way, at: int, problem: str) -> str:
    return "\n".join(
        [
            problem,
            "",
            f"workflow {transcript.workflow!r}, cancelled ({way}) before turn {at}:",
            "",
            draw(transcript.turns),
            "",
            f"state: {told(dict(transcript.state))}",
        ]
    )

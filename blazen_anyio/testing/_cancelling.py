"""Cancel sweeps: a run is cancelled before each of its turns, and must leave nothing behind."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs

from .._workflow import Workflow
from ._checking import Check, Problem, check_callable, leftovers, violation
from ._choosing import Seeded
from ._conductor import Conductor
from ._errors import SimulationError, SweepError
from ._faults import Fault, Faults
from ._performing import Stubs
from ._production import Answers, Resources, Script, Start
from ._silence import silenced
from ._simulation import Simulation
from ._sweeping import Sweep, run_undisturbed, sweep_error
from ._transcript import Transcript
from ._virtual_time import BACKENDS, Backend, Stage, run_on

__all__ = ["cancel_sweep"]

_TURNS_TO_CLEAN_UP = 1000

Way = Literal["handle", "scope"]
WAYS: tuple[Way, ...] = ("handle", "scope")


def cancel_sweep(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start = None,
    check: Check | None = None,
    *,
    seed: int = 0,
    ways: Iterable[Way] = WAYS,
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    backends: Iterable[Backend] = BACKENDS,
) -> Sweep:
    """Cancel a run before each of its turns, and see that nothing is left.

    After each cancellation every attempt has ended, neither one nor a task of one has swallowed it,
    every resource is closed and no task of the workflow's is left; and ``check`` holds.

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
        SimulationError: the undisturbed run does not come to an end.
        TypeError: something does not fit, as for :func:`simulate`, or ``check`` is no function.
        ValueError: there is no such way, or a stub or a fault is of a step that there is not.
    """
    if check is not None:
        check_callable("check=", check)
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults,
        steps=steps,
        resources=resources,
        human=human,
        script=script,
    )
    ways = tuple(ways)
    if unknown := set(ways) - set(WAYS):
        raise ValueError(f"ways= takes 'handle' and 'scope', not {min(unknown)!r}")
    total = Sweep(0, 0)
    sweeper = _CancelSweeper(simulation, check, seed)
    for backend, way in itertools.product(backends, ways):
        stage = Stage()
        with silenced():
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
        """How many turns the undisturbed run takes; more than its transcript tells of."""
        turns = 0

        def count(conductor: Conductor, number: int) -> None:
            nonlocal turns
            turns = number

        await run_undisturbed(self._simulation, stage, self._seed, at_turn=count)
        return turns

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
        problem = _problem(transcript) or violation(self._check, transcript)
        if problem is not None:
            what = f"cancelled ({way}) before turn {at}"
            raise sweep_error(problem, what, at, transcript) from problem.cause


def _cancel(conductor: Conductor, way: Way) -> None:
    if way == "scope":
        assert conductor.end is not None, "the simulation has begun"
        conductor.end()
    else:
        assert conductor.runner is not None, "the run has begun"
        conductor.runner.machine.cancel(conductor.runner.clock())
        conductor.runner.after_input()


def _problem(transcript: Transcript) -> Problem | None:
    """What no cancelled run may leave, whatever the workflow."""
    if transcript.status not in ("cancelled", "completed"):
        return Problem(f"it {transcript.status}: {transcript.error!r}", transcript.error)
    problem = leftovers(transcript)
    if problem is None and transcript.swallowed and transcript.status == "cancelled":
        problem = Problem(f"swallowed the cancellation: {', '.join(transcript.swallowed)}")
    return problem

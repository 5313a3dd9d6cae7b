"""Explorations: many orders of one workflow, first the likely ones, and the shortest that fails.

The search goes through schedules (see :mod:`._choosing`): each single fault, then by their price,
cheapest first; which ones there are follows from the runs, see :mod:`._frontier`. When none is left
within the bound, all orders within it have been tried. What is left of the runs is drawn at random.

An option is pruned if taking it earlier can't make a difference; see :mod:`._independence`. A run
that fails its check is cut down: its schedule loses entries for as long as it fails alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from .._numbers import check_count
from .._workflow import Workflow
from ._checking import Check, Problem, check_callable, leftovers, violation
from ._choosing import Chooser, Schedule, Scheduled, Seeded
from ._diagram import draw
from ._errors import ExplorationError, SimulationError
from ._faults import Fault, Faults
from ._frontier import Frontier
from ._performing import Stubs
from ._production import Answers, Resources, Script, Start
from ._silence import silenced
from ._simulation import Simulation
from ._transcript import Transcript, told, told_error
from ._virtual_time import Backend, Stage, run_on

__all__ = ["Exploration", "explore"]

_RUNS_TO_SHORTEN = 300


@attrs.frozen
class Exploration:
    """What an exploration has done.

    Attributes:
        runs: how many runs it made.
        orders: how many of them were tried one by one; the rest was drawn.
        pruned: how many options were left out because they can't make a difference.
        complete: whether all orders within the bound have been tried.
        everything: whether these were all orders that there are.
    """

    runs: int
    orders: int
    pruned: int
    complete: bool
    everything: bool


def explore(
    workflow: Workflow[Any] | Callable[[], Workflow[Any]],
    start: Start,
    check: Check,
    *,
    max_runs: int = 1000,
    bound: int | None = 2,
    seed: int = 0,
    pure: Collection[str] = (),
    faults: Faults | Iterable[Fault] = (),
    steps: Stubs | Callable[[], Stubs] | None = None,
    resources: Resources | Callable[[], Resources] | None = None,
    human: Answers | None = None,
    script: Script | None = None,
    lateness: float = 1.0,
    max_turns: int = 10_000,
    backend: Backend = "asyncio",
) -> Exploration:
    """Run a workflow in many orders, and find one that fails a check.

    Up to half of the runs try the orders one by one, cheapest first: which of the steps that are
    ready goes on after another has had to stop is free; to interrupt one, to let time pass while
    somebody is ready, and a fault of ``Faults.any(...)`` cost 1 each, and a run may cost as much as
    ``bound``. The rest of the runs is drawn. A run in which everything waits for ever, or that
    leaves a task behind, fails whatever the check says.

    Args:
        workflow: the workflow, or a function that makes it; see :func:`simulate`.
        start: what starts a run.
        check: is given the transcript of each run; raises, or returns ``False``, if something does
            not hold that always must. Without result a run's ``transcript.error`` says why.
        max_runs: how many runs to make at most.
        bound: what a run that is not drawn may cost; ``None`` to try all orders there are, and draw
            none.
        seed: where to begin to draw.
        pure: the names of steps that touch nothing but their event and what they return. Orders
            that differ only in these are tried once.
        faults, steps, resources, human, script, lateness, max_turns, backend: as for
            :func:`simulate`.

    Returns:
        What was done.

    Raises:
        ExplorationError: a run fails. The message shows the shortest schedule that does, and the
            line that repeats it; it is raised from what the check has raised.
        TypeError: something does not fit, as for :func:`simulate`; or ``check`` is no function, or
            an async one.
        ValueError: ``max_runs`` or ``bound`` is out of range.
        SimulationError: a simulation can't be brought to an end.
        ValueError: a stub, a fault or ``pure=`` names a step that there is not.

    Example::

        explore(bank, Transfer(10), lambda transcript: transcript.state["balance"] == 0)
    """
    check_callable("check=", check)
    check_count("max_runs=", max_runs)
    if bound is not None:
        check_count("bound=", bound, least=0)
    simulation = Simulation(
        workflow=workflow,
        start=start,
        faults=faults,
        steps=steps,
        resources=resources,
        human=human,
        script=script,
        lateness=lateness,
        max_turns=max_turns,
        pure=frozenset(pure),
    )
    explorer = _Explorer(simulation, check, seed)
    stage = Stage()
    with silenced():
        return run_on(backend, stage, lambda: explorer.explore(stage, max_runs, bound))


class _Explorer:
    """Explores the orders of a simulation.

    Args:
        simulation: what is simulated.
        check: what must always hold.
        seed: where to begin to draw.
    """

    def __init__(self, simulation: Simulation, check: Check, seed: int) -> None:
        self._simulation = simulation
        self._check = check
        self._seed = seed
        self._runs = 0

    async def explore(self, stage: Stage, max_runs: int, bound: int | None) -> Exploration:
        """Explore.

        Raises:
            ExplorationError: a run fails the check.
        """
        share = max_runs if bound is None else (max_runs + 1) // 2
        frontier = Frontier(bound, max_runs)
        orders = 0
        while frontier and orders < share:
            plan = frontier.pop()
            transcript = await self._run(stage, self._seed, Scheduled(plan.schedule))
            orders += 1
            await self._judge(stage, transcript)
            frontier.extend(plan, transcript)
        complete = not frontier and not frontier.overflown
        everything = complete and not frontier.beyond
        for seed in self._seeds(0 if everything else max_runs - orders):
            await self._judge(stage, await self._run(stage, seed, Seeded(seed)))
        return Exploration(self._runs, orders, frontier.pruned, complete, everything)

    def _seeds(self, count: int) -> Iterator[int]:
        yield from range(self._seed, self._seed + count)

    async def _run(
        self, stage: Stage, seed: int, chooser: Chooser, *, traced: bool = False
    ) -> Transcript:
        self._runs += 1
        return await self._simulation.run(stage, chooser, seed=seed, traced=traced)

    def _problem(self, transcript: Transcript) -> Problem | None:
        if isinstance(transcript.error, SimulationError):
            return Problem.of(transcript.error)
        return leftovers(transcript) or violation(self._check, transcript)

    async def _judge(self, stage: Stage, transcript: Transcript) -> None:
        problem = self._problem(transcript)
        if problem is None:
            return
        found = self._runs
        shortest = await self._shorten(stage, transcript, problem)
        traced = await self._run(stage, shortest.seed, Scheduled(shortest.schedule), traced=True)
        problem = self._problem(traced) or problem
        report = _report(self._simulation, traced, problem, found)
        raise ExplorationError(report, traced, found) from problem.cause

    async def _shorten(self, stage: Stage, failing: Transcript, problem: Problem) -> Transcript:
        """Leave out of the schedule what the failure does not need."""
        best, left, size = failing, _RUNS_TO_SHORTEN, len(failing.schedule)
        while left > 0 and best.schedule:
            size = min(size, len(best.schedule))
            shorter = None
            for schedule in itertools.islice(_without(best.schedule, size), left):
                left -= 1
                tried = await self._run(stage, best.seed, Scheduled(schedule))
                if _is_shorter(tried, best) and _are_alike(self._problem(tried), problem):
                    shorter = tried
                    break
            if shorter is not None:
                best = shorter
            elif size == 1:
                break
            else:
                size = (size + 1) // 2
        return best


def _without(schedule: Schedule, size: int) -> Iterator[Schedule]:
    """The schedule without each stretch of ``size`` entries, the last stretch first."""
    numbers = sorted(schedule)
    for end in range(len(numbers), 0, -size):
        gone = set(numbers[max(0, end - size) : end])
        yield {number: what for number, what in schedule.items() if number not in gone}


def _is_shorter(tried: Transcript, best: Transcript) -> bool:
    return (len(tried.schedule), len(tried.choices)) < (len(best.schedule), len(best.choices))


def _are_alike(problem: Problem | None, other: Problem) -> bool:
    return problem is not None and type(problem.cause) is type(other.cause)


def _report(simulation: Simulation, transcript: Transcript, problem: Problem, run: int) -> str:
    count = len(transcript.schedule)
    departures = f"{count} departure{'' if count == 1 else 's'} from the default order"
    if transcript.error is None:
        outcome = f"result: {told(transcript.result)}"
    else:
        outcome = f"error: {told_error(transcript.error)}"
    schedule = dict(sorted(transcript.schedule.items()))
    return "\n".join(
        [
            problem.says,
            "",
            f"workflow {transcript.workflow!r} fails its check in run {run}; the shortest schedule "
            f"found, {departures}:",
            "",
            draw(transcript.turns),
            "",
            outcome,
            "repeat it, with the same keyword arguments, by:",
            f"    simulate(workflow, {_told_start(simulation.start)}, seed={transcript.seed}, "
            f"schedule={schedule!r})",
        ]
    )


def _told_start(start: Start) -> str:
    """What starts a run, as one would write it."""
    return told(dict(start)) if isinstance(start, Mapping) else told(start)

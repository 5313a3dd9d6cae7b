"""Explorations: many orders of one workflow, first the likely ones, and the shortest that fails.

The search goes through schedules (see :mod:`._choosing`) by their price, cheapest first. A run
follows its schedule and then the defaults; each option that it passed over, after the last entry of
its schedule, makes another schedule. So each schedule is run exactly once, and when none is left
within the bound, all orders within it have been tried. What is left of the runs is drawn at random.

An option is pruned if taking it earlier can't make a difference; see :mod:`._independence`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import attrs

from ._choosing import Schedule, Scheduled, Seeded
from ._diagram import draw
from ._errors import ExplorationError, SimulationError
from ._independence import is_redundant
from ._simulation import Simulation, told_start
from ._transcript import Transcript, told
from ._virtual_time import Stage

__all__ = ["Check", "Exploration", "Explorer"]

Check = Callable[[Transcript], object]
"""States what must always hold: raises, or returns ``False``, if it does not."""

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


@attrs.frozen
class _Plan:
    """A schedule to try: what it says, where it ends, and its price."""

    schedule: Schedule
    ends: int
    price: int


class _Frontier:
    """The schedules that are to be tried, cheapest first, shortest first."""

    def __init__(self, bound: int | None, room: int) -> None:
        self._bound = bound
        self._room = room
        self._plans: dict[int, deque[_Plan]] = {0: deque([_Plan({}, 0, 0)])}
        self._count = 1
        self.pruned = 0
        self.beyond = False
        self.overflown = False

    def __bool__(self) -> bool:
        return self._count > 0

    def pop(self) -> _Plan:
        price = min(price for price, plans in self._plans.items() if plans)
        self._count -= 1
        return self._plans[price].popleft()

    def extend(self, plan: _Plan, transcript: Transcript) -> None:
        """Add what the run of a plan has passed over."""
        for number, choice in enumerate(transcript.choices[plan.ends :], plan.ends):
            for place, option in enumerate(choice.options):
                if place == choice.chosen:
                    continue
                if is_redundant(transcript.footprints, number, option):
                    self.pruned += 1
                    continue
                price = plan.price + choice.prices[place]
                if self._bound is not None and price > self._bound:
                    self.beyond = True
                elif self._count >= self._room:
                    self.overflown = True
                else:
                    schedule = {**plan.schedule, number: option}
                    self._plans.setdefault(price, deque()).append(
                        _Plan(schedule, number + 1, price)
                    )
                    self._count += 1


class Explorer:
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
        frontier = _Frontier(bound, max_runs)
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
        self, stage: Stage, seed: int, chooser: Scheduled | Seeded, *, traced: bool = False
    ) -> Transcript:
        self._runs += 1
        return await self._simulation.run(stage, chooser, seed=seed, traced=traced)

    def failure(self, transcript: Transcript) -> Exception | None:
        """Why a run fails; ``None`` if it does not."""
        if isinstance(transcript.error, SimulationError):
            return transcript.error
        if transcript.leftover:
            return AssertionError(f"tasks are left: {', '.join(transcript.leftover)}")
        try:
            verdict = self._check(transcript)
        except Exception as error:
            return error
        return AssertionError("the check returned False") if verdict is False else None

    async def _judge(self, stage: Stage, transcript: Transcript) -> None:
        failure = self.failure(transcript)
        if failure is None:
            return
        found = self._runs
        shortest = await self._shorten(stage, transcript, type(failure))
        traced = await self._run(stage, shortest.seed, Scheduled(shortest.schedule), traced=True)
        failure = self.failure(traced) or failure
        raise ExplorationError(
            _report(self._simulation, traced, failure, found), traced, found
        ) from failure

    async def _shorten(
        self, stage: Stage, failing: Transcript, kind: type[Exception]
    ) -> Transcript:
        """Leave out of the schedule what the failure does not need."""
        best, left, size = failing, _RUNS_TO_SHORTEN, len(failing.schedule)
        while left > 0 and best.schedule:
            size = min(size, len(best.schedule))
            shorter = None
            for schedule in _without(best.schedule, size):
                left -= 1
                tried = await self._run(stage, best.seed, Scheduled(schedule))
                if type(self.failure(tried)) is kind and _is_shorter(tried, best):
                    shorter = tried
                    break
                if left <= 0:
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


def _report(simulation: Simulation, transcript: Transcript, failure: Exception, run: int) -> str:
    said = type(failure).__name__ + (f": {failure}" if str(failure) else "")
    count = len(transcript.schedule)
    departures = f"{count} departure{'' if count == 1 else 's'} from the default order"
    if transcript.error is None:
        outcome = f"result: {told(transcript.result)}"
    else:
        outcome = f"error: {type(transcript.error).__name__}: {transcript.error}"
    schedule = dict(sorted(transcript.schedule.items()))
    return "\n".join(
        [
            said,
            "",
            f"workflow {transcript.workflow!r} fails its check in run {run}; the shortest schedule "
            f"found, {departures}:",
            "",
            draw(transcript.turns),
            "",
            outcome,
            "repeat it, with the same keyword arguments, by:",
            f"    simulate(workflow, {told_start(simulation.start)}, seed={transcript.seed}, "
            f"schedule={schedule!r})",
        ]
    )

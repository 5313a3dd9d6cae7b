"""Lanes without a machine: how the engine runs steps, and nothing of what it promises.

A lane is a task that handles one event after another. Before it runs a step it sees to it that a
spare lane is there, which gets to run only if this one suspends. There are no limits, retries,
state, scopes, records, isolation or cancellation by step, and the fan-in counts. The difference to
the engine is the price of the engine's promises; the difference to L2 is what lanes save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import cast

import anyio
import anyio.lowlevel

from .l2 import Step
from .lateness import lateness_beside
from .messages import Begin, Done, Finish, Hop, Middle, Work
from .workloads import Timed

_HOPS_PER_TURN = 64


class Lanes:
    """One run: a queue of events, and the lanes that work it off.

    Args:
        steps: from event type to step.
    """

    def __init__(self, steps: Mapping[type, Step]) -> None:
        self._steps = steps
        self._tasks = anyio.create_task_group()
        self._queue: deque[object] = deque()
        self._spare = False
        self.result = 0

    async def run(self, start: object) -> int:
        """Handle events until a ``Finish`` arrives."""
        async with self._tasks:
            self.put(start)
            self.want_lane()
        return self.result

    def put(self, outcome: object) -> None:
        """Queue what a step returned, and end the run at a ``Finish``."""
        if isinstance(outcome, Finish):
            self.result = outcome.result
            self._queue.clear()
            self._tasks.cancel_scope.cancel()
        elif isinstance(outcome, list):
            self._queue.extend(cast("list[object]", outcome))
        elif outcome is not None:
            self._queue.append(outcome)

    def want_lane(self) -> None:
        """Start a spare lane, unless there is one."""
        if not self._spare:
            self._spare = True
            self._tasks.start_soon(self._lane)

    async def _lane(self) -> None:
        self._spare = False
        hops = 0
        while self._queue:
            event = self._queue.popleft()
            if self._queue:
                self.want_lane()
            self.put(await self._steps[type(event)](event))
            hops += 1
            if hops % _HOPS_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()


async def chain(hops: int, *, suspend: bool = False) -> int:
    """Pass one event on from step to step, ``hops`` times."""

    async def hop(event: Hop) -> Hop | Finish:
        if suspend:
            await anyio.lowlevel.checkpoint()
        number = event.number + 1
        return Finish(number) if number == hops else Hop(number)

    return await Lanes({Hop: hop}).run(Hop(0))


async def fan_out(items: int, *, suspend: bool = False) -> int:
    """Fan out to ``items`` events, do each, and gather the results in the order of the items."""
    results: dict[int, int] = {}

    async def split(event: Begin) -> list[Work]:
        return [Work(number) for number in range(event.count)]

    async def work(event: Work) -> Done:
        if suspend:
            await anyio.lowlevel.checkpoint()
        return Done(event.number)

    async def gather(event: Done) -> Finish | None:
        results[event.number] = event.number
        if len(results) < items:
            return None
        return Finish(sum(results[number] for number in sorted(results)))

    steps: dict[type, Step] = {Begin: split, Work: work, Done: gather}
    return await Lanes(steps).run(Begin(items))


async def short_runs(runs: int) -> int:
    """Start and finish ``runs`` runs of three steps, one after another."""

    async def first(event: Begin) -> Middle:
        return Middle(event.count + 1)

    async def second(event: Middle) -> Hop:
        return Hop(event.count + 1)

    async def third(event: Hop) -> Finish:
        return Finish(event.number + 1)

    steps: dict[type, Step] = {Begin: first, Middle: second, Hop: third}
    return sum([await Lanes(steps).run(Begin(0)) for _ in range(runs)])


async def concurrent_runs(runs: int) -> int:
    """Start and finish ``runs`` runs of three steps, all at once."""
    results: list[int] = []

    async def run_once() -> None:
        results.append(await short_runs(1))

    async with anyio.create_task_group() as tasks:
        for _ in range(runs):
            tasks.start_soon(run_once)
    return sum(results)


async def lateness(hops: int) -> Timed:
    """Tell how late a foreign timer is while a chain runs flat out."""
    return await lateness_beside(chain, hops)


suspending_chain = partial(chain, suspend=True)
suspending_fan_out = partial(fan_out, suspend=True)

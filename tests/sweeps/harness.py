"""One run of a shape under a sweep: what is done to it, and what has to hold afterwards."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import attrs
import pytest
from virtual_time import failing_if_it_hangs

from blazen_anyio import (
    Run,
    RunCancelledError,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    Workflow,
)

from .kit import Kit
from .scheduling import BACKENDS, Steps
from .shape import Shape
from .shapes import SHAPES

__all__ = ["EVERYTHING", "Case", "cases", "numbers", "sweep"]

EVERYTHING = os.environ.get("BLAZEN_SWEEP") == "all"
"""Whether to try every step, instead of a share that is evenly spread."""


def cases() -> list[Any]:
    """All shapes, on both backends, with shared lanes and a task per attempt, for pytest."""
    return [
        pytest.param(shape, backend, lanes, id=f"{name}-{backend}-{'lanes' if lanes else 'tasks'}")
        for name, shape in SHAPES.items()
        for backend in BACKENDS
        for lanes in (True, False)
    ]


def numbers(total: int, share: int, seed: object) -> Iterable[int]:
    """Numbers from 1: all there are, or ``share`` of ``total``, evenly spread and seeded."""
    if EVERYTHING:
        return itertools.count(1)
    offset = random.Random(repr(seed)).random()
    return sorted({1 + int((each + offset) * total / share) for each in range(share)})


async def sweep(case: Case, steps: Steps, share: int, at: Callable[[int], Awaitable[bool]]) -> None:
    """Do something at each scheduler step of a run, or a share of them.

    Args:
        case: what to run.
        steps: of the event loop.
        share: how many steps to try at most, unless all are tried.
        at: runs once and acts at the step; returns whether the run got as far.
    """
    total = await case.undisturbed(steps)
    for number in numbers(total, share, case):
        before = {task.id for task in anyio.get_running_tasks()}
        try:
            acted = await at(number)
            left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
            assert not left, f"still running: {left}"
        except BaseException as error:
            error.add_note(f"{case} at step {number} of {total}")
            raise
        if not acted:
            break


@attrs.define(eq=False)
class Case:
    """One shape, made to be swept; one run of it at a time.

    Attributes:
        shape: the shape.
        kit: what its steps are made with.
        workflow: its workflow.
        run: the run under way, or the last.
        scope: the scope around it.
        streams: the streams that were opened in the block of the run.
    """

    shape: Shape
    kit: Kit
    workflow: Workflow[Any]
    run: Run[Any] | None = None
    scope: anyio.CancelScope | None = None
    streams: list[Any] = attrs.field(factory=list)

    @classmethod
    def of(cls, shape: Shape, **options: Any) -> Case:
        """Build the workflow of a shape."""
        kit = Kit(**options)
        return cls(shape, kit, shape.build(kit))

    def __repr__(self) -> str:
        return f"<{self.shape.name}, lanes={self.kit.lanes}>"

    # ---- running -------------------------------------------------------------------------------

    async def host(
        self, run: Run[Any], besides: Callable[[], Awaitable[None]] | None = None
    ) -> Any:
        """Be the program around a run: watch it, help it, and take its result, if it has one.

        Args:
            run: the run.
            besides: what else to do in the block, at the same time; cancelled at the end.
        """
        self.run, self.scope, self.streams = None, None, []
        with anyio.CancelScope() as self.scope:
            async with failing_if_it_hangs("run"), run:
                self.run = run
                self.streams = [run.stream_events(), run.stream_events(lifecycle=True)]
                async with anyio.create_task_group() as group:
                    if besides is not None:
                        group.start_soon(besides)
                    result = await self._result_of(run)
                    group.cancel_scope.cancel()
                return result
        return None

    async def _result_of(self, run: Run[Any]) -> Any:
        try:
            if self.shape.help is not None:
                await self.shape.help(run)
            return await run.result()
        except (RunCancelledError, RunSuspendedError):
            return None

    async def undisturbed(self, steps: Steps) -> int:
        """Run without doing anything to it, and return the number of scheduler steps it takes."""
        self.kit.reset()
        steps.restart()
        result = await self.host(self.workflow.start())
        taken = steps.count
        assert result == self.shape.result
        return taken

    async def resumed(self, text: str) -> None:
        """Go on from the text of a snapshot: the result has to be the same."""
        self.kit.reset()
        again = self.workflow.resume(Snapshot.from_json(text))
        assert await self.host(again) == self.shape.result
        await self.check_nothing_left()

    def snapshot(self) -> str | None:
        """The text of a snapshot of the run now, if it has begun and has not completed."""
        if self.run is None:
            return None
        try:
            return self.run.snapshot().to_json()
        except RunEndedError:
            assert self.run.status == "completed"
            return None

    # ---- what has to hold ----------------------------------------------------------------------

    async def check_nothing_left(self) -> None:
        """No attempt is without its cleanup, and every stream has ended."""
        assert self.kit.open == 0, f"{self.kit.open} attempts have not finished"
        for stream in self.streams:
            with anyio.fail_after(1):
                async for _ in stream:
                    pass

    async def check_completed(self) -> None:
        """The run has completed all the same, with the result of its shape."""
        assert self.run is not None
        assert self.run.status == "completed"
        assert await self.run.result() == self.shape.result

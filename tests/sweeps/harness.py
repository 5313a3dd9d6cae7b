"""One run of a shape under a sweep: what is done to it, and what has to hold afterwards."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import attrs

from blazen_anyio import (
    Run,
    RunCancelledError,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    Workflow,
)

from .kit import Kit
from .scheduling import Steps
from .shape import Shape

__all__ = ["EVERYTHING", "Case", "numbers", "sweep"]

EVERYTHING = os.environ.get("BLAZEN_SWEEP") == "all"
"""Whether to try every step, instead of a share that is evenly spread."""

A_LONG_TIME = 1e7
"""Virtual seconds after which a run is taken to hang."""


def numbers(total: int, share: int, seed: object) -> Iterable[int]:
    """Numbers from 1: all there are, or ``share`` of ``total``, evenly spread and seeded."""
    if EVERYTHING:
        return itertools.count(1)
    offset = random.Random(repr(seed)).random()
    return sorted({1 + int((each + offset) * total / share) for each in range(share)})


async def sweep(
    case: Case, steps: Steps, share: int, at: Callable[[int], Awaitable[bool]]
) -> None:
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

    async def host(self, run: Run[Any]) -> Any:
        """Be the program around a run: watch it, help it, and take its result, if it has one."""
        self.run, self.scope, self.streams = None, None, []
        with anyio.fail_after(A_LONG_TIME), anyio.CancelScope() as self.scope:
            async with run:
                self.run = run
                self.streams = [run.stream_events(), run.stream_events(lifecycle=True)]
                try:
                    if self.shape.help is not None:
                        await self.shape.help(run)
                    return await run.result()
                except (RunCancelledError, RunSuspendedError):
                    return None
        return None

    async def undisturbed(self, steps: Steps) -> int:
        """Run without doing anything to it, and return the number of scheduler steps it takes."""
        self.kit.reset()
        steps.restart()
        result = await self.host(self.workflow.start())
        taken = steps.count
        assert result == self.shape.result
        return taken

    async def resumed(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, by way of its text: the result has to be the same."""
        self.kit.reset()
        again = self.workflow.resume(Snapshot.from_json(snapshot.to_json()))
        assert await self.host(again) == self.shape.result
        await self.check_nothing_left()

    def snapshot(self) -> Snapshot | None:
        """A snapshot of the run as it is, if it has begun and has not completed."""
        if self.run is None:
            return None
        try:
            return self.run.snapshot()
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

"""Interrupted over and over, a run still comes to the same result.

It is cancelled after so many scheduler steps, and goes on from a snapshot taken at that moment, as
after a crash, or from one taken when all of it had finished; and so again, each time a step later.
"""

from __future__ import annotations

import random

import pytest

from blazen_anyio import Snapshot

from .harness import EVERYTHING, Case, cases
from .scheduling import Steps, run_with_steps
from .shape import Shape


@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_interrupted_over_and_over_has_the_same_result(
    shape: Shape, backend: str, lanes: bool
) -> None:
    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        total = await case.undisturbed(steps)
        strides = range(2, total, 3) if EVERYTHING else [total * 2 // 3]
        for stride in strides:
            try:
                await _interrupt(case, steps, stride)
            except BaseException as error:
                error.add_note(f"{case}, interrupted every {stride} steps")
                raise

    run_with_steps(backend, main)


async def _interrupt(case: Case, steps: Steps, stride: int) -> None:
    crashes = random.Random(stride)
    taken: list[str | None] = []

    def interrupt() -> None:
        taken.append(case.snapshot())
        assert case.scope is not None
        case.scope.cancel()

    text: str | None = None
    while True:
        case.kit.reset()
        run = case.workflow.start()
        if text is not None:
            run = case.workflow.resume(Snapshot.from_json(text))
        steps.restart(stride, interrupt)
        await case.host(run)
        steps.finish()
        await case.check_nothing_left()
        if case.run is not None and case.run.status == "completed":
            await case.check_completed()
            return
        after = case.snapshot()
        text = taken[-1] if crashes.random() < 0.5 else after
        stride += 1

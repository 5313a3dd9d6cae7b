"""Suspended at any scheduler step, a run goes on as it would have."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import RunEndedError, Snapshot

from .harness import Case, cases, sweep
from .scheduling import Steps, run_with_steps
from .shape import Shape

SHARE = 3
ENOUGH = 1e4


@pytest.mark.parametrize("grace", [0, 1.5, ENOUGH])
@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_suspended_at_any_step_goes_on_to_the_same_result(
    shape: Shape, backend: str, lanes: bool, grace: float
) -> None:
    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        await sweep(case, steps, SHARE, lambda at: _suspend(case, steps, at, grace))

    run_with_steps(backend, main)


async def _suspend(case: Case, steps: Steps, at: int, grace: float) -> bool:
    now, snapshots = anyio.Event(), list[Snapshot]()

    async def suspend() -> None:
        await now.wait()
        assert case.run is not None
        try:
            snapshots.append(await case.run.suspend(grace=grace))
        except RunEndedError:
            assert case.run.status == "completed"

    case.kit.reset()
    steps.restart(at, now.set)
    await case.host(case.workflow.start(), suspend)
    acted = steps.finish()
    await case.check_nothing_left()
    assert case.run is not None
    if case.run.status == "completed":
        await case.check_completed()
        return acted
    assert case.run.status == "suspended"
    if grace == ENOUGH and not case.shape.cancels:
        assert not case.kit.cancelled, "there was time enough to finish"
    for snapshot in [*snapshots, case.run.snapshot()]:
        await case.resumed(snapshot.to_json())
    return acted

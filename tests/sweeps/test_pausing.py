"""Paused at whatever scheduler step, a run is quiet until it goes on, to the same result."""

from __future__ import annotations

import anyio
import pytest

from blazen_anyio import RunEndedError

from .harness import Case, cases, sweep
from .scheduling import Steps, run_with_steps
from .shape import Shape

SHARE = 5


@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_paused_at_any_step_is_quiet_and_goes_on_to_the_same_result(
    shape: Shape, backend: str, lanes: bool
) -> None:
    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        await sweep(case, steps, SHARE, lambda at: _pause(case, steps, at))

    run_with_steps(backend, main)


async def _pause(case: Case, steps: Steps, at: int) -> bool:
    paused = anyio.Event()
    started: list[int] = []

    def pause() -> None:
        if case.run is not None and case.run.status == "running":
            case.run.pause()
            started.append(_attempts_started(case))
            paused.set()

    async def go_on() -> None:
        await paused.wait()
        assert case.run is not None
        for _ in range(100):  # worker threads need real time to begin
            if not case.shape.nests and case.kit.begun != started[0]:
                await anyio.sleep(1)
        await anyio.sleep(1)
        begun = case.kit.begun
        await anyio.sleep(500)
        assert _attempts_started(case) == started[0], "nothing is dispatched during a pause"
        assert case.kit.begun == begun
        assert case.shape.nests or begun == started[0], "what was dispatched before goes on"
        try:
            case.run.resume()
        except RunEndedError:
            assert case.run.status == "completed"

    case.kit.reset()
    steps.restart(at, pause)
    assert await case.host(case.workflow.start(), go_on) == case.shape.result
    acted = steps.finish()
    await case.check_nothing_left()
    return acted


def _attempts_started(case: Case) -> int:
    assert case.run is not None
    return sum(fact.kind == "step_started" for fact in case.run.history)

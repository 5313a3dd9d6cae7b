"""Left at whatever scheduler step, a run is waited for, cancelled or suspended: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from blazen_anyio import RunSuspendedError, Snapshot

from .harness import Case, cases, sweep
from .scheduling import Steps, run_with_steps
from .shape import Shape

SHARE = 2


class BlockError(Exception):
    """What the block around a run raises."""


@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_whose_block_is_left_at_any_step_has_the_same_result(
    shape: Shape, backend: str, lanes: bool
) -> None:
    """If it needs help from outside, or was paused, leaving raises the snapshot to go on from."""

    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        for pausing in (False, True):
            await sweep(
                case, steps, SHARE, lambda at, pausing=pausing: _leave(case, steps, at, pausing)
            )

    run_with_steps(backend, main)


async def _leave(case: Case, steps: Steps, at: int, pausing: bool) -> bool:
    def last() -> None:
        assert case.run is not None
        if pausing and case.run.status == "running":
            case.run.pause()

    snapshot: Snapshot | None = None
    try:
        acted = await _in_block(case, steps, at, last)
    except RunSuspendedError as error:
        acted, snapshot = steps.finish(), error.snapshot
    await case.check_nothing_left()
    if snapshot is not None:
        assert pausing or case.shape.help is not None
        await case.resumed(snapshot.to_json())
    else:
        await case.check_completed()
    return acted


@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_whose_block_fails_at_any_step_is_cancelled_and_can_go_on(
    shape: Shape, backend: str, lanes: bool
) -> None:
    """The exception of the block is raised itself, and in no group."""

    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        await sweep(case, steps, SHARE, lambda at: _fail(case, steps, at))

    run_with_steps(backend, main)


async def _fail(case: Case, steps: Steps, at: int) -> bool:
    raised = BlockError()

    def last() -> None:
        raise raised

    with pytest.raises(BlockError) as caught:
        await _in_block(case, steps, at, last)
    assert caught.value is raised
    acted = steps.finish()
    await case.check_nothing_left()
    text = case.snapshot()
    if text is None:
        await case.check_completed()
        return acted
    assert case.run is not None
    assert case.run.status == "cancelled"
    await case.resumed(text)
    return acted


async def _in_block(case: Case, steps: Steps, at: int, last: Callable[[], None]) -> bool:
    """Wait in the block of a run until a step, or until nothing goes on; then do the last thing."""
    now = anyio.Event()
    case.kit.reset()
    steps.restart(at, now.set)
    async with case.workflow.start() as run:
        case.run, case.streams = run, [run.stream_events()]
        with anyio.move_on_after(1000):
            await now.wait()
        last()
    return steps.finish()

"""Cancelled at any scheduler step, a run leaves nothing and can go on from its snapshots.

It is cancelled by a scope around it, through its handle, by a scope around ``workflow.run()``, and
on asyncio by ``Task.cancel()``. Snapshots are taken just before, and after the end: both go on to
the same result.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest

from .harness import Case, cases, sweep
from .scheduling import Steps, run_with_steps
from .shape import Shape

SHARE = 4


@pytest.mark.parametrize(("shape", "backend", "lanes"), cases())
def test_a_run_cancelled_at_any_step_leaves_nothing_and_can_go_on(
    shape: Shape, backend: str, lanes: bool
) -> None:
    async def main(steps: Steps) -> None:
        case = Case.of(shape, lanes=lanes)
        ways = [_cancel_scope, _cancel_run, _cancel_plain_run]
        if backend == "asyncio":
            ways += [_cancel_task, _cancel_task_again_and_again]
        for way in ways:
            await sweep(case, steps, SHARE, lambda at, way=way: way(case, steps, at))

    run_with_steps(backend, main)


async def _cancel_scope(case: Case, steps: Steps, at: int) -> bool:
    snapshots: list[Any] = []

    def act() -> None:
        snapshots.append(case.snapshot())
        assert case.scope is not None
        case.scope.cancel()

    case.kit.reset()
    steps.restart(at, act)
    await case.host(case.workflow.start())
    return await _check(case, steps.finish(), snapshots)


async def _cancel_run(case: Case, steps: Steps, at: int) -> bool:
    snapshots: list[Any] = []

    def act() -> None:
        snapshots.append(case.snapshot())
        if case.run is not None:
            case.run.cancel()

    case.kit.reset()
    steps.restart(at, act)
    await case.host(case.workflow.start())
    return await _check(case, steps.finish(), snapshots)


async def _cancel_task(case: Case, steps: Steps, at: int) -> bool:
    snapshots: list[Any] = []

    def act() -> None:
        snapshots.append(case.snapshot())
        task.cancel()

    case.kit.reset()
    task = asyncio.create_task(case.host(case.workflow.start()))
    case.run = None
    steps.restart(at, act)
    with suppress(asyncio.CancelledError):
        await task
    return await _check(case, steps.finish(), snapshots)


async def _cancel_task_again_and_again(case: Case, steps: Steps, at: int) -> bool:
    """As by an impatient user: the cleanup under way is not cut short."""
    left = 5

    def act() -> None:
        nonlocal left
        if left:
            left -= 1
            task.cancel()
            asyncio.get_running_loop().call_soon(act)

    case.kit.reset()
    task = asyncio.create_task(case.host(case.workflow.start()))
    case.run = None
    steps.restart(at, act)
    with suppress(asyncio.CancelledError):
        await task
    return await _check(case, steps.finish(), [])


async def _cancel_plain_run(case: Case, steps: Steps, at: int) -> bool:
    if case.shape.help is not None:
        return False
    case.kit.reset()
    with anyio.CancelScope() as scope:
        steps.restart(at, scope.cancel)
        assert await case.workflow.run() == case.shape.result
    assert case.kit.open == 0
    return steps.finish()


async def _check(case: Case, acted: bool, snapshots: list[Any]) -> bool:
    await case.check_nothing_left()
    if case.run is None:
        return acted
    if case.run.status == "completed":
        await case.check_completed()
        return acted
    assert case.run.status == "cancelled"
    snapshots.append(case.snapshot())
    for snapshot in snapshots:
        if snapshot is not None:
            await case.resumed(snapshot)
    return acted

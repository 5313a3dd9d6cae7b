"""Simulations that do not go on, or do not end: what is said, and that they are ended."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from blazen_anyio import StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import EndlessError, SimulationError, StuckError, simulate

from .shop import BACKENDS, Done, Work, one_step


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_waits_for_ever_is_stuck_and_says_where(backend):
    async def body(ev: StartEvent) -> StopEvent:
        await anyio.Event().wait()
        return StopEvent()

    transcript = simulate(one_step(body), backend=backend)
    assert transcript.status == "stuck"
    assert isinstance(transcript.error, StuckError)
    (waiting,) = transcript.error.waiting
    assert waiting.startswith("body#2 at test_stuck.py:")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_that_does_not_end_is_ended(backend):
    async def body(ev: StartEvent) -> StopEvent:
        while True:
            await anyio.lowlevel.checkpoint()

    transcript = simulate(one_step(body), max_turns=50, backend=backend)
    assert isinstance(transcript.error, EndlessError)
    assert transcript.error.turns == 51


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_swallows_its_end_is_abandoned(backend):
    async def body(ev: StartEvent) -> StopEvent:
        for _ in range(30):
            try:
                await anyio.sleep(1)
            except BaseException:
                continue
        await anyio.sleep_forever()
        return StopEvent()

    with pytest.raises(SimulationError, match="even cancelling"):
        simulate(one_step(body), max_turns=10, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cleanup_that_waits_for_ever_is_abandoned(backend):
    async def body(ev: StartEvent) -> StopEvent:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Event().wait()
        return StopEvent()

    with pytest.raises(SimulationError, match="even cancelling"):
        simulate(one_step(body), backend=backend)


def test_by_default_one_actor_does_not_keep_the_others_out():
    seen = []

    @step
    async def begin(ev: StartEvent) -> tuple[Work, Done]:
        return Work(1), Done(1)

    @step
    async def spin(ev: Work) -> StopEvent:
        while not seen:
            await anyio.lowlevel.checkpoint()
        return StopEvent()

    @step
    async def see(ev: Done) -> None:
        seen.append(1)

    workflow = Workflow("spins", [begin, spin, see])
    assert simulate(workflow, schedule={}).status == "completed"


def test_a_task_that_is_left_is_named_and_cleared():
    async def body(ev: StartEvent) -> StopEvent:
        asyncio.get_running_loop().create_task(asyncio.sleep(100))
        return StopEvent()

    transcript = simulate(one_step(body))
    assert transcript.leftover == ("body#2.1",)
    assert transcript.status == "completed"


def test_asyncios_own_cancellation_reaches_a_parked_task():
    async def body(ev: StartEvent) -> StopEvent:
        async with asyncio.timeout(1):
            await asyncio.sleep(5)
        return StopEvent()

    assert isinstance(simulate(one_step(body)).error.error, TimeoutError)


def test_a_shielded_task_group_unwinds_when_it_is_abandoned():
    async def body(ev: StartEvent) -> StopEvent:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
        return StopEvent()

    for backend in BACKENDS:
        with pytest.raises(SimulationError):
            simulate(one_step(body), backend=backend)

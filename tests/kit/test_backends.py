"""Where anyio and trio cancel in different ways, a simulation has one transcript all the same."""

from __future__ import annotations

from typing import Annotated

import anyio
import pytest

from blazen_anyio import Event, Gather, StartEvent, StopEvent, Workflow, step
from blazen_anyio.testing import Late, Raise, cancel_sweep, simulate

SEEDS = range(30)


class Job(Event, event_type="kit.Job"):
    n: int


class Done(Event, event_type="kit.Done"):
    n: int


@step
async def split(ev: StartEvent) -> list[Job]:
    return [Job(n) for n in range(3)]


@step
async def first(done: Annotated[list[Done], Gather(count=1)]) -> StopEvent:
    return StopEvent(result=done[0].n)


async def run_together(n):
    async with anyio.create_task_group() as group:
        for number in range(n + 1):
            group.start_soon(anyio.sleep, number * 0.01)


async def run_where_one_fails(n):
    async def fail():
        await anyio.sleep(0.01 * n)
        raise LookupError(n)

    with pytest.raises(BaseExceptionGroup):
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            group.start_soon(anyio.sleep, 1)
            group.start_soon(anyio.sleep, 1)


async def finish_whatever_happens(n):
    async def finish():
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01 + 0.01 * n)

    async with anyio.create_task_group() as group:
        group.start_soon(finish)


async def start_a_service(n):
    async def serve(*, task_status):
        await anyio.sleep(0.01 * n)
        task_status.started()
        await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.01):
            await group.start(serve)


async def receive_too_late(n):
    send, receive = anyio.create_memory_object_stream[int]()

    async def receive_soon():
        with anyio.move_on_after(0.01):
            await receive.receive()

    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(receive_soon)
        await anyio.sleep(0.01)
        with anyio.move_on_after(0.01 * n):
            await send.send(n)


@pytest.mark.parametrize(
    "body",
    [
        run_together,
        run_where_one_fails,
        finish_whatever_happens,
        start_a_service,
        receive_too_late,
    ],
    ids=lambda body: body.__name__,
)
def test_what_is_cancelled_takes_as_many_turns_on_both_backends(body):
    @step
    async def work(job: Job) -> Done:
        await body(job.n)
        return Done(job.n)

    race = Workflow("race", [split, work, first])
    for seed in SEEDS:
        told = [
            simulate(race, seed=seed, faults=faults, backend=backend).to_json()
            for faults in ([], [Raise("work", on=2)])
            for backend in ("asyncio", "trio")
        ]
        assert (told[0], told[2]) == (told[1], told[3]), seed


async def sleep_before(n):
    await anyio.sleep(1)


async def time_out_before(n):
    with anyio.move_on_after(0.5):
        await anyio.sleep(1)


async def time_out_within(n):
    with anyio.CancelScope(shield=True), anyio.move_on_after(0.5):
        await anyio.sleep(1)


@pytest.mark.parametrize(
    "body", [sleep_before, time_out_before, time_out_within], ids=lambda body: body.__name__
)
def test_to_finish_behind_a_shield_is_not_to_swallow_a_cancellation(body):
    @step
    async def save(ev: StartEvent) -> StopEvent:
        await body(0)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(1)
        return StopEvent()

    cancel_sweep(Workflow("careful", [save]))


def test_to_return_late_is_not_to_swallow_a_cancellation():
    @step
    async def work(job: Job) -> Done:
        await anyio.sleep(0.1)
        return Done(job.n)

    cancel_sweep(Workflow("race", [split, work, first]), faults=[Late("work")])

"""Live objects: resources, opened at their first use and never in a snapshot."""

# Without postponed annotations: resources are named by what opens them, which is local here.

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from anyio.lowlevel import checkpoint

from blazen_anyio import Context, Resource, Run, StartEvent, StopEvent, Workflow, step

from .example import MINUTE, FlakyError, example, tries
from .vocabulary import Done, Work, split, total


class Pool:
    """Something live that no snapshot can hold; ``log`` has what was opened and closed so far."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log


def opener(name: str, log: list[str]) -> Any:
    """A function that opens a pool, slowly, and notes in the log when it opens and closes."""

    @asynccontextmanager
    async def open_pool() -> AsyncIterator[Pool]:
        await anyio.sleep(MINUTE)
        log.append(f"{name} opened")
        try:
            yield Pool(name, log)
        finally:
            await checkpoint()
            log.append(f"{name} closed")

    return open_pool


@example([0, 1, 2], fresh=True)
def opened_once_for_a_run() -> Workflow[Any]:
    """Entered once per run on first use; concurrent first uses share one opening."""
    open_pool = opener("pool", [])

    @step
    async def work(ev: Work, pool: Annotated[Pool, Resource(open_pool)]) -> Done:
        await anyio.sleep(MINUTE)
        assert pool.log == ["pool opened"]
        return Done(ev.n)

    return Workflow("pool", [split(3), work, total])


LOGS: dict[str, list[str]] = {}
"""By run id, what was opened and closed in this process, until the script looks at it."""


async def _look_at_the_log(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with run:
        result = await run.result()
    log = LOGS.pop(run.run_id)
    opened = [each.removesuffix(" opened") for each in log if each.endswith("opened")]
    closed = [each.removesuffix(" closed") for each in log if each.endswith("closed")]
    return [result, closed == opened[::-1]]


@example([["pool", "client"], True], script=_look_at_the_log, fresh=True)
def closed_in_reverse_order() -> Workflow[Any]:
    """Dependencies between resources; closed in reverse order when the run ends."""
    log: list[str] = []
    open_pool = opener("pool", log)

    @asynccontextmanager
    async def open_client(pool: Annotated[Pool, Resource(open_pool)]) -> AsyncIterator[Pool]:
        async with opener("client", log)() as client:
            yield client

    @step
    async def first(ev: StartEvent, pool: Annotated[Pool, Resource(open_pool)]) -> Work:
        await anyio.sleep(MINUTE)
        return Work(len(pool.name))

    @step
    async def second(
        ev: Work,
        client: Annotated[Pool, Resource(open_client)],
        pool: Annotated[Pool, Resource(open_pool)],
        ctx: Context,
    ) -> StopEvent:
        await anyio.sleep(MINUTE)
        LOGS[ctx.run_id] = log
        return StopEvent(result=[pool.name, client.name])

    return Workflow("reverse", [first, second])


async def _inside_the_workflow(run: Run[Any], workflow: Workflow[Any]) -> Any:
    async with workflow:
        async with run:
            first = await run.result()
        return [first, await workflow.run()]


@example([[0, 1], [0, 1]], script=_inside_the_workflow, fresh=True)
def shared_by_the_runs_of_a_workflow() -> Workflow[Any]:
    """... (or per workflow: then `async with workflow:`)."""
    open_pool = opener("pool", [])

    @step
    async def work(ev: Work, pool: Annotated[Pool, Resource(open_pool, scope="workflow")]) -> Done:
        await anyio.sleep(MINUTE)
        assert pool.log == ["pool opened"]
        return Done(ev.n)

    return Workflow("shared", [split(2), work, total])


@example([0, 1, 2], fresh=True)
def opened_for_each_attempt() -> Workflow[Any]:
    """Scope `run`, `workflow` or `step`."""
    log: list[str] = []
    open_pool = opener("pool", log)

    @step(max_concurrency=1)
    async def work(ev: Work, pool: Annotated[Pool, Resource(open_pool, scope="step")]) -> Done:
        await checkpoint()
        assert log.count("pool opened") == log.count("pool closed") + 1
        return Done(ev.n)

    return Workflow("own", [split(3), work, total])


@example(2, fresh=True)
def failed_opening_is_not_cached() -> Workflow[Any]:
    """A failed opening is not cached."""
    failed: list[int] = []

    async def open_pool() -> str:
        await checkpoint()
        if not failed:
            failed.append(1)
            raise FlakyError("the database is starting")
        return "open"

    @step(retry=tries(3, on=FlakyError))
    async def work(ev: StartEvent, pool: Annotated[str, Resource(open_pool)]) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=len(pool) // 2)

    return Workflow("starting", [work])


async def open_client() -> str:
    raise AssertionError("it was replaced")


@example("a fake client", options={"resources": {open_client: "a fake client"}})
def replaced_in_a_test() -> Workflow[Any]:
    """`resources={opener: replacement}`."""

    @step
    async def work(ev: StartEvent, client: Annotated[str, Resource(open_client)]) -> StopEvent:
        await anyio.sleep(MINUTE)
        return StopEvent(result=client)

    return Workflow("fake", [work])

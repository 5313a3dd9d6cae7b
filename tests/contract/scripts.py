"""Programs around a run.

Each may begin anew in another process, so what one of them has done it may do again. An answer, or
the next event from outside, takes an hour.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio

from blazen_anyio import (
    Event,
    EventStream,
    InputRequestEvent,
    Run,
    RunEndedError,
    RunSuspendedError,
    Snapshot,
    Workflow,
    WorkflowError,
)

from .example import HOUR, Script

__all__ = ["answering", "beside", "leaving", "sending", "taken_up_again"]


def beside(work: Callable[[Run[Any], EventStream], Awaitable[None]]) -> Script:
    """Do some work in the block of the run, whose stream it gets, until the run has ended."""

    async def script(run: Run[Any], workflow: Workflow[Any]) -> Any:
        async with run:
            stream = run.stream_events()  # first thing in the block, so it misses nothing
            async with anyio.create_task_group() as group:
                group.start_soon(work, run, stream)
                with suppress(WorkflowError):
                    await run.result()
                group.cancel_scope.cancel()
            return await run.result()

    return script


def answering(answers: dict[str, Any]) -> Script:
    """Be the human who answers each of these prompts, once."""

    async def answer(run: Run[Any], stream: EventStream) -> None:
        left = dict(answers)
        async for event in stream:
            if isinstance(event, InputRequestEvent) and event.prompt in left:
                await anyio.sleep(HOUR)
                if event in run.requests:
                    run.respond_to_input(event.request_id, left.pop(event.prompt))

    return beside(answer)


def sending(*events: Event) -> Script:
    """Send events from outside."""

    async def send(run: Run[Any], stream: EventStream) -> None:
        with suppress(RunEndedError):
            for event in events:
                await anyio.sleep(HOUR)
                run.send_event(event)

    return beside(send)


async def leaving(run: Run[Any], workflow: Workflow[Any]) -> Any:
    """Leave the block at once."""
    async with run:
        pass
    return await run.result()


def taken_up_again(kind: type[RunSuspendedError], responses: dict[str, Any]) -> Script:
    """Leave the block, and take the run up from the snapshot that this raises.

    Args:
        kind: the error that carries the snapshot.
        responses: what is answered then, by prompt.
    """
    return partial(_take_up_again, kind, responses)


async def _take_up_again(
    kind: type[RunSuspendedError],
    responses: dict[str, Any],
    run: Run[Any],
    workflow: Workflow[Any],
) -> Any:
    try:
        return await leaving(run, workflow)
    except kind as error:
        snapshot = Snapshot.from_json(error.snapshot.to_json())
    answers = {request.request_id: responses[request.prompt] for request in snapshot.requests}
    async with workflow.resume(snapshot, responses=answers) as again:
        return await again.result()

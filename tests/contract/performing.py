"""Performing an example: from its start, or from a snapshot, to plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
from virtual_time import asyncio_options, failing_if_it_hangs, trio_options

from blazen_anyio import Run, Snapshot, Workflow, WorkflowError

from .example import Example, Outcome, described, plain

__all__ = ["go_on", "on_virtual_time", "perform"]


def on_virtual_time(backend: str) -> dict[str, Any]:
    """What ``anyio.run`` needs besides the function."""
    options = asyncio_options(debug=False) if backend == "asyncio" else trio_options()
    return {"backend": backend, "backend_options": dict(options)}


async def perform(example: Example) -> Outcome:
    """Run an example from its start."""
    workflow = example.build()
    return await _outcome_of(example, workflow, example.start(workflow))


async def go_on(example: Example, texts: Sequence[str]) -> list[Outcome]:
    """Run an example from each of some snapshots, with a workflow that has been built anew."""
    outcomes: list[Outcome] = []
    build = example.later or example.build
    workflow = build()
    for number, text in enumerate(texts):
        try:
            run = workflow.resume(
                Snapshot.from_json(text), renames=example.renames, **example.options
            )
            outcomes.append(await _outcome_of(example, workflow, run))
        except BaseException as error:
            error.add_note(f"{example.name} from snapshot {number}: {text}")
            raise
        if example.fresh:
            workflow = build()
    return outcomes


async def _outcome_of(example: Example, workflow: Workflow[Any], run: Run[Any]) -> Outcome:
    before = {task.id for task in anyio.get_running_tasks()}
    async with failing_if_it_hangs("example"):
        try:
            outcome = plain(await example.script(run, workflow))
        except WorkflowError as error:
            outcome = described(error)
    left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
    assert not left, f"still running: {left}"
    return outcome

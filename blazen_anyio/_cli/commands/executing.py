"""The commands that execute a run: start one, go on with one, begin one as another was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

from cyclopts import Parameter, validators

from ..._events import Event
from ..._run import InputHandler
from ..._snapshot import Snapshot
from ..._workflow import Workflow
from ..arguments import read_json, read_pairs
from ..errors import CommandError
from ..execution import Execution, Origin
from ..fields import event_named, make_event
from ..loading import load_store, load_workflow
from ..options import (
    Executing,
    Injected,
    NewRunId,
    OptionalStore,
    Renames,
    RunId,
    SnapshotToResume,
    SnapshotToWrite,
    StoreName,
    WorkflowName,
)
from ..terminal import printable
from ..workflows import events_of, start_of

__all__ = ["fork", "resume", "run"]

_EXECUTING = Executing()


async def run(
    workflow: WorkflowName,
    /,
    *,
    input: Annotated[str, Parameter(name=["--input", "-i"], allow_leading_hyphen=True)] = "{}",
    start: str | None = None,
    store: OptionalStore = None,
    run_id: NewRunId = None,
    snapshot: SnapshotToWrite = None,
    options: Executing = _EXECUTING,
    terminal: Injected,
) -> int:
    """Run a workflow to its end and print the result as JSON.

    On a terminal the run is shown live, and what it asks is asked at the prompt. Elsewhere what its
    steps write to the stream comes as lines of JSON on standard error.

    Ctrl-C suspends the run and prints the command that goes on with it; a second one cancels it.

    Args:
        input: The fields of the start event as JSON; @file reads a file, - standard input.
        start: The event that starts the run, if the workflow takes several.
        run_id: A name for the run. If the store has the run already, it is not begun again: it goes
            on, or its result is printed.
    """
    loaded = load_workflow(workflow)
    event = make_event(_start_event(loaded, start), read_json("--input", input))
    origin = Origin(workflow=workflow, store=store, snapshot=snapshot, options=options)
    execution = Execution(loaded, terminal, origin)
    begin = partial(loaded.start, event, run_id=run_id, input_handler=execution.input_handler)
    if store is None:
        return await execution.execute(begin())
    async with load_store(store, keep_log=options.log, create=True) as opened:
        return await execution.execute(begin(store=opened))


def _start_event(workflow: Workflow[Any], name: str | None) -> type[Event] | str:
    if name is not None:
        return event_named(name, events_of(workflow))
    try:
        return start_of(workflow)
    except TypeError as error:
        raise CommandError(str(error), "name it with --start") from error


async def resume(
    workflow: WorkflowName,
    run_id: str | None = None,
    /,
    *,
    store: OptionalStore = None,
    rename: Renames | None = None,
    answer: list[str] | None = None,
    snapshot: SnapshotToResume = None,
    options: Executing = _EXECUTING,
    terminal: Injected,
) -> int:
    """Go on with a run from a store, or from a file with --snapshot.

    A run that has failed or was cancelled goes on from what it had not handled. One that has
    completed gives its result.

    Args:
        run_id: The id of the run in the store.
        answer: request=text: the answer to an open request. Repeatable.
    """
    if (run_id is None) == (snapshot is None):
        raise CommandError("name a run and its --store, or a file with --snapshot")
    loaded = load_workflow(workflow)
    if snapshot is not None:
        store = None  # which the environment may name: the run is not in it
    origin = Origin(workflow=workflow, store=store, snapshot=snapshot, options=options)
    execution = Execution(loaded, terminal, origin)
    how = _How(
        responses=read_pairs("--answer", answer or ()),
        renames=read_pairs("--rename", rename or ()),
        input_handler=execution.input_handler,
    )
    if run_id is None:
        return await execution.execute(loaded.resume(_read_snapshot(snapshot or ""), **how))
    if store is None:
        raise CommandError("which store is the run in?", "say --store runs.db")
    async with load_store(store, keep_log=options.log) as opened:
        return await execution.execute(loaded.resume_from(opened, run_id, **how))


class _How(TypedDict):
    """How a run is taken up."""

    responses: Mapping[str, str]
    renames: Mapping[str, str]
    input_handler: InputHandler | None


def _read_snapshot(path: str) -> Snapshot:
    try:
        return Snapshot.from_bytes(Path(path).read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


async def fork(
    workflow: WorkflowName,
    run_id: RunId,
    /,
    *,
    at: Annotated[int, Parameter(validator=validators.Number(gte=1))],
    store: StoreName,
    new_run_id: NewRunId = None,
    rename: Renames | None = None,
    options: Executing = _EXECUTING,
    terminal: Injected,
) -> int:
    """Begin a new run as another was after one of its commits, and run it.

    Args:
        at: The number of the commit; history shows them.
        new_run_id: A name for the new run.
    """
    loaded = load_workflow(workflow)
    origin = Origin(workflow=workflow, store=store, snapshot=None, options=options)
    execution = Execution(loaded, terminal, origin)
    async with load_store(store, keep_log=options.log) as opened:
        forked = loaded.fork(
            opened,
            run_id,
            at=at,
            new_run_id=new_run_id,
            renames=read_pairs("--rename", rename or ()),
            input_handler=execution.input_handler,
        )
        terminal.say(f"run {printable(forked.run_id)} begins as {printable(run_id)} was")
        return await execution.execute(forked)

"""The commands that change stored runs without executing any."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from ..._store import Store
from ..arguments import read_json
from ..errors import DONE, FAILED, CommandError
from ..fields import event_named, make_event
from ..loading import load_store, load_workflow
from ..options import Injected, RunId, StoreName, Traceback, WorkflowName
from ..stored import read_details
from ..terminal import Terminal, command_line
from ..workflows import events_of

__all__ = ["cancel", "respond", "rm", "send"]


async def send(
    workflow: WorkflowName,
    run_id: RunId,
    event: str,
    /,
    *,
    data: Annotated[str, Parameter(name=["--data", "-d"], allow_leading_hyphen=True)] = "{}",
    store: StoreName,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Give an event to a stored run that nobody executes. No step runs.

    Args:
        event: The class of the event, or its type.
        data: Its fields as JSON; @file reads a file, - standard input.
    """
    loaded = load_workflow(workflow)
    kind = event_named(event, events_of(loaded))
    made = make_event(kind, read_json("--data", data))
    async with load_store(store, keep_log=True) as opened, loaded:
        await loaded.send_to(opened, run_id, made)
    return _stored(terminal, workflow, run_id, store)


async def respond(
    workflow: WorkflowName,
    run_id: RunId,
    answer: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    request: str | None = None,
    from_json: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    store: StoreName,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Answer a request of a stored run that nobody executes. No step runs.

    Args:
        answer: The answer, as text.
        request: The id of the request, if there are several; show tells it.
        from_json: Read the answer as JSON; @file reads a file, - standard input.
    """
    loaded = load_workflow(workflow)
    response = read_json("ANSWER", answer) if from_json else answer
    async with load_store(store, keep_log=True) as opened, loaded:
        request_id = request or await _only_request(opened, run_id)
        await loaded.respond_to(opened, run_id, request_id, response)
    return _stored(terminal, workflow, run_id, store)


async def _only_request(store: Store, run_id: str) -> str:
    details = await read_details(store, run_id)
    if len(details.requests) == 1:
        return details.requests[0].request_id
    if not details.requests:
        raise CommandError(f"run {run_id!r} asks nothing", "show tells what it does")
    asked = "; ".join(f"{each.request_id} ({each.prompt})" for each in details.requests)
    raise CommandError(f"run {run_id!r} asks several things: {asked}", "say --request ID")


def _stored(terminal: Terminal, workflow: str, run_id: str, store: str) -> int:
    command = command_line("resume", workflow, run_id, options={"--store": store})
    terminal.say(f"stored; the run takes it up with: {command}")
    return DONE


async def cancel(
    run_id: RunId, /, *, store: StoreName, traceback: Traceback = False, terminal: Injected
) -> int:
    """Mark a stored run that nobody executes as cancelled.

    Where it is executed, Ctrl-C does it.
    """
    async with load_store(store, keep_log=True) as opened:
        await opened.cancel(run_id)
    return DONE


def _check_age(_: object, age: timedelta | None) -> None:
    if age is not None and age < timedelta(0):
        raise ValueError("Must be >= 0.")


async def rm(
    *run_ids: Annotated[str, Parameter(help="The ids of the runs.")],
    older_than: Annotated[timedelta | None, Parameter(validator=_check_age)] = None,
    store: StoreName,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Remove runs with all that belongs to them.

    Args:
        older_than: Remove all that completed, failed or were cancelled so long ago: 90s, 12h, 7d.
    """
    if not run_ids and older_than is None:
        raise CommandError("name the runs to remove, or say --older-than")
    async with load_store(store) as opened:
        missing = [run_id for run_id in run_ids if not await opened.delete(run_id)]
        if older_than is not None:
            count = await opened.prune(older_than=older_than.total_seconds())
            terminal.say(f"removed {count}")
    if missing:
        raise CommandError(f"no such run: {', '.join(missing)}", code=FAILED)
    return DONE

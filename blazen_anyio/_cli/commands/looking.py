"""The commands that look at stored runs and change nothing."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from ..._codec import kind_of
from ..arguments import write_text
from ..errors import DONE, CommandError
from ..loading import load_store, load_workflow
from ..options import AsJson, Injected, RunId, StoreName, Traceback
from ..stored import describe, entry_data, fact_row, read_details, run_data
from ..terminal import columns, printable
from ..watching import follow
from ..workflows import codec_of

__all__ = ["history", "ls", "report", "show", "watch"]


async def ls(
    *,
    store: StoreName,
    status: Literal["running", "suspended", "completed", "failed", "cancelled"] | None = None,
    workflow_name: str | None = None,
    limit: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """List the runs of a store, the last changed first.

    Args:
        status: Only runs of this status.
        workflow_name: Only runs of the workflow of this name.
        limit: At most so many.
    """
    async with load_store(store) as opened:
        runs = await opened.list(status=status, workflow=workflow_name, limit=limit)
    found = [run_data(run) for run in runs]
    if as_json:
        terminal.out.writelines(json.dumps(run) + "\n" for run in found)
        return DONE
    header = ("run_id", "workflow", "status", "commits", "updated", "owner", "note")
    rows = [[str(run[name] or "") for name in header] for run in found]
    terminal.result(columns(("run", *header[1:]), rows))
    return DONE


async def show(
    run_id: RunId,
    /,
    *,
    store: StoreName,
    workflow: str | None = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Show a run: what waits in it, what it asks, and its state.

    Args:
        workflow: module:attribute of its workflow. With it values are shown, too: it knows which
            are secret.
    """
    codec = None if workflow is None else codec_of(load_workflow(workflow))
    async with load_store(store) as opened:
        data = describe(await read_details(opened, run_id), codec)
    if as_json:
        terminal.result(json.dumps(data))
    else:
        lines = [line for name, value in data.items() for line in _lines(name, value)]
        terminal.result("\n".join(lines))
    return DONE


def _lines(name: str, value: Any) -> list[str]:
    """What there is to say of a value; nothing if it is empty."""
    if value in (None, "", [], {}):
        return []
    items: list[str]
    if kind_of(value) is dict:
        items = [f"{key}: {json.dumps(item)}" for key, item in value.items()]
    elif kind_of(value) is list:
        items = [_words(item) for item in value]
    else:
        return [f"{name + ':':<10} {printable(str(value))}"]
    return [f"{name}:", *(f"  {printable(item)}" for item in items)]


def _words(item: str | dict[str, str]) -> str:
    return item if isinstance(item, str) else "  ".join(item.values())


async def history(
    run_id: RunId,
    /,
    *,
    store: StoreName,
    as_json: AsJson = False,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Tell what happened in a run, commit by commit."""
    async with load_store(store) as opened:
        await read_details(opened, run_id)
        entries = await opened.history(run_id)
    if not entries:
        raise CommandError(f"there is no log of run {run_id!r}", "run without --no-log keeps one")
    told = [(entry, data) for entry in entries for data in entry_data(entry)]
    if as_json:
        terminal.out.writelines(json.dumps(data) + "\n" for _, data in told)
        return DONE
    header = ("commit", "time", "fact", "step", "event", "attempt", "seconds", "error")
    terminal.result(columns(header, [fact_row(entry, data) for entry, data in told]))
    return DONE


async def watch(
    run_id: RunId,
    /,
    *,
    store: StoreName,
    interval: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 0.5,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Follow a run that another process executes, until it has ended or is suspended.

    The run is only read. The exit code is the one that executing it would have.

    Args:
        interval: How many seconds between two looks at the store.
    """
    async with load_store(store) as opened:
        return await follow(opened, run_id, terminal, interval)


async def report(
    run_id: RunId,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    store: StoreName,
    workflow: str | None = None,
    traceback: Traceback = False,
    terminal: Injected,
) -> int:
    """Write a report on a run: one page that any browser opens, offline.

    Args:
        output: The file to write.
        workflow: module:attribute of its workflow, for the graph and for values.
    """
    from ..._report import stored_report  # no other command should wait for it

    loaded = None if workflow is None else load_workflow(workflow)
    async with load_store(store) as opened:
        page = (await stored_report(opened, run_id, loaded)).to_html()
    write_text(output, page)
    return DONE

"""The commands that look at stored runs and change nothing."""

from __future__ import annotations

import json
from typing import Any

import attrs

from .._codec import kind_of
from .._store import StoredStatus
from .errors import DONE, CommandError
from .loading import codec_of, load_store, load_workflow
from .stored import describe, entry_data, fact_row, read_details, run_data
from .terminal import Terminal, columns, printable
from .watching import watch

__all__ = ["History", "List", "Show", "Watch"]


@attrs.frozen(kw_only=True)
class List:
    """List the runs of a store."""

    store: str
    status: StoredStatus | None
    workflow: str | None
    limit: int | None
    json: bool

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        async with load_store(self.store) as store:
            runs = await store.list(status=self.status, workflow=self.workflow, limit=self.limit)
        found = [run_data(run) for run in runs]
        if self.json:
            terminal.out.writelines(json.dumps(run) + "\n" for run in found)
            return DONE
        header = ("run_id", "workflow", "status", "commits", "updated", "owner", "note")
        rows = [[str(run[name] or "") for name in header] for run in found]
        terminal.result(columns(("run", *header[1:]), rows))
        return DONE


@attrs.frozen(kw_only=True)
class Show:
    """Show a run."""

    run_id: str
    store: str
    workflow: str | None
    json: bool

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        codec = None if self.workflow is None else codec_of(load_workflow(self.workflow))
        async with load_store(self.store) as store:
            data = describe(await read_details(store, self.run_id), codec)
        if self.json:
            terminal.result(json.dumps(data))
            return DONE
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


@attrs.frozen(kw_only=True)
class History:
    """Tell what happened in a run, commit by commit."""

    run_id: str
    store: str
    json: bool

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        async with load_store(self.store) as store:
            await read_details(store, self.run_id)
            entries = await store.history(self.run_id)
        if not entries:
            raise CommandError(
                f"there is no log of run {self.run_id!r}", "run without --no-log keeps one"
            )
        told = [(entry, data) for entry in entries for data in entry_data(entry)]
        if self.json:
            terminal.out.writelines(json.dumps(data) + "\n" for _, data in told)
            return DONE
        header = ("commit", "time", "fact", "step", "event", "attempt", "seconds", "error")
        terminal.result(columns(header, [fact_row(entry, data) for entry, data in told]))
        return DONE


@attrs.frozen(kw_only=True)
class Watch:
    """Follow a run that another process executes."""

    run_id: str
    store: str
    interval: float

    async def __call__(self, terminal: Terminal) -> int:
        """Perform the command."""
        async with load_store(self.store) as store:
            return await watch(store, self.run_id, terminal, self.interval)

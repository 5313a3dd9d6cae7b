"""Watching: a run that another process executes, followed through its store and never touched.

On a terminal as a board; as lines of JSON where standard output is a pipe or a file, or nobody
looks: the facts of its log, or its status where no log is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import anyio
from rich.live import Live

from .._exceptions import StoreError
from .._store import LogEntry, Store, StoredRun
from .board import Board, draw
from .errors import DONE, FAILED, WAITING
from .plain import fact_line
from .progress import Progress
from .stored import StoredDetails, fact_data, queued, read_details, run_data
from .terminal import Terminal
from .view import console_for

__all__ = ["EXIT_CODES", "follow"]

EXIT_CODES: Mapping[str, int] = {
    "completed": DONE,
    "failed": FAILED,
    "cancelled": FAILED,
    "suspended": WAITING,
}
"""By the status that a watched run ends with."""


_Show = Callable[[StoredDetails, list[LogEntry]], None]
"""Shows a run as it is, and what has happened in it since the last time."""


@contextmanager
def _lines(terminal: Terminal) -> Generator[_Show]:
    """Lines of JSON on standard output."""
    status = ""

    def show(details: StoredDetails, entries: list[LogEntry]) -> None:
        nonlocal status
        for fact in (fact for entry in entries for fact in entry.facts):
            data = fact_data(fact)
            terminal.result(fact_line(data, tuple(data.pop("path"))))
        if details.run.status != status:
            status = details.run.status
            terminal.result(json.dumps(run_data(details.run)))

    yield show


@contextmanager
def _live_board(terminal: Terminal) -> Generator[_Show]:
    """A board on standard error."""
    progress = Progress()
    with Live(console=console_for(terminal), auto_refresh=False) as live:

        def show(details: StoredDetails, entries: list[LogEntry]) -> None:
            for entry in entries:
                progress.add(entry.facts)
            live.update(draw(_board(details, progress)), refresh=True)

        yield show


def _board(details: StoredDetails, progress: Progress) -> Board:
    run = details.run
    begun = run.created if progress.begun is None else progress.begun
    until = time.time() if run.status == "running" else run.updated
    return Board(
        workflow=run.workflow,
        run_id=run.run_id,
        status=run.status,
        elapsed=max(0.0, until - begun),
        steps=progress.statistics({} if details.content is None else queued(details.content)),
        requests=[request.prompt for request in details.requests],
        note=run.note or ("nobody executes it" if _is_left(run) else ""),
    )


def _is_left(run: StoredRun) -> bool:
    return run.status == "running" and run.owner is None


async def follow(store: Store, run_id: str, terminal: Terminal, interval: float) -> int:
    """Follow a run until it has ended or is put down.

    Returns:
        The exit code that executing it would have.

    Raises:
        StoreError: there is no such run, or the store failed.
    """
    screen = _live_board if terminal.live and not terminal.piped else _lines
    with screen(terminal) as show:
        seen, ended = 0, False
        details = await read_details(store, run_id)
        while True:
            entries = await _entries(store, details.run, seen)
            show(details, entries)
            seen, code = details.run.sequence, EXIT_CODES.get(details.run.status)
            if ended and code is not None:
                return code
            # The last fact of all comes in a commit of its own.
            ended = code is not None
            await anyio.sleep(interval)
            details = await _again(store, details)


async def _again(store: Store, last: StoredDetails) -> StoredDetails:
    """Read a run once more; its rows only if there are other ones."""
    run = await store.load(last.run.run_id)
    if run is None:
        raise StoreError(f"run {last.run.run_id!r} has been removed")
    if run.sequence == last.run.sequence:
        return StoredDetails(run, last.content, last.result)
    return await read_details(store, run.run_id)


async def _entries(store: Store, run: StoredRun, after: int) -> list[LogEntry]:
    """What the log has told since, up to the commit that the run was read at."""
    seal = store.seal.for_run(run.run_id)
    rows = await store.entries(run.run_id, after=after)
    return [
        LogEntry.read(seal.open("log", row.sequence, row.body))
        for row in rows
        if row.sequence <= run.sequence
    ]

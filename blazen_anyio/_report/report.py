"""Reports: a run, in this process or in a store, as one page.

The rule: making a report changes nothing and waits for nothing in the run. It shows what there is
at the moment of the call, and where something is missing it says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from .._exceptions import StoreError
from .._run import Run
from .._store import HistoryFact, LogEntry, Store, StoredRun, open_rows
from .._workflow import Workflow
from .document import AT_REST, Record, document
from .page import page
from .showing import clean, show
from .stored import Contents, Log
from .summary import topology_of

__all__ = ["Report", "report", "stored_report"]


@attrs.frozen(repr=False)
class Report:
    """A report on one run: a page that needs nothing else, neither a server nor a network.

    Attributes:
        title: what the page is called.
        data: what the page shows, as plain data; its layout may change with every release.
    """

    title: str
    data: dict[str, Any]

    def to_html(self) -> str:
        """Return the page."""
        return page(self.data, self.title)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, over one that is there.

        Returns:
            Where it is.

        Raises:
            OSError: it can't be written.
        """
        place = Path(path)
        place.write_text(self.to_html(), encoding="utf-8")
        return place

    def __repr__(self) -> str:
        return f"<Report {self.title!r}, {len(self.data['facts']):,} facts>"


def report(run: Run[Any], workflow: Workflow[Any] | None = None) -> Report:
    """Report on a run of this process, while it goes on or when it has ended.

    What happened in child runs is not in the history of a run; the log of a store has it.

    Args:
        run: a run that was started.
        workflow: its workflow, for the graph; otherwise the graph is what the history shows of it.

    Raises:
        RuntimeError: the run was not started.

    Example::

        async with workflow.start() as run:
            await run.result()
        report(run, workflow).write("run.html")
    """
    runner = run._runner
    outcome, now = runner.machine.outcome, runner.clock()
    ended = run.status in AT_REST
    event = None if outcome is None else outcome.event
    record = Record(
        workflow=runner.machine.plan.name,
        run_id=run.run_id,
        status=run.status,
        facts=tuple(_facts(run)),
        gaps=tuple(_gaps_of_history(run)),
        offset=time.time() - now,
        now=None if ended else now,
        error="" if outcome is None or outcome.error is None else _described(outcome.error),
        result="" if event is None else show(event),
        state={key: show(value) for key, value in runner.machine.state.items()},
        requests=() if ended else [show(request.prompt) for request in run.requests],
        counts=run.statistics().steps,
        topology=None if workflow is None else topology_of(workflow.graph),
    )
    return _report(record)


async def stored_report(store: Store, run_id: str, workflow: Workflow[Any] | None = None) -> Report:
    """Report on a stored run, whoever executes it or has executed it.

    Args:
        store: one made with ``keep_log=True``, for what happened; any other knows the state only.
        run_id: the id of the run.
        workflow: its workflow, for the graph and for values of its own classes. Without it such
            values are not shown: nobody knows which of their fields are secret.

    Raises:
        StoreError: there is no such run, a record was altered, or the store failed.

    Example::

        (await stored_report(store, run_id, workflow)).write("run.html")
    """
    found = await store.read(run_id)
    if found is None:
        raise StoreError(f"there is no run {run_id!r} in the store")
    stored, rows = found
    _, texts = open_rows(store.seal, stored, rows)
    seal = store.seal.for_run(run_id)
    entries = [
        (row.sequence, LogEntry.read(seal.open("log", row.sequence, row.body)))
        for row in await store.entries(run_id)
    ]
    return _report(_record_of(stored, texts, Log(entries, stored.sequence), workflow))


def _record_of(
    stored: StoredRun, texts: dict[str, str], log: Log, workflow: Workflow[Any] | None
) -> Record:
    contents = Contents(texts, None if workflow is None else workflow._launcher.codec)
    before_end = log.rows_before_end() if stored.status == "completed" else None
    last = contents if before_end is None else contents.of(before_end)
    return Record(
        workflow=stored.workflow,
        run_id=stored.run_id,
        status=stored.status,
        facts=log.facts,
        gaps=log.gaps,
        offset=0.0,
        now=stored.updated,
        error=stored.note if stored.status == "failed" else "",
        result=contents.result(),
        state=last.state(),
        state_note=_state_note(stored, known=before_end is not None),
        requests=contents.requests(),
        topology=None if workflow is None else topology_of(workflow.graph),
    )


def _state_note(stored: StoredRun, *, known: bool) -> str:
    if stored.status != "completed":
        return ""
    if known:
        return "As it was before the commit that ended the run."
    return "A run that has completed keeps its result and, without a log, no state."


def _report(record: Record) -> Report:
    return Report(clean(f"{record.workflow} · {record.run_id}"), document(record))


# ---- runs of this process ------------------------------------------------------------------------


def _facts(run: Run[Any]) -> Iterator[HistoryFact]:
    for fact in run.history:
        yield HistoryFact(
            kind=fact.kind,
            time=fact.time,
            step=fact.step,
            event_type=fact.event_type,
            attempt=fact.attempt,
            duration=fact.duration,
            error=fact.error,
            invocation=fact.invocation,
            cause=fact.cause,
        )


def _gaps_of_history(run: Run[Any]) -> Iterator[str]:
    history = run.history
    if not history.enabled:
        yield "This workflow keeps no history (history=0)."
    elif history.dropped:
        yield (
            f"{history.dropped:,} earlier facts are not shown: the history keeps the newest "
            f"{history.maxlen:,}. Workflow(history=None) keeps all."
        )
    elif len(history) and history[0].kind == "run_resumed":
        yield "What happened before the run was taken up here is not in its history."


def _described(error: BaseException) -> str:
    kind = type(error)
    try:
        text = str(error)
    except Exception:  # what the user's __str__ raises does not stand in the way of a report
        text = "<str() of the exception failed>"
    return f"{kind.__module__}.{kind.__qualname__}: {text}"

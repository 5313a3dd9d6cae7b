"""The document: all that a page shows, as plain data for JSON.

The rule: what comes from a run or its user is text that was cleaned and bounded, or a number; the
page adds nothing but its own words. Rows are lists in a fixed order and names are numbers into one
list of strings, so that ten thousand invocations stay a matter of a megabyte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from .._run import StepStatistics
from .._store import HistoryFact
from .layout import Layout, Size, layout
from .showing import clean
from .summary import StepSummary, Topology, observe, passages, summarize
from .timeline import Attempt, Invocation, Timeline, Wait, read_timeline

__all__ = ["AT_REST", "Record", "document"]

AT_REST = frozenset({"completed", "failed", "cancelled", "suspended"})
"""The statuses of a run of which nothing is running."""

_LONGEST_TEXT = 20_000
_SOURCES = frozenset({"start", "external"})


@attrs.frozen(kw_only=True)
class Record:
    """What is known of a run.

    Attributes:
        workflow: the name of the workflow.
        run_id: the id of the run.
        status: how it ended, or what it does.
        facts: what happened, oldest first.
        gaps: what of that is missing, in sentences.
        offset: what to add to the times of facts for wall-clock seconds; ``None`` if unknown.
        now: until when it is known what happened, on the clock of the facts; ``None`` for the time
            of the last fact.
        error: why it failed; empty otherwise.
        result: what it returned, shown; empty if that is not known.
        state: what is in its state, shown.
        state_note: what there is to say about the state; empty for nothing.
        requests: what it asks, shown.
        counts: of its steps; ``None`` if nobody has counted.
        topology: the graph of the workflow; ``None`` for what the facts show of it.
    """

    workflow: str
    run_id: str
    status: str
    facts: Sequence[HistoryFact]
    gaps: Sequence[str] = ()
    offset: float | None = None
    now: float | None = None
    error: str = ""
    result: str = ""
    state: Mapping[str, str] = attrs.field(factory=dict[str, str])
    state_note: str = ""
    requests: Sequence[str] = ()
    counts: Mapping[str, StepStatistics] | None = None
    topology: Topology | None = None


def document(record: Record) -> dict[str, Any]:
    """Write what is known of a run as plain data."""
    timeline = read_timeline(record.facts, ended=record.status in AT_REST)
    rows = _Rows(timeline, record)
    topology = record.topology or observe(timeline)
    return {
        "version": 1,
        "run": _run(record, rows),
        "steps": _steps(record, topology, summarize(timeline)),
        "graph": _graph(topology, timeline),
        "invocations": rows.invocations(),
        "facts": rows.facts(),
        "gaps": list(record.gaps),
        "state": [
            [clean(key), clean(text, _LONGEST_TEXT)] for key, text in sorted(record.state.items())
        ],
        "stateNote": record.state_note,
        "requests": [clean(each, _LONGEST_TEXT) for each in record.requests],
        "strings": rows.strings,
    }


def _run(record: Record, rows: _Rows) -> dict[str, Any]:
    return {
        "workflow": clean(record.workflow),
        "id": clean(record.run_id),
        "status": record.status,
        "began": None if record.offset is None else rows.zero + record.offset,
        "duration": rows.duration,
        "error": clean(record.error, _LONGEST_TEXT),
        "result": clean(record.result, _LONGEST_TEXT),
    }


class _Rows:
    """Writes invocations and facts as rows.

    Attributes:
        strings: what the rows name by number.
        zero: when the run began as far as is known; times in rows are seconds from there.
        duration: until when it is known what happened.
    """

    def __init__(self, timeline: Timeline, record: Record) -> None:
        self._timeline = timeline
        self.strings: list[str] = []
        self._numbers: dict[str, int] = {}
        times = [fact.time for fact in timeline.facts]
        begins = [
            attempt.begin
            for invocation in timeline.invocations
            for attempt in invocation.attempts[:1]
            if attempt.begin is not None
        ]
        known = [*times, *begins, *([] if record.now is None else [record.now])]
        self.zero = min(known, default=0.0)
        self.duration = round(max(known, default=0.0) - self.zero, 6)

    def invocations(self) -> list[list[Any]]:
        """Child run, number, step, event type, cause, ready, attempts.

        A cause is the place of an invocation, -1 for one from outside, -2 for one that is unknown.
        """
        causes = self._timeline.causes()
        return [
            [
                self._path(each.path),
                each.number,
                self._name(each.step),
                self._name(each.event_type),
                _known_cause(each, cause),
                self._time(each.ready),
                [self._attempt(attempt) for attempt in each.attempts],
            ]
            for each, cause in zip(self._timeline.invocations, causes, strict=True)
        ]

    def _attempt(self, attempt: Attempt) -> list[Any]:
        """Number, begin, end, outcome, error, waits."""
        return [
            attempt.number,
            self._time(attempt.begin),
            self._time(attempt.end),
            attempt.outcome,
            self._name(attempt.error),
            [self._wait(wait) for wait in attempt.waits],
        ]

    def _wait(self, wait: Wait) -> list[float | None]:
        return [self._time(wait.begin), self._time(wait.end)]

    def facts(self) -> list[list[Any]]:
        """Kind, time, step, event type, attempt, duration, error, child run, invocation's place."""
        return [
            [
                self._name(fact.kind),
                self._time(fact.time),
                self._name(fact.step),
                self._name(fact.event_type),
                fact.attempt,
                None if fact.duration is None else round(fact.duration, 6),
                self._name(fact.error),
                self._path(fact.path),
                owner,
            ]
            for fact, owner in zip(self._timeline.facts, self._timeline.owners, strict=True)
        ]

    def _time(self, time: float | None) -> float | None:
        return None if time is None else round(time - self.zero, 6)

    def _path(self, path: tuple[str, ...]) -> int | None:
        return self._name(path[-1]) if path else None

    def _name(self, name: str | None) -> int | None:
        if name is None:
            return None
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.strings)
            self.strings.append(clean(name))
        return number


def _known_cause(invocation: Invocation, cause: int | None) -> int:
    if cause is not None:
        return cause
    return -1 if invocation.cause == 0 and not invocation.path else -2


def _steps(
    record: Record, topology: Topology, summaries: Mapping[str, StepSummary]
) -> list[dict[str, Any]]:
    """All steps, those of the workflow first, in its order."""
    declared = [node.label for node in topology.nodes if node.kind in ("step", "gather")]
    counted = list(record.counts or {})
    names = dict.fromkeys([*counted, *declared, *summaries])
    return [_step(name, record, summaries.get(name, StepSummary())) for name in names]


def _step(name: str, record: Record, summary: StepSummary) -> dict[str, Any]:
    counts = (record.counts or {}).get(name)
    return {
        "name": clean(name),
        "invocations": summary.invocations,
        "completed": summary.completed,
        "failed": summary.failed,
        "cancelled": summary.cancelled,
        "lost": summary.lost,
        "running": summary.running,
        "retries": summary.retries,
        "total": _seconds(sum(summary.durations)),
        "median": _seconds(summary.quantile(0.5)),
        "p95": _seconds(summary.quantile(0.95)),
        "longest": _seconds(summary.quantile(1)),
        "waited": _seconds(summary.waited),
        "counted": None if counts is None else attrs.asdict(counts),
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


# ---- the graph -----------------------------------------------------------------------------------


def _graph(topology: Topology, timeline: Timeline) -> dict[str, Any]:
    """The nodes and edges with their places; edges between the same two nodes are one."""
    numbers = {node.id: number for number, node in enumerate(topology.nodes)}
    merged: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for edge in topology.edges:
        link = numbers[edge.source], numbers[edge.target]
        merged.setdefault(link, []).append((edge.event, edge.kind))
    size = Size()
    drawn = layout(len(topology.nodes), merged, size)
    taken = _taken(topology, timeline)
    return {
        "declared": topology.declared,
        "box": [size.width, size.height],
        "width": round(drawn.width, 1),
        "height": round(drawn.height, 1),
        "nodes": [
            [node.kind, clean(node.label), *_rounded(place)]
            for node, place in zip(topology.nodes, drawn.nodes, strict=True)
        ],
        "edges": [_edge(link, events, drawn, taken(link)) for link, events in merged.items()],
    }


def _edge(
    link: tuple[int, int], events: list[tuple[str, str]], drawn: Layout, count: int | None
) -> list[Any]:
    """Source, target, names of the events, kind, points, how often it was taken."""
    names = list(dict.fromkeys(clean(name) for name, _ in events))
    points = [_rounded(point) for point in drawn.edges.get(link, ())]
    return [*link, names, events[0][1], points, count]


def _rounded(point: Sequence[float]) -> list[float]:
    return [round(each, 1) for each in point]


def _taken(topology: Topology, timeline: Timeline) -> Callable[[tuple[int, int]], int | None]:
    """How often the way between two nodes was taken; ``None`` where facts do not tell."""
    counts = Counter[tuple[str, str]]()
    for (source, target, _), count in passages(timeline).items():
        counts[source, target] += count
    sources = [node for node in topology.nodes if node.kind in _SOURCES]

    def taken(link: tuple[int, int]) -> int | None:
        source, target = (topology.nodes[each] for each in link)
        # A gather has one of its events for a cause, however many it takes.
        if target.kind in ("stop", "gather") or (source in sources and len(sources) > 1):
            return None
        return counts["" if source in sources else source.label, target.label]

    return taken

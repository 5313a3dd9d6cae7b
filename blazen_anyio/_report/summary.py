"""Summaries: what the invocations of each step come to, and the graph that a run went through.

Counts of the whole run come from its statistics where there are some: facts may be forgotten,
counts are not. Everything else is about the invocations that are known, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from .._drawing import Edge, Node
from .._graph import Graph
from .timeline import Invocation, Timeline

__all__ = ["StepSummary", "Topology", "observe", "passages", "summarize", "topology_of"]

_OUTSIDE = "outside"


@attrs.define
class StepSummary:
    """What the known invocations of one step come to.

    Attributes:
        invocations: how many there are.
        completed, failed, cancelled, lost, running: how many of them ended, or stand, so; one that
            has timed out has failed.
        retries: how many attempts were made again after one that failed.
        durations: seconds that the attempts took that completed, ascending.
        waited: seconds that all attempts waited in the engine.
    """

    invocations: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    lost: int = 0
    running: int = 0
    retries: int = 0
    durations: list[float] = attrs.field(factory=list[float])
    waited: float = 0.0

    def quantile(self, share: float) -> float | None:
        """The duration that ``share`` of the completed attempts did not exceed."""
        last = len(self.durations) - 1
        return self.durations[round(last * share)] if self.durations else None


def summarize(timeline: Timeline) -> dict[str, StepSummary]:
    """Sum up the invocations of each step, in the order in which the steps first began."""
    found: dict[str, StepSummary] = {}
    for invocation in timeline.invocations:
        _count(found.setdefault(invocation.step, StepSummary()), invocation)
    for summary in found.values():
        summary.durations.sort()
    return found


def _count(summary: StepSummary, invocation: Invocation) -> None:
    outcome = "failed" if invocation.outcome == "timed_out" else invocation.outcome
    summary.invocations += 1
    setattr(summary, outcome, getattr(summary, outcome) + 1)
    failures = [each for each in invocation.attempts if each.outcome in ("failed", "timed_out")]
    summary.retries += len(failures) - (invocation.attempts[-1] in failures)
    for attempt in invocation.attempts:
        if attempt.outcome == "completed" and attempt.begin is not None and attempt.end is not None:
            summary.durations.append(attempt.end - attempt.begin)
        summary.waited += sum(
            wait.end - wait.begin
            for wait in attempt.waits
            if wait.begin is not None and wait.end is not None
        )


@attrs.frozen
class Topology:
    """A graph to draw.

    Attributes:
        nodes, edges: as of a workflow's graph.
        declared: whether the workflow says so; if not, it is what the facts show.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    declared: bool


def topology_of(graph: Graph) -> Topology:
    """The graph that a workflow declares."""
    return Topology(graph.nodes, graph.edges, declared=True)


def observe(timeline: Timeline) -> Topology:
    """The graph that the invocations of the run itself went through, without its child runs."""
    own = [each for each in timeline.invocations if not each.path]
    names = list(dict.fromkeys(each.step for each in own))
    places: Mapping[str, str] = {name: f"step{i}" for i, name in enumerate(names)}
    nodes = [Node(places[name], "step", name) for name in names]
    edges = [
        Edge(places[source] if source else _OUTSIDE, places[target], event)
        for source, target, event in passages(timeline)
    ]
    if any(edge.source == _OUTSIDE for edge in edges):
        nodes.insert(0, Node(_OUTSIDE, "external", "events"))
    return Topology(nodes, edges, declared=False)


def passages(timeline: Timeline) -> Counter[tuple[str, str, str]]:
    """How often a step was called with an event of another's: source, target and event type.

    The source is empty for an event from outside.
    """
    causes, found = timeline.causes(), Counter[tuple[str, str, str]]()
    for invocation, cause in zip(timeline.invocations, causes, strict=True):
        if invocation.path or (cause is None and invocation.cause != 0):
            continue
        source = "" if cause is None else timeline.invocations[cause].step
        found[source, invocation.step, invocation.event_type or ""] += 1
    return found

"""Drawing: the graph of a workflow as data, as Mermaid and as DOT.

The data is plain and can be dumped as JSON. A drawing never trusts a name: whatever a step or an
event type is called, it comes out as text inside a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import attrs

from ._events import InputResponseEvent, StepFailed
from ._flow import Flow, Hop, label
from ._options import EventKind

__all__ = [
    "Counts",
    "Edge",
    "EdgeKind",
    "Node",
    "NodeKind",
    "RunCounts",
    "draw_dot",
    "draw_mermaid",
    "find_edges",
    "find_nodes",
]

NodeKind = Literal["start", "external", "step", "gather", "stop"]
EdgeKind = Literal["event", "fan_out", "answer", "failure"]


class Counts(Protocol):
    """What is counted of a step; see :class:`~blazen_anyio.StepStatistics`."""

    @property
    def waiting(self) -> int: ...

    @property
    def running(self) -> int: ...

    @property
    def done(self) -> int: ...

    @property
    def failed(self) -> int: ...

    @property
    def retried(self) -> int: ...


class RunCounts(Protocol):
    """What is counted of a run; see :class:`~blazen_anyio.RunStatistics`."""

    @property
    def steps(self) -> Mapping[str, Counts]: ...


_LONGEST_LABEL = 200
_PLAIN = frozenset(" _.-,:/+=*")
_MERMAID_SHAPES: Mapping[str, tuple[str, str]] = {
    "start": ("([", "])"),
    "external": ("([", "])"),
    "step": ("[", "]"),
    "gather": ("{{", "}}"),
    "stop": ("([", "])"),
}
_COLOURS: Mapping[str, str] = {
    "failed": "#f8d7da",
    "running": "#cfe2ff",
    "waiting": "#fff3cd",
    "done": "#d1e7dd",
}
"""Of a step in a drawing of a run; the first of these states that it is in counts."""

_DOT_SHAPES: Mapping[str, str] = {
    "start": "ellipse",
    "external": "ellipse",
    "step": "box",
    "gather": "hexagon",
    "stop": "doublecircle",
}
_MERMAID_ARROWS: Mapping[str, str] = {
    "event": "-->",
    "fan_out": "==>",
    "answer": "-.->",
    "failure": "-.->",
}
_DOT_STYLES: Mapping[str, str] = {
    "event": "solid",
    "fan_out": "bold",
    "answer": "dashed",
    "failure": "dotted",
}


@attrs.frozen
class Node:
    """A step, or the place where events come from or end.

    Attributes:
        id: unique in the graph.
        kind: ``"step"``, ``"gather"`` (a step that gathers), ``"start"``, ``"external"`` or
            ``"stop"``.
        label: the name of the step, or of the event type.
    """

    id: str
    kind: NodeKind
    label: str


@attrs.frozen
class Edge:
    """A way that events of one type may take.

    Attributes:
        source: the id of a node.
        target: the id of a node.
        event: the name of the event type.
        kind: ``"event"``, ``"fan_out"`` (one of many), ``"answer"`` (by way of a human) or
            ``"failure"``.
    """

    source: str
    target: str
    event: str
    kind: EdgeKind = "event"


def find_nodes(
    flow: Flow, starts: Sequence[EventKind], external: Sequence[EventKind]
) -> tuple[Node, ...]:
    """Find the steps, and the places where events come from and end."""
    steps = (
        Node(f"step{i}", "gather" if step.gather else "step", step.name)
        for i, step in enumerate(flow.steps)
    )
    return (
        *(Node(f"start{i}", "start", label(kind)) for i, kind in enumerate(starts)),
        *(Node(f"external{i}", "external", label(kind)) for i, kind in enumerate(external)),
        *steps,
        Node("stop", "stop", label(flow.stop)),
    )


def find_edges(
    flow: Flow, starts: Sequence[EventKind], external: Sequence[EventKind]
) -> tuple[Edge, ...]:
    """Find the ways that events may take, as far as they are declared."""
    found: list[Edge] = []
    for place, kinds in ("start", starts), ("external", external):
        for i, kind in enumerate(kinds):
            found += _edges(f"{place}{i}", flow.hops([kind]), "event")
    for i in range(len(flow.steps)):
        found += _edges(f"step{i}", flow.after_singles(i), "event")
        found += _edges(f"step{i}", flow.after_fan_out(i), "fan_out")
        stops = (kind for kind in flow.emitted(i) if flow.may_stop(kind))
        found += [Edge(f"step{i}", "stop", label(kind)) for kind in stops]
    return tuple(dict.fromkeys(found))


def _edges(source: str, hops: Iterable[Hop], kind: EdgeKind) -> Iterator[Edge]:
    special: dict[EventKind, EdgeKind] = {StepFailed: "failure", InputResponseEvent: "answer"}
    for hop in hops:
        yield Edge(source, f"step{hop.target}", label(hop.kind), special.get(hop.kind, kind))


@attrs.frozen
class _Note:
    """What is written below the name of a step, and the state that colours it."""

    text: str
    state: str | None = None


def _notes(annotations: Mapping[str, str] | RunCounts) -> dict[str, _Note]:
    if isinstance(annotations, Mapping):
        return {name: _Note(text) for name, text in annotations.items()}
    return {name: _note_of(counts) for name, counts in annotations.steps.items()}


def _note_of(counts: Counts) -> _Note:
    kinds = ("done", "running", "waiting", "failed", "retried")
    parts = [f"{getattr(counts, kind):,} {kind}" for kind in kinds if getattr(counts, kind)]
    state = next((state for state in _COLOURS if getattr(counts, state)), None)
    return _Note(", ".join(parts), state)


def _note(node: Node, notes: Mapping[str, _Note]) -> _Note:
    is_step = node.kind == "step" or node.kind == "gather"
    return notes.get(node.label, _Note("")) if is_step else _Note("")


def draw_mermaid(
    nodes: Sequence[Node], edges: Sequence[Edge], annotations: Mapping[str, str] | RunCounts
) -> str:
    """Write a Mermaid flow chart."""
    notes, lines = _notes(annotations), ["flowchart TD"]
    for node in nodes:
        opening, closing = _MERMAID_SHAPES[node.kind]
        note = _note(node, notes)
        text = _text(node, note, _mermaid_text, "<br/>")
        lines.append(f'    {node.id}{opening}"{text}"{closing}')
        if note.state is not None:
            lines.append(f"    style {node.id} fill:{_COLOURS[note.state]}")
    for edge in edges:
        arrow, text = _MERMAID_ARROWS[edge.kind], _mermaid_text(edge.event)
        lines.append(f'    {edge.source} {arrow}|"{text}"| {edge.target}')
    return "\n".join(lines) + "\n"


def draw_dot(
    nodes: Sequence[Node], edges: Sequence[Edge], annotations: Mapping[str, str] | RunCounts
) -> str:
    """Write a Graphviz digraph."""
    notes, lines = _notes(annotations), ["digraph workflow {", "    rankdir=TB;"]
    for node in nodes:
        note = _note(node, notes)
        text = _text(node, note, _dot_text, "\\n")
        fill = "" if note.state is None else f', style=filled, fillcolor="{_COLOURS[note.state]}"'
        lines.append(f'    {node.id} [shape={_DOT_SHAPES[node.kind]}, label="{text}"{fill}];')
    for edge in edges:
        style, text = _DOT_STYLES[edge.kind], _dot_text(edge.event)
        lines.append(f'    {edge.source} -> {edge.target} [style={style}, label="{text}"];')
    return "\n".join([*lines, "}"]) + "\n"


def _text(node: Node, note: _Note, escape: Callable[[str], str], line_break: str) -> str:
    return escape(node.label) + (line_break + escape(note.text) if note.text else "")


def _short(text: str) -> str:
    if len(text) <= _LONGEST_LABEL:
        return text
    return text[: _LONGEST_LABEL - 3] + "..."


def _mermaid_text(text: str) -> str:
    """Write all but the harmless characters as the entity codes of Mermaid."""
    return "".join(
        letter if letter.isalnum() or letter in _PLAIN else f"#{ord(letter)};"
        for letter in _short(text)
    )


def _dot_text(text: str) -> str:
    """Escape what means something in a quoted string; drop what can't be printed."""
    printable = "".join(letter if letter.isprintable() else " " for letter in _short(text))
    return printable.replace("\\", "\\\\").replace('"', '\\"')

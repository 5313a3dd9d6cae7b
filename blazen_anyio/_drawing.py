"""Drawing: the graph of a workflow as data, as Mermaid and as DOT.

The data is plain and can be dumped as JSON. A drawing never trusts a name: whatever a step or an
event type is called, it comes out as text inside a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import attrs

from ._events import InputResponseEvent, StepFailed
from ._flow import Flow, Hop, label
from ._options import EventKind

__all__ = [
    "Edge",
    "EdgeKind",
    "Node",
    "NodeKind",
    "draw_dot",
    "draw_mermaid",
    "find_edges",
    "find_nodes",
]

NodeKind = Literal["start", "external", "step", "gather", "stop"]
EdgeKind = Literal["event", "fan_out", "answer", "failure"]

_LONGEST_LABEL = 200
_PLAIN = frozenset(" _.-,:/+=*")
_MERMAID_SHAPES: Mapping[str, tuple[str, str]] = {
    "start": ("([", "])"),
    "external": ("([", "])"),
    "step": ("[", "]"),
    "gather": ("{{", "}}"),
    "stop": ("([", "])"),
}
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


def draw_mermaid(
    nodes: Sequence[Node], edges: Sequence[Edge], annotations: Mapping[str, str]
) -> str:
    """Write a Mermaid flow chart."""
    lines = ["flowchart TD"]
    for node in nodes:
        opening, closing = _MERMAID_SHAPES[node.kind]
        text = _text(node, annotations, _mermaid_text, "<br/>")
        lines.append(f'    {node.id}{opening}"{text}"{closing}')
    for edge in edges:
        arrow, text = _MERMAID_ARROWS[edge.kind], _mermaid_text(edge.event)
        lines.append(f'    {edge.source} {arrow}|"{text}"| {edge.target}')
    return "\n".join(lines) + "\n"


def draw_dot(nodes: Sequence[Node], edges: Sequence[Edge], annotations: Mapping[str, str]) -> str:
    """Write a Graphviz digraph."""
    lines = ["digraph workflow {", "    rankdir=TB;"]
    for node in nodes:
        text = _text(node, annotations, _dot_text, "\\n")
        lines.append(f'    {node.id} [shape={_DOT_SHAPES[node.kind]}, label="{text}"];')
    for edge in edges:
        style, text = _DOT_STYLES[edge.kind], _dot_text(edge.event)
        lines.append(f'    {edge.source} -> {edge.target} [style={style}, label="{text}"];')
    return "\n".join([*lines, "}"]) + "\n"


def _text(
    node: Node, annotations: Mapping[str, str], escape: Callable[[str], str], line_break: str
) -> str:
    is_step = node.kind == "step" or node.kind == "gather"
    note = annotations.get(node.label, "") if is_step else ""
    return escape(node.label) + (line_break + escape(note) if note else "")


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

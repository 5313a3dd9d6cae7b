"""Tables of what was measured, in Markdown: for a terminal and for the README alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .contenders import BACKENDS, OURS, PEERS
from .results import Result, Results
from .workloads import WORKLOADS, Workload

__all__ = ["describe", "render", "show_bytes", "show_seconds"]

_FLOORS = ("L2", "L2 nowait", "lanes", "floor")


def render(results: Results) -> str:
    """All tables, with what they were measured with."""
    parts = [describe(results), _ratios(results)]
    parts += [_costs(results, backend) for backend in BACKENDS if _has(results, backend)]
    if any(item.contender == peer.name for item in results.items for peer in PEERS):
        parts += [_peers(results), _unable(results)]
    return "\n\n".join(part for part in parts if part)


def describe(results: Results) -> str:
    """Date, machine, versions, command and load: no number means anything without."""
    versions = results.versions()
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    low, high = min(results.load), max(results.load)
    return (
        f"Measured on {results.day} on a {results.machine} machine with {listed}, by "
        f"`{results.command}`. Processes that wanted a processor meanwhile, others' included: "
        f"{low:.0f} to {high:.0f}."
    )


def _ratios(results: Results) -> str:
    """The engine against what each workload is compared with."""
    rows = [["workload", "against", *BACKENDS, "target"]]
    for workload in WORKLOADS:
        cells = [_ratio_cell(results, workload, backend) for backend in BACKENDS]
        if any(cells):
            against = "ideal" if workload.ideal else workload.base
            rows.append([workload.title, against, *cells, _target(workload)])
    return _table(rows)


def _ratio_cell(results: Results, workload: Workload, backend: str) -> str:
    mine = results.find(workload.name, "engine", backend)
    if mine is None:
        return ""
    ratio = results.ratio(workload.name, "engine", backend, workload.base)
    cost = show_seconds(mine.cost)
    return f"{ratio:.2f} ({cost})" if ratio is not None else cost


def _target(workload: Workload) -> str:
    if workload.target is None:
        return ""
    return " / ".join(f"{limit:g}" for limit in dict.fromkeys(workload.target))


def _costs(results: Results, backend: str) -> str:
    """What each of ours costs, with spread and memory."""
    names = ["engine", "engine, no history", *_FLOORS, "cattrs json", "raw sqlite3"]
    present = {item.contender for item in results.items}
    names = [name for name in names if name in present]
    rows = [[f"{backend}, cost per", *names, "memory, engine", "memory, base"]]
    for workload in WORKLOADS:
        found = [results.find(workload.name, name, backend) for name in names]
        if any(found):
            memory = [
                _memory(results.find(workload.name, name, backend))
                for name in ("engine", workload.base)
            ]
            unit = workload.unit if workload.per_unit else "whole"
            rows.append([f"{workload.title}, {unit}", *map(_cost_cell, found), *memory])
    return _table(rows)


def _cost_cell(result: Result | None) -> str:
    return "" if result is None else f"{show_seconds(result.cost)} ±{result.spread:.0%}"


def _memory(result: Result | None) -> str:
    grown = result.growth if result is not None else None
    return "" if grown is None else show_bytes(grown)


def _peers(results: Results) -> str:
    """How many times as long the peers take, on asyncio."""
    present = {item.contender for item in results.items if item.unable is None}
    names = [peer.name for peer in PEERS if peer.name in present]
    rows = [["asyncio", "engine", *names]]
    for workload in WORKLOADS:
        mine = results.find(workload.name, "engine", "asyncio")
        cells = [_peer_cell(results, workload, name) for name in names]
        if mine is not None and any(cells):
            rows.append(
                [workload.title, show_seconds(mine.cost), *(cell or "no" for cell in cells)]
            )
    return _table(rows)


def _peer_cell(results: Results, workload: Workload, name: str) -> str:
    theirs = results.find(workload.name, name, "asyncio")
    mine = results.find(workload.name, "engine", "asyncio")
    if theirs is None or mine is None:
        return ""
    ratio = results.ratio(workload.name, name, "asyncio", "engine")
    times = theirs.cost / mine.cost if ratio is None or workload.ideal else ratio
    at = f" at {theirs.count:,}" if theirs.count < mine.count else ""
    return f"{show_seconds(theirs.cost)}{at} ({times:.{0 if times >= 10 else 1}f} times)"


def _unable(results: Results) -> str:
    """What a peer can't do, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for item in results.items:
        if item.unable and item.contender in {peer.name for peer in PEERS}:
            title = f"{item.kind.title}" if item.backend == "asyncio" else ""
            if title:
                reasons.setdefault((item.contender, item.unable), []).append(title)
    lines = [f"- {who}: {', '.join(what)}: {why}." for (who, why), what in reasons.items()]
    return "\n".join(lines)


def _has(results: Results, backend: str) -> bool:
    ours = {contender.name for contender in OURS}
    return any(item.backend == backend and item.contender in ours for item in results.items)


def show_seconds(seconds: float) -> str:
    """Write a time with three digits."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def show_bytes(size: float) -> str:
    """Write a size."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} KB"


def _table(rows: Sequence[Sequence[str]]) -> str:
    if len(rows) == 1:
        return ""
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for index, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if index == 0:
            yield f"|{' --- |' * len(row)}"

"""Diagrams: a run as text, one column for each step, time downward, one row for each turn."""

from __future__ import annotations

from collections.abc import Sequence

from ._transcript import Turn

__all__ = ["draw"]

_MOST_ROWS = 80
_WIDEST = 38


def draw(turns: Sequence[Turn]) -> str:
    """Draw who did what when. A ``*`` marks a turn that was chosen against the default."""
    left_out = max(0, len(turns) - _MOST_ROWS)
    rows = [(turn, _cell(turn)) for turn in turns[left_out:]]
    widths = _widths(rows)
    lines = ["  ".join(["   time  ", *(lane.ljust(widths[lane]) for lane in widths)]).rstrip()]
    if left_out:
        lines.append(f"  ({left_out} turns before)")
    for turn, cell in rows:
        columns = [(cell if lane == turn.lane else "").ljust(widths[lane]) for lane in widths]
        mark = "*" if turn.departs else " "
        lines.append("  ".join([f"{turn.time:>8.3f}{mark}", *columns]).rstrip())
    return "\n".join(lines)


def _widths(rows: Sequence[tuple[Turn, str]]) -> dict[str, int]:
    """How wide the column of each lane has to be, in the order in which they come."""
    widths: dict[str, int] = {}
    for turn, cell in rows:
        widths[turn.lane] = max(widths.get(turn.lane, len(turn.lane)), len(cell))
    return widths


def _cell(turn: Turn) -> str:
    if turn.lane == "timer":
        return "rings"
    path, _, label = turn.actor.rpartition("/")
    number = label.partition("#")[2]
    said = [f"[{path}]"] if path else []
    said += [f"#{number}"] if number else []
    said += ["starts" if turn.first else "goes on"]
    if turn.ended is not None and not turn.first:
        said[-1] = turn.ended
    elif turn.ended is not None:
        said[-1] += f", {turn.ended}"
    elif turn.place is not None:
        said[-1] += f", waits at {turn.place}"
    cell = " ".join(said)
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"

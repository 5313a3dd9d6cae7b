"""The board: what a run is doing, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._drawing import Counts
from .terminal import printable, seconds_text

__all__ = ["Board", "draw"]

_STYLES: Mapping[str, str] = {
    "running": "cyan",
    "paused": "yellow",
    "suspended": "yellow",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "red",
}
_COLUMNS: Mapping[str, str] = {
    "waiting": "yellow",
    "running": "cyan",
    "done": "green",
    "failed": "bold red",
    "retried": "magenta",
}


@attrs.frozen(kw_only=True)
class Board:
    """A run at one moment.

    Attributes:
        workflow: the name of the workflow.
        run_id: the id of the run.
        status: what the run is doing, or how it ended.
        elapsed: seconds since it began, or was taken up.
        steps: the counts of each step.
        requests: what it asks.
        note: anything else to know; empty for nothing.
    """

    workflow: str
    run_id: str
    status: str
    elapsed: float
    steps: Mapping[str, Counts]
    requests: Sequence[str] = ()
    note: str = ""


def draw(board: Board) -> RenderableType:
    """Draw a board."""
    parts: list[RenderableType] = [_headline(board), _table(board.steps)]
    parts += [Text(f"? {printable(prompt)}", "bold yellow") for prompt in board.requests]
    if board.note:
        parts.append(Text(printable(board.note), "dim"))
    return Group(*parts)


def _headline(board: Board) -> Text:
    return Text.assemble(
        (printable(board.workflow), "bold"),
        (f"  run {printable(board.run_id)}  ", "dim"),
        (board.status, _STYLES.get(board.status, "")),
        f"  {seconds_text(board.elapsed)}",
    )


def _table(steps: Mapping[str, Counts]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("step", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for name, counts in steps.items():
        numbers = ((getattr(counts, column), style) for column, style in _COLUMNS.items())
        table.add_row(
            Text(printable(name, 60)),
            *(Text(f"{number:,}", style if number else "dim") for number, style in numbers),
        )
    return table

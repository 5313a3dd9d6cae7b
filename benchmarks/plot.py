"""The plot: cost per event from a thousand to a million events, as an SVG document.

Both axes are logarithmic. A flat line is a cost that does not grow with the number of events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

import attrs

from .results import Result

__all__ = ["COUNTS", "Line", "draw", "lines_of"]

COUNTS = (1_000, 10_000, 100_000, 1_000_000)

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 50, 50
_COLOURS = (
    "#0b6e4f", "#b3541e", "#5b5f97", "#8c8c8c", "#a4243b",
    "#0081a7", "#6a994e", "#c77dff", "#bc6c25", "#14213d",
)  # fmt: skip


@attrs.frozen
class Line:
    """One contender: its name, and from count to microseconds per event."""

    name: str
    points: Sequence[tuple[int, float]]


def lines_of(results: Sequence[Result]) -> list[Line]:
    """Sort results by contender."""
    points: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        if result.unable is None:
            points.setdefault(result.contender, []).append((result.count, result.cost * 1e6))
    return [Line(name, sorted(found)) for name, found in points.items()]


def draw(lines: Sequence[Line], title: str, note: str) -> str:
    """Draw lines.

    Args:
        lines: the contenders.
        title: stands above.
        note: stands below the title: versions, date.
    """
    costs = [cost for line in lines for _, cost in line.points]
    low = 10 ** math.floor(math.log10(min(costs)))
    high = 10 ** math.ceil(math.log10(max(costs)))
    return "\n".join(_document(lines, title, note, (low, high)))


def _document(
    lines: Sequence[Line], title: str, note: str, span: tuple[float, float]
) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" font-family="sans-serif" font-size="12">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
    yield _text(_LEFT, 22, title, size=15)
    yield _text(_LEFT, 40, note, size=10, fill="#555555")
    yield from _grid(span)
    for index, (line, place) in enumerate(zip(lines, _label_places(lines, span), strict=True)):
        yield from _drawn(line, span, _COLOURS[index % len(_COLOURS)], place)
    yield "</svg>\n"


def _grid(span: tuple[float, float]) -> Iterator[str]:
    low, high = span
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = _y(10**power, span)
        yield _rule(_LEFT, y, _WIDTH - _RIGHT, y)
        yield _text(_LEFT - 8, y + 4, f"{10.0**power:g} µs", anchor="end")
    for count in COUNTS:
        x = _x(count)
        yield _rule(x, _TOP, x, _HEIGHT - _BOTTOM)
        yield _text(x, _HEIGHT - _BOTTOM + 18, f"{count:,}", anchor="middle")
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, "events in a run", anchor="middle")


def _drawn(line: Line, span: tuple[float, float], colour: str, label: float) -> Iterator[str]:
    places = [(_x(count), _y(cost, span)) for count, cost in line.points]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    last_x, last_y = places[-1]
    end = _WIDTH - _RIGHT + 12
    yield (
        f'<line x1="{last_x + 5:.1f}" y1="{last_y:.1f}" x2="{end}" y2="{label:.1f}" '
        f'stroke="{colour}" stroke-width="0.7" stroke-dasharray="2 3"/>'
    )
    text = f"{line.name} {line.points[-1][1]:.3g} µs"
    yield _text(end + 4, label + 4, text, fill=colour)


def _label_places(lines: Sequence[Line], span: tuple[float, float]) -> list[float]:
    """Where the names stand: beside the ends of their lines, but not one upon the other."""
    wanted = [_y(line.points[-1][1], span) for line in lines]
    places = [0.0] * len(lines)
    lowest = -math.inf
    for index in sorted(range(len(lines)), key=wanted.__getitem__):
        places[index] = lowest = max(wanted[index], lowest + 15)
    return places


def _x(count: float) -> float:
    first, last = math.log10(COUNTS[0]), math.log10(COUNTS[-1])
    return _LEFT + (math.log10(count) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)


def _y(cost: float, span: tuple[float, float]) -> float:
    low, high = map(math.log10, span)
    part = (math.log10(cost) - low) / (high - low)
    return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)


def _text(
    x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", fill: str = "#222222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="#dddddd" stroke-width="1"/>'
    )

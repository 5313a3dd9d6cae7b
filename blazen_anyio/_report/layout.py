"""Layout: where the nodes and edges of a directed graph go in a picture, from left to right.

The classic in small: edges that close a cycle count as turned round; a node's column is the longest
way to it; an edge that passes a column gets a place of its own there; the order within a column
follows the neighbours'; then everything moves as near to its neighbours' height as the others let
it. The same graph gives the same picture, whatever the order of its edges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

import attrs

__all__ = ["Layout", "Link", "Point", "Size", "layout"]

Point = tuple[float, float]
Link = tuple[int, int]

_ROUNDS = 12
_NODE_WEIGHT = 8.0


@attrs.frozen(kw_only=True)
class Size:
    """How large things are, in pixels.

    Attributes:
        width, height: of a node.
        column_gap: between two columns, where the labels of edges go.
        row_gap: between two nodes of a column.
        passing: the height of an edge's place in a column that it passes.
    """

    width: float = 204
    height: float = 60
    column_gap: float = 120
    row_gap: float = 24
    passing: float = 4


@attrs.frozen
class Layout:
    """Where everything is.

    Attributes:
        nodes: the upper left corner of each node.
        edges: for each edge between two nodes the points it goes through, its ends included.
        width, height: of the whole.
    """

    nodes: Sequence[Point]
    edges: Mapping[Link, Sequence[Point]]
    width: float
    height: float


def layout(count: int, links: Iterable[Link], size: Size | None = None) -> Layout:
    """Lay out a graph.

    Args:
        count: how many nodes there are; they are numbered from 0.
        links: its edges, from one node to another; those from a node to itself are left out.
        size: by default fit for labels of two lines.
    """
    wanted = sorted({link for link in links if link[0] != link[1]})
    finished = _finish(count, wanted)
    forward = {link: _turned(link, finished) for link in wanted}
    drawing = _Drawing(_columns(count, set(forward.values())), size or Size())
    ways = {link: drawing.add(forward[link]) for link in wanted}
    drawing.arrange()
    return drawing.result(count, ways)


def _turned(link: Link, finished: Mapping[int, int]) -> Link:
    """An edge as it is drawn: one that closes a cycle is turned round."""
    source, target = link
    return link if finished[source] > finished[target] else (target, source)


def _finish(count: int, links: Sequence[Link]) -> dict[int, int]:
    """When a walk in depth has finished with each node: what it leads to comes before it.

    Only an edge that closes a cycle leads to something that finishes later.
    """
    after: dict[int, list[int]] = defaultdict(list)
    for source, target in links:
        after[source].append(target)
    entered = {target for _, target in links}
    finished: dict[int, int] = {}
    begun: set[int] = set()
    for start in sorted(range(count), key=lambda node: (node in entered, node)):
        way = [] if start in begun else [(start, iter(after[start]))]
        begun.add(start)
        while way:
            node, rest = way[-1]
            found = next((each for each in rest if each not in begun), None)
            if found is None:
                finished[node] = len(finished)
                way.pop()
            else:
                begun.add(found)
                way.append((found, iter(after[found])))
    return finished


def _columns(count: int, links: set[Link]) -> list[int]:
    """The length of the longest way to each node; there are no cycles."""
    before = [0] * count
    after: dict[int, list[int]] = defaultdict(list)
    for source, target in links:
        after[source].append(target)
        before[target] += 1
    columns = [0] * count
    free = [node for node in range(count) if not before[node]]
    while free:
        node = free.pop()
        for target in after[node]:
            columns[target] = max(columns[target], columns[node] + 1)
            before[target] -= 1
            if not before[target]:
                free.append(target)
    return columns


class _Drawing:
    """Nodes, and the places of edges that pass a column, as boxes in columns."""

    def __init__(self, columns: list[int], size: Size) -> None:
        self._size = size
        self._count = len(columns)
        self._column = columns
        self._height = [size.height] * len(columns)
        self._near: list[tuple[list[int], list[int]]] = [([], []) for _ in columns]
        self._order: list[list[int]] = [[] for _ in range(max(columns, default=-1) + 1)]
        for box, column in enumerate(columns):
            self._order[column].append(box)
        self._middle: list[float] = []

    def add(self, link: Link) -> list[int]:
        """Add an edge from left to right; return the boxes on its way."""
        source, target = link
        way = [source]
        for column in range(self._column[source] + 1, self._column[target]):
            way.append(len(self._column))
            self._column.append(column)
            self._height.append(self._size.passing)
            self._near.append(([], []))
            self._order[column].append(way[-1])
        way.append(target)
        for left, right in pairwise(way):
            self._near[left][1].append(right)
            self._near[right][0].append(left)
        return way

    def arrange(self) -> None:
        """Find the order within the columns, and then the heights."""
        self._middle = [0.0] * len(self._column)
        for boxes in self._order:
            self._stack(boxes)
        for turn in range(_ROUNDS):
            side = turn % 2
            for boxes in self._order if not side else reversed(self._order):
                boxes.sort(key=lambda box: self._wish(box, (side,)))
                self._stack(boxes)
        for _ in range(_ROUNDS):
            for boxes in self._order:
                self._settle(boxes)

    def _wish(self, box: int, sides: tuple[int, ...]) -> float:
        """The height that a box would like: that of its neighbours, of nodes more than of edges."""
        near = [each for side in sides for each in self._near[box][side]]
        weights = [_NODE_WEIGHT if each < self._count else 1 for each in near]
        heights = (self._middle[each] * weight for each, weight in zip(near, weights, strict=True))
        return sum(heights) / sum(weights) if near else self._middle[box]

    def _stack(self, boxes: list[int]) -> None:
        """Put the boxes of a column close together, around the height 0."""
        for box, middle in zip(boxes, self._apart(boxes, [0.0] * len(boxes)), strict=True):
            self._middle[box] = middle

    def _settle(self, boxes: list[int]) -> None:
        wishes = [self._wish(box, (0, 1)) for box in boxes]
        for box, middle in zip(boxes, self._apart(boxes, wishes), strict=True):
            self._middle[box] = middle

    def _apart(self, boxes: list[int], wishes: list[float]) -> list[float]:
        """The heights nearest to the wished ones, for nodes above all, at which no two boxes touch.

        Without the room that each needs, the heights only have to ascend: neighbours that wish it
        otherwise share their mean.
        """
        needs = [0.0, *accumulate(self._gap(above, below) for above, below in pairwise(boxes))]
        runs: list[tuple[float, float, int]] = []  # sum of weighted wishes, of weights, how many
        for box, wish, need in zip(boxes, wishes, needs, strict=False):
            weight = _NODE_WEIGHT if box < self._count else 1.0
            run = (weight * (wish - need), weight, 1)
            while runs and runs[-1][0] / runs[-1][1] > run[0] / run[1]:
                last = runs.pop()
                run = (last[0] + run[0], last[1] + run[1], last[2] + run[2])
            runs.append(run)
        means = (total / weight for total, weight, many in runs for _ in range(many))
        return [mean + need for mean, need in zip(means, needs, strict=False)]

    def _gap(self, above: int, below: int) -> float:
        return (self._height[above] + self._height[below]) / 2 + self._size.row_gap

    def result(self, count: int, ways: Mapping[Link, list[int]]) -> Layout:
        """Where everything is, moved into the positive."""
        size = self._size
        tops = [mid - high / 2 for mid, high in zip(self._middle, self._height, strict=True)]
        bottoms = [top + high for top, high in zip(tops, self._height, strict=True)]
        top = min(tops, default=0.0)
        for box in range(len(self._middle)):
            self._middle[box] -= top
        step = size.width + size.column_gap
        return Layout(
            nodes=[
                (self._column[box] * step, self._middle[box] - size.height / 2)
                for box in range(count)
            ],
            edges={link: self._points(link, way) for link, way in ways.items()},
            width=max(len(self._order) * step - size.column_gap, 0.0),
            height=max(bottoms, default=0.0) - top,
        )

    def _points(self, link: Link, way: list[int]) -> list[Point]:
        """An edge that is turned round keeps its direction, and below those in the other."""
        size, step = self._size, self._size.width + self._size.column_gap
        backward = way[0] != link[0]
        lower = size.height / 4 if backward else 0.0
        points: list[Point] = []
        for box in way:
            left, middle = self._column[box] * step, self._middle[box]
            if box == way[0]:
                points.append((left + size.width, middle + lower))
            elif box == way[-1]:
                points.append((left, middle + lower))
            else:
                points += [(left, middle), (left + size.width, middle)]
        return points[::-1] if backward else points

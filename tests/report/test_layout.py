"""The layout of a graph: nothing overlaps, edges go from node to node, nothing is left to luck."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from blazen_anyio._report.layout import Layout, Link, Size, layout

SIZE = Size()


def columns(found: Layout) -> list[float]:
    return [left for left, _ in found.nodes]


def test_a_chain_is_a_straight_line_from_left_to_right() -> None:
    found = layout(3, [(0, 1), (1, 2)])
    assert columns(found) == sorted(set(columns(found)))
    assert len({top for _, top in found.nodes}) == 1
    assert (found.width, found.height) == (3 * SIZE.width + 2 * SIZE.column_gap, SIZE.height)


def test_an_empty_graph_has_no_size() -> None:
    assert layout(0, []) == Layout(nodes=[], edges={}, width=0, height=0)


def test_an_edge_that_closes_a_cycle_goes_back() -> None:
    found = layout(2, [(0, 1), (1, 0)])
    there, back = found.edges[0, 1], found.edges[1, 0]
    assert there[0][0] < there[-1][0]
    assert back[0][0] > back[-1][0]
    assert not set(there) & set(back)


def test_an_edge_passes_between_the_nodes_of_a_column() -> None:
    found = layout(3, [(0, 1), (1, 2), (0, 2)])
    _, entry, leaving, _ = found.edges[0, 2]
    assert entry[1] == leaving[1]
    top = found.nodes[1][1]
    assert not top <= entry[1] <= top + SIZE.height


def test_edges_do_not_cross_without_need() -> None:
    found = layout(4, [(0, 3), (1, 2)])
    tops = [top for _, top in found.nodes]
    assert (tops[0] < tops[1]) == (tops[3] < tops[2])


LINKS = st.integers(1, 9).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20),
    )
)


@given(LINKS)
def test_nodes_never_overlap_and_all_is_within_the_picture(graph: tuple[int, list[Link]]) -> None:
    count, links = graph
    found = layout(count, links)
    for (left, top), (other_left, other_top) in combinations(found.nodes, 2):
        assert left != other_left or abs(top - other_top) >= SIZE.height
    points = [point for way in found.edges.values() for point in way]
    for x, y in [*found.nodes, *points]:
        assert -0.01 <= x <= found.width + 0.01
        assert -0.01 <= y <= found.height + 0.01


@given(LINKS)
def test_every_edge_leads_from_its_source_to_its_target(graph: tuple[int, list[Link]]) -> None:
    count, links = graph
    found = layout(count, links)
    assert set(found.edges) == {link for link in links if link[0] != link[1]}
    for (source, target), way in found.edges.items():
        for node, (x, y) in ((source, way[0]), (target, way[-1])):
            left, top = found.nodes[node]
            assert x in (left, left + SIZE.width)
            assert top <= y <= top + SIZE.height


@given(LINKS, st.randoms(use_true_random=False))
def test_the_order_of_the_edges_does_not_matter(
    graph: tuple[int, list[Link]], random: st.DrawFn
) -> None:
    count, links = graph
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert layout(count, links) == layout(count, shuffled)

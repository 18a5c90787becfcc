"""The layout of any graph: nothing overlaps, every edge leads to a later layer, and its steps are bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.dashboard import layered
from controlplane.dashboard.layered import Graph, layout

some = settings(max_examples=60, deadline=None)


@st.composite
def graphs(draw: st.DrawFn, most: int = 25) -> Graph:
    """Nodes in topological order, each after some of those before it."""
    count = draw(st.integers(0, most))
    keys = [f"op_{n}" for n in range(count)]
    some = [draw(st.lists(st.sampled_from(keys[:n]), unique=True, max_size=6)) if n else [] for n in range(count)]
    return tuple((key, tuple(ups)) for key, ups in zip(keys, some, strict=True))


@given(graphs())
@some
def test_no_two_nodes_overlap(graph: Graph) -> None:
    placed = layout(graph)
    assert placed.spots.keys() == {key for key, _ in graph}
    rows: dict[int, list[float]] = {}
    for layer, across in placed.spots.values():
        rows.setdefault(layer, []).append(across)
    for row in rows.values():
        assert all(right - left > 0.99 for left, right in zip(sorted(row), sorted(row)[1:], strict=False))
        assert min(row) > 0.49
        assert max(row) < placed.breadth - 0.49
    assert set(rows) <= set(range(placed.layers))


@given(graphs())
@some
def test_every_edge_leads_to_a_later_layer_and_through_no_node(graph: Graph) -> None:
    placed = layout(graph)
    nodes = set(placed.spots.values())
    wanted = {(placed.spots[up], placed.spots[key]) for key, ups in graph for up in ups}
    assert {(edge[0], edge[-1]) for edge in placed.edges} == wanted
    for edge in placed.edges:
        assert [layer for layer, _ in edge] == list(range(edge[0][0], edge[-1][0] + 1))
        for layer, across in edge[1:-1]:
            assert all(abs(across - other) > 0.69 for at, other in nodes if at == layer)


@given(graphs())
@some
def test_the_same_graph_gives_the_same_layout(graph: Graph) -> None:
    assert layout.__wrapped__(graph) == layout.__wrapped__(graph)


@given(graphs())
@some
def test_the_steps_are_bounded_by_the_size(graph: Graph) -> None:
    placed = layout(graph)
    spots = len({(edge[0], layer) for edge in placed.edges for layer, _ in edge}) + len(graph)
    links = sum(len(edge) - 1 for edge in placed.edges)
    assert placed.steps <= (layered.SWEEPS * (4 * layered.SWAPS + 2) + 2 * layered.MOVES + 1) * 2 * (spots + links)


def test_a_large_graph_gets_fewer_sweeps() -> None:
    def steps(count: int) -> int:
        keys = [f"op_{n}" for n in range(count)]
        graph = tuple((key, tuple(keys[max(0, n - 40) : n : 3])) for n, key in enumerate(keys))
        return layout(graph).steps

    assert steps(300) < 6 * layered.STEPS


def test_a_tree_is_drawn_without_crossings_and_a_chain_is_straight() -> None:
    tree = (("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("c",)), ("e", ("b",)), ("f", ("c",)), ("g", ("b",)))
    placed = layout(tree)
    order = sorted((across, key) for key, (layer, across) in placed.spots.items() if layer == 2)
    assert {frozenset(key for _, key in order[:2]), frozenset(key for _, key in order[2:])} == {
        frozenset("eg"), frozenset("df"),
    }  # fmt: skip
    chain = layout((("a", ()), ("b", ("a",)), ("c", ("b",))))
    assert {across for _, across in chain.spots.values()} == {0.5}


def test_what_nothing_comes_before_stands_just_before_what_it_is_for() -> None:
    placed = layout((("a", ()), ("b", ("a",)), ("late", ()), ("c", ("b", "late"))))
    assert placed.spots["late"][0] == 1


def test_an_upstream_that_is_not_there_is_no_edge() -> None:
    assert layout((("a", ("gone",)),)).edges == []

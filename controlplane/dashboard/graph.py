"""The graph of ops as boxes and curves: of a run, with the states of its ops, or of a job, with the pools they use.

Layers go from left to right. A graph of very many ops is drawn by groups: those of one state, layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.urls import reverse

from controlplane.dashboard import layered
from controlplane.dashboard.templatetags.sluice import OP_LOOKS
from runs import graph, states
from runs.models import Run
from runs.queries import OpView

MOST = 150  # ops that are drawn one by one
BANDS = 24  # layers of a graph of groups, about
WIDTH, HEIGHT = 168, 46  # of a box
COLUMN, ROW = 206, 58  # from one box to the next
LONGEST = 20  # characters of a name in a box

Edges = Mapping[str, Sequence[str]]  # the keys that each key comes after, in topological order


@dataclass(frozen=True)
class Node:
    """What a box says. `look`, `icon`: of its state; `page`: where it leads, nothing if nowhere."""

    key: str
    name: str
    says: str
    title: str
    look: str = ""
    icon: str = ""
    page: str = ""

    @property
    def short(self) -> str:
        return self.name if len(self.name) <= LONGEST else f"{self.name[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Box:
    """A node and where its box begins."""

    node: Node
    x: float
    y: float


@dataclass(frozen=True)
class Drawn:
    """A graph as a page draws it. `ops`: how many it stands for; `edges`: path and class, each."""

    boxes: Sequence[Box]
    edges: Sequence[tuple[str, str]]
    width: float
    height: float
    ops: int

    @property
    def grouped(self) -> bool:
        return len(self.boxes) < self.ops


def of_run(run: Run, ops: Sequence[OpView], edges: Edges) -> Drawn:
    """The ops of a run with their states, each leading to its page."""
    state_of = {view.op.key: view.op.state for view in ops}
    if len(ops) > MOST:
        return _by_groups(run, state_of, edges)
    nodes = [
        _node(run, view.op.key, view.op.state, edges[view.op.key], view.op.attempt, view.op.reused_from is not None)
        for view in ops
    ]
    return _draw(nodes, edges, len(ops))


def of_job(plan: graph.Plan, newest: Run | None, known: Iterable[str]) -> Drawn:
    """The ops of a job with their pools, each leading to itself in the newest run, if that has it."""
    there = set(known)
    edges = {op.key: op.upstream for op in plan.ops}
    if len(edges) > MOST:
        return _by_groups(None, dict.fromkeys(edges, ""), edges)
    nodes = [
        Node(
            op.key,
            op.key,
            ", ".join(f"{name} ×{slots}" if slots > 1 else name for name, slots in sorted(op.pools.items()))
            or "no pool",
            _title(op.key, f"uses {', '.join(sorted(op.pools))}" if op.pools else "uses no pool", op.upstream),
            icon="pool" if op.pools else "",
            page=reverse("op", args=[newest.uid, op.key]) if newest and op.key in there else "",
        )
        for op in plan.ops
    ]
    return _draw(nodes, edges, len(nodes))


def _node(run: Run, key: str, state: str, after: Sequence[str], attempt: int = 0, reused: bool = False) -> Node:
    icon, look, word = OP_LOOKS[state]
    says = "Reused" if reused else word
    says += f", attempt {attempt}" if attempt > 1 else ""
    return Node(key, key, says, _title(key, says, after), look, icon, reverse("op", args=[run.uid, key]))


def _title(key: str, says: str, after: Sequence[str]) -> str:
    return f"{key}: {says}" + (f", after {', '.join(after)}" if after else "")


# --- groups -----------------------------------------------------------------------------------------


def _by_groups(run: Run | None, state_of: Mapping[str, str], edges: Edges) -> Drawn:
    """Ops of one state stand together, layer by layer; of very many layers some stand together, too."""
    layer = layered.layers(edges)
    depth = max(layer.values()) + 1
    wide = -(-depth // BANDS)
    groups: dict[tuple[int, str], list[str]] = {}
    for key in edges:
        groups.setdefault((layer[key] // wide, state_of[key]), []).append(key)
    group_of = {key: group for group, keys in groups.items() for key in keys}
    names = {group: f"{group[0]}:{group[1]}" for group in groups}
    between: dict[str, dict[str, None]] = {name: {} for name in names.values()}
    for key, ups in edges.items():
        for up in ups:
            if up in group_of and group_of[up][0] < group_of[key][0]:
                between[names[group_of[key]]][names[group_of[up]]] = None
    nodes = [
        _group(run, names[group], group[1], keys, edges)
        for group, keys in sorted(groups.items(), key=lambda item: item[0])
    ]
    return _draw(nodes, {name: tuple(ups) for name, ups in between.items()}, len(edges))


def _group(run: Run | None, name: str, state: str, keys: Sequence[str], edges: Edges) -> Node:
    if run and len(keys) == 1:
        node = _node(run, keys[0], state, edges[keys[0]])
        return Node(name, node.name, node.says, node.title, node.look, node.icon, node.page)
    some = ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
    count = f"{len(keys)} ops" if len(keys) > 1 else keys[0]
    if run is None:
        return Node(name, count, "", f"{count}: {some}")
    icon, look, word = OP_LOOKS[state]
    page = reverse("run", args=[run.uid]) + f"?ops={state}#timeline"
    return Node(name, count, word, f"{count}, {word}: {some}", look, icon, page)


# --- geometry ---------------------------------------------------------------------------------------


def _draw(nodes: Sequence[Node], edges: Edges, ops: int) -> Drawn:
    placed = layered.layout(tuple((key, tuple(ups)) for key, ups in edges.items()))
    boxes = [
        Box(node, layer * COLUMN, _n(across * ROW - HEIGHT / 2))
        for node in nodes
        for layer, across in (placed.spots[node.key],)
    ]
    looks = {placed.spots[node.key]: node.look for node in nodes}
    curves = [(_curve(edge), "done" if looks[edge[0]] == OP_LOOKS[states.SUCCESS][1] else "") for edge in placed.edges]
    curves.sort(key=lambda curve: curve[1])  # those that are done lie on top
    width = (placed.layers - 1) * COLUMN + WIDTH
    return Drawn(boxes, curves, width, _n(placed.breadth * ROW), ops)


def _curve(edge: Sequence[tuple[int, float]]) -> str:
    """From the right side of a box to the left side of another; straight through the columns that it passes."""
    path = [f"M{edge[0][0] * COLUMN + WIDTH} {_n(edge[0][1] * ROW)}"]
    for (_, before), (layer, across) in pairwise(edge):
        left, y, y_before = layer * COLUMN, _n(across * ROW), _n(before * ROW)
        middle = left - (COLUMN - WIDTH) / 2
        path.append(f"H{left}" if y == y_before else f"C{_n(middle)} {y_before} {_n(middle)} {y} {left} {y}")
        if (layer, across) != edge[-1]:
            path.append(f"H{left + WIDTH}")
    return "".join(path)


def _n(number: float) -> float:
    return round(number, 1)

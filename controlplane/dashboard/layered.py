"""Places the nodes of a graph in layers so that every edge leads to a later one, with few crossings. Plain Python.

Four steps, after Sugiyama: layers by the longest path; a bend in each layer that an edge passes; an order within each
layer by medians, mended by swapping neighbours; positions that lie as near to their neighbours as the order allows.
The same graph always gives the same layout, after a number of steps that its size bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Graph = tuple[tuple[str, tuple[str, ...]], ...]  # keys in topological order, each with those before it
Spot = tuple[str, int]  # a node in its layer, or a bend of its edges in a later one

SWEEPS = 12  # through all layers, down and up in turn, to find the order
SWAPS = 3  # passes over a layer that swap neighbours, in each sweep
STEPS = 150_000  # about as many neighbours are looked at: larger graphs get fewer sweeps
MOVES = 8  # sweeps that find the positions
NODE, BEND = 1.0, 0.4  # how much room each takes across its layer


@dataclass(frozen=True)
class Layout:
    """Where each node is: its layer, and its middle across the layers, in units of a node's room.

    `edges`: for each edge its spots, from its beginning over its bends to its end.
    """

    spots: Mapping[str, tuple[int, float]]
    edges: Sequence[Sequence[tuple[int, float]]]
    layers: int
    breadth: float  # from the first node's edge to the last one's
    steps: int  # how much was looked at


@lru_cache(maxsize=256)
def layout(graph: Graph) -> Layout:
    """Place a graph. Kept by the graph itself: it is placed once for all runs of a definition."""
    drawing = _Drawing(graph)
    drawing.find_order()
    drawing.find_positions()
    return drawing.result()


def layers(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The layer of each node: after all before it; what nothing comes before stands just before what it is for."""
    layer: dict[str, int] = {}
    for key, ups in before.items():
        layer[key] = max((layer[up] + 1 for up in ups), default=0)
    needed_at: dict[str, int] = {}
    for key, ups in before.items():
        for up in ups:
            needed_at[up] = min(needed_at.get(up, layer[key]), layer[key])
    return {key: needed_at.get(key, 1) - 1 if not before[key] else layer[key] for key in before}


class _Drawing:
    """A graph while it is being placed."""

    def __init__(self, graph: Graph) -> None:
        known = {key for key, _ in graph}
        self.before = {key: tuple(dict.fromkeys(up for up in ups if up in known)) for key, ups in graph}
        self.layer = layers(self.before)
        self.steps = 0
        self.above: dict[Spot, list[Spot]] = {(key, self.layer[key]): [] for key in self.before}
        self.below: dict[Spot, list[Spot]] = {spot: [] for spot in self.above}
        self.edges = [self._thread(up, key) for key, ups in self.before.items() for up in ups]
        self.rows: list[list[Spot]] = [[] for _ in range(max(self.layer.values(), default=-1) + 1)]
        for spot in self._by_depth():
            self.rows[spot[1]].append(spot)
        self.place = {spot: n for row in self.rows for n, spot in enumerate(row)}
        self.x: dict[Spot, float] = {}

    def _thread(self, up: str, key: str) -> list[Spot]:
        """An edge, with a bend in each layer that it passes. Edges from one node share their bends."""
        spots = [(up, layer) for layer in range(self.layer[up], self.layer[key])]
        spots.append((key, self.layer[key]))
        for spot, following in pairwise(spots):
            if following not in self.above:
                self.above[following], self.below[following] = [], []
            if spot not in self.above[following]:
                self.above[following].append(spot)
                self.below[spot].append(following)
        return spots

    def _by_depth(self) -> list[Spot]:
        """All spots, neighbours near each other: the order to begin with."""
        found: dict[Spot, None] = {}
        for start in self.above:
            stack = [start] if start not in found else []
            while stack:
                spot = stack.pop()
                if spot not in found:
                    found[spot] = None
                    stack += [each for each in reversed(self.below[spot]) if each not in found]
        return list(found)

    # --- the order ----------------------------------------------------------------------------------

    def find_order(self) -> None:
        size = sum(map(len, self.above.values())) + len(self.above)
        best, fewest = [list(row) for row in self.rows], self._all_crossings()
        for sweep in range(max(2, min(SWEEPS, STEPS // (size * 4 * SWAPS + 1)))):
            if not fewest:
                break
            downward = sweep % 2 == 0
            for row in self.rows if downward else reversed(self.rows):
                self._sort(row, self.above if downward else self.below)
            self._swap()
            crossings = self._all_crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        for row in best:
            self._set(row)
        self.rows = best

    def _set(self, row: Sequence[Spot]) -> None:
        self.place.update({spot: n for n, spot in enumerate(row)})

    def _sort(self, row: list[Spot], neighbours: Mapping[Spot, Sequence[Spot]]) -> None:
        """Order a row by the medians of its neighbours; what has none stays where it is."""
        medians = {spot: self._median(neighbours[spot]) for spot in row}
        moving = iter(
            sorted((spot for spot in row if medians[spot] is not None), key=lambda spot: medians[spot] or 0.0)
        )
        row[:] = [spot if medians[spot] is None else next(moving) for spot in row]
        self._set(row)

    def _median(self, spots: Sequence[Spot]) -> float | None:
        self.steps += len(spots)
        places = sorted(self.place[spot] for spot in spots)
        middle = len(places) // 2
        if not places:
            return None
        return places[middle] if len(places) % 2 else (places[middle - 1] + places[middle]) / 2

    def _swap(self) -> None:
        """Swap neighbours in a row where that saves crossings."""
        for row in self.rows:
            for _ in range(SWAPS):
                swapped = False
                for n in range(len(row) - 1):
                    left, right = row[n], row[n + 1]
                    now = self._crossings(left, right)
                    if now and self._crossings(right, left) < now:
                        row[n], row[n + 1] = right, left
                        self.place[right], self.place[left] = n, n + 1
                        swapped = True
                if not swapped:
                    break

    def _crossings(self, left: Spot, right: Spot) -> int:
        """How often edges of two neighbours cross each other, if they stand in this order."""
        found = 0
        for neighbours in (self.above, self.below):
            of_left = sorted(self.place[spot] for spot in neighbours[left])
            self.steps += len(of_left) + len(neighbours[right])
            found += sum(len(of_left) - _up_to(of_left, self.place[spot]) for spot in neighbours[right])
        return found

    def _all_crossings(self) -> int:
        found = 0
        for row in self.rows[:-1]:
            seen: list[int] = []
            for spot in row:
                self.steps += len(self.below[spot])
                ends = sorted(self.place[each] for each in self.below[spot])
                found += sum(len(seen) - _up_to(seen, end) for end in ends)
                seen = sorted(seen + ends)
        return found

    # --- the positions ------------------------------------------------------------------------------

    def find_positions(self) -> None:
        for row in self.rows:
            self._settle(row, [0.0] * len(row))
        for sweep in range(MOVES):
            for row in self.rows if sweep % 2 == 0 else reversed(self.rows):
                self._settle(row, [self._wish(spot) for spot in row])

    def _wish(self, spot: Spot) -> float:
        """Where a spot would like to be: in the middle of its neighbours, those that are nodes' bends counted more."""
        near = [*self.above[spot], *self.below[spot]]
        self.steps += len(near)
        if not near:
            return self.x[spot]
        weights = [1.0 if self._is_node(spot) or self._is_node(each) else 4.0 for each in near]
        return sum(weight * self.x[each] for weight, each in zip(weights, near, strict=True)) / sum(weights)

    def _settle(self, row: Sequence[Spot], wishes: Sequence[float]) -> None:
        """Place a row as near to its wishes, by least squares, as its order and the room of each allow.

        Neighbours that would come too near are pooled, and moved together to the mean of what they wish.
        """
        offsets, offset = [], 0.0
        for n, spot in enumerate(row):
            offset += (self._room(row[n - 1]) + self._room(spot)) / 2 if n else 0.0
            offsets.append(offset)
        pools: list[tuple[float, int]] = []  # the sum of wishes, and of how many
        for wish, offset in zip(wishes, offsets, strict=True):
            total, count = wish - offset, 1
            while pools and pools[-1][0] / pools[-1][1] > total / count:
                other, others = pools.pop()
                total, count = total + other, count + others
            pools.append((total, count))
        settled = [total / count for total, count in pools for _ in range(count)]
        self.x.update({spot: at + offset for spot, at, offset in zip(row, settled, offsets, strict=True)})

    def _is_node(self, spot: Spot) -> bool:
        return self.layer[spot[0]] == spot[1]

    def _room(self, spot: Spot) -> float:
        return NODE if self._is_node(spot) else BEND

    def result(self) -> Layout:
        first = min((x - self._room(spot) / 2 for spot, x in self.x.items()), default=0.0)
        last = max((x + self._room(spot) / 2 for spot, x in self.x.items()), default=0.0)
        at = {spot: (spot[1], round(x - first, 3)) for spot, x in self.x.items()}
        spots = {key: at[key, layer] for key, layer in self.layer.items()}
        edges = [[at[spot] for spot in edge] for edge in self.edges]
        return Layout(spots, edges, len(self.rows), round(last - first, 3), self.steps)


def _up_to(places: Sequence[int], place: int) -> int:
    """How many of the sorted places are not beyond this one."""
    return bisect_left(places, place + 1)

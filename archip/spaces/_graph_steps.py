"""Steps in a table of small directed graphs, as NAS-Bench-101: equal graphs are found by their fingerprint.

A graph has vertices in topological order, the input first and the output last, and an operator in each inner vertex.
Vertices that lie on no path from input to output do nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.knobs import Choice
from archip.spaces._graph_prints import fingerprints

__all__ = ["GraphSteps"]

Graph = tuple[tuple[int, ...], frozenset[tuple[int, int]]]  # operators of the inner vertices; edges


@dataclass(frozen=True)
class GraphSteps:
    """A step changes an operator, adds or drops an edge, or puts a new vertex between two that are there.

    Attributes:
        codes_NG: vertices, operators, edges, as `data/_table_genes.py` makes them; every graph of the space once.
        max_edges: graphs with more edges are not of the space.
    """

    knobs: Sequence[Choice]
    codes_NG: np.ndarray
    max_edges: int

    def row(self, codes: Sequence[int]) -> int | None:
        n = codes[0] + 2
        beyond = (code for (_, b), code in zip(self._place_of, codes[self._most - 1 :], strict=True) if b >= n)
        if INACTIVE in codes[1 : n - 1] or 1 in beyond:
            return None
        return self._found(codes)

    def mutate(self, row: int, rng: np.random.Generator) -> int:
        """A step drawn at random among those that are possible."""
        graph = self._graph(row)
        for i in rng.permutation(self._n_steps(graph)).tolist():
            child = self._find(self._step(graph, i))
            if child is not None and child != row:
                return child
        return row

    def crossover(self, a: int, b: int, rng: np.random.Generator) -> int:
        """Operators and edges each from one of the parents; of parents of different size, one of the two."""
        (operators_a, edges_a), (operators_b, edges_b) = self._graph(a), self._graph(b)
        if len(operators_a) == len(operators_b):
            pairs = list(combinations(range(len(operators_a) + 2), 2))
            from_a = rng.random(len(operators_a) + len(pairs)) < 0.5
            operators = tuple(x if p else y for x, y, p in zip(operators_a, operators_b, from_a, strict=False))
            from_a = from_a[len(operators_a) :]
            edges = frozenset(e for e, p in zip(pairs, from_a, strict=True) if e in (edges_a if p else edges_b))
            child = self._find((operators, edges))
            if child is not None:
                return child
        return a if rng.random() < 0.5 else b

    def neighbours(self, row: int) -> list[int]:
        graph = self._graph(row)
        found = dict.fromkeys(self._find(self._step(graph, i)) for i in range(self._n_steps(graph)))
        return [r for r in found if r is not None and r != row]

    def _n_steps(self, graph: Graph) -> int:
        operators, edges = graph
        n_pairs = len(self._pairs[len(operators)])
        return len(operators) * (self._n_operators - 1) + n_pairs + self._n_grown(graph, n_pairs, len(edges))

    def _n_grown(self, graph: Graph, n_pairs: int, n_edges: int) -> int:
        """Number of graphs with one vertex more: it goes beside an edge or in its place."""
        has_room = len(graph[0]) + 2 < self._most and n_edges < self.max_edges
        return self._n_operators * (n_pairs + n_edges) if has_room else 0

    def _step(self, graph: Graph, at: int) -> Graph:
        """The step of this number: operators first, then edges, then new vertices."""
        operators, edges = graph
        if at < len(operators) * (self._n_operators - 1):
            v, other = divmod(at, self._n_operators - 1)
            return (*operators[:v], other + (other >= operators[v]), *operators[v + 1 :]), edges
        at -= len(operators) * (self._n_operators - 1)
        pairs = self._pairs[len(operators)]
        if at < len(pairs):
            return operators, edges ^ {pairs[at]}
        at -= len(pairs)
        for a, b in pairs:
            n_ways = 1 + ((a, b) in edges)
            if at < n_ways * self._n_operators:
                moved = frozenset((x + (x > a), y + (y > a)) for x, y in edges)  # the new vertex is a + 1
                between = moved | {(a, a + 1), (a + 1, b + 1)}
                ways = list({between, between - {(a, b + 1)}})
                return (*operators[:a], at // n_ways, *operators[a:]), ways[at % n_ways]
            at -= n_ways * self._n_operators
        raise IndexError(at)

    @cached_property
    def _most(self) -> int:
        return len(self.knobs[0].values) + 1

    @cached_property
    def _n_operators(self) -> int:
        return len(self.knobs[1].values)

    @cached_property
    def _pairs(self) -> list[list[tuple[int, int]]]:
        """By the number of inner vertices."""
        return [list(combinations(range(n), 2)) for n in range(2, self._most + 1)]

    @cached_property
    def _place_of(self) -> dict[tuple[int, int], int]:
        """Edge → its place among the genes."""
        return {pair: place for place, pair in enumerate(combinations(range(self._most), 2), self._most - 1)}

    def _graph(self, row: int) -> Graph:
        codes = self.codes_NG[row].tolist()
        n = codes[0] + 2
        return tuple(codes[1 : n - 1]), frozenset(pair for pair, place in self._place_of.items() if codes[place] == 1)

    def _find(self, graph: Graph) -> int | None:
        """The row of a graph; None if it is not of the space."""
        operators, edges = graph
        codes = [0] * self.codes_NG.shape[1]
        codes[0] = len(operators)
        codes[1 : len(operators) + 1] = operators
        for edge in edges:
            codes[self._place_of[edge]] = 1
        return self._found(codes)

    def _found(self, codes: Sequence[int]) -> int | None:
        number = fingerprints(np.array([codes], self.codes_NG.dtype), self._most, self.max_edges)[0]
        place = int(np.searchsorted(self._sorted, number))
        if place == len(self._sorted) or self._sorted[place] != number:
            return None
        return int(self._order[place])

    @cached_property
    def _prints_N(self) -> np.ndarray:
        return fingerprints(self.codes_NG, self._most, self.max_edges)

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self._prints_N, kind="stable")

    @cached_property
    def _sorted(self) -> np.ndarray:
        return self._prints_N[self._order]

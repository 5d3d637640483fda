"""Steps in a table of small directed graphs, as NAS-Bench-101: equal graphs are found by their fingerprint.

A graph has vertices in topological order, the input first and the output last, and an operator in each inner vertex.
Vertices that lie on no path from input to output do nothing and are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.knobs import Choice

__all__ = ["GraphSteps"]


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
        beyond = (codes[place] for place, (_, b) in self._pairs.items() if b >= n)
        if INACTIVE in codes[1 : n - 1] or 1 in beyond:
            return None
        return self._find([max(code, 0) for code in codes])

    def mutate(self, row: int, rng: np.random.Generator) -> int:
        """A step drawn at random among those that are possible."""
        codes = self._codes(row)
        for i in rng.permutation(self._n_steps(codes)).tolist():
            child = self._find(self._step(codes, i))
            if child is not None and child != row:
                return child
        return row

    def crossover(self, a: int, b: int, rng: np.random.Generator) -> int:
        """Operators and edges each from one of the parents; of parents of different size, one of the two."""
        codes_a, codes_b = self._codes(a), self._codes(b)
        if codes_a[0] == codes_b[0]:
            places = [*range(1, codes_a[0] + 1), *self._edges[codes_a[0]]]
            from_a = rng.random(len(places)) < 0.5
            made = codes_b.copy()
            for place in itertools.compress(places, from_a.tolist()):
                made[place] = codes_a[place]
            child = self._find(made)
            if child is not None:
                return child
        return a if rng.random() < 0.5 else b

    def neighbours(self, row: int) -> list[int]:
        codes = self._codes(row)
        found = dict.fromkeys(self._find(self._step(codes, i)) for i in range(self._n_steps(codes)))
        return [r for r in found if r is not None and r != row]

    def _codes(self, row: int) -> list[int]:
        """Codes of a row, 0 where a gene is inactive."""
        return np.maximum(self.codes_NG[row], 0).tolist()

    def _n_steps(self, codes: Sequence[int]) -> int:
        n_pairs, n_edges = len(self._edges[codes[0]]), sum(codes[self._most - 1 :])
        has_room = codes[0] + 2 < self._most and n_edges < self.max_edges
        n_grown = self._n_operators * (n_pairs + n_edges) if has_room else 0  # beside an edge or in its place
        return codes[0] * (self._n_operators - 1) + n_pairs + n_grown

    def _step(self, codes: Sequence[int], at: int) -> list[int]:
        """The step of this number: operators first, then edges, then new vertices."""
        made, edges = list(codes), self._edges[codes[0]]
        if at < codes[0] * (self._n_operators - 1):
            v, other = divmod(at, self._n_operators - 1)
            made[v + 1] = other + (other >= codes[v + 1])
            return made
        at -= codes[0] * (self._n_operators - 1)
        if at < len(edges):
            made[edges[at]] ^= 1
            return made
        at -= len(edges)
        for place in edges:
            n_ways = 1 + codes[place]
            if at < n_ways * self._n_operators:
                return self._grown(codes, *self._pairs[place], at // n_ways, at % n_ways)
            at -= n_ways * self._n_operators
        raise IndexError(at)

    def _grown(self, codes: Sequence[int], a: int, b: int, operator: int, way: int) -> list[int]:
        """With a new vertex a + 1 between a and b: beside the edge, or in its place."""
        operators, edges = self._graph(codes)
        moved = frozenset((x + (x > a), y + (y > a)) for x, y in edges)
        between = moved | {(a, a + 1), (a + 1, b + 1)}
        made = [0] * len(codes)
        made[: len(operators) + 2] = [len(operators) + 1, *operators[:a], operator, *operators[a:]]
        for edge in list({between, between - {(a, b + 1)}})[way]:
            made[self._place_of[edge]] = 1
        return made

    def _graph(self, codes: Sequence[int]) -> tuple[list[int], frozenset[tuple[int, int]]]:
        """Operators of the inner vertices, and edges."""
        edges = frozenset(self._pairs[place] for place in self._edges[codes[0]] if codes[place] == 1)
        return list(codes[1 : codes[0] + 1]), edges

    @cached_property
    def _most(self) -> int:
        return len(self.knobs[0].values) + 1

    @cached_property
    def _n_operators(self) -> int:
        return len(self.knobs[1].values)

    @cached_property
    def _pairs(self) -> dict[int, tuple[int, int]]:
        """Place among the genes → the edge."""
        return dict(enumerate(itertools.combinations(range(self._most), 2), self._most - 1))

    @cached_property
    def _place_of(self) -> dict[tuple[int, int], int]:
        return {pair: place for place, pair in self._pairs.items()}

    @cached_property
    def _edges(self) -> list[list[int]]:
        """By the number of inner vertices: the places of the edges among them."""
        return [[place for place, (_, b) in self._pairs.items() if b < n] for n in range(2, self._most + 1)]

    def _find(self, codes: Sequence[int]) -> int | None:
        """The row of a graph, 0 where a gene is inactive; None if it is not of the space."""
        codes_1G = np.frombuffer(bytes(codes), np.int8)[None]
        number = self._fingerprints(codes_1G, self._most, self.max_edges)[0]
        place = int(np.searchsorted(self._sorted, number))
        if place == len(self._sorted) or self._sorted[place] != number:
            return None
        return int(self._order[place])

    @cached_property
    def _fingerprints(self) -> Callable[[np.ndarray, int, int], np.ndarray]:
        from archip.spaces._graph_prints import fingerprints  # numba takes half a second to import

        return fingerprints

    @cached_property
    def _prints_N(self) -> np.ndarray:
        codes_NG = self.codes_NG.astype(np.int8)
        codes_NG.setflags(write=False)  # as in `_find`, so that the kernel is compiled once
        return self._fingerprints(codes_NG, self._most, self.max_edges)

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self._prints_N, kind="stable")

    @cached_property
    def _sorted(self) -> np.ndarray:
        return self._prints_N[self._order]

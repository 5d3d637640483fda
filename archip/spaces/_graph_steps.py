"""Steps in a table of small directed graphs, as NAS-Bench-101: equal graphs are found by the official hash.

A graph has vertices in topological order, the input first and the output last, and an operator in each inner vertex.
Vertices that lie on no path from input to output do nothing and are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.knobs import Choice

__all__ = ["GraphSteps", "graph_hash"]

Graph = tuple[tuple[int, ...], frozenset[tuple[int, int]]]  # operators of the inner vertices; edges


def graph_hash(operators: Sequence[int], edges: frozenset[tuple[int, int]]) -> str:
    """The 128-bit fingerprint (hex) that isomorphic graphs share.

    Source: Ying et al. 2019, arXiv:1902.09635; `nasbench/lib/graph_util.py: hash_module`, step by step.
    """
    n = len(operators) + 2
    labels = (-1, *operators, -2)
    sources = [[a for a in range(n) if (a, v) in edges] for v in range(n)]
    targets = [[b for b in range(n) if (v, b) in edges] for v in range(n)]
    hashes = [_md5(str((len(targets[v]), len(sources[v]), labels[v]))) for v in range(n)]
    for _ in range(n):
        hashes = [
            _md5("|".join((_joined(hashes, sources[v]), _joined(hashes, targets[v]), hashes[v]))) for v in range(n)
        ]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _joined(hashes: Sequence[str], vertices: Sequence[int]) -> str:
    return "".join(sorted(hashes[v] for v in vertices))


@dataclass(frozen=True)
class GraphSteps:
    """A step changes an operator, adds or drops an edge, or puts a new vertex between two that are there.

    Attributes:
        codes_NG: vertices, operators, edges, as `data/_table_genes.py` makes them.
        hash_N: first 64 bits of the graphs' hashes.
        max_edges: graphs with more edges are not of the space.
    """

    knobs: Sequence[Choice]
    codes_NG: np.ndarray
    hash_N: np.ndarray
    max_edges: int

    def row(self, codes: Sequence[int]) -> int | None:
        return self._row(tuple(codes))

    def mutate(self, row: int, rng: np.random.Generator) -> int:
        """A step drawn at random among those that are possible."""
        steps = self._steps_of(row)
        for i in rng.permutation(len(steps)).tolist():
            child = self._find(steps[i])
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
        found = dict.fromkeys(self._find(step) for step in self._steps_of(row))
        return [r for r in found if r is not None and r != row]

    @lru_cache(maxsize=1000)  # noqa: B019 - steps live as long as the space
    def _steps_of(self, row: int) -> list[Graph]:
        return list(self._steps(self._graph(row)))

    def _steps(self, graph: Graph) -> Iterator[Graph]:
        operators, edges = graph
        n = len(operators) + 2
        n_operators = len(self.knobs[1].values)
        for v, old in enumerate(operators):
            yield from (((*operators[:v], op, *operators[v + 1 :]), edges) for op in range(n_operators) if op != old)
        for pair in combinations(range(n), 2):
            yield operators, edges ^ {pair}
        if n < self._most and len(edges) + 1 <= self.max_edges:
            for a, b in combinations(range(n), 2):
                moved = frozenset((x + (x > a), y + (y > a)) for x, y in edges)  # the new vertex is a + 1
                between = moved | {(a, a + 1), (a + 1, b + 1)}
                for op in range(n_operators):
                    more = (*operators[:a], op, *operators[a:])
                    yield from ((more, some) for some in {between, between - {(a, b + 1)}})

    @property
    def _most(self) -> int:
        return len(self.knobs[0].values) + 1

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(self._most), 2))

    def _graph(self, row: int) -> Graph:
        return self._decoded(self.codes_NG[row].tolist())

    def _decoded(self, codes: Sequence[int]) -> Graph:
        n = codes[0] + 2
        edges = (pair for pair, code in zip(self._pairs, codes[self._most - 1 :], strict=True) if code == 1)
        return tuple(codes[1 : n - 1]), frozenset(edges)

    @lru_cache(maxsize=100_000)  # noqa: B019 - steps live as long as the space
    def _row(self, codes: tuple[int, ...]) -> int | None:
        operators, edges = self._decoded(codes)
        n = len(operators) + 2
        if INACTIVE in operators or any(b >= n for _, b in edges):
            return None
        return self._find((operators, edges))

    @lru_cache(maxsize=100_000)  # noqa: B019 - steps live as long as the space
    def _find(self, graph: Graph) -> int | None:
        """The row of a graph; None if it is not of the space."""
        pruned = _pruned(*graph)
        if pruned is None or len(pruned[1]) > self.max_edges:
            return None
        number = np.uint64(int(graph_hash(*pruned)[:16], 16))
        place = int(np.searchsorted(self._sorted, number))
        if place == len(self._sorted) or self._sorted[place] != number:
            return None
        return int(self._order[place])

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.hash_N, kind="stable")

    @cached_property
    def _sorted(self) -> np.ndarray:
        return self.hash_N[self._order]

    def __hash__(self) -> int:
        return id(self)


def _pruned(operators: Sequence[int], edges: frozenset[tuple[int, int]]) -> Graph | None:
    """Without the vertices that lie on no path from input to output; None if there is no path."""
    n = len(operators) + 2
    forward, backward = {0}, {n - 1}
    for a, b in sorted(edges):
        if a in forward:
            forward.add(b)
    for a, b in sorted(edges, reverse=True):
        if b in backward:
            backward.add(a)
    kept = sorted(forward & backward)
    if n - 1 not in kept or 0 not in kept:
        return None
    place = {v: i for i, v in enumerate(kept)}
    left = frozenset((place[a], place[b]) for a, b in edges if a in place and b in place)
    return tuple(operators[v - 1] for v in kept[1:-1]), left

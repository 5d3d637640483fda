"""Topologies: which edges of one central network a task uses, where it enters it and where it leaves it.

The central network has states 0 to N - 1; edges go from i to j where 0 < j - i <= M. A topology keeps some of the edges
between its entry and its exit, each of them on a path from the one to the other.
Source: Choi and Im 2023, arXiv:2303.06856 (flow restriction, read-in, read-out, flow-based reduction); its formulas are
given in words there, those here are ours.

Legend: N states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from archip.core.errors import UserError

__all__ = ["Edge", "Topology", "all_edges", "jaccard", "reduced"]

Edge = tuple[int, int]


@dataclass(frozen=True)
class Topology:
    """The part of the central network that one task uses."""

    edges: tuple[Edge, ...]
    read_in: int
    read_out: int


def all_edges(n_states: int, reach: int) -> list[Edge]:
    """Every edge of the central network, from i to at most `reach` states further."""
    return [(i, j) for i in range(n_states) for j in range(i + 1, min(n_states, i + reach + 1))]


def jaccard(a: Topology, b: Topology) -> float:
    """Share of common edges among the edges of both."""
    return len({*a.edges} & {*b.edges}) / len({*a.edges} | {*b.edges})


def reduced(chances: Mapping[Edge, float], into_N: np.ndarray, out_N: np.ndarray, most: int) -> Topology:
    """The topology that is left of chances: the weakest edges go one by one, as long as a path of the length remains.

    The flow of an edge is what arrives at its start from the entry, times its chance, times what reaches the exit from
    its end. Edges go while there are more than `most`, or the weakest has a chance below a half.

    Args:
        chances: that an edge is used.
        into_N, out_N: that a state is the entry, the exit.

    Raises:
        UserError: no entry and exit are joined by so few edges.
    """
    read_in, read_out = _ends(chances, into_N, out_N, most)
    edges = _on_paths(chances, read_in, read_out)
    while True:
        flows = _flows({edge: chances[edge] for edge in edges}, read_in, read_out)
        for edge in sorted(edges, key=lambda e: (flows[e], e)):
            left = _on_paths(edges - {edge}, read_in, read_out)
            is_wanted = len(edges) > most or chances[edge] < 0.5
            if is_wanted and _distance(left, read_in, read_out) <= most:
                edges = left
                break
        else:
            return Topology(tuple(sorted(edges)), read_in, read_out)


def _ends(chances: Mapping[Edge, float], into_N: np.ndarray, out_N: np.ndarray, most: int) -> Edge:
    """The likeliest entry and exit that a path of at most `most` edges joins."""
    pairs = [(i, j) for i in range(len(into_N)) for j in range(i + 1, len(out_N)) if _distance(chances, i, j) <= most]
    if not pairs:
        raise UserError(f"no two states are joined by {most} edges", "edges", "more")
    return max(pairs, key=lambda pair: into_N[pair[0]] * out_N[pair[1]])


def _distance(edges: Iterable[Edge], start: int, end: int) -> float:
    """Fewest edges of a path; infinite where there is none."""
    steps = {start: 0.0}
    for i, j in sorted(edges):
        if i in steps:
            steps[j] = min(steps.get(j, np.inf), steps[i] + 1)
    return steps.get(end, np.inf)


def _on_paths(edges: Iterable[Edge], start: int, end: int) -> set[Edge]:
    """Those on a path from `start` to `end`."""
    ordered, reached, leading = sorted(edges), {start}, {end}
    for i, j in ordered:
        reached |= {j} if i in reached else set()
    for i, j in reversed(ordered):
        leading |= {i} if j in leading else set()
    return {(i, j) for i, j in ordered if i in reached and j in leading}


def _flows(chances: Mapping[Edge, float], start: int, end: int) -> dict[Edge, float]:
    arrives, leaves = {start: 1.0}, {end: 1.0}
    for i, j in sorted(chances):
        arrives[j] = arrives.get(j, 0.0) + arrives.get(i, 0.0) * chances[i, j]
    for i, j in sorted(chances, reverse=True):
        leaves[i] = leaves.get(i, 0.0) + leaves.get(j, 0.0) * chances[i, j]
    return {(i, j): arrives.get(i, 0.0) * p * leaves.get(j, 0.0) for (i, j), p in chances.items()}

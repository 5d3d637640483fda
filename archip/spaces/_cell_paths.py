"""Paths of a cell: what a signal meets on its ways from input to output, the same for equal networks.

Legend: N cells, E edges, P sequences of operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

__all__ = ["path_counts"]


def path_counts(codes_NE: np.ndarray, n_operators: int, zero: int, identity: int) -> np.ndarray:
    """[N, P] how many paths have each sequence of operators; identities are left out, paths with a zero do not exist.

    Source: the path encoding of White et al. 2021, arXiv:1910.11858 (BANANAS), here with counts and without identities.

    Args:
        codes_NE: operators of the edges (0, 1), (0, 2), (1, 2), (0, 3) …, a node's edges together.
    """
    n_nodes = next(n for n in range(2, 99) if n * (n - 1) // 2 == codes_NE.shape[1])
    edge_of = {edge: i for i, edge in enumerate((a, b) for b in range(1, n_nodes) for a in range(b))}
    proper = [op for op in range(n_operators) if op not in (zero, identity)]
    place = {s: i for i, s in enumerate(s for n in range(n_nodes) for s in product(proper, repeat=n))}
    counts_NP = np.zeros((len(codes_NE), len(place)))
    for edges in _paths(n_nodes, edge_of):
        keys_of = {  # what each combination of operators on this path counts for
            ops: place[tuple(op for op in ops if op != identity)]
            for ops in product(range(n_operators), repeat=len(edges))
            if zero not in ops
        }
        number = np.full(n_operators ** len(edges), -1)
        for ops, key in keys_of.items():
            number[_mixed(ops, n_operators)] = key
        key_N = number[codes_NE[:, edges].astype(np.int64) @ n_operators ** np.arange(len(edges))[::-1]]
        found = np.flatnonzero(key_N >= 0)
        np.add.at(counts_NP, (found, key_N[found]), 1.0)
    return counts_NP


def _paths(n_nodes: int, edge_of: dict[tuple[int, int], int]) -> list[list[int]]:
    """The edges of every path from node 0 to the last."""
    inner = range(1, n_nodes - 1)
    chosen = product((False, True), repeat=len(inner))
    ways = [[0, *(n for n, on in zip(inner, some, strict=True) if on), n_nodes - 1] for some in chosen]
    return [[edge_of[edge] for edge in pairwise(way)] for way in ways]


def _mixed(digits: Sequence[int], base: int) -> int:
    number = 0
    for digit in digits:
        number = number * base + digit
    return number

"""Fingerprints of small directed graphs: the same number for isomorphic ones, whatever the order of their vertices.

As the official hash of NAS-Bench-101 (Ying et al. 2019, arXiv:1902.09635; `nasbench/lib/graph_util.py: hash_module`):
labels begin as degrees and operator, are mixed with those of the vertices before and after as often as there are
vertices, and count as a set. Differs: numbers of 64 bits, and sums of mixed ones for sorted texts.

Legend: N graphs, G genes (``vertices``, ``op_1 …``, ``edge_0_1 …``, as `data/_table_genes.py` makes them).
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["fingerprints"]

_IN, _OUT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, so that no product loses a bit


@njit(cache=True, nogil=True)
def fingerprints(codes_NG: np.ndarray, most: int, max_edges: int) -> np.ndarray:
    """[N] fingerprint of each graph without the vertices that lie on no path from input to output.

    Args:
        most: vertices that the genes have room for.
        max_edges: what is left may have; 0 is the number of graphs with more, and of those without a path.
    """
    prints_N = np.zeros(len(codes_NG), np.uint64)
    edge = np.zeros((most, most), np.bool_)
    for i in range(len(codes_NG)):
        n = codes_NG[i, 0] + 2
        gene = most - 1
        for a in range(most):
            for b in range(a + 1, most):
                edge[a, b] = b < n and codes_NG[i, gene] == 1
                gene += 1
        if 0 < _pruned(edge, n) <= max_edges:
            prints_N[i] = _print(edge, n, codes_NG[i, 1:])
    return prints_N


@njit(cache=True, nogil=True)
def _pruned(edge: np.ndarray, n: int) -> int:
    """Drop the edges that lie on no path; how many are left."""
    forward, backward = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    forward[0] = backward[n - 1] = True
    for b in range(n):
        for a in range(b):
            forward[b] |= forward[a] and edge[a, b]
    for a in range(n - 1, -1, -1):
        for b in range(a + 1, n):
            backward[a] |= backward[b] and edge[a, b]
    left = 0
    for a in range(n):
        for b in range(a + 1, n):
            edge[a, b] = edge[a, b] and forward[a] and backward[b]
            left += edge[a, b]
    return left


@njit(cache=True, nogil=True)
def _print(edge: np.ndarray, n: int, operators: np.ndarray) -> np.uint64:
    """The fingerprint of a graph whose vertices are those with edges."""
    labels, mixed = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    is_there = np.zeros(n, np.bool_)
    for v in range(n):
        n_in, n_out = edge[:v, v].sum(), edge[v, v + 1 : n].sum()
        is_there[v] = n_in + n_out > 0
        label = 1 if v == 0 else 2 if v == n - 1 else operators[v - 1] + 3
        labels[v] = _mix(np.uint64((label * 256 + n_in) * 256 + n_out))
    for _ in range(is_there.sum()):
        for v in range(n):
            before, after = np.uint64(0), np.uint64(0)
            for a in range(v):
                if edge[a, v]:
                    before += _mix(labels[a])
            for b in range(v + 1, n):
                if edge[v, b]:
                    after += _mix(labels[b])
            mixed[v] = _mix(labels[v] + _IN * before + _OUT * after)
        labels[:] = mixed
    total = np.uint64(is_there.sum())
    for v in range(n):
        if is_there[v]:
            total += _mix(labels[v])
    return max(_mix(total), np.uint64(1))


@njit(cache=True, nogil=True)
def _mix(x: np.uint64) -> np.uint64:
    """Every bit of the answer depends on every bit of x (splitmix64's last step)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

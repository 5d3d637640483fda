"""Graphs as rows of numbers, which graph predictors read: above the diagonal who feeds whom, then what each node is.

Legend: N graphs, V nodes, K kinds (columns of a node), E edges of a cell, G genes.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

__all__ = ["cell_rows", "n_columns", "unpacked", "vertex_rows"]


def n_columns(nodes: int, kinds: int) -> int:
    """Of a row."""
    return nodes * (nodes - 1) // 2 + nodes * kinds


def unpacked(rows_NF: np.ndarray, nodes: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """(adjacency_NVV, of upper triangles; nodes_NVK)."""
    n_pairs = nodes * (nodes - 1) // 2
    adjacency_NVV = np.zeros((len(rows_NF), nodes, nodes))
    adjacency_NVV[(slice(None), *np.triu_indices(nodes, 1))] = rows_NF[:, :n_pairs]
    return adjacency_NVV, rows_NF[:, n_pairs : n_columns(nodes, kinds)].reshape(len(rows_NF), nodes, kinds)


def cell_rows(codes_NE: np.ndarray, n_operators: int) -> np.ndarray:
    """Of cells whose edges (0, 1), (0, 2), (1, 2) … have operators: an edge is a node here, fed by those before it.

    The first node is the input, the last the output; there are E + 2 nodes of `n_operators` + 2 kinds.
    Source: NAS-Bench-201's cells as in BRP-NAS, Dudziak et al. 2020, arXiv:2007.08668.
    """
    n_edges = codes_NE.shape[1]
    ends = [(a, b) for b in range(1, n_edges + 1) for a in range(b)][:n_edges]
    last = ends[-1][1]
    feeds = [(0, 0), *ends, (last, last)]
    pairs = [float(feeds[i][1] == feeds[j][0]) for i, j in combinations(range(n_edges + 2), 2)]
    kind_NV = np.pad(codes_NE, ((0, 0), (1, 1)), constant_values=((0, 0), (n_operators, n_operators + 1)))
    kinds_NF = np.eye(n_operators + 2)[kind_NV].reshape(len(codes_NE), -1)
    return np.concatenate([np.tile(pairs, (len(codes_NE), 1)), kinds_NF], axis=1)


def vertex_rows(codes_NG: np.ndarray, most: int, n_operators: int) -> np.ndarray:
    """Of graphs with operators in their vertices, as tables keep them: number of inner vertices, operators, edges.

    Args:
        codes_NG: ``vertices``, `most` - 2 operators, edges (0, 1), (0, 2) … (0, most - 1), (1, 2) …; -1 where inactive.
        most: vertices of the largest graph, input and output among them.
    """
    n_N = codes_NG[:, 0] + 2
    kinds_NVK = np.zeros((len(codes_NG), most, n_operators + 2))
    for vertex in range(1, most - 1):
        rows = np.flatnonzero(codes_NG[:, vertex] >= 0)
        kinds_NVK[rows, vertex, codes_NG[rows, vertex]] = 1
    kinds_NVK[:, 0, n_operators] = 1
    kinds_NVK[np.arange(len(codes_NG)), n_N - 1, n_operators + 1] = 1
    pairs_NP = (codes_NG[:, most - 1 :] == 1).astype(float)
    return np.concatenate([pairs_NP, kinds_NVK.reshape(len(codes_NG), -1)], axis=1)

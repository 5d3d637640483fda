"""Graphs as rows of numbers, which graph predictors read: above the diagonal who feeds whom, then what each node is.

Legend: N graphs, V nodes, K kinds (columns of a node), E edges of a cell, G genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log2, prod

import numpy as np

from archip.core.errors import UserError
from archip.ir.graph import Graph, Node

__all__ = ["NODE_COLUMNS", "cell_rows", "graph_rows", "n_columns", "unpacked", "vertex_rows"]

_KINDS = ("input", "conv", "norm", "pool", "linear", "add", "mul", "concat", "other")
_LIKE = {"batch_norm": "norm", "layer_norm": "norm", "avg_pool": "pool", "max_pool": "pool", "global_avg_pool": "pool",
         "matmul": "linear"}  # fmt: skip
NODE_COLUMNS = len(_KINDS) + 4  # kinds, then log of channels and of positions, kernel, log of multiply-accumulates


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


def graph_rows(graphs: Sequence[Graph], nodes: int) -> np.ndarray:
    """Of computation graphs, without nodes that no output needs: operator, output size, kernel, multiply-accumulates.

    Source: the computation graphs of GENNAPE, arXiv:2211.17226; sizes as logarithms, in parts of usual ones.

    Raises:
        UserError: a graph of more than `nodes` nodes.
    """
    rows_NF = np.zeros((len(graphs), n_columns(nodes, NODE_COLUMNS)))
    place = np.zeros((nodes, nodes), dtype=int)
    place[np.triu_indices(nodes, 1)] = np.arange(nodes * (nodes - 1) // 2)
    for row_F, graph in zip(rows_NF, graphs, strict=True):
        names = _needed(graph)
        if len(names) > nodes:
            raise UserError(f"a graph of {len(names)} nodes", "nodes", "as many at least")
        number = {name: i for i, name in enumerate(names)}
        for name in names:
            node = graph.node.get(name)
            first = nodes * (nodes - 1) // 2 + number[name] * NODE_COLUMNS
            row_F[first : first + NODE_COLUMNS] = _node_columns(graph, name, node)
            for value in node.inputs if node else ():
                row_F[place[number[value.partition(":")[0]], number[name]]] = 1
    return rows_NF


def _needed(graph: Graph) -> list[str]:
    """Inputs and nodes from which an output is computed, in their order."""
    needed = {value.partition(":")[0] for value in graph.outputs}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed |= {value.partition(":")[0] for value in node.inputs}
    return [name for name in (*(i.name for i in graph.inputs), *(n.name for n in graph.nodes)) if name in needed]


def _node_columns(graph: Graph, name: str, node: Node | None) -> np.ndarray:
    kind = "input" if node is None else _LIKE.get(node.op, node.op)
    shape, kernel, macs = graph.shapes[name], (0,), 0.0
    if node is not None:
        kernel = tuple(node.attrs.get("kernel", (0,)))
        read = graph.shapes[node.inputs[0]] if node.inputs else shape
        if kind == "conv":
            macs = prod(shape[1:]) * prod(kernel) * read[1] / node.attrs.get("groups", 1)
        elif kind == "linear":
            macs = prod(shape[1:]) * read[-1]
    sizes = [
        log2(shape[1] if len(shape) > 1 else 1) / 10,
        log2(prod(shape[2:])) / 10,
        kernel[0] / 8,
        log2(1 + macs) / 25,
    ]
    return np.r_[[float(kind == k or (k == "other" and kind not in _KINDS)) for k in _KINDS], sizes]

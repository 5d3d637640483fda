"""Workload: a graph as a table of loop nests, the one thing that hardware cost is computed from.

Legend: L layers, D loop dimensions (B G K C OY OX FY FX; K and C per group), O operands (W I O), 2 axes (y, x).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from archip.core.errors import CandidateError, nearest
from archip.ir.graph import Graph, Node
from archip.ir.ops import OPS, attributes, weights

__all__ = ["DIMS", "KINDS", "Workload", "workload"]

DIMS = ("B", "G", "K", "C", "OY", "OX", "FY", "FX")
KINDS = ("conv", "gemm", "vector")
Shape = tuple[int, ...]
_MOST = 2**56  # of what is counted in a row, so that sums fit in 64 bits


@dataclass(frozen=True, eq=False)
class Workload:
    """One row for each node that costs something, in topological order.

    Attributes:
        kinds: ``conv`` and ``gemm`` rows have a loop nest; ``vector`` rows only move data, all their loops are 1.
        dims_LD: sizes of the loops in the order of `DIMS`. A depthwise convolution has G = channels and
            K = C = 1; a GEMM has K = columns of the result, C = the reduction, OY = rows, and G = matrices of a batch.
        stride_L2, padding_L2, dilation_L2: (y, x).
        bits_LO: width of weights, inputs and outputs. density_LO: share of values that are not zero.
        params_L: trained numbers, biases included; tied ones count where they belong.
        moved_LO: elements of the weight, input and output tensors.
        predecessors: rows whose outputs each row reads (through nodes that cost nothing, too).
        ops: operator of each row.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    dims_LD: np.ndarray
    stride_L2: np.ndarray
    padding_L2: np.ndarray
    dilation_L2: np.ndarray
    bits_LO: np.ndarray
    density_LO: np.ndarray
    params_L: np.ndarray
    moved_LO: np.ndarray
    predecessors: tuple[tuple[int, ...], ...]
    ops: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def macs_L(self) -> np.ndarray:
        """Multiply-accumulates of each row; 0 for vector rows."""
        return np.where([k == "vector" for k in self.kinds], 0, self.dims_LD.prod(1)).astype(np.int64)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all rows."""
        return int(self.macs_L.sum())

    @property
    def params(self) -> int:
        """Trained numbers of all rows."""
        return int(self.params_L.sum())

    def select(self, rows: Sequence[int]) -> Workload:
        """These rows, in this order; predecessors that are not among them are dropped."""
        rows = [int(i) for i in rows]
        new = {old: i for i, old in enumerate(rows)}
        columns: dict[str, Any] = {
            name: column[rows] if isinstance(column, np.ndarray) else tuple(column[i] for i in rows)
            for name, column in self._columns().items()
        }
        before = tuple(tuple(new[p] for p in self.predecessors[i] if p in new) for i in rows)
        return Workload(predecessors=before, **columns)

    @classmethod
    def concat(cls, parts: Sequence[Workload]) -> Workload:
        """All rows of several workloads (one at least), one workload after the other."""
        starts = np.cumsum([0, *map(len, parts)])[:-1].tolist()
        before = tuple(
            tuple(i + start for i in row)
            for part, start in zip(parts, starts, strict=True)
            for row in part.predecessors
        )
        columns: dict[str, Any] = {}
        for name, first in parts[0]._columns().items():
            every = [getattr(part, name) for part in parts]
            columns[name] = np.concatenate(every) if isinstance(first, np.ndarray) else sum(every, ())
        return cls(predecessors=before, **columns)

    def unique(self) -> tuple[np.ndarray, np.ndarray]:
        """(first row of each kind of row, index of its kind for every row): rows that cost the same on any hardware."""
        kind_L1 = np.array([KINDS.index(k) for k in self.kinds], np.int64).reshape(-1, 1)
        table = np.hstack([kind_L1, self.dims_LD, self.stride_L2, self.padding_L2, self.dilation_L2, self.bits_LO,
                           self.density_LO, self.moved_LO])  # fmt: skip
        _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
        return first, inverse.reshape(-1)

    def _columns(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "predecessors"}


def workload(
    graph: Graph,
    weight_bits: int | Mapping[str, int] = 8,
    activation_bits: int | Mapping[str, int] = 8,
    density: float | Mapping[str, float] = 1.0,
) -> Workload:
    """The workload of a graph.

    Args:
        graph: its nodes may state their own bits (quantised models do), which then count.
        weight_bits: one width for all rows, or row → width; rows that are not named have 8.
        activation_bits: likewise.
        density: share of the weights that are not zero, for all rows, or row → share; 1 where not named.

    Raises:
        CandidateError: an operator or shapes that do not fit, or a width for a row that does not exist.
    """
    shapes = graph.shapes
    nodes = [node for node in graph.nodes if OPS[node.op].kind != "free"]
    names = tuple(node.name for node in nodes)
    rows = [_row(node, shapes) for node in nodes]
    n = len(rows)
    for row, name in zip(rows, names, strict=True):
        _check_size(row, name)
    column = lambda key, width: np.array([r[key] for r in rows], np.int64).reshape(n, width)  # noqa: E731
    weight = _values(nodes, "weight_bits", weight_bits, 8)
    activation = _values(nodes, "activation_bits", activation_bits, 8)
    density_L = np.array(_values(nodes, "", density, 1.0), np.float64)
    return Workload(
        names=names,
        kinds=tuple(OPS[node.op].kind for node in nodes),
        ops=tuple(node.op for node in nodes),
        dims_LD=column("dims", 8),
        stride_L2=column("stride", 2),
        padding_L2=column("padding", 2),
        dilation_L2=column("dilation", 2),
        bits_LO=np.array([weight, activation, activation], np.int64).reshape(3, n).T.copy(),
        density_LO=np.stack([density_L, np.ones(n), np.ones(n)], 1),
        params_L=np.array([r["params"] for r in rows], np.int64),
        moved_LO=column("moved", 3),
        predecessors=_predecessors(graph, {name: i for i, name in enumerate(names)}),
    )


def _check_size(row: Mapping[str, Any], name: str) -> None:
    """Raises for a row that cannot be, or whose numbers do not fit in 64 bits."""
    if min(*row["dims"], *row["moved"]) < 0:
        raise CandidateError(f"node {name!r} has negative sizes")
    window = (abs(size) for key in _IDLE for size in row[key])
    if max(math.prod(row["dims"]), row["params"], *row["dims"], *row["moved"], *window) >= _MOST:
        raise CandidateError(f"node {name!r} is too large to be counted")


def _values(nodes: Sequence[Node], attribute: str, given: float | Mapping[str, Any], default: float) -> list[Any]:
    """One number a node: what `given` says of it, else the node itself, else the number for all."""
    named, rest = (given, default) if isinstance(given, Mapping) else ({}, given)
    known = {node.name for node in nodes}
    for name in named:
        if name not in known:
            raise CandidateError(f"there is no row {name!r} in the workload ({nearest(name, known)})")
    return [named.get(node.name, node.attrs.get(attribute, rest)) for node in nodes]


def _row(node: Node, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    op, attrs, out = OPS[node.op], attributes(node), shapes[node.name]
    inputs = [shapes[i] for i in node.inputs]
    tensors = weights(node, inputs)
    tied = {name for name, _ in attrs.get("tied", ())}
    slides = op.kind == "conv" and node.op != "conv_transpose"  # whose loops are those of a pointwise convolution
    axes = {key: _pair(attrs[key], len(attrs["kernel"]), key) for key in _IDLE} if slides else _IDLE
    return {
        "dims": op.loops(attrs, inputs, out) if op.loops else (1,) * len(DIMS),
        "params": sum(math.prod(shape) for name, shape in tensors.items() if name not in tied),
        "moved": op.moved(attrs, inputs, out) if op.moved else _all_moved(tensors, inputs, out),
        **axes,
    }


_IDLE = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


def _all_moved(tensors: Mapping[str, Shape], inputs: Sequence[Shape], out: Shape) -> tuple[int, int, int]:
    """Elements of (weights without biases, inputs, first output); biases start the accumulators."""
    multiplied = [shape for name, shape in tensors.items() if name.startswith("weight")]
    return sum(map(math.prod, multiplied)), sum(map(math.prod, inputs)), math.prod(out)


def _pair(value: Any, rank: int, key: str) -> tuple[int, int]:
    """(y, x) of an attribute given for one axis, two axes, or all of them at once."""
    each = (value,) * rank if isinstance(value, int) else tuple(value)
    return (_IDLE[key][0], each[0]) if rank == 1 else (each[-2], each[-1])


def _predecessors(graph: Graph, index: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    """Rows that each row reads from, looking through nodes without a row."""
    makers: dict[str, frozenset[int]] = {i.name: frozenset() for i in graph.inputs}
    before: list[tuple[int, ...]] = []
    for node in graph.nodes:
        read = frozenset[int]().union(*(makers[v.partition(":")[0]] for v in node.inputs))
        if node.name in index:
            before.append(tuple(sorted(read)))
        makers[node.name] = frozenset((index[node.name],)) if node.name in index else read
    return tuple(before)

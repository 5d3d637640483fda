"""Workload: a graph as a table of loop nests, the one thing that hardware cost is computed from.

Legend: L layers, D loop dimensions (B G K C OY OX FY FX; K and C per group), O operands (W I O), 2 axes (y, x).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from archip.core.errors import UserError
from archip.ir.graph import Graph
from archip.ir.ops import OPS, attributes, loop_nest, weights

__all__ = ["DIMS", "Workload", "from_table", "workload"]

DIMS = ("B", "G", "K", "C", "OY", "OX", "FY", "FX")


@dataclass(frozen=True, eq=False)
class Workload:
    """One row for each node that costs something, in topological order.

    Attributes:
        kinds: ``conv`` and ``gemm`` rows have a loop nest; ``vector`` rows only move data, all their loops are 1.
        dims_LD: sizes of the loops in the order of `DIMS`. A depthwise convolution has G = channels and
            K = C = 1; a GEMM has K = columns of the result, C = the reduction, OY = rows, and G = matrices of a batch.
        stride_L2, padding_L2, dilation_L2: (y, x).
        bits_LO: width of weights, inputs and outputs. density_LO: share of values that are not zero.
        params_L: trained numbers, biases included. moved_LO: elements of the weight, input and output tensors.
        predecessors: rows whose outputs each row reads (through nodes that cost nothing, too).
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
        return (
            np.where(np.array(self.kinds) == "vector", 0, self.dims_LD.prod(1)) if len(self) else np.zeros(0, np.int64)
        )

    @property
    def macs(self) -> int:
        return int(self.macs_L.sum())

    @property
    def params(self) -> int:
        return int(self.params_L.sum())

    def select(self, rows: Sequence[int]) -> Workload:
        """These rows, in this order; predecessors that are not among them are dropped."""
        new = {old: i for i, old in enumerate(rows)}
        arrays = {
            f.name: getattr(self, f.name)[list(rows)]
            for f in fields(self)
            if f.name.endswith(("_L", "_LD", "_L2", "_LO"))
        }
        pick = lambda values: tuple(values[i] for i in rows) if values else ()  # noqa: E731
        before = tuple(tuple(new[p] for p in self.predecessors[i] if p in new) for i in rows)
        return Workload(
            names=pick(self.names), kinds=pick(self.kinds), ops=pick(self.ops), predecessors=before, **arrays
        )

    @classmethod
    def concat(cls, parts: Sequence[Workload]) -> Workload:
        """All rows of several workloads, one after the other."""
        starts = np.cumsum([0, *(len(p) for p in parts)])
        before = tuple(tuple(i + s for i in row) for p, s in zip(parts, starts, strict=False) for row in p.predecessors)
        arrays = {
            f.name: np.concatenate([getattr(p, f.name) for p in parts])
            for f in fields(cls)
            if f.name.endswith(("_L", "_LD", "_L2", "_LO"))
        }
        join = lambda name: tuple(v for p in parts for v in getattr(p, name))  # noqa: E731
        return cls(names=join("names"), kinds=join("kinds"), ops=join("ops"), predecessors=before, **arrays)

    def unique(self) -> tuple[np.ndarray, np.ndarray]:
        """(first row of each kind of row, index of its kind for every row): rows that cost the same on any hardware."""
        kind_L1 = np.array([["conv", "gemm", "vector"].index(k) for k in self.kinds])[:, None]
        table = np.hstack([kind_L1, self.dims_LD, self.stride_L2, self.padding_L2, self.dilation_L2, self.bits_LO,
                           self.density_LO, self.moved_LO])  # fmt: skip
        _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
        return first, inverse.reshape(-1)


def workload(graph: Graph, weight_bits: int = 8, activation_bits: int = 8) -> Workload:
    """The workload of a graph with uniform bit widths and no zeros."""
    rows = [_row(graph, node) for node in graph.nodes if OPS[node.op].kind != "free"]
    index = {row["name"]: i for i, row in enumerate(rows)}
    n = len(rows)
    column = lambda key, width: np.array([r[key] for r in rows], np.int64).reshape(n, width)  # noqa: E731
    return Workload(
        names=tuple(r["name"] for r in rows),
        kinds=tuple(r["kind"] for r in rows),
        ops=tuple(r["op"] for r in rows),
        dims_LD=column("dims", 8),
        stride_L2=column("stride", 2),
        padding_L2=column("padding", 2),
        dilation_L2=column("dilation", 2),
        bits_LO=np.tile(np.array([weight_bits, activation_bits, activation_bits], np.int64), (n, 1)),
        density_LO=np.ones((n, 3)),
        params_L=np.array([r["params"] for r in rows], np.int64),
        moved_LO=column("moved", 3),
        predecessors=_predecessors(graph, index),
    )


def _row(graph: Graph, node) -> dict:
    shapes = graph.shapes
    inputs = [shapes[i] for i in node.inputs]
    attrs = attributes(node)
    loops = loop_nest(node, inputs, shapes[node.name])
    tensors = weights(node, inputs)
    second = inputs[1] if node.op == "matmul" else tensors.get("weight", (0,))
    read = inputs[:1] if node.op == "matmul" else inputs
    pair = lambda key: _pair(attrs.get(key), len(attrs.get("kernel", ())), 0 if key == "padding" else 1)  # noqa: E731
    return {
        "name": node.name,
        "kind": OPS[node.op].kind,
        "op": node.op,
        "dims": loops or (1,) * 8,
        "stride": pair("stride") if loops else (1, 1),
        "padding": pair("padding") if loops else (0, 0),
        "dilation": pair("dilation") if loops else (1, 1),
        "params": sum(int(np.prod(s)) for s in tensors.values()),
        "moved": (int(np.prod(second)), sum(int(np.prod(s)) for s in read), int(np.prod(shapes[node.name]))),
    }


def _pair(value: object, rank: int, default: int) -> tuple[int, int]:
    """(y, x) of an attribute given for one axis, two axes, or all of them at once."""
    if value is None or rank == 0:
        return default, default
    each = (value,) * rank if isinstance(value, int) else tuple(value)  # pyright: ignore[reportArgumentType]
    return (default, each[0]) if rank == 1 else (each[-2], each[-1])


def _predecessors(graph: Graph, index: dict[str, int]) -> tuple[tuple[int, ...], ...]:
    """Rows that each row reads from, looking through nodes without a row."""
    makers: dict[str, frozenset[int]] = {i.name: frozenset() for i in graph.inputs}
    before: list[tuple[int, ...]] = []
    for node in graph.nodes:
        read = frozenset().union(*(makers[v.partition(":")[0]] for v in node.inputs))
        if node.name in index:
            before.append(tuple(sorted(read)))
        makers[node.name] = frozenset((index[node.name],)) if node.name in index else read
    return tuple(before)


_COLUMNS = ("N", "K", "C", "OY", "OX", "FY", "FX", "stride", "padding", "groups")


def from_table(path: str | Path, weight_bits: int = 8, activation_bits: int = 8) -> Workload:
    """A layer table: CSV with the columns layer, op, N, K, C, OY, OX, FY, FX, stride, padding, groups.

    Raises:
        UserError: a missing column, or a cell that is not a whole number of the right size; names row and column.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read as a layer table: {error}", str(path)) from None
    missing = [c for c in ("layer", "op", *_COLUMNS) if c not in header]
    if missing:
        raise UserError(f"column {missing[0]!r} is missing", str(path), "columns: layer, op, " + ", ".join(_COLUMNS))
    if not rows:
        raise UserError("the table has no rows", str(path), "one row a layer")
    parsed = [_table_row(row, i, path) for i, row in enumerate(rows, 2)]
    n = len(parsed)
    numbers = np.array([[p[c] for c in _COLUMNS] for p in parsed], np.int64)
    b, k, c, oy, ox, fy, fx, stride, padding, groups = numbers.T
    dims_LD = np.stack([b, groups, k // groups, c // groups, oy, ox, fy, fx], 1)
    iy, ix = (oy - 1) * stride + fy, (ox - 1) * stride + fx
    moved_LO = np.stack(
        [k * c // groups * fy * fx, b * c * (iy - 2 * padding) * (ix - 2 * padding), b * k * oy * ox], 1
    )
    return Workload(
        names=tuple(p["layer"] for p in parsed),
        kinds=tuple("gemm" if p["op"] == "gemm" else "conv" for p in parsed),
        ops=tuple(p["op"] for p in parsed),
        dims_LD=dims_LD,
        stride_L2=np.stack([stride, stride], 1),
        padding_L2=np.stack([padding, padding], 1),
        dilation_L2=np.ones((n, 2), np.int64),
        bits_LO=np.tile(np.array([weight_bits, activation_bits, activation_bits], np.int64), (n, 1)),
        density_LO=np.ones((n, 3)),
        params_L=moved_LO[:, 0],
        moved_LO=moved_LO,
        predecessors=tuple(() if i == 0 else (i - 1,) for i in range(n)),
    )


def _table_row(row: dict[str, str], line: int, path: str | Path) -> dict:
    where = f"{path}: row {line}"
    if row["op"] not in ("conv", "dwconv", "gemm"):
        raise UserError(f"unknown op {row['op']!r}", f"{where}, column op", "conv, dwconv or gemm")
    out: dict = {"layer": row["layer"], "op": row["op"]}
    for column in _COLUMNS:
        least = 0 if column == "padding" else 1
        try:
            out[column] = int(row[column])
        except (TypeError, ValueError):
            raise UserError(f"{row[column]!r} is not a whole number", f"{where}, column {column}") from None
        if not least <= out[column] < 2**31:
            raise UserError(f"{out[column]} is out of range", f"{where}, column {column}", f"at least {least}")
    if out["K"] % out["groups"] or out["C"] % out["groups"]:
        raise UserError(f"K and C do not divide into {out['groups']} groups", f"{where}, column groups")
    return out

"""Layer tables: one row a layer, the form in which papers and cost models give networks; columns, or a workload."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archip.core.errors import UserError, nearest
from archip.ir.workload import DIMS, Workload

__all__ = ["LayerTable", "from_table"]

Ints = NDArray[np.int64]
Rows = list[dict[str, str]]
_DEFAULTS = {"N": 1, "OY": 1, "OX": 1, "FY": 1, "FX": 1, "stride": 1, "padding": 0, "groups": 1}
_MOST = 2**40
_MOST_ROWS = 100_000
_MOST_COUNTED = 2.0**56  # operations or numbers of a layer, so that sums fit in 64 bits
_OPS = {"conv": "conv", "dwconv": "conv", "gemm": "gemm"}


@dataclass(frozen=True)
class LayerTable:
    """Convolutions and matrix products, one a row; every column is an int64 array [L].

    K and C count all groups together. A matrix product has K = columns of the result, C = the reduction, OY = rows of
    the result. Stride, padding and groups hold for both directions.
    """

    N: Ints
    K: Ints
    C: Ints
    OY: Ints
    OX: Ints
    FY: Ints
    FX: Ints
    stride: Ints
    padding: Ints
    groups: Ints

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike]) -> LayerTable:
        """A table of these columns; K and C are required, other missing ones have their neutral value.

        Raises:
            UserError: a column that is missing, not positive, or does not fit the others; names row and column.
        """
        return cls._of(columns, "layer table", lambda row: f"layer table: row {row + 1}")

    @classmethod
    def read_csv(cls, path: str | Path) -> LayerTable:
        """The table in a CSV file; columns of other names are ignored.

        Raises:
            UserError: the file cannot be read or a cell does not fit; names row and column.
        """
        return cls._of_rows(_read(path), path)

    @classmethod
    def of_workload(cls, workload: Workload) -> LayerTable:
        """The rows of a workload that have a loop nest; rows that only move data are left out.

        Raises:
            UserError: a dilated layer, or one whose strides differ where both directions have outputs.
        """
        rows = [i for i, kind in enumerate(workload.kinds) if kind != "vector"]
        columns = dict(zip(DIMS, workload.dims_LD[rows].T, strict=True))
        strides = np.where(np.stack([columns["OY"], columns["OX"]], axis=1) > 1, workload.stride_L2[rows], 1)
        stride = strides.max(axis=1, initial=1)
        odd = ((strides != stride[:, None]) & (strides > 1)).any(axis=1) | (workload.dilation_L2[rows] > 1).any(axis=1)
        if odd.any():
            name = workload.names[rows[int(np.argmax(odd))]]
            raise UserError("dilation and unequal strides are unknown to this model", f"layer {name}")
        groups = columns["G"]
        sizes = {name: columns[name] for name in ("OY", "OX", "FY", "FX")}
        channels = {"K": columns["K"] * groups, "C": columns["C"] * groups}
        return cls.of({"N": columns["B"], **channels, **sizes, "stride": stride, "groups": groups})

    @classmethod
    def _of_rows(cls, rows: Rows, path: str | Path) -> LayerTable:
        where = lambda row: f"{path}: row {row + 2}"  # noqa: E731 - the header is row 1
        names = [f.name for f in fields(cls) if f.name in rows[0]]
        return cls._of({name: _whole(rows, name, where) for name in names}, str(path), where)

    @classmethod
    def _of(cls, columns: Mapping[str, ArrayLike], name: str, where: Callable[[int], str]) -> LayerTable:
        for required in ("K", "C"):
            if required not in columns:
                raise UserError(f"column {required} is missing", name, nearest(required, columns))
        values = [np.asarray(columns.get(f.name, _DEFAULTS.get(f.name)), dtype=np.int64) for f in fields(cls)]
        table = cls(*(np.atleast_1d(a) for a in np.broadcast_arrays(*values)))
        table._check(where)
        return table

    def _check(self, where: Callable[[int], str]) -> None:
        for f in fields(self):
            column, least = getattr(self, f.name), 0 if f.name == "padding" else 1
            for row in np.flatnonzero((column < least) | (column >= _MOST))[:1]:
                raise UserError(f"{column[row]} is out of range", f"{where(row)}, column {f.name}", f"at least {least}")
        for row in np.flatnonzero((self.K % self.groups != 0) | (self.C % self.groups != 0))[:1]:
            what = f"K {self.K[row]} and C {self.C[row]} do not divide into {self.groups[row]} groups"
            raise UserError(what, f"{where(row)}, column groups")
        sides = [(size - 1.0) * self.stride + window for size, window in ((self.OY, self.FY), (self.OX, self.FX))]
        inputs = 1.0 * self.N * self.C * sides[0] * sides[1]
        for row in np.flatnonzero(np.maximum(self.dims_LD.prod(axis=1, dtype=float), inputs) >= _MOST_COUNTED)[:1]:
            raise UserError("the layer is too large to be counted", where(row), "fewer than 2^56 operations and inputs")

    def __len__(self) -> int:
        return len(self.K)

    def select(self, rows: ArrayLike) -> LayerTable:
        """The table of these rows (indices or a mask)."""
        return LayerTable(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def depthwise(self) -> NDArray[np.bool_]:
        """Which layers have one filter a channel, [L]."""
        return (self.groups > 1) & (self.groups == self.C) & (self.groups == self.K)

    @property
    def dims_LD(self) -> Ints:
        """Loop sizes of each layer, [L, 8] in the order B G K C OY OX FY FX; K and C of one group."""
        sizes = (self.OY, self.OX, self.FY, self.FX)
        return np.stack([self.N, self.groups, self.K // self.groups, self.C // self.groups, *sizes], axis=1)

    @property
    def macs(self) -> Ints:
        """Multiply-accumulates of each layer, [L]."""
        return self.dims_LD.prod(axis=1)

    @property
    def IY(self) -> Ints:
        """Rows of the padded input that the filter sweeps over, [L]."""
        return (self.OY - 1) * self.stride + self.FY

    @property
    def IX(self) -> Ints:
        """Columns of the padded input that the filter sweeps over, [L]."""
        return (self.OX - 1) * self.stride + self.FX


def from_table(
    path: str | Path, network: str | None = None, weight_bits: int = 8, activation_bits: int = 8
) -> Workload:
    """The workload of a layer table; layers of one network form a chain.

    Columns: layer, op (conv, dwconv, gemm), N, K, C (of all groups together), OY, OX, FY, FX, stride, padding, groups;
    and if they are there: network, count (how often the layer occurs; it becomes as many rows), MACs (checked). A gemm
    has K = columns of the result, C = the reduction, OY = rows.

    Args:
        path: the CSV file.
        network: only the layers of this network.
        weight_bits, activation_bits: widths of all rows.

    Raises:
        UserError: a file that cannot be read, a missing column, a cell that does not fit; names row and column.
    """
    rows = _read(path, ("layer", "op", *(f.name for f in fields(LayerTable))))
    where = lambda row: f"{path}: row {row + 2}"  # noqa: E731
    for row, cells in enumerate(rows):
        if cells["op"] not in _OPS:
            right = nearest(str(cells["op"]), _OPS)
            raise UserError(f"unknown operator {cells['op']!r}", f"{where(row)}, column op", right)
    table = LayerTable._of_rows(rows, path)
    _check_macs(rows, table, where)
    counts = _whole([{"count": row.get("count") or "1"} for row in rows], "count", where)
    if counts.sum(dtype=float) > _MOST_ROWS:
        raise UserError(
            f"layers occur {counts.sum(dtype=float):g} times", f"{path}: column count", f"at most {_MOST_ROWS}"
        )
    networks = [row.get("network") or "" for row in rows]
    if network is not None and network not in networks:
        raise UserError(f"there is no network {network!r}", f"{path}: column network", nearest(network, networks))
    taken = [(i, k) for i in range(len(rows)) if network in (None, networks[i]) for k in range(counts[i])]
    return _workload(rows, table.select([i for i, _ in taken]), networks, taken, (weight_bits, activation_bits))


def _read(path: str | Path, required: Sequence[str] = ()) -> Rows:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read as a layer table: {error}", str(path)) from None
    missing = [c for c in required if c not in header]
    if missing:
        raise UserError(f"column {missing[0]} is missing", str(path), f"the columns {', '.join(required)}")
    if not rows:
        raise UserError("the table has no rows", str(path), "one row a layer")
    return rows


def _whole(rows: Rows, name: str, where: Callable[[int], str]) -> Ints:
    """A column of whole numbers from 1 (padding: 0)."""
    column, least = np.empty(len(rows), np.int64), 0 if name == "padding" else 1
    for row, cells in enumerate(rows):
        try:
            value = int(cells[name])
        except ValueError:
            what = f"{cells[name]!r} is not a whole number"
            raise UserError(what, f"{where(row)}, column {name}", f"at least {least}") from None
        if not least <= value < _MOST:
            raise UserError(f"{value} is out of range", f"{where(row)}, column {name}", f"at least {least}")
        column[row] = value
    return column


def _check_macs(rows: Rows, table: LayerTable, where: Callable[[int], str]) -> None:
    given = [row for row, cells in enumerate(rows) if cells.get("MACs")]
    for row, macs in zip(given, _whole([rows[row] for row in given], "MACs", lambda i: where(given[i])), strict=True):
        if macs != table.macs[row]:
            right = f"{table.macs[row]}, or an empty cell"
            raise UserError(f"{macs} does not fit the row", f"{where(row)}, column MACs", right)


def _workload(
    rows: Rows, t: LayerTable, networks: Sequence[str], taken: Sequence[tuple[int, int]], bits: tuple[int, int]
) -> Workload:
    """The workload of the layers `t`; each is a row of the file, and the how-manieth that this row stands for."""
    weight_bits, activation_bits = bits
    touched = lambda size, padding: np.maximum(size - 2 * padding, 1)  # noqa: E731
    weights, outputs = t.K * (t.C // t.groups) * t.FY * t.FX, t.N * t.K * t.OY * t.OX
    moved_LO = np.stack([weights, t.N * t.C * touched(t.IY, t.padding) * touched(t.IX, t.padding), outputs], 1)
    follows = [p > 0 and networks[i] == networks[taken[p - 1][0]] for p, (i, _) in enumerate(taken)]
    ops = [rows[i]["op"] for i, _ in taken]
    return Workload(
        names=tuple(rows[i]["layer"] + (f".{k + 1}" if k else "") for i, k in taken),
        kinds=tuple(_OPS[op] for op in ops),
        ops=tuple("linear" if op == "gemm" else "conv" for op in ops),
        dims_LD=t.dims_LD,
        stride_L2=np.stack([t.stride, t.stride], 1),
        padding_L2=np.stack([t.padding, t.padding], 1),
        dilation_L2=np.ones((len(t), 2), np.int64),
        bits_LO=np.tile(np.array([weight_bits, activation_bits, activation_bits], np.int64), (len(t), 1)),
        density_LO=np.ones((len(t), 3)),
        params_L=moved_LO[:, 0].copy(),
        moved_LO=moved_LO,
        predecessors=tuple((p - 1,) if after else () for p, after in enumerate(follows)),
    )

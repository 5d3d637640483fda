"""Layer tables: the columns that the reference cost models read, as arrays."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archip.core.errors import UserError, nearest
from archip.ir.workload import DIMS, Workload

__all__ = ["LayerTable"]

Ints = NDArray[np.int64]
_DEFAULTS = {"N": 1, "OY": 1, "OX": 1, "FY": 1, "FX": 1, "stride": 1, "padding": 0, "groups": 1}


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
            UserError: a column that is missing, not positive, or does not fit the others.
        """
        for name in ("K", "C"):
            if name not in columns:
                raise UserError(f"column {name} is missing", "layer table", nearest(name, columns))
        names = [f.name for f in fields(cls)]
        values = [np.asarray(columns.get(name, _DEFAULTS.get(name)), dtype=np.int64) for name in names]
        table = cls(*(np.atleast_1d(a) for a in np.broadcast_arrays(*values)))
        table._check()
        return table

    @classmethod
    def read_csv(cls, path: str | Path) -> LayerTable:
        """The table in a CSV file; columns of other names are ignored.

        Raises:
            UserError: the file cannot be read or a cell is not a whole number.
        """
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", str(path)) from None
        if not rows:
            raise UserError("the table has no rows", str(path))
        names = [f.name for f in fields(cls) if f.name in rows[0]]
        try:
            return cls.of({name: [int(row[name]) for row in rows] for name in names})
        except (ValueError, TypeError):
            raise UserError("a cell is not a whole number", str(path)) from None
        except UserError as error:
            raise error.in_file(path) from None

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

    def _check(self) -> None:
        for f in fields(self):
            column = getattr(self, f.name)
            least = 0 if f.name == "padding" else 1
            if (column < least).any():
                row = int(np.argmax(column < least))
                raise UserError(f"{f.name} is {column[row]}", f"layer table: row {row + 1}", f"at least {least}")
        uneven = (self.K % self.groups != 0) | (self.C % self.groups != 0)
        if uneven.any():
            row = int(np.argmax(uneven))
            raise UserError("groups do not divide K and C", f"layer table: row {row + 1}.groups")

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
        return self.N * self.K * (self.C // self.groups) * self.OY * self.OX * self.FY * self.FX

    @property
    def IY(self) -> Ints:
        """Rows of the padded input that the filter sweeps over, [L]."""
        return (self.OY - 1) * self.stride + self.FY

    @property
    def IX(self) -> Ints:
        """Columns of the padded input that the filter sweeps over, [L]."""
        return (self.OX - 1) * self.stride + self.FX

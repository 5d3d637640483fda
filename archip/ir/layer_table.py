"""Layer tables: a workload from a CSV file with one row a layer, the form in which papers and cost models give them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from archip.core.errors import UserError, nearest
from archip.ir.workload import Workload

__all__ = ["from_table"]

_NUMBERS = ("N", "K", "C", "OY", "OX", "FY", "FX", "stride", "padding", "groups")
_DEFAULTS = {"count": "1", "network": ""}
_OPS = {"conv": "conv", "dwconv": "conv", "gemm": "gemm"}
Row = Mapping[str, str | int]


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
    rows = [_parsed(row, f"{path}: row {line}") for line, row in enumerate(_read(path), 2)]
    if network is not None:
        known = {str(row["network"]) for row in rows}
        if network not in known:
            raise UserError(f"there is no network {network!r}", f"{path}: column network", nearest(network, known))
        rows = [row for row in rows if row["network"] == network]
    return _workload([(row, k) for row in rows for k in range(int(row["count"]))], weight_bits, activation_bits)


def _read(path: str | Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read as a layer table: {error}", str(path)) from None
    missing = [c for c in ("layer", "op", *_NUMBERS) if c not in header]
    if missing:
        raise UserError(f"column {missing[0]} is missing", str(path), f"the columns layer, op, {', '.join(_NUMBERS)}")
    if not rows:
        raise UserError("the table has no rows", str(path), "one row a layer")
    return rows


def _parsed(row: Mapping[str, str | None], where: str) -> Row:
    cells = {**_DEFAULTS, **{k: v for k, v in row.items() if v is not None}}
    if row["op"] not in _OPS:
        raise UserError(f"unknown operator {row['op']!r}", f"{where}, column op", nearest(str(row["op"]), _OPS))
    out: dict[str, str | int] = {k: cells[k] for k in ("layer", "op", "network")}
    out |= {
        k: _whole(cells.get(k, ""), f"{where}, column {k}", 0 if k == "padding" else 1) for k in (*_NUMBERS, "count")
    }
    n, k, c, oy, ox, fy, fx, _, _, groups = (int(out[name]) for name in _NUMBERS)
    if k % groups or c % groups:
        raise UserError(f"K {k} and C {c} do not divide into {groups} groups", f"{where}, column groups")
    macs = math.prod((n, k, c // groups, oy, ox, fy, fx))
    if cells.get("MACs") and _whole(cells["MACs"], f"{where}, column MACs", 1) != macs:
        raise UserError(f"{cells['MACs']} does not fit the row", f"{where}, column MACs", f"{macs}, or an empty cell")
    return out


def _whole(text: str, where: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UserError(f"{text!r} is not a whole number", where, f"at least {least}") from None
    if not least <= value < 2**40:
        raise UserError(f"{value} is out of range", where, f"at least {least}")
    return value


def _workload(rows: Sequence[tuple[Row, int]], weight_bits: int, activation_bits: int) -> Workload:
    n = len(rows)
    numbers = np.array([[row[c] for c in _NUMBERS] for row, _ in rows], np.int64)
    b, k, c, oy, ox, fy, fx, stride, padding, groups = numbers.T
    touched = lambda out, taps: np.maximum((out - 1) * stride + taps - 2 * padding, 1)  # noqa: E731
    moved_LO = np.stack([k * c // groups * fy * fx, b * c * touched(oy, fy) * touched(ox, fx), b * k * oy * ox], 1)
    follows = [i > 0 and rows[i][0]["network"] == rows[i - 1][0]["network"] for i in range(n)]
    return Workload(
        names=tuple(f"{row['layer']}" if repeat == 0 else f"{row['layer']}.{repeat + 1}" for row, repeat in rows),
        kinds=tuple(_OPS[str(row["op"])] for row, _ in rows),
        ops=tuple("linear" if row["op"] == "gemm" else "conv" for row, _ in rows),
        dims_LD=np.stack([b, groups, k // groups, c // groups, oy, ox, fy, fx], 1),
        stride_L2=np.stack([stride, stride], 1),
        padding_L2=np.stack([padding, padding], 1),
        dilation_L2=np.ones((n, 2), np.int64),
        bits_LO=np.tile(np.array([weight_bits, activation_bits, activation_bits], np.int64), (n, 1)),
        density_LO=np.ones((n, 3)),
        params_L=moved_LO[:, 0].copy(),
        moved_LO=moved_LO,
        predecessors=tuple((i - 1,) if follows[i] else () for i in range(n)),
    )

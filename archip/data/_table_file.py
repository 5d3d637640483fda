"""Columns of a table's files: CSV, gzipped or not, and npz."""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.errors import UserError, nearest
from archip.data._table_spec import listed

__all__ = ["Columns", "read_columns"]

_MOST_LISTED = 12
_ELEMENT = re.compile(r"(.+)\[(\d+)\]$")


@dataclass
class Columns:
    """One file's columns of equal length.

    Attributes:
        first_line: line of the file in which row 0 stands, for messages; rows of npz files count from 0.
        row_N: which rows of the file these are; None: all.
    """

    path: Path
    arrays: Any
    first_line: int
    row_N: np.ndarray | None = None

    @cached_property
    def n_rows(self) -> int:
        return max((len(self.arrays[name]) for name in self.arrays), default=0)

    @cached_property
    def names(self) -> list[str]:
        """Names of columns; of a matrix ``name[0]``, ``name[1]`` …, or with the names that another array gives."""
        names = []
        for name in self.arrays:
            array = self.arrays[name]
            names += [f"{name}[{i}]" for i in range(array.shape[1])] if array.ndim == 2 else [name]
        return names

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> np.ndarray:
        """[N] a column: texts of a CSV file, numbers of an npz file.

        Raises:
            UserError: there is none of this name.
        """
        if name not in self.names and name not in self.arrays:
            raise UserError(f"there is no column {name!r}", str(self.path), nearest(name, self.names))
        element = _ELEMENT.match(name)
        array = self.arrays[element[1]][:, int(element[2])] if element else self.arrays[name]
        if len(array) != self.n_rows:
            raise UserError(f"column {name!r} has {len(array)} rows, not {self.n_rows}", str(self.path))
        return array

    def place(self, row: int) -> str:
        """Where row `row` stands, for messages."""
        row = row if self.row_N is None else int(self.row_N[row])
        return f"{self.path.name}: line {row + self.first_line}" if self.first_line else f"{self.path.name}: row {row}"

    def where(self, values: Mapping[str, str | int | float]) -> Columns:
        """The rows that have these values in these columns.

        Raises:
            UserError: no column of this name, or no row with this value, with the values that there are.
        """
        row_N = np.arange(self.n_rows)
        for name, value in values.items():
            if name not in self:
                raise UserError(f"{self.path.name} has no such column", name, nearest(name, self.names))
            column = self[name]
            kept = column == (str(value) if column.dtype.kind == "U" else value)
            if not kept[row_N].any():
                there = np.unique(column[row_N]).astype(str).tolist()
                right = nearest(str(value), there) if len(there) <= _MOST_LISTED else f"there are {listed(there)}"
                raise UserError(f"{self.path.name} has no row with {value!r}", name, right)
            row_N = row_N[kept[row_N]]
        return Columns(self.path, {name: array[row_N] for name, array in self.arrays.items()}, self.first_line, row_N)

    def renamed(self, prefix: str) -> Columns:
        """The same columns with `prefix` before their names."""
        arrays = {prefix + name: array for name, array in self.arrays.items()}
        return Columns(self.path, arrays, self.first_line, self.row_N)

    def numbers(self, name: str) -> np.ndarray:
        """[N] a column as floats; empty cells are NaN.

        Raises:
            UserError: a cell that is no number, with its row.
        """
        column = self[name]
        if column.dtype.kind != "U":
            return column.astype(float)
        try:
            return np.where(column == "", "nan", column).astype(float)
        except ValueError:
            row = next(i for i, text in enumerate(column) if text and not _is_number(text))
            raise UserError(f"{name}: {str(column[row])!r} is not a number", self.place(row)) from None


def read_columns(path: Path, rows: str | None = None) -> Columns:
    """The columns of a CSV or npz file.

    Args:
        rows: of an npz file, the array whose length is the number of rows; by default the longest. Arrays of other
            lengths are no columns.

    Raises:
        UserError: it cannot be read, or its rows differ in length.
    """
    try:
        if path.suffix == ".npz":
            return Columns(path, _read_npz(path, rows), first_line=0)
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        header, *lines = csv.reader(data.decode("utf-8-sig").splitlines())
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, csv.Error) as error:
        raise UserError(f"cannot be read as a table: {error}", str(path), "a CSV, CSV.GZ or NPZ file") from None
    for i, line in enumerate(lines):
        if len(line) != len(header):
            raise UserError(f"{len(line)} cells, but {len(header)} columns", f"{path.name}: line {i + 2}")
    if not lines:
        raise UserError("the table has no rows", str(path))
    return Columns(path, dict(zip(header, map(np.array, zip(*lines, strict=True)), strict=True)), first_line=2)


def _read_npz(path: Path, rows: str | None) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    if rows is not None and rows not in found:
        raise UserError(f"there is no array {rows!r}", str(path), nearest(rows, found))
    n_rows = len(found[rows]) if rows else max(map(len, found.values()))
    return {name: array for name, array in found.items() if len(array) == n_rows}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

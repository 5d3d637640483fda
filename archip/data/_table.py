"""Table: a benchmark whose answers are known. A file of rows, and a YAML that says what its columns mean.

One code path for all tables: a new one needs a YAML (`archip/data/tables/` has examples), not code.

Legend: N rows, G genes, S statistics.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from archip.core.encoding import encode_codes
from archip.core.errors import UserError, nearest
from archip.core.knobs import Choice
from archip.core.units import parse_quantity
from archip.data._cache import find_file, missing
from archip.data._table_file import Columns, read_columns
from archip.data._table_genes import Keys, read_keys
from archip.data._table_spec import MetricColumn, Search, TableSpec, listed, read_spec

__all__ = ["Table", "load_table"]


@lru_cache(maxsize=4)
def load_table(name: str, folder: str | None = None) -> Table:
    """A known table by name, or the one that a YAML file declares.

    Args:
        folder: where its files are; by default ``$ARCHIP_DATA``, the user's cache, and for a YAML file its own folder.

    Raises:
        UserError: unknown table, missing file, or rows that cannot be read, with the row.
    """
    spec, path = read_spec(name)
    table = Table(name if path.stem == name else path.stem, spec, _Files(spec, path, folder))
    _ = table.keys  # reads the rows: what is wrong with them is said now
    return table


class _Files:
    """The files of a table: the main one, and those that are joined to it, read when they are needed."""

    def __init__(self, spec: TableSpec, declaration: Path, folder: str | None) -> None:
        self.spec, self._declaration, self._folder = spec, declaration, folder

    @cached_property
    def main(self) -> Columns:
        path = self._find(self.spec.file)
        if path is None:
            how = f"put it there or name its folder with --data; official data: {self.spec.official}"
            if self._folder is not None:
                raise UserError(f"there is no file {self.spec.file}", self._folder, how)
            raise missing(self.spec.file, how)
        return self._chosen(read_columns(path, self.spec.rows), self.spec.where, "where")

    def _chosen(self, columns: Columns, where: Mapping[str, str | int | float], key: str) -> Columns:
        try:
            return columns.where(where) if where else columns
        except UserError as error:
            raise error.at(key).in_file(self._declaration) from None

    @cached_property
    def joined(self) -> list[tuple[Columns, np.ndarray]]:
        """Each joined file with, for each row of the table, the row in it, or -1."""
        found = []
        for join in self.spec.join:
            path = self._find(join.file)
            if path is None and join.optional:
                continue
            if path is None:
                raise missing(join.file, f"official data: {self.spec.official}")
            columns = self._chosen(read_columns(path), join.where, f"join[{join.file}].where")
            row_of = {str(key): row for row, key in enumerate(columns[join.key or join.by].tolist())}
            if len(row_of) < columns.n_rows:
                raise UserError(
                    f"{join.file} has several rows of one {join.by}", self.spec.file, "each once, or where:"
                )
            rows_N = np.array([row_of.get(str(key), -1) for key in self.main[join.by].tolist()])
            if not join.partial and (rows_N < 0).any():
                row = int(np.argmin(rows_N))
                key = self.main[join.by][row]
                raise UserError(f"{join.file} has no row with {join.by} {key}", self.main.place(row))
            found.append((columns.renamed(join.prefix), rows_N))
        return found

    @property
    def names(self) -> list[str]:
        return self.main.names + [name for columns, _ in self.joined for name in columns.names]

    def numbers(self, column: str) -> np.ndarray:
        """[rows of the main file] a column as floats, NaN where missing."""
        if column in self.main:
            return self.main.numbers(column)
        for columns, rows_N in self.joined:
            if column in columns:
                return np.where(rows_N >= 0, columns.numbers(column)[rows_N], np.nan)
        absent = [j.file for j in self.spec.join if self._find(j.file) is None]
        right = f"the file {listed(absent)} may have it, which is missing" if absent else nearest(column, self.names)
        raise UserError(f"there is no column {column!r}", self.spec.file, right)

    def _find(self, file: str) -> Path | None:
        if self._folder is not None:
            path = Path(self._folder).expanduser() / file
            return path if path.exists() else None
        beside = self._declaration.parent / file
        return beside if beside.exists() else find_file(file)


@dataclass
class Table:
    """A table, read as far as it is used."""

    name: str
    spec: TableSpec
    files: _Files

    @cached_property
    def keys(self) -> Keys:
        """The genes of all rows; rows of one key are one row here."""
        keys = read_keys(self.spec, self.files.main)
        packed_M = np.ascontiguousarray(keys.codes_NG).view(f"V{keys.codes_NG.itemsize * keys.codes_NG.shape[1]}")[:, 0]
        _, first_N, self._group_M = np.unique(packed_M, return_index=True, return_inverse=True)
        if len(first_N) == len(packed_M):  # the order of the file
            self._group_M = None
            return keys
        if self.spec.duplicates == "refuse":
            row = int(np.setdiff1d(np.arange(len(packed_M)), first_N)[0])
            twin = int(first_N[self._group_M[row]])
            text = f"the same architecture as in {self.files.main.place(twin)}"
            raise UserError(text, self.files.main.place(row), "each once, or duplicates: mean")
        return Keys(keys.knobs, keys.codes_NG[first_N], np.arange(len(first_N)))

    @property
    def n_rows(self) -> int:
        return len(self.keys.codes_NG)

    @property
    def knobs(self) -> Mapping[str, Choice]:
        return self.keys.knobs

    @cached_property
    def metrics(self) -> dict[str, MetricColumn]:
        """Metric → its column, with names that contain a ``*`` spelt out."""
        spelt: dict[str, MetricColumn] = {}
        for name, column in self.spec.metrics.items():
            if "*" not in name:
                spelt[name] = column
                continue
            before, _, after = column.column.partition("*")
            for found in fnmatch.filter(self.files.names, column.column.replace("[", "[[]")):
                star = found[len(before) : len(found) - len(after)]
                spelt[name.replace("*", star)] = MetricColumn(found, column.unit, column.may_miss, column.additive)
        return spelt

    def metric_name(self, name: str) -> str:
        """The full name of a metric given in full, by an alias, or without its last part.

        Raises:
            UserError: the table has none of this name.
        """
        name = self.spec.aliases.get(name, name)
        if name in self.metrics:
            return name
        short = [full for full in self.metrics if full.rpartition(".")[0] == name or full.rpartition(".")[2] == name]
        if len(short) == 1:
            return short[0]
        known = [*self.spec.aliases, *self.metrics]
        right = f"one of {listed(short)}" if short else nearest(name, known)
        raise UserError(f"the table {self.name} has no metric {name!r}", right=right)

    def metric(self, name: str) -> np.ndarray:
        """[N] a metric in SI units (accuracies as shares); NaN in rows that lack it.

        Raises:
            UserError: no such metric, or a missing value where none is allowed, with the row.
        """
        name = self.metric_name(name)
        if name not in self._values:
            self._values[name] = self._read(name, self.metrics[name])
        return self._values[name]

    @cached_property
    def _values(self) -> dict[str, np.ndarray]:
        return {}

    def _read(self, name: str, column: MetricColumn) -> np.ndarray:
        raw_M = self.files.numbers(column.column)
        if not (column.may_miss or column.additive) and not np.isfinite(raw_M).all():
            row = int(np.argmin(np.isfinite(raw_M)))
            what = "is empty" if np.isnan(raw_M[row]) else f"is {raw_M[row]}"
            right = "a number, or may_miss: true in the table's declaration"
            raise UserError(f"{column.column} {what}", self.files.main.place(row), right)
        factor = _factor(column.unit, name) if isinstance(column.unit, str) else column.unit
        values_N = factor * self._merged(np.where(np.isfinite(raw_M), raw_M, np.nan))
        return self._filled(values_N) if column.additive else values_N

    def _merged(self, raw_M: np.ndarray) -> np.ndarray:
        """[N] the mean over the rows of one key; those that are missing do not count."""
        if self._group_M is None:
            return raw_M
        known = np.isfinite(raw_M)
        counts_N = np.bincount(self._group_M, known)
        sums_N = np.bincount(self._group_M, np.where(known, raw_M, 0.0))
        return np.divide(sums_N, counts_N, out=np.full(len(counts_N), np.nan), where=counts_N > 0)

    def _filled(self, values_N: np.ndarray) -> np.ndarray:
        """Missing values by least squares on the genes."""
        X_NF = np.column_stack([encode_codes(self.keys.codes_NG, list(self.knobs.values())), np.ones(len(values_N))])
        known = np.isfinite(values_N)
        weights_F = np.linalg.lstsq(X_NF[known], values_N[known], rcond=None)[0]
        return np.where(known, values_N, X_NF @ weights_F)

    @cached_property
    def statistics_NS(self) -> np.ndarray:
        """[N, S] what is known of every row without training; infinities become the largest finite value."""
        columns = [np.zeros((self.n_rows, 0))]
        for statistic in self.spec.statistics:
            if statistic.column not in self.files.names:
                continue  # of an optional file that is not there
            raw = self.files.numbers(statistic.column)
            finite = np.isfinite(raw)
            raw = self._merged(np.clip(np.where(np.isnan(raw), raw[finite].min(), raw), None, raw[finite].max()))
            columns.append((np.sign(raw) * np.log1p(np.abs(raw)) if statistic.log else raw)[:, None])
        return np.concatenate(columns, axis=1)

    def search(self, name: str | None = None) -> tuple[str, Search]:
        """(name, what is searched for): one that is declared, or a metric that is searched for and reported itself.

        Raises:
            UserError: neither a search nor a metric of this table.
        """
        searches = self.spec.searches
        if name is None or name in searches:
            name = name or next(iter(searches))
            return name, searches[name]
        try:
            full = self.metric_name(name)
        except UserError as error:
            raise UserError(error.what, right=f"{', '.join(searches)}; or a metric: {error.right}") from None
        return name, Search(full, [full])


def _factor(unit: str, name: str) -> float:
    try:
        return parse_quantity(f"1 {unit}").value
    except UserError as error:
        raise error.at(f"metrics.{name}.unit") from None

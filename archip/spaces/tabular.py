"""Tabular: the networks of a benchmark whose accuracies are known, as a space to search.

Choose it to compare strategies (`archip bench`) or to try one out in milliseconds an evaluation; the table says what
its networks are. Rows that are the same network (isomorphic cells) are one genotype, that of the first of them.
Source: ours; the tables name theirs (`archip/data/tables/*.yaml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from archip.core.encoding import INACTIVE, encode_codes
from archip.core.errors import UserError, nearest
from archip.core.knobs import Choice
from archip.data._table import Table, load_table
from archip.spaces._cell_paths import path_counts
from archip.spaces._graph_steps import GraphSteps
from archip.spaces._table_decisions import Decisions
from archip.spaces._table_steps import GridSteps, NearestSteps, is_grid

__all__ = ["Tabular"]

_KEPT = 20_000  # genotypes that are remembered, some 30 MB


@dataclass(frozen=True)
class Tabular:
    """The genotypes of a table: gene → value, without the genes that a row lacks.

    Attributes:
        table: a known table, or the path of a YAML file that declares one.
        data: folder of its files, if not one of archip's data folders.
        merge: whether rows that are the same network are one genotype; without, each row is one of its own, as in
            comparisons that look at the strings only.
    """

    table: str
    data: str | None = None
    merge: bool = True

    @cached_property
    def rows(self) -> Table:
        return load_table(self.table, self.data)

    @property
    def knobs(self) -> Mapping[str, Choice]:
        return self.rows.knobs

    @cached_property
    def size(self) -> float:
        """Number of different networks."""
        return len(self.distinct_N)

    @cached_property
    def distinct_N(self) -> np.ndarray:
        """[networks] the first row of each different network."""
        return np.unique(self._same_N)

    @cached_property
    def _same_N(self) -> np.ndarray:
        return self.rows.keys.same_N if self.merge else np.arange(self.rows.n_rows)

    @cached_property
    def _places(self) -> list[tuple[str, dict[Any, int]]]:
        """Of each gene, value → code."""
        return [(name, {value: code for code, value in enumerate(knob.values)}) for name, knob in self.knobs.items()]

    def row(self, genotype: Mapping[str, Any]) -> int:
        """The row of a genotype.

        Raises:
            UserError: a gene or value that the table does not know, or a genotype that it has no row of.
        """
        key = tuple(genotype.items())
        try:
            row = self._rows_kept.get(key)
        except TypeError:  # a value that is none of any table: said below
            row, key = None, None
        if row is None:
            row = self._found(genotype)
            _keep(self._rows_kept, key, row)
        return row

    def _found(self, genotype: Mapping[str, Any]) -> int:
        try:
            codes = [places[genotype[name]] if name in genotype else INACTIVE for name, places in self._places]
        except (KeyError, TypeError):
            for name, knob in self.knobs.items():
                if name in genotype and genotype[name] not in knob.values:
                    right = f"one of {list(knob.values)[:12]}"
                    raise UserError(f"{genotype[name]!r} is not in the table", name, right) from None
            raise
        if len(codes) - codes.count(INACTIVE) < len(genotype):
            name = next(name for name in genotype if name not in self.knobs)
            raise UserError(f"unknown gene {name!r}", right=nearest(name, self.knobs))
        row = None if INACTIVE in codes and self._is_grid else self._steps.row(codes)
        if row is None:
            raise UserError(f"the table {self.rows.name} has no row of {dict(genotype)}")
        return row

    def genotype(self, row: int) -> dict[str, Any]:
        """The genotype of a row (of the network that it is)."""
        row = int(row)
        genotype = self._genotypes_kept.get(row)
        if genotype is None:
            genotype = self._decoded(row)
            _keep(self._genotypes_kept, row, genotype)
            _keep(self._rows_kept, tuple(genotype.items()), int(self._same_N[row]))
        return dict(genotype)

    def _decoded(self, row: int) -> dict[str, Any]:
        codes = self.rows.keys.codes_NG[self._same_N[row]].tolist()
        return {
            name: knob.values[code]
            for (name, knob), code in zip(self.knobs.items(), codes, strict=True)
            if code != INACTIVE
        }

    def canonical(self, genotype: Mapping[str, Any]) -> dict[str, Any]:
        return self.genotype(self.row(genotype))

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """Every row of the file is as likely; networks that stand in several rows come more often."""
        return self.genotype(int(rng.integers(self.rows.n_rows)))

    def mutate(self, genotype: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return self.genotype(self._steps.mutate(self.row(genotype), rng))

    def crossover(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return self.genotype(self._steps.crossover(self.row(a), self.row(b), rng))

    def neighbours(self, genotype: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return map(self.genotype, self._steps.neighbours(self.row(genotype)))

    def enumerate(self) -> Iterator[dict[str, Any]]:
        return map(self.genotype, self.distinct_N.tolist())

    def decide(self, choose: Callable[[str, Sequence[int]], int]) -> dict[str, Any]:
        """The genotype of a row of decisions; only codes that some row still has are offered."""
        if self._is_grid:
            codes = [choose(name, range(len(knob.values))) for name, knob in self.knobs.items()]
            return self.genotype(self._steps.row(codes))  # pyright: ignore[reportArgumentType]
        return self.genotype(self._decisions.row(choose))

    def codes(self, genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """[N, genes] place of each gene among its values; -1 where it is inactive."""
        return self.rows.keys.codes_NG[[self.row(g) for g in genotypes]].astype(np.int64)

    def encode(self, genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """[N, features] one-hot genes (`core/encoding.py`) and, of cells, the counts of paths."""
        return self._encoded(self.codes(genotypes))

    def statistics(self, genotypes: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """[N, statistics] what the table says of networks that were not trained."""
        return self.rows.statistics_NS[[self.row(g) for g in genotypes]]

    def _encoded(self, codes_NG: np.ndarray) -> np.ndarray:
        features_NF = encode_codes(codes_NG, list(self.knobs.values()))
        cell = self.rows.spec.cell
        if cell is None or cell.zero is None or cell.identity is None:
            return features_NF
        zero, identity = cell.operators.index(cell.zero), cell.operators.index(cell.identity)
        paths_NP = path_counts(codes_NG, len(cell.operators), zero, identity)
        return np.concatenate([features_NF, paths_NP], axis=1)

    @cached_property
    def _rows_kept(self) -> dict[Any, int]:
        """Items of a genotype → its row; a search asks for the same ones again and again."""
        return {}

    @cached_property
    def _genotypes_kept(self) -> dict[Any, dict[str, Any]]:
        """Row → its genotype."""
        return {}

    @cached_property
    def _decisions(self) -> Decisions:
        return Decisions(list(self.knobs), self.rows.keys.codes_NG)

    @cached_property
    def _is_grid(self) -> bool:
        return is_grid(list(self.knobs.values()), self.rows.n_rows)

    @cached_property
    def _steps(self) -> GridSteps | NearestSteps | GraphSteps:
        keys, knobs = self.rows.keys, list(self.knobs.values())
        if keys.hash_N is not None and self.rows.spec.graph is not None:
            return GraphSteps(knobs, keys.codes_NG, self.rows.spec.graph.max_edges)
        if self._is_grid:
            return GridSteps(knobs, keys.codes_NG, self._same_N)
        return NearestSteps(knobs, keys.codes_NG)


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Remember an answer; all are forgotten before there are too many."""
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = value

"""Steps from row to row of a table: what mutation, crossover and neighbourhood mean in it.

Where every genotype has a row, a step changes one gene. Of a sampled table only some genotypes have one; there a step
leads to one of the nearest rows.

Legend: N rows, G genes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archip.core.encoding import INACTIVE
from archip.core.knobs import Choice

__all__ = ["GridSteps", "NearestSteps", "is_grid"]

_NEAREST = 8  # rows that count as neighbours at least, where fewer differ in one gene only
_TRIES = 100


def is_grid(knobs: Sequence[Choice], n_rows: int) -> bool:
    """Whether every combination of values has a row (rows are known to differ)."""
    return math.prod(len(knob.values) for knob in knobs) == n_rows


@dataclass(frozen=True)
class GridSteps:
    """Steps in a table that has every genotype; rows that are the same network count as one.

    Attributes:
        same_N: the first row of the same network.
    """

    knobs: Sequence[Choice]
    codes_NG: np.ndarray
    same_N: np.ndarray

    @cached_property
    def _row_of(self) -> dict[tuple[int, ...], int]:
        """Codes of a genotype → row of its network."""
        return dict(zip(map(tuple, self._codes), self.same_N.tolist(), strict=True))

    @cached_property
    def _codes(self) -> list[list[int]]:
        return self.codes_NG.tolist()

    def row(self, codes: Sequence[int]) -> int:
        return self._row_of[tuple(codes)]

    def mutate(self, row: int, rng: np.random.Generator) -> int:
        codes = self._codes[row]
        free = [g for g, knob in enumerate(self.knobs) if len(knob.values) > 1]
        for _ in range(_TRIES if free else 0):
            gene = free[rng.integers(len(free))]
            shift = 1 + int(rng.integers(len(self.knobs[gene].values) - 1))
            child = self._changed(codes, gene, (codes[gene] + shift) % len(self.knobs[gene].values))
            if child != row:
                return child
        return row

    def crossover(self, a: int, b: int, rng: np.random.Generator) -> int:
        pick = rng.random(len(self.knobs)) < 0.5
        return self.row([x if p else y for x, y, p in zip(self._codes[a], self._codes[b], pick, strict=True)])

    def neighbours(self, row: int) -> list[int]:
        codes, found = self._codes[row], {}
        for gene, knob in enumerate(self.knobs):
            at, n = codes[gene], len(knob.values)
            for code in (at - 1, at + 1) if knob.ordered else range(n):
                if 0 <= code < n and code != at:
                    found[self._changed(codes, gene, code)] = None
        return [r for r in found if r != row]

    def _changed(self, codes: Sequence[int], gene: int, code: int) -> int:
        return self.row([*codes[:gene], code, *codes[gene + 1 :]])


@dataclass(frozen=True)
class NearestSteps:
    """Steps in a table that has some genotypes: to rows one gene apart, or to the nearest where these are few."""

    knobs: Sequence[Choice]
    codes_NG: np.ndarray

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        return {codes.tobytes(): row for row, codes in enumerate(self.codes_NG)}

    def row(self, codes: Sequence[int]) -> int | None:
        return self._row_of.get(np.array(codes, dtype=self.codes_NG.dtype).tobytes())

    def mutate(self, row: int, rng: np.random.Generator) -> int:
        near = self.neighbours(row)
        return near[rng.integers(len(near))] if near else row

    def crossover(self, a: int, b: int, rng: np.random.Generator) -> int:
        pick_G = rng.random(len(self.knobs)) < 0.5
        child_G = np.where(pick_G, self.codes_NG[a], self.codes_NG[b])
        child = self._row_of.get(child_G.tobytes())
        return int(self._nearest(child_G, self._n_differ(child_G), 1)[0]) if child is None else child

    def neighbours(self, row: int) -> list[int]:
        if row not in self._near:
            codes_G = self.codes_NG[row]
            n_differ_N = self._n_differ(codes_G)
            near = self._one_apart(codes_G, n_differ_N)
            if len(near) < _NEAREST:
                nearest = self._nearest(codes_G, n_differ_N, _NEAREST + 1).tolist()
                near = [r for r in dict.fromkeys([*near, *nearest]) if r != row][:_NEAREST]
            self._near[row] = near
        return self._near[row]

    @cached_property
    def _near(self) -> dict[int, list[int]]:
        """Neighbours of the rows that were asked for."""
        return {}

    @cached_property
    def _codes_GN(self) -> np.ndarray:
        """Gene by gene, in bytes if they do."""
        return np.ascontiguousarray(self.codes_NG.T, np.int8 if self.codes_NG.max() < 128 else None)

    def _n_differ(self, codes_G: np.ndarray) -> np.ndarray:
        """[N] number of genes in which each row differs."""
        if len(codes_G) > 255:
            return (self.codes_NG != codes_G).sum(1)
        return self._n_differing(self._codes_GN, codes_G.astype(self._codes_GN.dtype))

    @cached_property
    def _n_differing(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        from archip.spaces._differing import n_differing  # numba takes half a second to import

        return n_differing

    def _one_apart(self, codes_G: np.ndarray, n_differ_N: np.ndarray) -> list[int]:
        """The rows that differ in the value of one gene, gene by gene."""
        rows = np.flatnonzero(n_differ_N == 1)
        genes = (self.codes_NG[rows] != codes_G).argmax(1) if len(rows) else rows
        codes = self.codes_NG[rows, genes]
        order = np.lexsort((codes, genes))
        return rows[order[codes[order] != INACTIVE]].tolist()

    def _nearest(self, codes_G: np.ndarray, n_differ_N: np.ndarray, n: int) -> np.ndarray:
        """The n nearest rows: by the number of genes that differ, then by how far ordered ones are apart, then as in
        the file.
        """
        n, most = min(n, len(n_differ_N)), int(n_differ_N.min())
        while np.count_nonzero(n_differ_N <= most) < n:
            most += 1
        near = np.flatnonzero(n_differ_N <= most)
        apart_NG = np.abs(self.codes_NG[near].astype(float) - codes_G) * self._unit_G
        return near[np.lexsort((near, apart_NG.sum(1), n_differ_N[near]))[:n]]

    @cached_property
    def _unit_G(self) -> np.ndarray:
        """Weight of one code apart: of ordered genes the whole range is 1, of others nothing."""
        return np.array([1 / max(len(k.values) - 1, 1) if k.ordered else 0.0 for k in self.knobs])

"""NSGA-II on arrays of codes, for goals that are computed for thousands of candidates at once.

Where costs are looked up and the quality is predicted, an evaluation takes a microsecond, and candidates as objects
would cost a hundred times more than what they are asked. A generation is a handful of array operations here.
Source: Deb et al. 2002, NSGA-II, as in `nsga2`. Differs: duplicates leave the population; survivors of the last front
that fits are chosen by one crowding distance.

Legend: N candidates, G genes, M objectives, E candidates that were seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from archip.core.pareto import crowding_distances, non_dominated_mask

__all__ = ["CodedNSGA2", "Population"]

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Population:
    """Candidates in the order of the crowded comparison, best first.

    Attributes:
        codes_NG: place of each gene among its values.
        losses_NM: smaller is better.
        violations_N: total violation of the limits.
        ranks_N: of the front that a candidate stands in.
    """

    codes_NG: np.ndarray
    losses_NM: np.ndarray
    violations_N: np.ndarray
    ranks_N: np.ndarray

    @property
    def front(self) -> np.ndarray:
        """[N] whether a candidate keeps all limits and nothing dominates it."""
        return (self.ranks_N == 0) & (self.violations_N == 0)


@dataclass(frozen=True)
class CodedNSGA2:
    """A generation after the other.

    Attributes:
        sizes: number of values of each gene.
        canonical: codes → codes that are equal where the candidates are.
        evaluate: codes [N, G] → (losses [N, M], violations [N]).
    """

    sizes: Sequence[int]
    canonical: Callable[[np.ndarray], np.ndarray]
    evaluate: Evaluate
    population: int = 1024
    crossover: float = 0.9
    mutation: float = 0.9

    def first(self, rng: np.random.Generator) -> Population:
        codes_NG = self.canonical(rng.integers(0, np.array(self.sizes), (self.population, len(self.sizes))))
        return self._survivors(codes_NG, *self.evaluate(codes_NG))

    def next(self, now: Population, rng: np.random.Generator) -> Population:
        """The survivors of a population and as many children."""
        children_NG = self.canonical(self._children(now.codes_NG, rng))
        losses_NM, violations_N = self.evaluate(children_NG)
        return self._survivors(
            np.concatenate([now.codes_NG, children_NG]),
            np.concatenate([now.losses_NM, losses_NM]),
            np.concatenate([now.violations_N, violations_N]),
        )

    def _children(self, codes_NG: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Two binary tournaments, uniform crossover, one gene changed; inactive genes of both parents are drawn."""
        n, sizes_G = self.population, np.array(self.sizes)
        mothers, fathers = np.sort(rng.integers(len(codes_NG), size=(2, n, 2)), axis=2)[:, :, 0]
        is_father_NG = rng.integers(0, 256, (n, len(sizes_G)), dtype=np.uint8) < 128
        is_father_NG &= (rng.random(n) < self.crossover)[:, None]
        children_NG = np.where(is_father_NG, codes_NG[fathers], codes_NG[mothers])
        rows = np.flatnonzero(rng.random(n) < self.mutation)
        free = np.flatnonzero(sizes_G > 1)
        genes = free[rng.integers(len(free), size=len(rows))]
        shifts = 1 + (rng.random(len(rows)) * (sizes_G[genes] - 1)).astype(np.int64)
        children_NG[rows, genes] = (children_NG[rows, genes] + shifts) % sizes_G[genes]
        missing = np.nonzero(children_NG < 0)
        children_NG[missing] = (rng.random(len(missing[1])) * sizes_G[missing[1]]).astype(np.int64)
        return children_NG

    def _survivors(self, codes_NG: np.ndarray, losses_NM: np.ndarray, violations_N: np.ndarray) -> Population:
        chosen, ranks = _crowded(losses_NM, violations_N, _distinct(codes_NG, self.sizes), self.population)
        return Population(codes_NG[chosen], losses_NM[chosen], violations_N[chosen], ranks)


def _distinct(codes_NG: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The first row of each candidate, found by a random projection to 64 bits (two collide once in 10^12 pairs)."""
    weights_G = np.random.default_rng(len(sizes)).integers(1, 2**62, codes_NG.shape[1], dtype=np.int64)
    with np.errstate(over="ignore"):
        hash_N = (codes_NG + 2) @ weights_G
    return np.sort(np.unique(hash_N, return_index=True)[1])


def _crowded(
    losses_NM: np.ndarray, violations_N: np.ndarray, rows: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best `n` of some rows under the crowded comparison, and their ranks; sorting ends with the last front."""
    chosen, ranks, rank, n_chosen = [], [], 0, 0
    left = rows[violations_N[rows] == 0]
    while len(left) and n_chosen < n:
        mask = non_dominated_mask(losses_NM[left])
        best = left[mask] if mask.any() else left
        best = best[np.argsort(-crowding_distances(losses_NM[best]), kind="stable")][: n - n_chosen]
        chosen.append(best)
        ranks.append(np.full(len(best), rank))
        left, rank, n_chosen = (left[~mask] if mask.any() else left[:0]), rank + 1, n_chosen + len(best)
    broken = rows[violations_N[rows] != 0]
    broken = broken[np.argsort(violations_N[broken], kind="stable")][: n - n_chosen]
    chosen.append(broken)
    ranks.append(rank + np.unique(violations_N[broken], return_inverse=True)[1])
    return np.concatenate(chosen), np.concatenate(ranks)

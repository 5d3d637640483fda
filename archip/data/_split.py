"""Stratified drawing: every class in its proportion, the total exact, the same for the same seed."""

from __future__ import annotations

import numpy as np

__all__ = ["draw", "share_of", "stratified_counts"]


def share_of(share: float, pool: np.ndarray) -> int:
    """Number of samples in a share of the pool."""
    return round(share * len(pool))


def stratified_counts(sizes_G: np.ndarray, total: int, keep_one: bool) -> np.ndarray:
    """How many to take from each group so that `total` is met and proportions are kept (largest remainder).

    Every group gives at least one if it can; with `keep_one` it also keeps at least one. Where that contradicts
    `total`, these two rules win.
    """
    most = np.maximum(sizes_G - keep_one, 0)
    least = np.minimum(most, 1)
    quota = sizes_G * (total / max(int(sizes_G.sum()), 1))
    take = np.clip(np.floor(quota).astype(np.int64), least, most)
    while take.sum() < min(total, most.sum()):
        take[np.argmax(np.where(take < most, quota - take, -np.inf))] += 1
    while take.sum() > max(total, least.sum()):
        take[np.argmax(np.where(take > least, take - quota, -np.inf))] -= 1
    return take


def draw(strata_N: np.ndarray, pool: np.ndarray, n: int, rng: np.random.Generator, keep_one: bool = True) -> np.ndarray:
    """About `n` of the rows in `pool`, sorted, each group of `strata_N` in its proportion."""
    _, group, sizes = np.unique(strata_N[pool], return_inverse=True, return_counts=True)
    take = stratified_counts(sizes, n, keep_one)
    chosen = [rng.permutation(pool[group == g])[: take[g]] for g in range(len(sizes))]
    return np.sort(np.concatenate([pool[:0], *chosen]))

"""Findings: what the end of a run needs of the records of one search. It stays small however many they are.

The front, the counts and the extremes are exact; for the plots of the report a systematic sample is kept. All records
are in the store (`search/runs.py` reads them).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archip.core.objectives import Goals
from archip.core.pareto import Binding, Front, binding, non_dominated_mask
from archip.core.record import Record, Status

__all__ = ["Findings"]

_SAMPLE = 10_000  # records at least, of those there are; twice as many at most


class Findings:
    """Takes the records of a search batch by batch, in the order of their numbers.

    Attributes:
        n, n_feasible, n_failed: numbers of records.
        best_quality: of the feasible ones; None before the first.
        low_M, high_M: the least and the largest losses of feasible records; None before the first.
    """

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        self.n = self.n_feasible = self.n_failed = 0
        self.best_quality: float | None = None
        self.low_M: np.ndarray | None = None
        self.high_M: np.ndarray | None = None
        self._front: list[Record] = []
        self._losses_FM = np.zeros((0, len(goals.objectives)))
        self._binding: Binding | None = None
        self._sample: list[Record] = []
        self._stride = 1
        self._improvements: list[Record] = []

    def add(self, records: Sequence[Record]) -> None:
        """Records that a strategy was told."""
        feasible = [r for r in records if self.goals.feasible(r)]
        self._keep_sample(records)
        self.n += len(records)
        self.n_feasible += len(feasible)
        self.n_failed += sum(r.status is Status.FAILED for r in records)
        if feasible:
            self._keep_feasible(feasible)
        elif not self.n_feasible:
            found = binding(records, self.goals)
            self._binding = found if self._binding is None else _joined(self._binding, found, self.goals)

    @property
    def front(self) -> Front:
        """The feasible records that no other one dominates, in the order of their numbers."""
        return Front(tuple(self._front), self.goals)

    @property
    def binding(self) -> Binding:
        """Why nothing is feasible."""
        return self._binding or binding([], self.goals)

    @property
    def shown(self) -> list[Record]:
        """A sample (all, if they are few), with the front and every record that was the best so far."""
        chosen = {r.number: r for r in (*self._sample, *self._front, *self._improvements)}
        return [chosen[number] for number in sorted(chosen)]

    def _keep_sample(self, records: Sequence[Record]) -> None:
        self._sample += [r for i, r in enumerate(records) if (self.n + i) % self._stride == 0]
        while len(self._sample) > 2 * _SAMPLE:
            self._sample, self._stride = self._sample[::2], 2 * self._stride

    def _keep_feasible(self, feasible: Sequence[Record]) -> None:
        losses_NM = self.goals.losses(feasible)
        lows, highs = [losses_NM.min(0)], [losses_NM.max(0)]
        if self.low_M is not None and self.high_M is not None:
            lows, highs = [*lows, self.low_M], [*highs, self.high_M]
        self.low_M, self.high_M = np.min(lows, 0), np.max(highs, 0)
        for record in feasible:
            quality = record.metrics.get("quality")
            if quality is not None and (self.best_quality is None or quality > self.best_quality):
                self.best_quality = quality
                self._improvements.append(record)
        fresh = np.flatnonzero(~_dominated(losses_NM, self._losses_FM))
        fresh = fresh[non_dominated_mask(losses_NM[fresh])]
        if len(fresh):
            stays_F = ~_dominated(self._losses_FM, losses_NM[fresh])
            self._front = [r for r, stays in zip(self._front, stays_F, strict=True) if stays]
            self._front += [feasible[i] for i in fresh]
            self._losses_FM = np.concatenate([self._losses_FM[stays_F], losses_NM[fresh]])


def _dominated(points_NM: np.ndarray, by_FM: np.ndarray) -> np.ndarray:
    """[N] whether some row of `by_FM` dominates the point."""
    no_worse = np.ones((len(by_FM), len(points_NM)), dtype=bool)
    better = np.zeros_like(no_worse)
    for points_N, by_F in zip(points_NM.T, by_FM.T, strict=True):
        no_worse &= by_F[:, None] <= points_N
        better |= by_F[:, None] < points_N
    return np.any(no_worse & better, axis=0)


def _joined(a: Binding, b: Binding, goals: Goals) -> Binding:
    """The binding limit of two sets of records."""
    limits = [limit for limit in goals.limits if limit in a.least_violation or limit in b.least_violation]
    inf = float("inf")
    least = {m: min(a.least_violation.get(m, inf), b.least_violation.get(m, inf)) for m in limits}
    n_broken = {m: a.n_broken.get(m, 0) + b.n_broken.get(m, 0) for m in limits}
    nearest = min((r for r in (a.nearest, b.nearest) if r is not None), key=goals.key, default=None)
    return Binding(max(least, key=lambda m: (least[m], n_broken[m]), default=None), least, n_broken, nearest)

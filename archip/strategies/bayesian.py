"""Bayesian optimisation: a Gaussian process a goal, and the candidate of the largest expected improvement.

Choose it where an evaluation takes seconds or more: with one to three objectives under limits it needs the fewest of
them. Its own work grows with what it knows, to some 10 ms a candidate; for thousands of evaluations take evolution.
Source: expected improvement: Jones, Schonlau, Welch 1998; of the hypervolume: Emmerich, Deutz, Klinkenberg 2011, here
over a decomposition into boxes for any number of objectives; times the probability of keeping the limits: Gardner et
al. 2014; several at once by believing what is expected (Ginsbourger et al. 2010). Objectives are learnt as normal
scores, since networks that do not train lie far below the rest. Differs: limits are learnt from all candidates whose
cost is known, also from those whose accuracy is not.

Legend: N records, M candidates of the pool, O objectives, B boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import log_ndtr, ndtr

from archip.core.candidate import Candidate
from archip.core.objectives import Limit, Objective
from archip.core.pareto import non_dominated_mask
from archip.core.record import Record, Status
from archip.strategies._predictor_guided import GuidedSearch, normal_scores, worth_order
from archip.strategies._surrogate import Groups, Kernel, Posterior

__all__ = ["Bayesian"]

_GROWTH = 1.1  # kernels are fitted again when there are so many times more records
_SINGLY, _CLOSELY = 8, 200  # candidates out, and told; where there are more, several are planned at once
_MARGIN = 0.1  # of the hypervolume's reference beyond the worst feasible score


@dataclass
class Bayesian(GuidedSearch):
    """Expected improvement, of the hypervolume if there are several objectives.

    Attributes:
        history: records that a Gaussian process learns from: the best half of them and the latest.
    """

    initial: Annotated[int, Field(ge=2)] = 10
    pool: Annotated[int, Field(ge=10)] = 800
    history: Annotated[int, Field(ge=10)] = 250

    def reset(self) -> None:
        self._n_fitted = self._n_seen = self._n_believed = 0
        self._best_then: Record | None = None
        self._pool: list[Candidate] = []
        self._encoded: Groups = []
        self._goals = [_Learnt(objective) for objective in self.goals.objectives]
        self._limits = [_Learnt(Objective.of(limit.metric), limit) for limit in self.goals.limits]

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        self._learn(rng)
        self._believe(list(self.pending.values()))
        expected = [learnt.expect() for learnt in (*self._goals, *self._limits)]
        n_goals = len(self._goals)
        score_M = np.zeros(len(self._pool))
        for learnt, found in zip(self._limits, expected[n_goals:], strict=True):
            if found is not None:
                score_M += log_ndtr((learnt.bound - found[0]) / found[1])
        goals = [found for found in expected[:n_goals] if found is not None]
        if len(goals) == n_goals and any(self.goals.feasible(r) for r in self._rows):
            score_M += np.log(np.maximum(self._improvement(goals), 1e-300))
        score_M[self._is_taken_M] = -np.inf
        n = 1 + len(self.pending) // _SINGLY + len(self.told) // _CLOSELY
        best = np.argpartition(-score_M, min(n, len(score_M) - 1))[:n]
        best = best[np.argsort(-score_M[best])]
        self._is_taken_M[best] = True
        return [self._pool[i] for i in best if score_M[i] > -np.inf]

    def _improvement(self, expected: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        scores = [goal.scores() for goal in self._goals]
        done = [r.candidate.id for r in self._rows if self.goals.feasible(r)]
        losses_NO = np.array([[of_goal[i] for of_goal in scores] for i in done])
        means_MO, stds_MO = (np.stack(part, 1) for part in zip(*expected, strict=True))
        if len(scores) == 1:
            return below(losses_NO.min(), means_MO[:, 0], stds_MO[:, 0])
        return expected_hypervolume_improvement(losses_NO, losses_NO.max(0) + _MARGIN, means_MO, stds_MO)

    def _learn(self, rng: np.random.Generator) -> None:
        """Take over what was told since the last plan; now and then with new kernels or a new pool."""
        learnt = (*self._goals, *self._limits)
        is_fit_due = len(self.told) >= _GROWTH * self._n_fitted
        if is_fit_due or (self.whole is None and self.best is not self._best_then):
            self._take_pool(self.candidates(rng))
            self._rows, self._best_then = self._remembered(), self.best
            rows = self.features([r.candidate for r in self._rows])
            for one in learnt:
                one.begin(self._rows, rows, self._encoded, is_fit_due)
            self._n_believed, self._n_fitted = 0, len(self.told) if is_fit_due else self._n_fitted
        elif new := self.told[self._n_seen :]:
            self._rows = [*self._rows, *new]
            rows = self.features([r.candidate for r in new])
            for one in learnt:
                one.add(new, rows)
            self._n_believed = 0
        self._n_seen = len(self.told)

    def _remembered(self) -> list[Record]:
        if len(self.told) <= self.history:
            return list(self.told)
        best = set(worth_order(self.told, self.goals, self.history // 2).tolist())
        latest = range(len(self.told) - (self.history - len(best)), len(self.told))
        return [self.told[i] for i in sorted(best.union(latest))]

    def _take_pool(self, pool: list[Candidate]) -> None:
        if pool is not self.whole or not self._encoded:
            self._pool, self._encoded = pool, self.features(pool)
            self._place = {c.id: i for i, c in enumerate(pool)}
            self._is_taken_M = np.array([c.id in self.asked for c in pool])

    def _believe(self, pending: Sequence[Candidate]) -> None:
        """Candidates that are out count as what is expected of them."""
        self._is_taken_M[[self._place[c.id] for c in pending if c.id in self._place]] = True
        if new := pending[self._n_believed :]:
            rows = self.features(new)
            for one in (*self._goals, *self._limits):
                one.believe(rows)
        self._n_believed = len(pending)


class _Learnt:
    """One metric: its records in the order in which the Gaussian process got them; smaller is better."""

    def __init__(self, objective: Objective, limit: Limit | None = None) -> None:
        self._objective, self._limit, self._kernel = objective, limit, None
        self._rows: list[Record] = []
        self._posterior: Posterior | None = None

    def begin(self, records: Sequence[Record], rows: Groups, pool: Groups, is_fit_due: bool) -> None:
        """Learn from these records alone, about this pool; with a kernel of their own if a fit is due."""
        known = self._known(records)
        self._rows, self._posterior = [records[i] for i in known], None
        if len(known) < 2:
            return
        rows = [g_NF[known] for g_NF in rows]
        kernel = self._kernel or Kernel.prior(len(rows))
        self._kernel = kernel.fitted(rows, self._targets()) if is_fit_due else kernel
        self._posterior = Posterior(self._kernel, pool)
        self._posterior.add(rows)

    def add(self, records: Sequence[Record], rows: Groups) -> None:
        """Learn from more records; what was believed is forgotten."""
        if self._posterior is None:
            return
        self._posterior.keep(len(self._rows))
        if known := self._known(records):
            self._posterior.add([g_NF[known] for g_NF in rows])
            self._rows += [records[i] for i in known]

    def believe(self, rows: Groups) -> None:
        """Take candidates as if they had turned out as expected."""
        if self._posterior is not None:
            self._posterior.add(rows)

    def expect(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(mean_M, std_M) of the pool in units of `scores`; None if too little is known."""
        return None if self._posterior is None else self._posterior.expect(self._targets())

    def scores(self) -> dict[str, float]:
        """Candidate id → its place among all: a normal score of an objective, standard deviations of a limit."""
        return dict(zip((r.candidate.id for r in self._rows), self._targets().tolist(), strict=True))

    @property
    def bound(self) -> float:
        """The limit in units of `scores`."""
        values_N = self._values()
        return float(-values_N.mean() / (values_N.std() or 1.0))

    def _targets(self) -> np.ndarray:
        values_N = self._values()
        if self._limit is None:
            return normal_scores(values_N)
        return (values_N - values_N.mean()) / (values_N.std() or 1.0)

    def _values(self) -> np.ndarray:
        """Losses, infinite of what failed; of a limit the logarithm of value / bound, above 0 where it is broken."""
        name, goal = self._objective.metric, self._objective.goal
        if self._limit is None:
            return np.array([-goal * r.metrics[name] if name in r.metrics else np.inf for r in self._rows])
        return -goal * np.log([max(r.metrics[name] / self._limit.bound, 1e-9) for r in self._rows])

    def _known(self, records: Sequence[Record]) -> list[int]:
        fails = self._limit is None
        name = self._objective.metric
        return [i for i, r in enumerate(records) if name in r.metrics or (fails and r.status is Status.FAILED)]


def below(best: float | np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """How far below `best` a normal variable is expected to be, counting nothing above it."""
    z = (best - mean) / std
    return std * (z * ndtr(z) + np.exp(-0.5 * z**2) / (2 * np.pi) ** 0.5)


def expected_hypervolume_improvement(
    losses_NO: np.ndarray, reference_O: np.ndarray, means_MO: np.ndarray, stds_MO: np.ndarray
) -> np.ndarray:
    """[M] volume that candidates with independent normal losses are expected to add to what `losses_NO` dominate.

    A box from l to u that nothing dominates gains the product over objectives of u - max(l, y) where y < u, whose
    expectation is `below(u) - below(l)`.
    """
    front_NO = losses_NO[non_dominated_mask(losses_NO) & (losses_NO < reference_O).all(1)]
    lows_BO, highs_BO = free_boxes(front_NO, reference_O)
    gain_MB = np.ones((len(means_MO), len(lows_BO)))
    for o in range(len(reference_O)):
        mean_M, std_M = means_MO[:, o], stds_MO[:, o]
        edges = {edge: below(edge, mean_M, std_M) for edge in {*lows_BO[:, o], *highs_BO[:, o]} - {-np.inf}}
        edges[-np.inf] = np.zeros(len(mean_M))
        gain_MB *= np.stack(
            [edges[high] - edges[low] for low, high in zip(lows_BO[:, o], highs_BO[:, o], strict=True)], 1
        )
    return gain_MB.sum(1)


def free_boxes(front_NO: np.ndarray, reference_O: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corners [B, O] of boxes that fill what no point dominates below the reference, each part once.

    The last objective is cut at the points; within a slice, the points up to it cut the other objectives.
    """
    if len(reference_O) == 1:
        return np.array([[-np.inf]]), np.array([[min([*front_NO[:, 0], reference_O[0]])]])
    cuts = [-np.inf, *np.unique(front_NO[:, -1]), reference_O[-1]]
    lows, highs = [], []
    for low, high in pairwise(cuts):
        inner = free_boxes(front_NO[front_NO[:, -1] <= low, :-1], reference_O[:-1])
        for corners, edge, made in ((inner[0], low, lows), (inner[1], high, highs)):
            made.append(np.column_stack([corners, np.full(len(corners), edge)]))
    return np.concatenate(lows), np.concatenate(highs)

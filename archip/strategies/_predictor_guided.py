"""Search that is guided by what was learnt: predict a pool of candidates, propose the best of it, learn, go on.

The base keeps the records, makes features and pools, and hands out what a method plans; a method says how it learns
and which candidates of a pool it wants.

Legend: N candidates or records, F features of a group, S statistics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import islice

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from threadpoolctl import ThreadpoolController

from archip.core.candidate import Candidate
from archip.core.encoding import encode_codes
from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.pareto import crowding_distances, domination_ranks
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record, Status
from archip.strategies._base import AskTell

__all__ = ["Features", "GuidedSearch", "normal_scores", "worth_order", "worth_scores"]

_WHOLE = 20_000  # spaces up to this size are a pool as a whole
_REFERENCE = 500  # candidates that say what is a large and what a small feature, in spaces that are larger
_PARENTS = 20  # best records from which a pool is bred
_RANDOM = 0.25  # share of a pool that is drawn at random instead


class GuidedSearch(AskTell):
    """A strategy by two methods: `reset` and `plan`.

    Attributes:
        initial: random candidates before anything is planned, not counting those that failed.
        pool: candidates that are bred to be ranked; a small space is ranked as a whole.
        told: all records so far.
    """

    initial: int
    pool: int
    told: list[Record]

    @abstractmethod
    def reset(self) -> None:
        """Set up the method's own state."""

    @abstractmethod
    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        """What to ask for next, best first, learnt from `told`; called again when all of it was asked for."""

    # What follows is final.

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space has no features, from which a predictor learns", "strategy")
        self.told, self._n_useful = [], 0
        self._planned: list[Candidate] = []
        self._whole_MF: np.ndarray | None = None
        for name in ("whole", "features"):
            vars(self).pop(name, None)
        self.reset()

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._n_useful < self.initial:
            return self.space.sample(rng)
        if not self._planned:
            with _threads().limit(limits=1):
                self._planned = list(self.plan(rng))[::-1]
        return self._planned.pop() if self._planned else self.space.sample(rng)

    def observe(self, records: Sequence[Record]) -> None:
        self.told += records
        self._n_useful += sum(r.status is not Status.FAILED for r in records)

    @cached_property
    def whole(self) -> list[Candidate] | None:
        """All candidates of a small space; None for a large one."""
        return list(self.space.enumerate()) if self.space.size <= _WHOLE else None

    @cached_property
    def features(self) -> Features:
        assert isinstance(self.space, KnobbedSpace)
        return Features(self.space, self.whole or self._reference())

    def candidates(self, rng: np.random.Generator) -> list[Candidate]:
        """A pool: the whole space, or children of the best records with random candidates among them."""
        if self.whole is not None:
            return self.whole
        order = worth_order(self.told, self.goals, _PARENTS)
        return self.bred([self.told[i].candidate for i in order.tolist()], rng)

    def bred(self, parents: Sequence[Candidate], rng: np.random.Generator) -> list[Candidate]:
        """Different children of some parents, and random candidates, at most `pool` in all."""
        return list({c.id: c for c in (self._child(parents, rng) for _ in range(self.pool))}.values())

    def matrix(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, F] all features of candidates side by side, scaled."""
        return np.concatenate(self.features(candidates), axis=1)

    def pool_matrix(self, pool: Sequence[Candidate]) -> np.ndarray:
        """The same for a pool; of a whole space it is made once."""
        if pool is not self.whole:
            return self.matrix(pool)
        if self._whole_MF is None:
            self._whole_MF = self.matrix(pool)
        return self._whole_MF

    def new(self, ranked: Sequence[Candidate], n: int) -> list[Candidate]:
        """The first `n` that were not asked for yet."""
        return list(islice((c for c in ranked if c.id not in self.asked), n))

    def _child(self, parents: Sequence[Candidate], rng: np.random.Generator) -> Candidate:
        if rng.random() < _RANDOM:
            return self.space.sample(rng)
        child = parents[int(rng.integers(len(parents)))]
        if rng.random() < 0.3:
            child = self.space.crossover(child, parents[int(rng.integers(len(parents)))], rng)
        for _ in range(1 + rng.geometric(0.5) // 2):
            child = self.space.mutate(child, rng)
        return child

    def _reference(self) -> list[Candidate]:
        rng = np.random.default_rng(0)  # the same for all seeds: it is no choice of candidates
        return [self.space.sample(rng) for _ in range(_REFERENCE)]


class Features:
    """Features of candidates in groups: genes, what `encode` says beyond them, and free statistics.

    Columns have mean 0 and variance 1 over the reference, statistics are normal scores there; a group is divided by
    the root of its number of columns, so that distances in it are about 1.
    """

    def __init__(self, space: KnobbedSpace, reference: Sequence[Candidate]) -> None:
        self._space = space
        raw = self._raw(reference)
        self._sorted_NS = np.sort(raw[-1], axis=0)
        raw[-1] = self._scores(raw[-1])
        self._mean = [g_NF.mean(0) for g_NF in raw]
        std = [g_NF.std(0) for g_NF in raw]
        self._scale = [
            np.divide(1.0, s_F * np.sqrt(max((s_F > 0).sum(), 1)), out=np.zeros_like(s_F), where=s_F > 1e-12)
            for s_F in std
        ]
        self._used = [g for g, scale_F in enumerate(self._scale) if g == 0 or scale_F.any()]

    def __call__(self, candidates: Sequence[Candidate]) -> list[np.ndarray]:
        """[N, F] of each group."""
        raw = self._raw(candidates)
        raw[-1] = self._scores(raw[-1])
        return [(raw[g] - self._mean[g]) * self._scale[g] for g in self._used]

    def _raw(self, candidates: Sequence[Candidate]) -> list[np.ndarray]:
        genes_NF = encode_codes(self._space.codes(candidates), list(self._space.knobs.values()))
        coded_NF = self._space.encode(candidates)
        beyond_NF = coded_NF if coded_NF.shape[1] > genes_NF.shape[1] else coded_NF[:, :0]
        return [genes_NF, beyond_NF, self._space.statistics(candidates)]

    def _scores(self, values_NS: np.ndarray) -> np.ndarray:
        """Normal scores of statistics among those of the reference."""
        n = len(self._sorted_NS)
        columns = [np.zeros((len(values_NS), 0))]
        for values_N, sorted_N in zip(values_NS.T, self._sorted_NS.T, strict=True):
            places_N = np.searchsorted(sorted_N, values_N, "left") + np.searchsorted(sorted_N, values_N, "right")
            columns.append(ndtri((places_N + 1) / (2 * n + 2))[:, None])
        return np.concatenate(columns, axis=1)


@cache
def _threads() -> ThreadpoolController:
    """Small matrices are slower in several threads, on a busy machine by far."""
    return ThreadpoolController()


def worth_order(records: Sequence[Record], goals: Goals, n: int) -> np.ndarray:
    """Places of the best `n` records, best first: limits, then domination, then crowding; by the loss if it is one."""
    losses_NO, violations_N = goals.losses(records), goals.violations(records)
    if losses_NO.shape[1] == 1:
        return np.lexsort((losses_NO[:, 0], violations_N))[:n]
    ranks_N = domination_ranks(losses_NO, violations_N)
    best: list[int] = []
    for rank in range(int(ranks_N.max()) + 1):
        front = np.flatnonzero(ranks_N == rank)
        best += front[np.argsort(-crowding_distances(losses_NO[front]), kind="stable")].tolist()
        if len(best) >= n:
            break
    return np.array(best[:n])


def worth_scores(records: Sequence[Record], goals: Goals) -> np.ndarray:
    """[N] normal scores of the places of records, more is better: limits and objectives as one number to learn."""
    scores_N = np.empty(len(records))
    scores_N[worth_order(records, goals, len(records))] = -normal_scores(np.arange(len(records)))
    return scores_N


def normal_scores(values_N: np.ndarray) -> np.ndarray:
    """Quantiles of the normal distribution in the order of the values, ties alike: outliers weigh no more."""
    return ndtri((rankdata(values_N) - 0.5) / len(values_N))

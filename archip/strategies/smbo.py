"""Surrogate search over trees: a ridge regression on what follows what picks the best of many random candidates.

Choose it for spaces that are sequences of decisions and budgets of tens to a few hundred networks; it is the plainest
of the strategies that learn a model (`bayesian` and `predictor_guided` are stronger and cost more).
A candidate's features are its n-grams: which value a gene has, and which values it and the next genes have together.
Source: Negrinho and Gordon 2017, arXiv:1704.08792, section 4.3 (surrogate on n-grams, a share of candidates at random).
Our choices: n-grams of up to two genes; knobs of more than 8 values are cut to 8 ranges; the surrogate's target is the
first objective, less the violation (at most 1) below the worst so far where a limit is broken; the pool is drawn at
random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.protocols import KnobbedSpace
from archip.core.record import Record
from archip.strategies._base import AskTell
from archip.strategies._controller import Rewards

__all__ = ["SMBO"]

_LEVELS = 8  # values of a knob that are told apart


@dataclass
class SMBO(AskTell):
    """Sequential model-based optimisation with a ridge surrogate.

    Attributes:
        initial: random candidates before the first model.
        pool: random candidates that the model chooses from.
        explore: share of candidates that are drawn at random nevertheless.
        penalty: of the ridge, on the weight of each n-gram.
    """

    initial: Annotated[int, Field(ge=1)] = 20
    pool: Annotated[int, Field(ge=1)] = 512
    explore: Annotated[float, Field(ge=0, le=1)] = 0.1
    penalty: Annotated[float, Field(gt=0)] = 1.0

    def begin(self) -> None:
        if not isinstance(self.space, KnobbedSpace):
            raise UserError("this space is not made of knobs, whose values a surrogate reads", "strategy")
        self._codes = self.space.codes
        self._sizes = [min(len(knob.values), _LEVELS) for knob in self.space.knobs.values()]
        self._ranges = np.array([len(knob.values) for knob in self.space.knobs.values()])
        n = sum(self._sizes) + sum(a * b for a, b in pairwise(self._sizes)) + 1
        self._gram_FF, self._moment_F = np.zeros((n, n)), np.zeros(n)
        self._n_told = 0
        self._rewards = Rewards(self.goals)
        self._ranked: list[Candidate] = []

    def propose(self, rng: np.random.Generator) -> Candidate:
        if self._n_told < self.initial or rng.random() < self.explore:
            return self.space.sample(rng)
        if not self._ranked:
            drawn = [self.space.sample(rng) for _ in range(self.pool)]
            order = np.argsort(self._features(drawn) @ self._weights())  # the best last
            self._ranked = [drawn[i] for i in order]
        return self._ranked.pop()

    def observe(self, records: Sequence[Record]) -> None:
        X_NF = self._features([r.candidate for r in records])
        self._gram_FF += X_NF.T @ X_NF
        self._moment_F += X_NF.T @ np.array(self._rewards.of(records))
        self._n_told += len(records)
        self._ranked = []

    def _weights(self) -> np.ndarray:
        """[F] of the ridge regression; the constant feature, the last, is hardly penalised."""
        penalties_F = np.full(len(self._moment_F), self.penalty)
        penalties_F[-1] = 1e-6
        return np.linalg.solve(self._gram_FF + np.diag(penalties_F), self._moment_F)

    def _features(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, F] n-grams of one gene, of two that follow each other, and 1; inactive genes have none."""
        codes_NG = self._codes(candidates)
        levels_NG = np.where(codes_NG < 0, -1, codes_NG * np.minimum(_LEVELS, self._ranges) // self._ranges)
        ones = [(levels[:, None] == np.arange(n)) for levels, n in zip(levels_NG.T, self._sizes, strict=True)]
        twos = [(a[:, :, None] & b[:, None, :]).reshape(len(candidates), -1) for a, b in pairwise(ones)]
        return np.concatenate([*ones, *twos, np.ones((len(candidates), 1))], axis=1).astype(float)

"""NARS: an encoder that is trained on free statistics first learns accuracy from few trained networks.

Choose it where the space offers statistics (FLOPs, parameters, zero-cost scores) and trainings are few: what the
statistics need to be told is what accuracy needs too. Without statistics the encoder starts untrained.
Source: FBNetV3, Dai et al. 2021, arXiv:2006.02049: 24-dimensional embedding, a proxy head on statistics, then a
predictor on the embedding with Huber loss, the encoder frozen for the first 50 steps; rounds of the best predicted;
genetic search on the predictor at the end of each. Differs: the recipe is genes among the others (a part of the
candidate), so that one encoder reads both; the genetic search stops after five generations if it did not before.
Limits and several objectives are one number to it: the place among all results.

Legend: N candidates, F features, E embedding, S statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.core.candidate import Candidate
from archip.strategies._mlp import Adam, Mlp
from archip.strategies._predictor_guided import GuidedSearch, worth_scores

__all__ = ["Nars"]

_EMBEDDING = 24
_FREE = 1000  # candidates whose statistics are read
_FROZEN = 50  # steps in which the encoder stays as it was pretrained
_GENERATIONS, _GAIN, _ELITE = 5, 1e-6, 40


@dataclass
class Nars(GuidedSearch):
    """Pretrain on statistics, fine-tune on results, search on the predictor.

    Attributes:
        batch: candidates evaluated before the predictor is trained again.
        pretraining: steps on statistics; 0: none.
        training: steps on results, the first 50 of which leave the encoder as it is.
    """

    initial: Annotated[int, Field(ge=2)] = 20
    batch: Annotated[int, Field(ge=1)] = 10
    pool: Annotated[int, Field(ge=10)] = 500
    hidden: Annotated[int, Field(ge=1)] = 64  # units of a layer
    pretraining: Annotated[int, Field(ge=0)] = 300
    training: Annotated[int, Field(ge=1)] = 150

    def reset(self) -> None:
        self._encoder: Mlp | None = None
        self._order: list[Candidate] = []
        self._n_learnt = 0

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        if self._encoder is None:
            self._encoder = self._pretrained(rng)
        if self._n_learnt == len(self.told) and (more := self.new(self._order, self.batch)):
            return more  # nothing was told since: the next of the same ranking
        self._n_learnt = len(self.told)
        genes_NF = self._genes([r.candidate for r in self.told])
        model = _Predictor(self._encoder, rng)
        model.fit(genes_NF, worth_scores(self.told, self.goals), self.training)
        self._order = self._ranked(model, rng)
        return self.new(self._order, self.batch)

    def _ranked(self, model: _Predictor, rng: np.random.Generator) -> list[Candidate]:
        """A pool, best predicted first; of a large space the last of some generations."""
        pool, best = self.candidates(rng), -np.inf
        for _ in range(_GENERATIONS):
            score_M = model.predict(self._genes(pool))
            pool = [pool[i] for i in np.argsort(-score_M, kind="stable")]
            if self.whole is not None or score_M.max() - best < _GAIN:
                break
            best = score_M.max()
            pool = list({c.id: c for c in [*pool[:_ELITE], *self.bred(pool[:_ELITE], rng)]}.values())
        return pool

    def _genes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """[N, F] genes and structure, without the statistics."""
        X_NF = self.pool_matrix(candidates)
        return X_NF[:, : X_NF.shape[1] - self._n_statistics]

    def _pretrained(self, rng: np.random.Generator) -> Mlp:
        """The encoder after training with a proxy head on the statistics."""
        free = self.whole or self.candidates(rng)
        free = [free[i] for i in rng.permutation(len(free))[:_FREE]]
        self._n_statistics = self.space.statistics(free[:1]).shape[1]  # pyright: ignore[reportAttributeAccessIssue]
        X_NF = self.matrix(free)
        genes_NF, S_NS = np.split(X_NF, [X_NF.shape[1] - self._n_statistics], axis=1)
        encoder = Mlp.drawn([genes_NF.shape[1], self.hidden, _EMBEDDING], rng)
        if self._n_statistics == 0:
            return encoder
        head, scale = Mlp.drawn([_EMBEDDING, self._n_statistics], rng), S_NS.std() or 1.0
        step = Adam([encoder, head], rate=0.01)
        for _ in range(self.pretraining):
            error_NS = head.forward(encoder.forward(genes_NF)) - S_NS / scale
            encoder.backward(head.backward(error_NS / len(error_NS)))
            step()
        return encoder


class _Predictor:
    """The encoder with a head for accuracy; it trains a copy."""

    def __init__(self, encoder: Mlp, rng: np.random.Generator) -> None:
        self._encoder, self._head = encoder.copy(), Mlp.drawn([_EMBEDDING, _EMBEDDING, 1], rng)

    def fit(self, genes_NF: np.ndarray, y_N: np.ndarray, steps: int) -> None:
        """The head alone first, then both at a lower rate."""
        for parts, rate, n in (([self._head], 0.02, _FROZEN), ([self._encoder, self._head], 0.003, steps - _FROZEN)):
            step = Adam(parts, rate)
            for _ in range(n):
                error_N1 = self._head.forward(self._encoder.forward(genes_NF)) - y_N[:, None]
                self._encoder.backward(self._head.backward(np.clip(error_N1, -1, 1) / len(y_N)))  # Huber loss
                step()

    def predict(self, genes_MF: np.ndarray) -> np.ndarray:
        return self._head.forward(self._encoder.forward(genes_MF))[:, 0]

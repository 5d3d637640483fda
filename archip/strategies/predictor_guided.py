"""Predictor-guided search: a weak predictor is trained on all results, the best of what it draws is evaluated next.

Choose it where `bayesian` is too slow for what is known (thousands of results) or a predictor of your own is to lead.
Limits and several objectives are one number to it: the place among all results.
Source: WeakNAS, Wu et al. 2021, arXiv:2102.10490 (weak predictors, each trained where the one before led); drawing
from what is predicted: independent Thompson sampling of BANANAS, White et al. 2021, arXiv:1910.11858, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.candidate import Candidate
from archip.strategies._predictor_guided import GuidedSearch, worth_scores

__all__ = ["PredictorGuided"]


@dataclass
class PredictorGuided(GuidedSearch):
    """Rank a pool by a draw from the prediction, evaluate the first few.

    Attributes:
        predictor: one of `archip list predictors`; `options` are its options. `normal_scores` orders best where it is
            not known which suits, and takes seconds a batch; `ridge` takes milliseconds.
        batch: candidates evaluated before the predictor is trained again.
    """

    predictor: str = "ridge"
    options: Mapping[str, Any] = field(default_factory=dict)  # of the predictor
    initial: Annotated[int, Field(ge=2)] = 20
    batch: Annotated[int, Field(ge=1)] = 5
    pool: Annotated[int, Field(ge=10)] = 1000

    def reset(self) -> None:
        registry.create("predictors", self.predictor, self.options)  # a wrong option is said before the search

    def plan(self, rng: np.random.Generator) -> Sequence[Candidate]:
        model = registry.create("predictors", self.predictor, self.options)
        model.fit(self.matrix([r.candidate for r in self.told]), worth_scores(self.told, self.goals))
        pool = self.candidates(rng)
        mean_M, std_M = model.predict(self.pool_matrix(pool))
        score_M = mean_M + std_M * rng.standard_normal(len(pool))
        return self.new([pool[i] for i in np.argsort(-score_M)], self.batch)

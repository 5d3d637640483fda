"""Normal scores: another predictor, on answers that are made normal first, so that outliers do not rule.

Choose it for accuracies and other answers with a long tail, where the order matters more than the distance: a few
networks that learn nothing are then a little worse than the rest, not a hundred times. As it is, around an ensemble
selected by cross-validation, it is the choice where it is not known which predictor orders best.
Source: Salinas et al. 2020, arXiv:1909.13595, section 4 (Gaussian copula), with the scores of Blom 1958,
(rank - 3/8) / (N + 1/4). Between two answers the way back is a line; beyond the extremes it goes on as steeply as
from the median to the extreme. The uncertainty is the root of the mean square about the prediction, by quadrature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from archip.core import registry
from archip.core.problem import Plug
from archip.predictors._predictor import Predictor, from_json

__all__ = ["NormalScores"]

_NODES_Q, _WEIGHTS_Q = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS_Q = _WEIGHTS_Q / _WEIGHTS_Q.sum()


@dataclass
class NormalScores(Predictor):
    """A predictor of scores, and the way back to answers.

    Attributes:
        predictor: by name, with options if need be.
    """

    predictor: Any = "ensemble_selection"

    def __post_init__(self) -> None:
        self._plug = Plug.of(self.predictor)
        registry.create("predictors", self._plug.name, self._plug.options)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        scores_N = ndtri((rankdata(y_N) - 3 / 8) / (len(y_N) + 1 / 4))
        self._answers_K, first_K = np.unique(y_N, return_index=True)
        self._scores_K = scores_N[first_K]
        self.inner: Predictor = registry.create("predictors", self._plug.name, self._plug.options)
        self.inner.fit(X_NF, scores_N)
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_M, std_M = self.inner.predict(X_MF)
        centre_M = self._answers(mean_M)
        off_QM = self._answers(mean_M + _NODES_Q[:, None] * std_M) - centre_M
        return centre_M, np.sqrt(_WEIGHTS_Q @ off_QM**2)

    def _answers(self, scores_M: np.ndarray) -> np.ndarray:
        """Answers of scores, of any shape."""
        inside_M = np.interp(scores_M, self._scores_K, self._answers_K)
        beyond_M = scores_M - np.clip(scores_M, self._scores_K[0], self._scores_K[-1])
        middle = np.interp(0.0, self._scores_K, self._answers_K)
        for end, side_M in ((0, np.minimum(beyond_M, 0)), (-1, np.maximum(beyond_M, 0))):
            reach = self._scores_K[end]
            slope = (self._answers_K[end] - middle) / reach if reach else 0.0
            inside_M = inside_M + slope * side_M
        return inside_M

    @property
    def state(self) -> dict[str, Any]:
        return {"answers_K": self._answers_K, "scores_K": self._scores_K, "inner": self.inner.to_json()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._answers_K, self._scores_K = np.array(state["answers_K"]), np.array(state["scores_K"])
        self.inner = from_json(state["inner"])

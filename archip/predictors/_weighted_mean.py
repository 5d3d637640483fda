"""A weighted mean of several predictors; a method says how the weights follow from predictions of left-out samples.

Legend: C candidates, E members, N samples, M samples to predict, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug
from archip.predictors._left_out import left_out
from archip.predictors._predictor import Predictor, from_json

__all__ = ["WeightedMean"]


@dataclass
class WeightedMean(Predictor):
    """A predictor by one method, `weights`. The variance is that of the mixture: the members' own and what they differ.

    Attributes:
        candidates: predictors by name, with options if need be.
        folds: parts of the samples that are left out in turn.
    """

    candidates: tuple[Any, ...] = ("ridge", "gp", "boosted_trees", "normal_scores")
    folds: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 0

    @abstractmethod
    def weights(self, held_out_CN: np.ndarray, y_N: np.ndarray) -> np.ndarray:
        """[C] weights, of sum 1, by what each candidate predicts of samples that it has not seen."""

    # What follows is final.

    def __post_init__(self) -> None:
        self._plugs = [Plug.of(candidate) for candidate in self.candidates]
        if not self._plugs:
            raise UserError("there is no predictor to select from", "candidates", "at least one")
        for plug in self._plugs:
            registry.create("predictors", plug.name, plug.options)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        tried = [(plug, left_out(plug, X_NF, y_N, self.folds, self.seed)) for plug in self._plugs]
        able = [(plug, row_N) for plug, row_N in tried if row_N is not None]
        if not able:
            raise UserError("no candidate can learn from these samples", "candidates")
        weights_C = self.weights(np.array([row_N for _, row_N in able]), y_N)
        self._weights_E = weights_C[weights_C > 0]
        plugs = [plug for (plug, _), weight in zip(able, weights_C, strict=True) if weight > 0]
        self.members = [registry.create("predictors", p.name, p.options).fit(X_NF, y_N) for p in plugs]
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_EM, std_EM = np.swapaxes([member.predict(X_MF) for member in self.members], 0, 1)
        mean_M = self._weights_E @ mean_EM
        return mean_M, np.sqrt(self._weights_E @ (std_EM**2 + (mean_EM - mean_M) ** 2))

    @property
    def state(self) -> dict[str, Any]:
        return {"weights_E": self._weights_E, "members": [member.to_json() for member in self.members]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._weights_E = np.array(state["weights_E"])
        self.members: list[Predictor] = [from_json(member) for member in state["members"]]

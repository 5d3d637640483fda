"""Ensemble selection: a weighted mean of several predictors, the weights chosen on samples that they have not seen.

Choose it instead of `cross_validated` where samples are few: a choice of one can be wrong, a mean is seldom. Accuracies
are better put on a scale first: `normal_scores` does so, around this one.
Source: Caruana et al. 2004, section 2 (forward selection with replacement): starting from nothing, the candidate is
added that makes the mean of all that were added order left-out samples best (Kendall's tau). The variance is that of
the mixture, the members' own and what they differ by, on the scale that is right for the left-out samples: a mean errs
less than its members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.core import registry
from archip.core.errors import UserError
from archip.core.problem import Plug
from archip.predictors._agreement import kendall
from archip.predictors._left_out import left_out
from archip.predictors._predictor import Predictor, from_json

__all__ = ["EnsembleSelection"]


@dataclass
class EnsembleSelection(Predictor):
    """The mean of the predictors that were selected, as often as they were.

    Attributes:
        candidates: predictors by name, with options if need be.
        rounds: how many are added; the same one may be added again.
        folds: parts of the samples that are left out in turn.
    """

    candidates: tuple[Any, ...] = ("ridge", "gp", "boosted_trees")
    rounds: Annotated[int, Field(ge=1)] = 10
    folds: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 0  # of the folds

    def __post_init__(self) -> None:
        self._plugs = [Plug.of(candidate) for candidate in self.candidates]
        if not self._plugs:
            raise UserError("there is no predictor to select from", "candidates", "at least one")
        for plug in self._plugs:
            registry.create("predictors", plug.name, plug.options)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        tried = [(plug, left_out(plug, X_NF, y_N, self.folds, self.seed)) for plug in self._plugs]
        able = [(plug, row_2N) for plug, row_2N in tried if row_2N is not None]
        if not able:
            raise UserError("no candidate can learn from these samples", "ensemble_selection.candidates")
        mean_CN, std_CN = np.swapaxes([row_2N for _, row_2N in able], 0, 1)
        counts_C = _selected(mean_CN, y_N, self.rounds)
        used_C = counts_C > 0
        self._weights_E = counts_C[used_C] / self.rounds
        mean_N, std_N = _mixture(self._weights_E, mean_CN[used_C], std_CN[used_C])
        sure_N = std_N <= 1e-12 * np.abs(y_N).max()
        self._scale = 1.0 if sure_N.any() else float(np.sqrt((((y_N - mean_N) / std_N) ** 2).mean()))
        plugs = [plug for (plug, _), count in zip(able, counts_C, strict=True) if count]
        self.members = [registry.create("predictors", p.name, p.options).fit(X_NF, y_N) for p in plugs]
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_EM, std_EM = np.swapaxes([member.predict(X_MF) for member in self.members], 0, 1)
        mean_M, std_M = _mixture(self._weights_E, mean_EM, std_EM)
        return mean_M, self._scale * std_M

    @property
    def state(self) -> dict[str, Any]:
        members = [member.to_json() for member in self.members]
        return {"weights_E": self._weights_E, "scale": self._scale, "members": members}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._weights_E, self._scale = np.array(state["weights_E"]), float(state["scale"])
        self.members: list[Predictor] = [from_json(member) for member in state["members"]]


def _mixture(weights_E: np.ndarray, mean_EM: np.ndarray, std_EM: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean_M, std_M)."""
    mean_M = weights_E @ mean_EM
    return mean_M, np.sqrt(weights_E @ (std_EM**2 + (mean_EM - mean_M) ** 2))


def _selected(held_out_CN: np.ndarray, y_N: np.ndarray, rounds: int) -> np.ndarray:
    """[C] how often each candidate is selected."""
    alone_C = np.array([kendall(row_N, y_N) for row_N in held_out_CN])
    counts_C, sum_N = np.zeros(len(held_out_CN), int), np.zeros(len(y_N))
    for _ in range(rounds):
        together_C = np.array([kendall(sum_N + row_N, y_N) for row_N in held_out_CN])
        best = int(np.lexsort((alone_C, together_C))[-1])  # of equals, the one that is better alone
        counts_C[best] += 1
        sum_N = sum_N + held_out_CN[best]
    return counts_C

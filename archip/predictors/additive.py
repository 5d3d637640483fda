"""Additive: every feature adds its share and none subtracts; fitted to the relative errors.

Choose it where the features are amounts of work and the total is a sum of what each costs (numbers of operators, bytes,
multiplications): the weights read as unit costs, and it extrapolates to more work without turning negative.
Source: Lawson and Hanson 1974, chapter 23 (non-negative least squares), here on rows divided by y, so that a tenth too
much weighs the same for small and for large y; a y below a tenth of the median counts as that tenth, or a few samples
near zero would outweigh all others. The uncertainty is relative in the same way: the residual's root mean square over
the degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from archip.core.errors import UserError
from archip.predictors._predictor import Predictor

__all__ = ["Additive"]

_LEAST = 0.1


@dataclass
class Additive(Predictor):
    """Weights of at least zero and a constant of at least zero."""

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        from scipy.optimize import nnls

        if (y_N <= 0).any() or (X_NF < 0).any():
            raise UserError("additive learns positive numbers from amounts that are not negative", "additive")
        self._least = _LEAST * float(np.median(y_N))
        weight_N = 1 / np.maximum(y_N, self._least)
        A_NG = np.column_stack([X_NF, np.ones(len(y_N))]) * weight_N[:, None]
        unit_G = np.linalg.norm(A_NG, axis=0)
        unit_G[unit_G == 0] = 1.0
        scaled_G, _ = nnls(A_NG / unit_G, y_N * weight_N, maxiter=100 * A_NG.shape[1])
        self._weights_G = scaled_G / unit_G
        freedom = max(1, len(y_N) - np.count_nonzero(scaled_G))
        self._relative = float(np.sqrt(((y_N * weight_N - A_NG @ self._weights_G) ** 2).sum() / freedom))
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_M = X_MF @ self._weights_G[:-1] + self._weights_G[-1]
        return mean_M, self._relative * np.maximum(mean_M, self._least)

    @property
    def state(self) -> dict[str, Any]:
        return {"weights_G": self._weights_G, "relative": self._relative, "least": self._least}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._weights_G = np.array(state["weights_G"])
        self._relative, self._least = float(state["relative"]), float(state["least"])

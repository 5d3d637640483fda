"""Ridge: a weighted sum of the features, with the penalty that predicts left-out samples best.

Choose it where effects add up, or where samples are fewer than features; it is fitted in closed form.
Source: Hoerl and Kennard 1970; the leave-one-out residuals r / (1 - h) are those of Allen's PRESS statistic (1974).
The uncertainty is that of Bayesian linear regression with this penalty: sigma * sqrt(1 + leverage).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from archip.predictors._predictor import Predictor, Scaling

__all__ = ["Ridge"]

Penalty = Annotated[float, Field(gt=0)]


@dataclass
class Ridge(Predictor):
    """Linear in the scaled features.

    Attributes:
        penalties: (least, most, how many) of the grid, evenly spaced in the logarithm; relative to a sample's weight.
    """

    penalties: tuple[Penalty, Penalty, Annotated[int, Field(ge=1)]] = (1e-6, 1e2, 25)

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        self._scaling = Scaling.of(X_NF)
        self._mean = float(y_N.mean())
        U_NR, s_R, Vt_RF = np.linalg.svd(self._scaling(X_NF), full_matrices=False)
        t_N, n = y_N - self._mean, len(y_N)
        low, high, count = self.penalties
        grid_P = n * np.geomspace(low, high, count)
        shrink_PR = s_R**2 / (s_R**2 + grid_P[:, None])
        fitted_PN = (shrink_PR * (U_NR.T @ t_N)) @ U_NR.T
        leverage_PN = 1 / n + shrink_PR @ U_NR.T**2  # 1/n is the intercept's
        left_out_PN = (t_N - fitted_PN) / np.maximum(1 - leverage_PN, 1e-9)
        best = int(np.argmin((left_out_PN**2).mean(1)))
        inverse_R = 1 / (s_R**2 + grid_P[best])
        self._weights_F = Vt_RF.T @ (s_R * inverse_R * (U_NR.T @ t_N))
        self._sigma = float(np.sqrt((left_out_PN[best] ** 2).mean()))
        self._root_FR = Vt_RF.T * np.sqrt(inverse_R)  # z' (Z'Z + penalty)^-1 z = |z' root|^2 within the samples' span
        self._n = n
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        Z_MF = self._scaling(X_MF)
        leverage_M = 1 / self._n + ((Z_MF @ self._root_FR) ** 2).sum(1)
        return self._mean + Z_MF @ self._weights_F, self._sigma * np.sqrt(1 + leverage_M)

    @property
    def state(self) -> dict[str, Any]:
        learned = {"mean": self._mean, "weights_F": self._weights_F, "sigma": self._sigma, "n": self._n}
        return self._scaling.state | learned | {"root_FR": self._root_FR}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scaling = Scaling.restored(state)
        self._mean, self._sigma, self._n = float(state["mean"]), float(state["sigma"]), int(state["n"])
        self._weights_F, self._root_FR = np.array(state["weights_F"]), np.array(state["root_FR"])

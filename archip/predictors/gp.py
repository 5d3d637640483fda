"""Gaussian process: a linear trend and a smooth rest, with the uncertainty that follows from the samples.

Choose it for up to some hundred samples of a function that is mostly smooth; its uncertainty grows away from them.
Kernel: a linear one (a trend extrapolates) plus Matérn 5/2 with a length for every feature, plus noise; its parameters
are those of the highest posterior.
Source: Rasmussen and Williams 2006, algorithm 2.1 and equations 4.17, 5.9; the prior of the lengths is that of Hvarfner
et al. 2024, arXiv:2402.02229, equation 7, log-normal(sqrt 2 + log(F) / 2, sqrt 3), which keeps many features from
being all relevant. The trend's weight, the noise and the amplitude have priors of our own choice: log-normal(-2, 2),
(-4, 2), (-1, 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from archip.predictors._predictor import Predictor, Scaling

__all__ = ["GaussianProcess"]

_JITTER = 1e-8
_SQRT5 = 5**0.5


@dataclass
class GaussianProcess(Predictor):
    """Matérn 5/2 with a length for every feature, on a linear trend.

    Attributes:
        iterations: of L-BFGS, at most.
    """

    iterations: Annotated[int, Field(ge=1)] = 60

    def fit(self, X_NF: np.ndarray, y_N: np.ndarray) -> Self:
        self._scaling = Scaling.of(X_NF)
        self._mean, self._unit = float(y_N.mean()), float(y_N.std()) or 1.0
        self._Z_NF = self._scaling(X_NF)
        t_N, n_features = (y_N - self._mean) / self._unit, X_NF.shape[1]
        middle_P = np.r_[-2.0, -4.0, -1.0, np.full(n_features, 2**0.5 + np.log(n_features) / 2)]
        spread_P = np.r_[2.0, 2.0, 2.0, np.full(n_features, 3**0.5)]
        squares_FNN = (self._Z_NF.T[:, :, None] - self._Z_NF.T[:, None, :]) ** 2
        found = minimize(
            _loss, middle_P, (self._Z_NF, squares_FNN, t_N, middle_P, spread_P), "L-BFGS-B", jac=True,
            bounds=[(m - 4 * s, m + 4 * s) for m, s in zip(middle_P, spread_P, strict=True)],
            options={"maxiter": self.iterations},
        )  # fmt: skip
        self._log_P = found.x
        self._condition(t_N)
        return self

    def predict(self, X_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        Z_MF = self._scaling(X_MF)
        K_MN = self._kernel(Z_MF, self._Z_NF)
        trend, noise, amplitude = np.exp(self._log_P[:3])
        before_M = trend * (Z_MF**2).sum(1) + amplitude
        known_M = (solve_triangular(self._L_NN, K_MN.T, lower=True) ** 2).sum(0)
        std_M = np.sqrt(np.maximum(before_M - known_M, 0) + noise)
        return self._mean + self._unit * (K_MN @ self._alpha_N), self._unit * std_M

    def _condition(self, t_N: np.ndarray) -> None:
        """Cholesky factor and weights of the samples (algorithm 2.1)."""
        K_NN = self._kernel(self._Z_NF, self._Z_NF)
        K_NN[np.diag_indices_from(K_NN)] += np.exp(self._log_P[1]) + _JITTER
        self._L_NN = cholesky(K_NN, lower=True)
        self._alpha_N = cho_solve((self._L_NN, True), t_N)
        self._t_N = t_N

    def _kernel(self, A_MF: np.ndarray, B_NF: np.ndarray) -> np.ndarray:
        trend, _, amplitude = np.exp(self._log_P[:3])
        A_MF, B_NF, plain_MN = A_MF / np.exp(self._log_P[3:]), B_NF / np.exp(self._log_P[3:]), A_MF @ B_NF.T
        square_MN = (A_MF**2).sum(1)[:, None] + (B_NF**2).sum(1) - 2 * A_MF @ B_NF.T
        return trend * plain_MN + amplitude * _matern(np.sqrt(np.maximum(square_MN, 0)))

    @property
    def state(self) -> dict[str, Any]:
        learned = {"mean": self._mean, "unit": self._unit, "log_P": self._log_P}
        return self._scaling.state | learned | {"Z_NF": self._Z_NF, "t_N": self._t_N}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scaling = Scaling.restored(state)
        self._mean, self._unit = float(state["mean"]), float(state["unit"])
        self._log_P, self._Z_NF = np.array(state["log_P"]), np.array(state["Z_NF"])
        self._condition(np.array(state["t_N"]))


def _matern(distance: np.ndarray) -> np.ndarray:
    """Matérn 5/2 (eq. 4.17)."""
    return (1 + _SQRT5 * distance + 5 / 3 * distance**2) * np.exp(-_SQRT5 * distance)


def _loss(log_P, Z_NF, squares_FNN, t_N, middle_P, spread_P) -> tuple[float, np.ndarray]:
    """Negative log posterior and its gradient (eq. 5.9) in the logarithms of trend, noise, amplitude and lengths."""
    (trend, noise, amplitude), shrink_F = np.exp(log_P[:3]), np.exp(-2 * log_P[3:])
    distance_NN = np.sqrt(np.tensordot(shrink_F, squares_FNN, 1))
    linear_NN, smooth_NN = trend * (Z_NF @ Z_NF.T), amplitude * _matern(distance_NN)
    K_NN = linear_NN + smooth_NN
    K_NN[np.diag_indices_from(K_NN)] += noise + _JITTER
    L_NN = cholesky(K_NN, lower=True)
    alpha_N = cho_solve((L_NN, True), t_N)
    pull_NN = 0.5 * (cho_solve((L_NN, True), np.eye(len(t_N))) - np.outer(alpha_N, alpha_N))
    # d matern / d log length_f = 5/3 (1 + sqrt5 r) exp(-sqrt5 r) (difference_f / length_f)^2
    slope_NN = amplitude * 5 / 3 * (1 + _SQRT5 * distance_NN) * np.exp(-_SQRT5 * distance_NN)
    lengths_F = shrink_F * np.tensordot(squares_FNN, pull_NN * slope_NN, 2)
    gradient_P = np.r_[(pull_NN * linear_NN).sum(), noise * np.trace(pull_NN), (pull_NN * smooth_NN).sum(), lengths_F]
    off_P = (log_P - middle_P) / spread_P
    fit = 0.5 * t_N @ alpha_N + np.log(np.diag(L_NN)).sum()
    return float(fit + 0.5 * off_P @ off_P), gradient_P + off_P / spread_P

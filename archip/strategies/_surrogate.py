"""A Gaussian process on a fixed pool of candidates: it takes samples one by one and knows what it expects of the pool.

Kernel: a Matérn 5/2 for each group of features (genes, structure, free statistics), one linear trend over all of them,
and noise; its parameters are those of the highest posterior. The groups add up, so that what a few features explain
need not be learnt again for each combination of the others.
Source: Rasmussen and Williams 2006, algorithm 2.1, equations 4.17 and 5.9; the priors are our choice.

Legend: N samples, K new samples, M candidates of the pool, F features of a group, P parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

__all__ = ["Groups", "Kernel", "Posterior"]

Groups = Sequence[np.ndarray]  # one array [candidates, features] a group

_JITTER = 1e-6
_ITERATIONS = 15  # of L-BFGS; it starts from what was found for fewer samples
_SQRT5 = 5**0.5


@dataclass(frozen=True)
class Kernel:
    """Logarithms of length and amplitude of each group, then of trend and noise."""

    log_P: np.ndarray

    @classmethod
    def prior(cls, n_groups: int) -> Kernel:
        """Lengths of 1 and amplitudes of 0.4 in units of the features and samples; little trend, little noise."""
        return cls(np.r_[np.tile([0.0, -1.0], n_groups), -2.0, -3.0])

    @property
    def noise(self) -> float:
        return float(np.exp(self.log_P[-1])) + _JITTER

    def __call__(self, A: Groups, B: Groups, norms_B: Sequence[np.ndarray] = ()) -> np.ndarray:
        """[N, M] covariance between candidates, without noise; `norms_B` as `_norms` makes them, if they are there."""
        norms_B = norms_B or _norms(B)
        products = [_products(a_NF, b_MF) for a_NF, b_MF in zip(A, B, strict=True)]
        K_NM = np.exp(self.log_P[-2]) * sum(products)
        for g, (product_NM, norm_N, norm_M) in enumerate(zip(products, _norms(A), norms_B, strict=True)):
            length, amplitude = np.exp(self.log_P[2 * g : 2 * g + 2])
            K_NM += amplitude * _matern(np.sqrt(_squares(product_NM, norm_N, norm_M)) / length)
        return K_NM

    def variances(self, A: Groups) -> np.ndarray:
        """[N] the diagonal of the covariance of candidates with themselves."""
        trend_N = np.exp(self.log_P[-2]) * sum((a_NF**2).sum(1) for a_NF in A)
        return trend_N + np.exp(self.log_P[1:-2:2]).sum()

    def fitted(self, rows: Groups, t_N: np.ndarray) -> Kernel:
        """The kernel of the highest posterior, searched from this one."""
        middle_P = Kernel.prior(len(rows)).log_P
        spread_P = np.r_[np.tile([1.0, 1.5], len(rows)), 1.5, 1.5]
        products = [_products(a_NF, a_NF) for a_NF in rows]
        squares = [_squares(p_NN, n_N, n_N) for p_NN, n_N in zip(products, _norms(rows), strict=True)]
        products_NN = sum(products)
        found = minimize(
            _loss, self.log_P, (squares, products_NN, t_N, middle_P, spread_P), "L-BFGS-B", jac=True,
            bounds=[(m - 4 * s, m + 4 * s) for m, s in zip(middle_P, spread_P, strict=True)],
            options={"maxiter": _ITERATIONS},
        )  # fmt: skip
        return Kernel(found.x)


class Posterior:
    """What samples say of a pool. Samples are added in blocks; the last ones can be taken back.

    Attributes:
        n: number of samples.
    """

    def __init__(self, kernel: Kernel, pool: Groups) -> None:
        self.n = 0
        self._kernel, self._pool, self._rows = kernel, pool, [g_MF[:0] for g_MF in pool]
        self._prior_M, self._pool_norms = kernel.variances(pool), _norms(pool)
        self._L_NN, self._V_NM = np.zeros((0, 0)), np.zeros((0, len(pool[0])))  # V = L^-1 K(samples, pool)

    def add(self, rows: Groups) -> None:
        """Add samples, O(K N M): the factor of the covariance grows by their rows."""
        n, k = self.n, len(rows[0])
        self._reserve(n + k)
        cross_NK = solve_triangular(self._L_NN[:n, :n], self._kernel(self._rows, rows), lower=True) if n else None
        own_KK, own_KM = self._kernel(rows, rows), self._kernel(rows, self._pool, self._pool_norms)
        own_KK[np.diag_indices(k)] += self._kernel.noise
        if cross_NK is not None:
            own_KK -= cross_NK.T @ cross_NK
            own_KM -= cross_NK.T @ self._V_NM[:n]
            self._L_NN[n : n + k, :n] = cross_NK.T
        corner_KK = cholesky(own_KK, lower=True)
        self._L_NN[n : n + k, n : n + k] = corner_KK
        self._V_NM[n : n + k] = solve_triangular(corner_KK, own_KM, lower=True)
        self._rows = [np.concatenate([a, b]) for a, b in zip(self._rows, rows, strict=True)]
        self.n = n + k

    def keep(self, n: int) -> None:
        """Take back all samples but the first `n`."""
        self.n, self._rows = n, [rows_NF[:n] for rows_NF in self._rows]

    def expect(self, t_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mean_M, std_M) of the pool, without noise.

        Args:
            t_N: values of the samples, about 0 on average; the last samples may be without: they count as what is
                expected of them, so that only the uncertainty about them goes.
        """
        n = len(t_N)
        mean_M = solve_triangular(self._L_NN[:n, :n], t_N, lower=True) @ self._V_NM[:n]
        known_M = np.einsum("nm,nm->m", self._V_NM[: self.n], self._V_NM[: self.n])
        return mean_M, np.sqrt(np.maximum(self._prior_M - known_M, 1e-12))

    def _reserve(self, n: int) -> None:
        """Make room for `n` samples; room doubles, or each new sample would copy the pool's rows."""
        if n > len(self._L_NN):
            room, old = max(n, 2 * len(self._L_NN)), self.n
            L_NN, V_NM = np.zeros((room, room)), np.empty((room, self._V_NM.shape[1]))
            L_NN[:old, :old], V_NM[:old] = self._L_NN[:old, :old], self._V_NM[:old]
            self._L_NN, self._V_NM = L_NN, V_NM


def _norms(A: Groups) -> list[np.ndarray]:
    """[N] squared length of the rows of each group."""
    return [(a_NF**2).sum(1) for a_NF in A]


def _squares(product_NM: np.ndarray, norm_N: np.ndarray, norm_M: np.ndarray) -> np.ndarray:
    """[N, M] squared distances."""
    return np.maximum(norm_N[:, None] + norm_M - 2 * product_NM, 0)


def _products(A_NF: np.ndarray, B_MF: np.ndarray) -> np.ndarray:
    return A_NF @ B_MF.T


def _matern(distance: np.ndarray) -> np.ndarray:
    """Matérn 5/2 (eq. 4.17)."""
    return (1 + _SQRT5 * distance + 5 / 3 * distance**2) * np.exp(-_SQRT5 * distance)


def _loss(log_P, squares, products_NN, t_N, middle_P, spread_P) -> tuple[float, np.ndarray]:
    """Negative log posterior and its gradient (eq. 5.9) in the logarithms of the parameters."""
    trend, noise = np.exp(log_P[-2:])
    K_NN, slopes = trend * products_NN, []
    for g, squares_NN in enumerate(squares):
        length, amplitude = np.exp(log_P[2 * g : 2 * g + 2])
        distance_NN = np.sqrt(squares_NN) / length
        decay_NN = amplitude * np.exp(-_SQRT5 * distance_NN)
        smooth_NN = (1 + _SQRT5 * distance_NN + 5 / 3 * distance_NN**2) * decay_NN
        # d matern / d log length = 5/3 (1 + sqrt5 r) exp(-sqrt5 r) r^2
        slopes += [5 / 3 * (1 + _SQRT5 * distance_NN) * distance_NN**2 * decay_NN, smooth_NN]
        K_NN = K_NN + smooth_NN
    K_NN[np.diag_indices_from(K_NN)] += noise + _JITTER
    L_NN = cholesky(K_NN, lower=True)
    alpha_N = cho_solve((L_NN, True), t_N)
    pull_NN = 0.5 * (cho_solve((L_NN, True), np.eye(len(t_N))) - np.outer(alpha_N, alpha_N))
    pulls = [np.vdot(pull_NN, slope_NN) for slope_NN in (*slopes, trend * products_NN)]
    off_P = (log_P - middle_P) / spread_P
    fit = 0.5 * t_N @ alpha_N + np.log(np.diag(L_NN)).sum()
    return float(fit + 0.5 * off_P @ off_P), np.r_[pulls, noise * np.trace(pull_NN)] + off_P / spread_P

"""Agreement: how well predictions agree with what came out, in numbers that need no unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

__all__ = ["Agreement", "agreement", "for_ranks", "interval", "kendall"]

_ALMOST = 1 - 1e-6  # Fisher's z of a perfect correlation would be infinite


@dataclass(frozen=True)
class Agreement:
    """Of predictions with observations.

    Attributes:
        spearman, kendall: rank correlations (tau-b), 1 for the same order. Spearman's is that of the population which
            the samples come from; the plain one is expected to be ((n - 2) rho + 3 tau) / (n + 1) (Kruskal 1958).
        within_5, within_10: share of predictions that lie within so many percent of the observation.
        relative: median of the relative errors' absolute values.
    """

    spearman: float
    kendall: float
    within_5: float
    within_10: float
    relative: float

    @property
    def values(self) -> np.ndarray:
        """All numbers, in the order of the fields."""
        return np.array([getattr(self, f.name) for f in fields(self)])

    @classmethod
    def of_values(cls, values: Sequence[float] | np.ndarray) -> Agreement:
        """The inverse of `values`; numbers that a correction has moved out of their range are put back into it."""
        low = (-1.0, -1.0, 0.0, 0.0, 0.0)
        high = (1.0, 1.0, 1.0, 1.0, np.inf)
        return cls(*np.clip(values, low, high).tolist())


def agreement(predicted_N: np.ndarray, observed_N: np.ndarray) -> Agreement:
    """Agreement of predictions with observations that are not zero."""
    from scipy.stats import rankdata

    off_N = np.abs(predicted_N - observed_N) / np.maximum(np.abs(observed_N), 1e-300)
    predicted_N, observed_N = for_ranks(predicted_N), for_ranks(observed_N)
    n, tau = len(observed_N), kendall(predicted_N, observed_N)
    rho = _correlation(rankdata(predicted_N), rankdata(observed_N))
    return Agreement(
        spearman=float(np.clip((rho * (n + 1) - 3 * tau) / (n - 2), -1, 1)) if n > 2 else rho,
        kendall=tau,
        within_5=float((off_N <= 0.05).mean()),
        within_10=float((off_N <= 0.10).mean()),
        relative=float(np.median(off_N)),
    )


def for_ranks(values: np.ndarray) -> np.ndarray:
    """Seven digits: what differs by no more than the rounding of a sum is equal."""
    return values.astype(np.float32)


def interval(predicted_N: np.ndarray, observed_N: np.ndarray, centre: Agreement) -> tuple[Agreement, Agreement]:
    """(low, high): 95 % intervals around `centre` for as many new samples as one likes, judged by these N.

    Source: rank correlations by the jackknife of Fisher's z (Efron and Tibshirani 1993, chapter 11); shares by Clopper
    and Pearson 1934; the median of the relative errors as if they were half-normal: its standard deviation is
    1.166 / sqrt(N) of itself.
    """
    from scipy.stats import beta, t

    n = len(observed_N)
    rows = np.arange(n)
    each = [agreement(predicted_N[rows != i], observed_N[rows != i]) for i in rows]
    z_N2 = np.arctanh(np.clip([[a.spearman, a.kendall] for a in each], -_ALMOST, _ALMOST))
    spread_2 = t.ppf(0.975, n - 1) * np.sqrt((n - 1) * z_N2.var(0))
    middle_2 = np.arctanh(np.clip([centre.spearman, centre.kendall], -_ALMOST, _ALMOST))
    k_2 = n * np.array([centre.within_5, centre.within_10])
    factor = np.exp(1.96 * 1.166 / np.sqrt(n))
    share_low_2, share_high_2 = beta.ppf(0.025, k_2, n - k_2 + 1), beta.ppf(0.975, k_2 + 1, n - k_2)
    low = [*np.tanh(middle_2 - spread_2), *np.nan_to_num(share_low_2), centre.relative / factor]
    high = [*np.tanh(middle_2 + spread_2), *np.nan_to_num(share_high_2, nan=1.0), centre.relative * factor]
    ends = np.minimum(low, centre.values), np.maximum(high, centre.values)
    return Agreement.of_values(ends[0]), Agreement.of_values(ends[1])


def kendall(a_N: np.ndarray, b_N: np.ndarray) -> float:
    """Kendall's tau-b; 0 where one side is constant."""
    from scipy.stats import kendalltau

    if np.ptp(a_N) == 0 or np.ptp(b_N) == 0:
        return 0.0
    return float(kendalltau(a_N, b_N)[0])  # pyright: ignore[reportArgumentType]


def _correlation(a_N: np.ndarray, b_N: np.ndarray) -> float:
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    scale = float(np.sqrt((a_N @ a_N) * (b_N @ b_N)))
    return float(a_N @ b_N) / scale if scale else 0.0

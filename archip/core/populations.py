"""Populations: search spaces compared by the distribution of their networks' errors, not by their best network.

Source: Radosavovic et al. 2020, arXiv:2003.13678, section 3.1 (error EDF) and 3.2 (empirical bootstrap).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["best_range", "edf"]

_DRAWS, _SHARE = 1000, 0.25  # resamplings, and the share of the population in each of them


def edf(errors: ArrayLike, levels: ArrayLike) -> NDArray[np.float64]:
    """F(e) = share of networks with an error below e, eq. 1.

    Args:
        errors: of a sample of the space, [N].
        levels: the e, [E].

    Returns:
        [E] shares.
    """
    ordered = np.sort(np.asarray(errors, dtype=np.float64))
    return np.searchsorted(ordered, np.asarray(levels, dtype=np.float64), side="left") / len(ordered)


def best_range(
    values: ArrayLike, errors: ArrayLike, rng: np.random.Generator, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Where the best networks lie along one property: (low, middle, high).

    A quarter of the population is drawn with replacement, 1,000 times; of each draw the best network's value counts.
    The range holds `confidence` of these values; the middle is their median.

    Args:
        values: the property of each network (depth, width, FLOPs per parameter …), [N].
        errors: [N].
    """
    values, errors = np.asarray(values, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    n = max(1, round(_SHARE * len(values)))
    rows_DN = rng.integers(len(values), size=(_DRAWS, n))
    best_D = rows_DN[np.arange(_DRAWS), errors[rows_DN].argmin(1)]
    tail = (1 - confidence) / 2
    low, middle, high = np.quantile(values[best_D], (tail, 0.5, 1 - tail))
    return float(low), float(middle), float(high)

"""The score of a correlation matrix that several zero-cost scores share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from archip.core.errors import CandidateError

__all__ = ["correlation_score"]

_K = 1e-5


def correlation_score(rows: ArrayLike) -> float:
    """-Σ (log(λ + k) + 1 / (λ + k)) over the eigenvalues λ of the correlation matrix of the rows, k = 1e-5.

    Source: Mellor et al. 2020, arXiv:2006.04647v1, eq. 2; Serianni and Kalita 2023, arXiv:2306.00288.

    Args:
        rows: [N, F], one row a sample.

    Raises:
        CandidateError: a row is constant, so that it correlates with nothing.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if (np.ptp(rows, axis=1) == 0).any():
        raise CandidateError("a sample leaves no trace, so there is nothing to correlate")
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows))
    return float(-(np.log(eigenvalues + _K) + 1 / (eigenvalues + _K)).sum())

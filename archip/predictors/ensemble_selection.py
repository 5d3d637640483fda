"""Ensemble selection: a weighted mean of several predictors, the weights chosen on samples that they have not seen.

Choose it instead of `cross_validated` where samples are few: a choice of one can be wrong, a mean is seldom.
Source: Caruana et al. 2004, section 2 (forward selection with replacement): starting from nothing, the candidate is
added that makes the mean of all that were added order left-out samples best (Kendall's tau).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.predictors._agreement import kendall
from archip.predictors._weighted_mean import WeightedMean

__all__ = ["EnsembleSelection"]


@dataclass
class EnsembleSelection(WeightedMean):
    """The mean of the predictors that were selected, as often as they were.

    Attributes:
        rounds: how many are added; the same one may be added again.
    """

    rounds: Annotated[int, Field(ge=1)] = 10

    def weights(self, held_out_CN: np.ndarray, y_N: np.ndarray) -> np.ndarray:
        return _selected(held_out_CN, y_N, self.rounds) / self.rounds


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

"""Near best: the mean of those predictors that order left-out samples as well as the best one, as far as can be told.

Choose it where the order of networks matters and it is not known which predictor suits: with few samples it averages,
with many it chooses. Inside `normal_scores` outliers among the answers do not rule it.
Source: the weights are those of a Gaussian in the difference to the best, in its standard errors, which is the smooth
form of the rule of one standard error (Breiman et al. 1984, section 3.4.3). The standard error of a difference of two
Kendall's taus on the same samples: Hoeffding 1948, equation 5.13 (twice that of the mean of the samples' own parts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from archip.predictors._agreement import for_ranks
from archip.predictors._weighted_mean import WeightedMean

__all__ = ["NearBest"]

_LEAST = 0.02  # weights below this part of the best one's are none, which saves their fit


@dataclass
class NearBest(WeightedMean):
    """Weights fall with the standard errors by which a candidate is behind the best.

    Attributes:
        width: standard errors at which a weight has fallen to 0.61 of the best one's; 2 did best on seeds that no
            benchmark reports.
    """

    width: Annotated[float, Field(gt=0)] = 2.0

    def weights(self, held_out_CN: np.ndarray, y_N: np.ndarray) -> np.ndarray:
        parts_CN = _parts(held_out_CN, y_N)
        best = int(np.argmax(parts_CN.mean(1)))
        behind_CN = parts_CN[best] - parts_CN
        error_C = 2 * behind_CN.std(1) / np.sqrt(len(y_N))
        errors_C = np.divide(behind_CN.mean(1), error_C, out=np.zeros_like(error_C), where=error_C > 0)
        weights_C = np.exp(-0.5 * (errors_C / self.width) ** 2)
        weights_C[weights_C < _LEAST] = 0
        return weights_C / weights_C.sum()


def _parts(held_out_CN: np.ndarray, y_N: np.ndarray) -> np.ndarray:
    """[C, N] share of the other samples that are ordered rightly against this one, less those ordered wrongly."""
    order_NN = np.sign(np.subtract.outer(for_ranks(y_N), for_ranks(y_N)))
    rows = [order_NN * np.sign(np.subtract.outer(row_N, row_N)) for row_N in for_ranks(held_out_CN)]
    return np.array([row_NN.sum(1) for row_NN in rows]) / max(len(y_N) - 1, 1)

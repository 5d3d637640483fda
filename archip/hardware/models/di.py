"""DI: arithmetic intensity that counts activations as dearer than weights, so that it follows energy efficiency.

Choose it to rank networks by energy where only their layers are known. `fit` finds alpha from measured efficiencies of
ten or more networks; alpha = 0.5 is twice the plain arithmetic intensity.
Source: Jha, Mittal 2020, Modeling Data Reuse in Deep Neural Networks by Taking Data-Types into Cognizance, IEEE
Trans. Computers, arXiv:2008.02565:

    AI = M / (W + A),  DI = M / ((1 - alpha) W + alpha A)

with M multiply-accumulates, W weights, A input and output activations, all in elements. The default alpha is the
paper's fit (recalled). Choices: layers without multiplications count with their activations in the sums of a network;
the second operand of a product of two activations counts as weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models._light import Floats, Table
from archip.ir.workload import Workload

__all__ = ["Di"]

_GRID = np.arange(50, 100) / 100  # of alpha, as in the paper


@dataclass(frozen=True)
class Di:
    """Data-type aware intensity."""

    alpha: Annotated[float, Field(ge=0.5, lt=1)] = 0.8  # weight of the activations

    def evaluate(self, workload: Workload) -> Table:
        """Column → [L]: see `_reuse`."""
        return self._reuse(workload.macs_L, workload.moved_LO[:, 0], workload.moved_LO[:, 1:].sum(1))

    def networks(self, workloads: Sequence[Workload]) -> Table:
        """Column → [N], the same numbers of whole networks: sums over layers first, ratios then."""
        return self._reuse(*_sums(workloads))

    @classmethod
    def fit(cls, workloads: Sequence[Workload], macs_per_j: ArrayLike) -> Di:
        """The alpha whose DI correlates best (Pearson) with the measured efficiencies; of equal ones the smallest.

        Raises:
            UserError: fewer than ten networks.
        """
        if len(workloads) < 10:
            raise UserError(f"{len(workloads)} networks are too few to fit alpha", "workloads", "at least 10")
        M, W, A = _sums(workloads)
        measured = np.asarray(macs_per_j, np.float64)
        fits = [np.corrcoef(M / ((1 - alpha) * W + alpha * A), measured)[0, 1] for alpha in _GRID]
        return cls(float(_GRID[int(np.argmax(fits))]))

    def _reuse(self, M: Floats, W: Floats, A: Floats) -> Table:
        """`di`, `ai`, MACs per weight (0 without weights) and per activation, and their ratio, the disparity.

        A disparity far from 1 says that the plain intensity misleads.
        """
        per_weight = np.divide(M, W, out=np.zeros(len(M)), where=W > 0)
        per_activation = M / A
        return {
            "di": M / ((1 - self.alpha) * W + self.alpha * A),
            "ai": M / (W + A),
            "weight_reuse": per_weight,
            "activation_reuse": per_activation,
            "disparity": np.divide(per_weight, per_activation, out=np.zeros(len(M)), where=per_activation > 0),
        }


def _sums(workloads: Sequence[Workload]) -> tuple[Floats, Floats, Floats]:
    """[N] multiply-accumulates, weights and activations of whole networks."""
    moved_NO = np.array([w.moved_LO.sum(0) for w in workloads], np.float64)
    return np.array([w.macs for w in workloads], np.float64), moved_NO[:, 0], moved_NO[:, 1:].sum(1)

"""Alpha-FLOPs: operations, corrected for devices on which more positions are cheaper than more channels.

Choose it to rank networks for a GPU-like device by a formula: `fit` it on some forty timed convolutions per kernel
size. Until then its curve is only an example, not a device. On a CPU it comes out near plain FLOPs.
Source: Asperti, Evangelista, Marzolla 2021, Dissecting FLOPs along input dimensions for GreenAI cost estimations,
arXiv:2107.11949:

    alpha(S) = ((S_K + beta (S - S_K)) / S)^gamma,  alphaFLOPs = alpha(S) 2 K^2 C_in C_out S

with S = W H output positions. Choices: a dense layer has S = 1 and a matrix product S = its rows. Below the reference
S_K alpha stays 1, for nothing was timed there. The fit minimises the squared error of log(time), with the time of one
operation as a third unknown. A kernel size without a curve takes that of the nearest one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from archip.core.errors import UserError
from archip.hardware.models._light import Floats, Positive, Share, Table
from archip.ir.workload import Workload

__all__ = ["AlphaFlops"]


@dataclass(frozen=True)
class Curve:
    """alpha of one kernel size on one device."""

    beta: Share = 0.02  # of the work at further positions that parallelism does not hide
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.9  # 0 gives plain FLOPs
    reference: Positive = 1.0  # S_K, positions at which alpha is 1
    s_per_flop: Positive = 1e-12  # time of one operation there

    def alpha(self, positions: ArrayLike) -> Floats:
        S = np.maximum(np.asarray(positions, np.float64), self.reference)
        return ((self.reference + self.beta * (S - self.reference)) / S) ** self.gamma


@dataclass(frozen=True)
class AlphaFlops:
    """One curve for each kernel size."""

    curves: Mapping[Annotated[int, Field(ge=1)], Curve] = field(default_factory=lambda: {1: Curve()})

    def evaluate(self, workload: Workload) -> Table:
        """Column → [L]: `alpha`, `alpha_flops` and `latency_s`; 0 FLOPs for layers without multiplications."""
        positions_L = workload.dims_LD[:, 4] * workload.dims_LD[:, 5]
        kernel_L = np.sqrt(workload.dims_LD[:, 6] * workload.dims_LD[:, 7])
        sizes = np.array(sorted(self.curves))
        nearest_L = np.abs(np.log(sizes) - np.log(kernel_L)[:, None]).argmin(1)
        alpha_L, s_per_flop_L = np.ones(len(workload)), np.zeros(len(workload))
        for i, size in enumerate(sizes.tolist()):
            is_near = nearest_L == i
            alpha_L[is_near] = self.curves[size].alpha(positions_L[is_near])
            s_per_flop_L[is_near] = self.curves[size].s_per_flop
        flops_L = alpha_L * 2 * workload.macs_L
        return {"alpha": alpha_L, "alpha_flops": flops_L, "latency_s": flops_L * s_per_flop_L}

    @classmethod
    def fit(cls, kernel: ArrayLike, positions: ArrayLike, flops: ArrayLike, seconds: ArrayLike) -> AlphaFlops:
        """Curves from timed convolutions [n]; for each kernel size S_K is the least number of positions.

        Time them over a sweep that keeps the operations constant and trades positions against channels.

        Raises:
            UserError: fewer than four different numbers of positions for some kernel size.
        """
        sizes, S, flops, seconds = (np.asarray(a, np.float64) for a in (kernel, positions, flops, seconds))
        curves = {}
        for size in np.unique(sizes).tolist():
            rows = sizes == size
            if len(np.unique(S[rows])) < 4:
                raise UserError("too few sizes to fit alpha", f"kernel {size:g}", "four numbers of positions at least")
            curves[int(size)] = _fitted(S[rows], np.log(seconds[rows] / flops[rows]))
        return cls(curves)


def _fitted(S: Floats, log_s_per_flop: Floats) -> Curve:
    """For each beta the best line gives gamma and the time of one operation; the best beta wins."""
    reference = S.min()

    def line(log_beta: float) -> tuple[float, float, float]:
        x = np.log((reference + np.exp(log_beta) * (S - reference)) / S)
        spread = ((x - x.mean()) ** 2).sum()
        slope = ((x - x.mean()) * log_s_per_flop).sum() / spread if spread > 1e-12 else 0.0
        gamma = float(np.clip(slope, 0, 1))
        level = float((log_s_per_flop - gamma * x).mean())
        return float(((log_s_per_flop - gamma * x - level) ** 2).sum()), gamma, level

    low, high = np.log(1e-5), 0.0
    for _ in range(3):  # each time around the best of the last, 50 times finer
        grid = np.linspace(low, high, 101)
        best = int(np.argmin([line(b)[0] for b in grid]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    log_beta = float(grid[best])
    _, gamma, level = line(log_beta)
    return Curve(float(np.exp(log_beta)), gamma, float(reference), float(np.exp(level)))

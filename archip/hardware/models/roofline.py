"""Roofline: a layer takes the longer of its arithmetic at the peak rate and its tensors at the memory's.

Choose it for a first bound on any device of which only the data sheet is known: no implementation of a layer that moves
its tensors once can be faster, and one that tiles well comes close. It knows nothing of mapping, so depthwise and other
thin layers are too fast in it.
Source: Williams, Waterman, Patterson 2009, Roofline, CACM 52(4), eq. on p. 67: attainable = min(peak, bandwidth x
intensity). Energy is the share of the board's power that the two units need: GenZ's split (arXiv:2406.01698) without
its network part. Defaults: A100 80 GB, vendor's data sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from archip.hardware.models._light import Count, Floats, Positive, Share, Table, tensor_bytes
from archip.ir.workload import Workload

__all__ = ["Roofline"]

_STATIC, _COMPUTE, _MEMORY = 0.3 / 0.9, 0.4 / 0.9, 0.2 / 0.9  # of the power; GenZ's 0.3, 0.4, 0.2 without network


@dataclass(frozen=True)
class Roofline:
    """A device as two rates.

    Operands are computed at the rate of the narrowest listed width that holds them. Wider than all: each doubling of
    the width halves the rate.
    """

    # Width in bits → operations a second; a multiply-accumulate is two.
    ops_per_s: Mapping[Count, Positive] = field(default_factory=lambda: {16: 312e12, 8: 624e12})
    bytes_per_s: Positive = 2039e9
    compute_efficiency: Share = 1.0
    memory_efficiency: Share = 1.0
    power_w: Positive = 400.0

    def evaluate(self, workload: Workload) -> Table:
        """Every layer by itself, all its tensors in memory.

        Returns:
            Column → [L]: `latency_s`, `energy_j`, `intensity` in operations a byte, `ops_per_s` attained, and
            `bottleneck` (compute or memory).
        """
        n_bytes_L, ops_L = tensor_bytes(workload).sum(1), 2.0 * workload.macs_L
        compute_s_L, memory_s_L = self.seconds(ops_L, n_bytes_L, workload.bits_LO[:, :2].max(1))
        latency_s_L = np.maximum(compute_s_L, memory_s_L)
        return {
            "latency_s": latency_s_L,
            "energy_j": self.power_w * (_STATIC * latency_s_L + _COMPUTE * compute_s_L + _MEMORY * memory_s_L),
            "intensity": ops_L / n_bytes_L,
            "ops_per_s": ops_L / latency_s_L,
            "bottleneck": np.where(compute_s_L >= memory_s_L, "compute", "memory"),
        }

    def seconds(self, ops: ArrayLike, n_bytes: ArrayLike, bits: ArrayLike) -> tuple[Floats, Floats]:
        """(compute, memory) time of work of any shape; `bits` is the width of its widest operand."""
        compute_s = np.asarray(ops, np.float64) / (self.peak(bits) * self.compute_efficiency)
        return compute_s, np.asarray(n_bytes, np.float64) / (self.bytes_per_s * self.memory_efficiency)

    def peak(self, bits: ArrayLike) -> Floats:
        """Operations a second on operands of these widths."""
        widths = np.array(sorted(self.ops_per_s))
        rates = np.array([self.ops_per_s[int(w)] for w in widths])
        at = np.minimum(np.searchsorted(widths, bits), len(widths) - 1)
        return rates[at] * np.minimum(1.0, widths[at] / np.asarray(bits))

    def ridge(self, bits: int) -> float:
        """Operations a byte above which the arithmetic is the limit."""
        memory = self.bytes_per_s * self.memory_efficiency
        return float(self.peak(bits)) * self.compute_efficiency / memory

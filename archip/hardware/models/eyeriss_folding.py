"""Eyeriss folding: how many PEs of a row-stationary array work, by folding one plane of filter rows x output rows.

Choose it for the utilisation of an Eyeriss-like array in closed form; `loopnest` with the template `eyeriss` costs a
whole chip with its best mapping. A plane takes R x E PEs (filter rows x output rows). It is cut into strips as wide as
the array; strips, and planes of other channels and filters, are stacked.
Source: Chen, Emer, Sze, Eyeriss, ISCA 2016, sections V and VI, and the chip, IEEE JSSC 52(1), 2017. The rule

    strips = ceil(E / columns), e = ceil(E / strips), v = floor(rows / R)
    active = R E floor(v / strips) if strips <= v, else R e v

gives the chip's PEs on AlexNet. On VGG-16 it gives all 168, the chip used 156 in conv1 to conv3.

Choices where the papers leave freedom: a filter higher than the array is cut into strips, too. Planes at most half as
wide as the array also stand side by side. No more planes work than the layer has. Partial sums stay in the buffer
until they are complete, so a tile of m filters, n images and e output rows keeps m n e F words there beside one input
channel; of all tiles the one with the least DRAM traffic is taken. Activations travel run-length coded, three 16-bit
values with their runs in 64 bits, where that is shorter. A PE holds q input channels (as many as fit), stacked planes
add up over channels, and every MAC needs four accesses to the scratchpads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archip.hardware.models._light import Count, Floats, Positive, Share, Table
from archip.ir.workload import DIMS, Workload

__all__ = ["EyerissFolding"]

Ints = NDArray[np.int64]
_RLC = 64 / 48  # bits of a non-zero value in the code over its own


@dataclass(frozen=True)
class EyerissFolding:
    """The row-stationary array by its geometry; defaults are the chip."""

    rows: Count = 12
    columns: Count = 14
    clock_hz: Positive = 200e6
    efficiency: Share = 0.87  # of the active PEs' cycles; the chip over AlexNet, which stalls little
    buffer_words: Count = 51200  # 100 KiB of 16-bit inputs and partial sums
    pe_words: tuple[Count, Count, Count] = (224, 12, 24)  # scratchpads of a PE: filters, inputs, partial sums
    mac_j: Positive = 0.75e-12  # 16 bits at 65 nm: four 8-bit multiplications and an addition of technology/nm65.py
    relative_cost: tuple[Positive, Positive, Positive, Positive] = (1, 2, 6, 200)  # RF, neighbour, buffer, DRAM

    def evaluate(self, workload: Workload) -> Table:
        """Every layer with a loop nest; the others use no PEs and are 0 throughout.

        Returns:
            Column → [L]: `active_pes`, `utilisation`, `latency_s` of the computation, `buffer_words` (the least;
            the chip moves more on VGG-16), `dram_words` of 16 bits, `energy_j` with DRAM; the last two are NaN where
            the buffer holds no tile of full width.
        """
        active_L = self.active_pes(workload)
        dram_L = np.array([self._dram_words(workload, i) if active_L[i] else 0.0 for i in range(len(workload))])
        hops_L, buffer_L = self._passes(workload)
        macs_L = workload.macs_L
        counts_L4 = np.stack([4.0 * macs_L, hops_L, buffer_L + dram_L, dram_L], 1)
        return {
            "active_pes": active_L,
            "utilisation": active_L / (self.rows * self.columns),
            "latency_s": macs_L / (np.maximum(active_L, 1) * self.clock_hz * self.efficiency),
            "dram_words": dram_L,
            "buffer_words": buffer_L,
            "energy_j": self.mac_j * (macs_L + counts_L4 @ np.array(self.relative_cost)),
        }

    def active_pes(self, workload: Workload) -> Ints:
        """[L] PEs that work, by the folding rule."""
        B, G, K, C, E, _, R, _ = workload.dims_LD.T
        r, v = self._stacked(R)
        strips = -(-E // self.columns)
        e = -(-E // strips)
        beside = np.maximum(self.columns // E, 1)
        whole = np.minimum(v // strips * beside, B * G * K * C)
        active = np.where(strips <= v, r * E * whole, r * e * np.minimum(v, B * G * K * C * strips))
        return np.where(workload.macs_L > 0, active, 0)

    def _stacked(self, R: Ints) -> tuple[Ints, Ints]:
        """(rows of a plane after cutting filters that are too high, planes on top of each other)."""
        r = -(-R // -(-R // self.rows))
        return r, self.rows // r

    def _passes(self, workload: Workload) -> tuple[Floats, Floats]:
        """[L] hops of partial sums between PEs, and words between the array and the buffer."""
        _, _, K, C, _, _, R, S = workload.dims_LD.T
        macs_L = workload.macs_L
        _, v = self._stacked(R)
        filters, inputs, sums = self.pe_words
        q = np.clip(inputs // S, 1, C)  # input channels in a PE
        r = np.minimum(v, -(-C // q))  # stacked planes that add up over channels
        p = np.clip(np.minimum(sums, filters // (q * S)), 1, K)  # filters in a PE
        fetched = workload.moved_LO[:, 1] * -(-K // (p * (v // r))) * (macs_L > 0)
        return macs_L / (S * q), 2 * macs_L / (R * S * q * r) + fetched

    def _dram_words(self, workload: Workload, layer: int) -> float:
        """Least DRAM traffic of one layer over all tiles that the buffer holds, in 16-bit words."""
        row = dict(zip(DIMS, workload.dims_LD[layer].tolist(), strict=True))
        stride_y, stride_x = workload.stride_L2[layer]
        weights, inputs, outputs = workload.moved_LO[layer]
        density = np.minimum(workload.density_LO[layer] * _RLC, 1)
        m, n, e = np.meshgrid(*(_cuts(row[loop]) for loop in ("K", "B", "OY")), indexing="ij")
        in_rows, width = (e - 1) * stride_y + row["FY"], (row["OX"] - 1) * stride_x + row["FX"]
        fits = m * n * e * row["OX"] + n * in_rows * width <= self.buffer_words
        strips = -(-row["OY"] // e)
        overlap = (strips - 1) * max(row["FY"] - stride_y, 0) / in_rows.max()  # rows that are read twice
        read = inputs * (1 + overlap) * density[1] * -(-row["K"] // m)
        words = read + weights * -(-row["B"] // n) * strips + outputs * density[2]
        return float(words[fits].min()) if fits.any() else np.nan


def _cuts(size: int) -> Ints:
    """The smallest tile for each possible number of tiles."""
    return np.unique(-(-size // np.arange(1, size + 1)))

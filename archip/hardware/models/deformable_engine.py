"""Deformable-convolution engine: what limits on where a filter may read save in buffers and in reads.

Choose it to decide which limits a deformable operator needs before it maps to hardware: `evaluate` gives buffer bytes,
reads and cycles of layers taken as deformable, `convolve` computes one with the engine's arithmetic.
Source: Huang et al. 2020, Algorithm-hardware Co-design for Deformable Convolution. Four switches: offsets shared by all
channels (`depthwise`), bounded to [-B, B], square (one dilation s a pixel, taps at s (i, j)), and integer (one read a
tap instead of the four of bilinear interpolation). A bounded filter needs K + 2 B rows in the buffer instead of the
whole map: (K + 2 B) W C bits / 8 bytes. Weights have 4 bits, activations 8.
Choices: free offsets become square by least squares, are then bounded and then rounded. Taps outside the map read zero.
The engine does `macs_per_cycle` products and `reads_per_cycle` reads; offsets that are not shared are one pair for each
channel and tap, and are read like activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from archip.hardware.models._light import Count, Floats, Table
from archip.ir.workload import Workload

__all__ = ["DeformableEngine"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DeformableEngine:
    """The switches, and the rates of the engine."""

    bound: Annotated[int, Field(ge=0)] | None = 3  # B; None reads anywhere
    shape: Literal["free", "square"] = "free"
    integer: bool = False
    depthwise: bool = True
    activation_bits: Count = 8
    weight_bits: Count = 4
    macs_per_cycle: Count = 256
    reads_per_cycle: Count = 256

    def evaluate(self, workload: Workload) -> Table:
        """Every convolution as if it were deformable; the other layers are 0 throughout.

        Returns:
            Column → [L]: `buffer_rows`, `buffer_bytes`, `weight_bytes`, `reads` of activations and offsets, `cycles`.
        """
        B, G, _, C, OY, OX, FY, FX = workload.dims_LD.T
        is_conv = np.array([kind == "conv" for kind in workload.kinds])
        extent = (FY - 1) * workload.dilation_L2[:, 0] + 1
        height, width = (workload.dims_LD[:, [4, 5]] - 1).T * workload.stride_L2.T - 2 * workload.padding_L2.T
        height, width = height + extent, width + (FX - 1) * workload.dilation_L2[:, 1] + 1
        rows = height if self.bound is None else np.minimum(extent + 2 * self.bound, height)
        pixels = B * OY * OX
        offsets = pixels * (1 if self.shape == "square" else 2 * FY * FX) * (1 if self.depthwise else G * C)
        reads = np.where(is_conv, pixels * FY * FX * G * C * (1 if self.integer else 4) + offsets, 0)
        return {
            "buffer_rows": np.where(is_conv, rows, 0),
            "buffer_bytes": np.where(is_conv, rows * width * G * C * self.activation_bits / 8, 0),
            "weight_bytes": np.where(is_conv, workload.moved_LO[:, 0] * self.weight_bits / 8, 0),
            "reads": reads,
            "cycles": np.ceil(
                np.maximum(workload.macs_L * is_conv / self.macs_per_cycle, reads / self.reads_per_cycle)
            ),
        }

    def limited(self, offsets: ArrayLike, kernel: int) -> Floats:
        """Offsets (y, x) [2, kernel^2, OY, OX] within the limits."""
        moved, taps = np.asarray(offsets, np.float64), _taps(kernel)
        if self.shape == "square":
            square = (taps**2).sum()
            stretch = np.tensordot(taps, moved, 2) / max(square, 1.0)  # s - 1, [OY, OX]
            stretch = self._within(stretch, (kernel - 1) / 2)
            return taps[:, :, None, None] * stretch
        return self._within(moved, 1.0)

    def _within(self, offsets: Floats, reach: float) -> Floats:
        """Bounded, then rounded; `reach` times the offset must not exceed the bound."""
        if self.bound is not None and reach > 0:
            most = self.bound / reach
            offsets = np.clip(offsets, -most, most)
            if self.integer:
                return np.clip(np.round(offsets), -np.floor(most), np.floor(most))
        return np.round(offsets) if self.integer else offsets

    def addresses(self, offsets: ArrayLike, kernel: int, stride: int = 1, padding: int = 0) -> tuple[Ints, Floats]:
        """Where the engine reads: (y, x) [2, reads, kernel^2, OY, OX], and the weight of each read without that 2.

        Addresses may lie outside the map, where zeros are.
        """
        moved = self.limited(offsets, kernel)
        _, _, n_rows, n_columns = moved.shape
        grid = np.stack(np.meshgrid(np.arange(n_rows), np.arange(n_columns), indexing="ij")) * stride - padding
        place = grid[:, None] + _taps(kernel)[:, :, None, None] + (kernel - 1) // 2 + moved
        if self.integer:
            return place[:, None].astype(np.int64), np.ones((1, *place.shape[1:]))
        base = np.floor(place)
        share = place - base
        corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
        weight = np.stack([np.abs(1 - y - share[0]) * np.abs(1 - x - share[1]) for y, x in corners])
        # A corner without weight is read again at the base, so that no read leaves the bound.
        is_moved = share[:, None] > 0
        return (base[:, None] + corners.T[:, :, None, None, None] * is_moved).astype(np.int64), weight

    def convolve(
        self, image: ArrayLike, weights: ArrayLike, offsets: ArrayLike, stride: int = 1, padding: int = 0
    ) -> Floats:
        """[K, OY, OX] from an image [C, H, W], weights [K, C, k, k] and offsets shared by the channels."""
        x, w = np.asarray(image, np.float64), np.asarray(weights, np.float64)
        (rows, columns), share = self.addresses(offsets, w.shape[-1], stride, padding)
        is_inside = (rows >= 0) & (rows < x.shape[1]) & (columns >= 0) & (columns < x.shape[2])
        values = np.where(is_inside, x[:, np.clip(rows, 0, x.shape[1] - 1), np.clip(columns, 0, x.shape[2] - 1)], 0)
        return np.einsum("kct,cyxt->kyx", w.reshape(*w.shape[:2], -1), (values * share).sum(1).transpose(0, 2, 3, 1))


def _taps(kernel: int) -> Floats:
    """[2, kernel^2] positions of the filter's taps around its centre."""
    reach = np.arange(kernel) - (kernel - 1) // 2
    return np.stack(np.meshgrid(reach, reach, indexing="ij")).reshape(2, -1).astype(np.float64)

"""Uniform quantisation after training: equally spaced numbers, ranges from the weights and from a few batches.

Choose it for 8 bits, and to rank choices of bits without training; below 4 bits networks want training.
Weights are symmetric, with a scale for each output channel, so that the largest one is kept; activations have one scale
and one zero point a tensor, from the range of what was seen, which holds zero. A batch normalisation that scales the
channels of a layer changes nothing about the rounding of its weights, so it need not be absorbed first.
Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1; Krishnamoorthi 2018, arXiv:1806.08342, section 3 (per-channel
weights, post-training calibration).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from archip.compress.quantize._quantizer import Grid, Quantizer

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform(Quantizer):
    """Per-channel symmetric weights, per-tensor affine activations."""

    percentile: Annotated[float, Field(gt=50, le=100)] = (
        99.99  # of activations inside the range; 100: all that were seen
    )

    def weight_grid(self, weight: Tensor, axis: int, bits: int) -> Grid:
        most = 2 ** (bits - 1) - 1
        largest_C = weight.detach().abs().movedim(axis, 0).flatten(1).amax(1)
        return Grid(torch.where(largest_C > 0, largest_C / most, 1.0), 0, -most, most, axis)

    def value_grid(self, seen: Tensor, bits: int) -> Grid:
        share, most = self.percentile / 100, 2**bits - 1
        low, high = torch.quantile(
            seen, torch.tensor([1 - share, share], dtype=seen.dtype, device=seen.device)
        ).tolist()
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / most or 1.0
        return Grid(scale, round(-low / scale), 0, most)

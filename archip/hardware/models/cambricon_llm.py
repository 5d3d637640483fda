"""Cambricon-LLM: one token at a time from weights in NAND flash whose dies multiply, beside an NPU.

Choose it for a language model that is larger than a device's DRAM: tokens a second, the share of the weights that is
worked on inside the flash, and the tile of a matrix that hides its input and result under a page read.
Source: Yu et al. 2024, Cambricon-LLM: A Chiplet-Based Hybrid Architecture for On-Device Inference of 70B LLM, MICRO,
arXiv:2409.15654. Inside bandwidth B_i = dies planes page / t_read (only results leave), channel bandwidth B_c to the
NPU; a = B_i / (B_i + B_c) of each matrix is worked on in flash, the rest is streamed:

    token time = W / (B_i + B_c) + KV cache / DRAM bandwidth + special functions

Choices: a page holds a tile of h x w weights; w inputs go in and h results come out over the channel that the dies of a
channel share, so of the tiles that fill a page the one with the least h + w is taken. Defaults are the paper's largest
configuration (recalled).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from archip.hardware.models._light import Count, Positive, Table

__all__ = ["CambriconLlm"]


@dataclass(frozen=True)
class CambriconLlm:
    """Flash with compute cores, a channel to the NPU, and DRAM for the KV cache."""

    channels: Count = 32
    dies_per_channel: Count = 8
    planes: Count = 2
    page_bytes: Count = 16384
    read_s: Positive = 30e-6
    channel_bytes_per_s: Positive = 1e9  # of each
    dram_bytes_per_s: Positive = 68e9
    special_s: Annotated[float, Field(ge=0)] = 0.0  # of a token: softmax, norms, activations
    weight_bits: Count = 8
    activation_bits: Count = 8

    @property
    def inside_bytes_per_s(self) -> float:
        """B_i, of all planes together."""
        return self.channels * self.dies_per_channel * self.planes * self.page_bytes / self.read_s

    @property
    def outside_bytes_per_s(self) -> float:
        """B_c, of all channels."""
        return self.channels * self.channel_bytes_per_s

    @property
    def in_flash(self) -> float:
        """a, the share of each matrix whose products stay in the flash."""
        return self.inside_bytes_per_s / (self.inside_bytes_per_s + self.outside_bytes_per_s)

    def decode(self, params: ArrayLike, cached_bytes: ArrayLike = 0.0) -> Table:
        """One token of models with so many weights and so large a KV cache: `token_s`, `tokens_per_s`, `weight_s`."""
        weight_s = np.asarray(params, np.float64) * self.weight_bits / 8
        weight_s = weight_s / (self.inside_bytes_per_s + self.outside_bytes_per_s)
        token_s = weight_s + np.asarray(cached_bytes, np.float64) / self.dram_bytes_per_s + self.special_s
        return {"token_s": token_s, "tokens_per_s": 1 / token_s, "weight_s": weight_s}

    def tile(self) -> tuple[int, int, bool]:
        """(h, w, whether the channel hides its traffic): rows and columns of the weights in one page."""
        weights = self.page_bytes * 8 // self.weight_bits
        heights = 2 ** np.arange(int(np.log2(weights)) + 1)
        h = int(heights[(heights + weights // heights).argmin()])
        w = weights // h
        pages = self.dies_per_channel * self.planes  # of a channel, in the time of one page read
        moved_s = pages * (h + w) * self.activation_bits / 8 / self.channel_bytes_per_s
        return h, w, moved_s <= self.read_s

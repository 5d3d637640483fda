"""The sizes of a decoder-only language model, for the models of platforms that serve one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from archip.hardware.models._light import Count, Floats

__all__ = ["LLAMA2_7B", "LLAMA2_70B", "LanguageModel", "Work"]


class Work(NamedTuple):
    """What one operator of one layer does: multiply-accumulates, and elements of weights, activations and KV cache."""

    macs: Floats
    weights: Floats
    activations: Floats
    cached: Floats


@dataclass(frozen=True)
class LanguageModel:
    """A stack of attention and feed-forward blocks; `n_kv_heads` below `n_heads` is grouped-query attention."""

    n_layers: Count = 32
    hidden: Count = 4096
    n_heads: Count = 32
    n_kv_heads: Count = 32
    ffn: Count = 11008
    vocabulary: Count = 32000
    gated: bool = True  # three matrices in the feed-forward block, else two

    @property
    def head_dim(self) -> int:
        return self.hidden // self.n_heads

    @property
    def kv_dim(self) -> int:
        """Elements of the keys (and of the values) of a token in one layer."""
        return self.n_kv_heads * self.head_dim

    @property
    def params(self) -> int:
        """Weights of all matrices, embedding and head among them; without norms."""
        attention = 2 * self.hidden * (self.hidden + self.kv_dim)
        feed_forward = (3 if self.gated else 2) * self.hidden * self.ffn
        return self.n_layers * (attention + feed_forward) + 2 * self.vocabulary * self.hidden

    def cached(self, context: ArrayLike) -> Floats:
        """Elements of the KV cache of one sequence: 2 x layers x KV heads x head size x context."""
        return 2.0 * self.n_layers * self.kv_dim * np.asarray(context, np.float64)

    def matrices(self, tokens: ArrayLike) -> list[Work]:
        """The matrix products of one layer on so many tokens: QKV, output, feed-forward up (and gate), down."""
        ups = 2 if self.gated else 1
        sizes = (
            (self.hidden, self.hidden + 2 * self.kv_dim),
            (self.hidden, self.hidden),
            (self.hidden, ups * self.ffn),
            (self.ffn, self.hidden),
        )
        return [product(tokens, *size) for size in sizes]

    def attention(self, batch: ArrayLike, tokens: ArrayLike, context: ArrayLike) -> Work:
        """Fused attention of one layer: `tokens` new ones of each sequence look at `context` old ones and each other.

        Scores stay on chip, and masked ones are computed like the others.
        """
        B, T, old = (np.asarray(a, np.float64) for a in (batch, tokens, context))
        pairs, rows = B * T * (old + T), B * T
        return Work(2 * pairs * self.hidden, 0 * pairs, 2 * rows * self.hidden, 2 * B * (old + T) * self.kv_dim)

    def head(self, rows: ArrayLike) -> Work:
        """The product with the vocabulary, once a step."""
        return product(rows, self.hidden, self.vocabulary)


def product(tokens: ArrayLike, n_in: int, n_out: int) -> Work:
    rows = np.asarray(tokens, np.float64)
    return Work(rows * n_in * n_out, np.full(rows.shape, float(n_in * n_out)), rows * (n_in + n_out), 0 * rows)


LLAMA2_7B = LanguageModel()  # Touvron et al. 2023, arXiv:2307.09288
LLAMA2_70B = LanguageModel(n_layers=80, hidden=8192, n_heads=64, n_kv_heads=8, ffn=28672)

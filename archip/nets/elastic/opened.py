"""Attention layers of torch taken apart: the same computation with linear layers of their own, so that heads show.

``nn.MultiheadAttention`` keeps queries, keys and values in one weight and needs as many features in its heads as in its
outputs; a part of its heads is no such layer. What is built here has the same arguments and results, up to the order
of sums and to positions that a padding mask leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import UserError

__all__ = ["OpenAttention", "OpenEncoder", "OpenEncoderLayer", "opened"]


class OpenAttention(nn.Module):
    """``nn.MultiheadAttention`` with layers ``q``, ``k``, ``v``, ``out``; without added keys and values."""

    def __init__(self, full: nn.MultiheadAttention) -> None:
        super().__init__()
        self.head_features, self.batch_first = full.head_dim, full.batch_first
        shared = full.in_proj_weight
        separate = (full.q_proj_weight, full.k_proj_weight, full.v_proj_weight)
        weights = separate if shared is None else shared.chunk(3)
        biases = (None,) * 3 if full.in_proj_bias is None else full.in_proj_bias.chunk(3)
        self.q, self.k, self.v = (_linear(w, b) for w, b in zip(weights, biases, strict=True))
        self.out = _linear(full.out_proj.weight, full.out_proj.bias)
        self.dropout = nn.Dropout(full.dropout)
        self.train(full.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if not self.batch_first:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        q, k, v = (
            layer(t).unflatten(-1, (-1, self.head_features)).transpose(1, 2)
            for layer, t in ((self.q, query), (self.k, key), (self.v, value))
        )
        bias = _bias(key_padding_mask, attn_mask, query)
        weights = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_features)
            weights = self.dropout(F.softmax(scores if bias is None else scores + bias, dim=-1))
            mixed = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            p = self.dropout.p if self.training else 0.0
            mixed = F.scaled_dot_product_attention(q, k, v, bias, dropout_p=p)
        y = self.out(mixed.transpose(1, 2).flatten(2))
        return (y if self.batch_first else y.transpose(0, 1)), weights


class OpenEncoderLayer(nn.Module):
    """``nn.TransformerEncoderLayer`` around an `OpenAttention`."""

    def __init__(self, full: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        self.self_attn = OpenAttention(full.self_attn)
        self.linear1, self.dropout, self.linear2 = full.linear1, full.dropout, full.linear2
        self.norm_first, self.norm1, self.norm2 = full.norm_first, full.norm1, full.norm2
        self.dropout1, self.dropout2 = full.dropout1, full.dropout2
        self.activation: Callable[[Tensor], Tensor] = full.activation
        self.train(full.training)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        masks = (src_key_padding_mask, src_mask)
        if self.norm_first:
            src = src + self._attend(self.norm1(src), *masks)
            return src + self._feed(self.norm2(src))
        src = self.norm1(src + self._attend(src, *masks))
        return self.norm2(src + self._feed(src))

    def _attend(self, x: Tensor, padding: Tensor | None, mask: Tensor | None) -> Tensor:
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask)[0])

    def _feed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class OpenEncoder(nn.Module):
    """``nn.TransformerEncoder``: its layers one after another."""

    def __init__(self, full: nn.TransformerEncoder) -> None:
        super().__init__()
        self.layers, self.norm = full.layers, full.norm
        self.train(full.training)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask)
        return src if self.norm is None else self.norm(src)


def opened(module: nn.Module) -> nn.Module:
    """`module` with all such layers taken apart, in place."""
    return _opened(module, {})


def _opened(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module in done:  # shared by several
        return done[module]
    new: Any = module
    if type(module) is nn.MultiheadAttention and module.bias_k is None and not module.add_zero_attn:
        new = OpenAttention(module)
    elif type(module) is nn.TransformerEncoderLayer:
        new = OpenEncoderLayer(module)
    elif type(module) is nn.TransformerEncoder:
        new = OpenEncoder(module)
    done[module] = done[new] = new
    for name, child in new._modules.items():
        new._modules[name] = child if child is None else _opened(child, done)
    return new


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone(), weight.requires_grad)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone(), bias.requires_grad)
    return layer


def _bias(padding: Tensor | None, mask: Tensor | None, like: Tensor) -> Tensor | None:
    """What is added to the scores [batch, heads, steps, steps]; None without masks."""
    if mask is not None and mask.dim() == 3:
        raise UserError("a mask for each head", "attn_mask", "one mask for all heads")
    terms = [None if t is None else _added(t, like) for t in (padding, mask)]
    wide = None if terms[0] is None else terms[0][:, None, None, :]
    if wide is None or terms[1] is None:
        return terms[1] if wide is None else wide
    return wide + terms[1]


def _added(mask: Tensor, like: Tensor) -> Tensor:
    """Minus infinity where a mask says True."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -math.inf)

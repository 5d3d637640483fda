"""Attention whose number of heads follows from its layers, so that elastic layers make it elastic.

`elastic_attention` wraps the four linear layers of an ordinary `Attention`: heads and features become elastic, the
features of one head stay.
Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; elastic heads as in Chen et al. 2021, arXiv:2107.00651
(AutoFormer), with a fixed size of the head.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from archip.nets.elastic.linear import ElasticLinear
from archip.nets.elastic.size import Channels, Size, Span

__all__ = ["Attention", "elastic_attention"]


class Attention(nn.Module):
    """Self-attention over [batch, steps, features]; a mask is added to the scores, or says where to look."""

    def __init__(self, features: int, heads: int, head_features: int, bias: bool = True) -> None:
        super().__init__()
        self.head_features = head_features
        inner = heads * head_features
        self.q, self.k, self.v = (nn.Linear(features, inner, bias) for _ in range(3))
        self.out: nn.Module = nn.Linear(inner, features, bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.head_features)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


def elastic_attention(full: Attention, features: Channels, heads: Size) -> Attention:
    """`full` itself, with its layers made elastic in place."""
    inner = Span(heads, full.head_features)
    for name, axes in {
        "q": (features, inner),
        "k": (features, inner),
        "v": (features, inner),
        "out": (inner, features),
    }.items():
        setattr(full, name, ElasticLinear(getattr(full, name), *axes))
    return full

"""Elastic embeddings: the leading features of every row, of tokens and of positions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.size import Axis, Channels, axis, chosen

__all__ = ["ElasticEmbedding", "Positions"]


class ElasticEmbedding(ElasticLayer):
    """``nn.Embedding`` with elastic features; every row stays.

    Raises:
        UserError: the embedding renormalises its rows, which shared rows cannot bear.
    """

    full: nn.Embedding

    def __init__(self, full: nn.Embedding, features: Channels) -> None:
        super().__init__(full)
        if full.max_norm is not None or full.sparse or full.scale_grad_by_freq:
            raise UserError(
                f"{full} cannot be elastic", right="an embedding without max_norm, sparse, scale_grad_by_freq"
            )
        self.rows = axis(None, full.num_embeddings, "rows of an embedding")
        self.features = axis(features, full.embedding_dim, "features of an embedding")

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return {"weight": (self.rows, self.features)}

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.tensors()["weight"], self.full.padding_idx)

    def plain(self) -> nn.Module:
        full = self.full
        n = chosen(self.features, self.choice)
        return nn.Embedding(full.num_embeddings, n, full.padding_idx, _weight=torch.empty(full.num_embeddings, n))


class Positions(nn.Module):
    """Adds the leading rows of `table` to a sequence [batch, steps, features]; ordinary, elastic if its table is."""

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.table = table

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table(torch.arange(x.shape[1], device=x.device))

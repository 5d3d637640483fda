"""Field network: embeddings of categorical fields, of which rows and dimensions may be left out, and a perceptron.

N samples, F fields, D dimensions. Every field has rows of its own in one table. A row is used while the sum of its
absolute values is above the threshold of its field; of the dimensions of a field the first d are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["FieldNet"]


class FieldNet(nn.Module):
    """Logits [N, outputs] of codes [N, F].

    Attributes:
        thresholds: [F] learned; a frozen network has none.
        kept: bool [rows], and dims: [F], of a frozen network; else all and D.
    """

    kept: Tensor
    dims: Tensor
    starts: Tensor
    field: Tensor

    def __init__(self, sizes: Sequence[int], dim: int, hidden: Sequence[int], n_outputs: int, seed: int = 0) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(seed)
        n_rows, n_fields = sum(sizes), len(sizes)
        self.sizes, self.dim, self.hidden, self.n_outputs = tuple(sizes), dim, tuple(hidden), n_outputs
        self.table = nn.Parameter(0.1 * torch.randn(n_rows, dim, generator=drawn))
        self.thresholds = nn.Parameter(torch.zeros(n_fields))
        layers: list[nn.Module] = []
        for a, b in pairwise([n_fields * dim, *hidden, n_outputs]):
            layer = nn.Linear(a, b)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(b, a, generator=drawn) * (2 / a) ** 0.5)
                layer.bias.zero_()
            layers += [layer, nn.ReLU()]
        self.head = nn.Sequential(*layers[:-1])
        self.register_buffer("starts", torch.tensor([0, *sizes[:-1]]).cumsum(0))
        self.register_buffer("field", torch.repeat_interleave(torch.arange(n_fields), torch.tensor(list(sizes))))
        self.register_buffer("kept", torch.ones(n_rows, dtype=torch.bool))
        self.register_buffer("dims", torch.full((n_fields,), dim))

    def forward(self, x_NF: Tensor, dims: Tensor | None = None) -> Tensor:
        """Args:
        dims: [F] or [N, F] dimensions used; by default the network's.
        """
        dims = self.dims if dims is None else dims
        rows_NF = x_NF + self.starts
        within = torch.arange(self.dim, device=x_NF.device) < dims[..., None]
        values_NFD = self.table[rows_NF] * within
        norms_NF = values_NFD.abs().sum(-1) * self.dim / dims  # of fewer dimensions as if there were all
        used_NF = _LongTail.apply(norms_NF - self.thresholds) * self.kept[rows_NF]
        return self.head((values_NFD * used_NF[..., None]).flatten(1))

    @torch.no_grad()
    def rows_used(self, dims: Tensor) -> Tensor:
        """Bool [rows] under dimensions [F]: those whose norm is above the threshold."""
        of_row = dims[self.field]
        within = torch.arange(self.dim, device=of_row.device) < of_row[:, None]
        norms = (self.table * within).abs().sum(1) * self.dim / of_row
        return (norms > self.thresholds[self.field]) & self.kept

    def frozen(self, dims: Sequence[int], seed: int) -> FieldNet:
        """A new network that has only the rows and dimensions that this one uses, to be trained from the start."""
        net = FieldNet(self.sizes, self.dim, self.hidden, self.n_outputs, seed)
        net.dims.copy_(torch.tensor(list(dims)))
        net.kept.copy_(self.rows_used(net.dims.to(self.table.device)).cpu())
        net.thresholds.requires_grad_(False).fill_(-1.0)
        return net


class _LongTail(torch.autograd.Function):
    """1 where the input is above 0, else 0; its gradient is 2 - 4 |x| near 0, 0.4 up to 1, and 0 beyond.

    Source: Liu et al. 2020, arXiv:2005.06870, eq. 4 (dynamic sparse training).
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        size = x.abs()
        return gradient * torch.where(size <= 0.4, 2 - 4 * size, torch.where(size <= 1, 0.4, 0.0))

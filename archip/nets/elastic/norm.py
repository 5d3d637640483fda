"""Elastic norms: over batches, over the last axis, over groups of channels.

The running statistics of a batch norm lie in one store as well, so the last network that was trained has left its mark
on those of all others: measure them for a network before it is judged (`train.calibration.recalibrate`).
Source: Yu and Huang 2019, arXiv:1903.05134, section 3.3 (statistics measured after training).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from archip.core.errors import UserError
from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.size import Axis, Channels, axis, chosen
from archip.nets.part import shares, write

__all__ = ["ElasticBatchNorm", "ElasticGroupNorm", "ElasticLayerNorm"]


class ElasticBatchNorm(ElasticLayer):
    """``nn.BatchNorm1d``, ``2d``, ``3d``: trained and evaluated as the wrapped layer's mode says."""

    full: _BatchNorm

    def __init__(self, full: _BatchNorm, channels: Channels) -> None:
        super().__init__(full)
        self.channels = axis(channels, full.num_features, "channels of a batch norm")

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (self.channels,))

    def forward(self, x: Tensor) -> Tensor:
        full, own = self.full, self.tensors()
        mean, var = own.get("running_mean"), own.get("running_var")
        momentum = full.momentum or 0.0
        learns = full.training and full.num_batches_tracked is not None
        if learns and full.num_batches_tracked is not None:
            full.num_batches_tracked.add_(1)
            momentum = 1 / float(full.num_batches_tracked) if full.momentum is None else full.momentum
        uses_batch = full.training or mean is None
        y = F.batch_norm(x, mean, var, own.get("weight"), own.get("bias"), uses_batch, momentum, full.eps)
        part = self.part("running_mean")
        if learns and not shares(part):
            for name in ("running_mean", "running_var"):
                write(getattr(full, name), part[0], own[name])  # pyright: ignore[reportArgumentType]
        return y

    def plain(self) -> nn.Module:
        full = self.full
        n, kind = chosen(self.channels, self.choice), type(full)
        return kind(n, full.eps, full.momentum, full.affine, full.track_running_stats, device="meta")


class ElasticLayerNorm(ElasticLayer):
    """``nn.LayerNorm`` over the last axis, of the features that are there."""

    full: nn.LayerNorm

    def __init__(self, full: nn.LayerNorm, features: Channels) -> None:
        super().__init__(full)
        if len(full.normalized_shape) != 1:
            raise UserError(f"a layer norm over {tuple(full.normalized_shape)}", right="over the last axis")
        self.features = axis(features, full.normalized_shape[0], "features of a layer norm")

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias"), (self.features,))

    def forward(self, x: Tensor) -> Tensor:
        own = self.tensors()
        return F.layer_norm(x, x.shape[-1:], own.get("weight"), own.get("bias"), self.full.eps)

    def plain(self) -> nn.Module:
        full = self.full
        has_bias = full.bias is not None
        return nn.LayerNorm(
            chosen(self.features, self.choice), full.eps, full.elementwise_affine, has_bias, device="meta"
        )


class ElasticGroupNorm(ElasticLayer):
    """``nn.GroupNorm`` with groups of constant size; a single group has whatever channels are there.

    Raises:
        UserError: units of channels are no whole groups.
    """

    full: nn.GroupNorm

    def __init__(self, full: nn.GroupNorm, channels: Channels) -> None:
        super().__init__(full)
        self.channels = axis(channels, full.num_channels, "channels of a group norm")
        each = full.num_channels // full.num_groups
        if full.num_groups > 1 and any(s.times % each and len(s.size.values) > 1 for s in self.channels):
            raise UserError("a group norm would tear its groups", right=f"units of {each} channels")

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return dict.fromkeys(("weight", "bias"), (self.channels,))

    def forward(self, x: Tensor) -> Tensor:
        own = self.tensors()
        return F.group_norm(x, self._groups(), own.get("weight"), own.get("bias"), self.full.eps)

    def plain(self) -> nn.Module:
        full = self.full
        return nn.GroupNorm(self._groups(), chosen(self.channels, self.choice), full.eps, full.affine, device="meta")

    def _groups(self) -> int:
        n, full = chosen(self.channels, self.choice), self.full
        return 1 if full.num_groups == 1 else n * full.num_groups // full.num_channels

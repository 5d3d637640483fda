"""Elastic inputs: resolution of images and series, length of sequences, size of patches.

Source: Cai et al. 2020, arXiv:1908.09791 (elastic resolution); Beyer et al. 2023, arXiv:2212.08013 (FlexiViT: patches
of several sizes from one kernel, resized by the pseudo-inverse).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.nets.elastic.layer import Elastic, ElasticLayer
from archip.nets.elastic.size import Axis, Channels, Size, axis, chosen

__all__ = ["ElasticLength", "ElasticPatches", "ElasticResolution", "Leading"]


class ElasticResolution(Elastic):
    """Resizes images [batch, channels, height, width] to squares, or series [batch, channels, steps], linearly."""

    def __init__(self, side: Size, n_axes: int = 2) -> None:
        super().__init__()
        self.side, self.n_axes = side, n_axes

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (self.side,)

    def forward(self, x: Tensor) -> Tensor:
        return self.extract({})(x)

    def extract(self, memo: dict[int, Any]) -> nn.Module:
        mode = ("linear", "bilinear", "trilinear")[self.n_axes - 1]
        return nn.Upsample((self.side.of(self.choice),) * self.n_axes, mode=mode)


class Leading(nn.Module):
    """The first elements along an axis; all of them if there are fewer."""

    def __init__(self, n: int, axis: int) -> None:
        super().__init__()
        self.n, self.axis = n, axis

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.axis, 0, min(self.n, x.shape[self.axis]))


class ElasticLength(Elastic):
    """Keeps the first steps of a sequence; `axis` is 1 for [batch, steps, …], 2 for [batch, channels, steps]."""

    def __init__(self, length: Size, axis: int = 1) -> None:
        super().__init__()
        self.length, self.axis = length, axis

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (self.length,)

    def forward(self, x: Tensor) -> Tensor:
        return self.extract({})(x)

    def extract(self, memo: dict[int, Any]) -> nn.Module:
        return Leading(self.length.of(self.choice), self.axis)


class ElasticPatches(ElasticLayer):
    """A convolution whose stride is its kernel, for patches of several sizes.

    The kernel w' of a smaller patch is the least-squares answer to <w, x> = <w', B x> for all patches x, where B
    resizes bilinearly.
    """

    reads = ("weight", 1)
    full: nn.Conv2d

    def __init__(
        self, full: nn.Conv2d, patch: Size, inputs: Channels | None = None, outputs: Channels | None = None
    ) -> None:
        super().__init__(full)
        square = (patch.largest, patch.largest)
        if not full.kernel_size == full.stride == square or full.groups > 1 or any(full.padding):
            raise UserError(f"{full} cuts no patches", patch.name, f"kernel and stride {square}, no padding")
        self.patch = patch
        self.inputs = axis(inputs, full.in_channels, "inputs of a convolution")
        self.outputs = axis(outputs, full.out_channels, "outputs of a convolution")
        for side in patch.values[:-1]:
            self.register_buffer(f"resize{side}", _shrinking(patch.largest, side), persistent=False)

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return {"weight": (self.outputs, self.inputs), "bias": (self.outputs,)}

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (*super().sizes, self.patch)

    def tensors(self) -> dict[str, Tensor]:
        own, side = super().tensors(), self.patch.of(self.choice)
        if side < self.patch.largest:
            own["weight"] = (own["weight"].flatten(2) @ self.get_buffer(f"resize{side}")).unflatten(2, (side, side))
        return own

    def forward(self, x: Tensor) -> Tensor:
        own = self.tensors()
        return F.conv2d(x, own["weight"], own.get("bias"), stride=self.patch.of(self.choice))

    def plain(self) -> nn.Module:
        side, n_in, n_out = (
            self.patch.of(self.choice),
            chosen(self.inputs, self.choice),
            chosen(self.outputs, self.choice),
        )
        return nn.Conv2d(n_in, n_out, side, side, bias=self.full.bias is not None, device="meta")


def _shrinking(large: int, small: int) -> Tensor:
    """The matrix [large², small²] that turns flattened kernels of `large` into those of `small`."""
    pixels = torch.eye(large**2, dtype=torch.float64).reshape(-1, 1, large, large)
    resized = F.interpolate(pixels, (small, small), mode="bilinear").flatten(1)  # its transpose is B
    return torch.linalg.pinv(resized.T).float()

"""Elastic convolutions of one to three axes: channels, groups and kernels.

Grouped convolutions keep the channels of a group and lose whole groups; depthwise ones are the case of one channel a
group. A smaller kernel is the centre of the next larger one, then, if wanted, mixed by a learned matrix that all
channels of the layer share: 7 → 5 → 3, each step with its matrix, all identities at the start.
Source: Cai et al. 2020, arXiv:1908.09791 (once-for-all), section 3.2, elastic kernel size.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from archip.core.errors import UserError
from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.size import Axis, Channels, Size, axis, chosen, sizes_of
from archip.nets.part import leading, view

__all__ = ["ElasticConv"]

_FUNCTIONS = (F.conv1d, F.conv2d, F.conv3d)


class ElasticConv(ElasticLayer):
    """``nn.Conv1d``, ``Conv2d`` or ``Conv3d`` with elastic channels and kernel; padding shrinks with the kernel.

    Args:
        full: the largest; with groups, `inputs` and `outputs` count the same units, which are one or more groups.
        kernel: its sides, equal along all axes; the sizes differ by even numbers.
        transforms: mix smaller kernels by learned matrices.

    Raises:
        UserError: groups would be torn, kernels have no common centre, or padding is too small to shrink.
    """

    full: _ConvNd

    def __init__(
        self,
        full: _ConvNd,
        inputs: Channels | None = None,
        outputs: Channels | None = None,
        kernel: Size | None = None,
        transforms: bool = False,
    ) -> None:
        super().__init__(full)
        if isinstance(full, _ConvTransposeNd) or full.padding_mode != "zeros" or isinstance(full.padding, str):
            raise UserError(f"{full} cannot be elastic", right="a convolution with padding by numbers of zeros")
        self.inputs = axis(inputs, full.in_channels, "inputs of a convolution")
        self.outputs = axis(outputs, full.out_channels, "outputs of a convolution")
        self.kernel = kernel
        self.reads = ("weight", 1) if full.groups == 1 else None
        if full.groups > 1:
            self._check_groups()
        steps = list(itertools.pairwise(reversed(kernel.values))) if kernel else []
        if kernel:
            self._check_kernel(kernel)
        self.transforms = nn.ParameterDict(
            {f"{a}to{b}": nn.Parameter(torch.eye(b ** len(full.kernel_size))) for a, b in steps if transforms}
        )

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        inputs = (self.inputs,) if self.full.groups == 1 else ()
        return {"weight": (self.outputs, *inputs), "bias": (self.outputs,)}

    @property
    def sizes(self) -> tuple[Size, ...]:
        return super().sizes + ((self.kernel,) if self.kernel and len(self.kernel.values) > 1 else ())

    def tensors(self) -> dict[str, Tensor]:
        own = super().tensors()
        side = self.kernel.of(self.choice) if self.kernel else 0
        if self.kernel and not self.transforms:
            own["weight"] = _centre(own["weight"], side)
        for a, b in itertools.pairwise(reversed(self.kernel.values)) if self.kernel and self.transforms else ():
            if b >= side:
                cropped = _centre(own["weight"], b)
                own["weight"] = F.linear(cropped.flatten(2), self.transforms[f"{a}to{b}"]).reshape(cropped.shape)
        return own

    def forward(self, x: Tensor) -> Tensor:
        own, full = self.tensors(), self.full
        convolve = _FUNCTIONS[len(full.kernel_size) - 1]
        return convolve(x, own["weight"], own.get("bias"), full.stride, self._padding(), full.dilation, self._groups())

    def plain(self) -> nn.Module:
        full = self.full
        sides = tuple(self.kernel.of(self.choice) for _ in full.kernel_size) if self.kernel else full.kernel_size
        kind: Any = type(full)  # Conv1d, Conv2d or Conv3d
        return kind(
            chosen(self.inputs, self.choice),
            chosen(self.outputs, self.choice),
            sides,
            full.stride,
            self._padding(),
            full.dilation,
            groups=self._groups(),
            bias=full.bias is not None,
            device="meta",
        )

    def _groups(self) -> int:
        full = self.full
        return 1 if full.groups == 1 else full.groups * chosen(self.inputs, self.choice) // full.in_channels

    def _padding(self) -> tuple[int, ...]:
        """That which gives outputs of the same size, with windows around the same centres."""
        lost = (self.kernel.largest - self.kernel.of(self.choice)) // 2 if self.kernel else 0
        return tuple(int(p) - d * lost for p, d in zip(self.full.padding, self.full.dilation, strict=True))

    def _check_groups(self) -> None:
        full, sides = self.full, (self.inputs, self.outputs)
        each = full.in_channels // full.groups, full.out_channels // full.groups
        groups = [
            [(s.size.name, [v * s.times / n for v in s.size.values]) for s in spans]
            for spans, n in zip(sides, each, strict=True)
        ]
        torn = any(s.times % each[0] for s in self.inputs if len(s.size.values) > 1)
        if sizes_of(*sides) and (torn or groups[0] != groups[1]):
            right = f"equal sizes, in units of {each[0]} input and {each[1]} output channels"
            raise UserError("a convolution would tear its groups", right=right)

    def _check_kernel(self, kernel: Size) -> None:
        full = self.full
        if any(k != kernel.largest for k in full.kernel_size):
            raise UserError(f"a kernel of {tuple(full.kernel_size)}", kernel.name, f"{kernel.largest} along every axis")
        if kernel.values[0] < 1 or any((kernel.largest - k) % 2 for k in kernel.values):
            raise UserError(f"kernels {kernel.values} have no common centre", kernel.name, "all odd or all even")
        lost = (kernel.largest - kernel.values[0]) // 2
        if any(int(p) < d * lost for p, d in zip(full.padding, full.dilation, strict=True)):
            raise UserError("too little padding for smaller kernels", kernel.name, f"at least {lost} per dilation")


def _centre(weight: Tensor, side: int) -> Tensor:
    """The inner `side` of every axis behind the first two; a view."""
    n_out, n_in, *sides = weight.shape
    return view(weight, (leading(n_out), leading(n_in), *(min(side, s) for s in sides)))

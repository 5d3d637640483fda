"""Elastic linear layers: the leading inputs and outputs of the largest."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.size import Axis, Channels, axis, chosen

__all__ = ["ElasticLinear"]


class ElasticLinear(ElasticLayer):
    """``nn.Linear`` with elastic features."""

    reads = ("weight", 1)
    full: nn.Linear

    def __init__(self, full: nn.Linear, inputs: Channels | None = None, outputs: Channels | None = None) -> None:
        super().__init__(full)
        self.inputs = axis(inputs, full.in_features, "inputs of a linear layer")
        self.outputs = axis(outputs, full.out_features, "outputs of a linear layer")

    @property
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        return {"weight": (self.outputs, self.inputs), "bias": (self.outputs,)}

    def forward(self, x: Tensor) -> Tensor:
        own = self.tensors()
        return F.linear(x, own["weight"], own.get("bias"))

    def plain(self) -> nn.Module:
        n_in, n_out = chosen(self.inputs, self.choice), chosen(self.outputs, self.choice)
        return nn.Linear(n_in, n_out, self.full.bias is not None, device="meta")

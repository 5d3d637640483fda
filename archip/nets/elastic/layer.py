"""Elastic modules: what all of them share. `ElasticLayer` wraps an ordinary torch layer, the largest one.

The wrapped layer keeps its parameters, also pretrained ones; a forward pass computes with views of them, so gradients
reach the used part only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from archip.nets.elastic.size import Axis, Choices, Size, segments, sizes_of
from archip.nets.part import Part, view

__all__ = ["Elastic", "ElasticLayer"]


class Elastic(nn.Module, ABC):
    """A module that computes with a part of itself.

    Attributes:
        choice: says which part; set for all of a network by `ElasticNet.choose`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.choice: Choices = {}

    @property
    @abstractmethod
    def sizes(self) -> tuple[Size, ...]:
        """The sizes that this module itself reads."""

    @abstractmethod
    def extract(self, memo: dict[int, Any]) -> nn.Module:
        """The chosen part as an ordinary module with its own weights.

        Args:
            memo: as of `copy.deepcopy`, with the extracted form of every elastic module inside this one.
        """


class ElasticLayer(Elastic):
    """A layer with weights; `full` is the largest.

    Attributes:
        reads: name and axis of the weight whose input channels tell how important a channel is; None for layers that
            only pass channels on.
    """

    reads: tuple[str, int] | None = None

    def __init__(self, full: nn.Module) -> None:
        super().__init__()
        self.full = full

    @property
    @abstractmethod
    def axes(self) -> Mapping[str, tuple[Axis, ...]]:
        """Tensor of `full` → channels along its leading axes; other axes and tensors are used whole."""

    @abstractmethod
    def plain(self) -> nn.Module:
        """An ordinary layer of the chosen sizes on the device ``meta``."""

    @property
    def sizes(self) -> tuple[Size, ...]:
        return sizes_of(*chain(*self.axes.values()))

    def part(self, name: str) -> Part:
        """The part of the tensor `name` under the choice."""
        return tuple(segments(spans, self.choice) for spans in self.axes.get(name, ()))

    def tensors(self) -> dict[str, Tensor]:
        """What the layer computes with, under the names of the ordinary layer's parameters and buffers."""
        full = self.full
        named = chain(full._parameters.items(), full._buffers.items())
        return {name: view(tensor, self.part(name)) for name, tensor in named if tensor is not None}

    @torch.no_grad()
    def extract(self, memo: dict[int, Any]) -> nn.Module:
        layer = self.plain()
        for name, tensor in self.tensors().items():
            own = tensor.detach().clone(memory_format=torch.contiguous_format)
            full = getattr(self.full, name)
            is_weight = isinstance(full, nn.Parameter)
            setattr(layer, name, nn.Parameter(own, requires_grad=full.requires_grad) if is_weight else own)
        return layer.train(self.full.training)

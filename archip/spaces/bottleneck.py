"""Bottleneck: residual networks of bottleneck blocks, with width, inner width, kernel and depth of every stage free.

Choose it for networks of the ResNet-50 family at any budget, above all with the `deepmad` score, which was made for it.
A block is conv 1x1 (inner width), conv k x k, conv 1x1 (width), with a residual sum; every stage halves the map.
Source: Shen et al. 2023 (DeepMAD), arXiv:2303.02165, section 4 (search space of ResNets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, IntRange, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, conv_norm_relu, residual_sum

__all__ = ["Bottleneck"]

_MULTIPLE = 8


@dataclass(frozen=True)
class Bottleneck(NetworkSpace):
    """Genes ``stem``, then ``width1 inner1 kernel1 layers1 …``; widths do not decrease.

    Attributes:
        width, inner: most channels of a block and of its middle, in steps of 8.
        kernels: choices for the middle convolution.
        layers: most blocks of a stage.
        stem: most filters of the first convolution, in steps of 8.
        stem_stride: 2 for photographs.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    width: Annotated[int, Field(ge=8)] = 256
    inner: Annotated[int, Field(ge=8)] = 128
    kernels: Counts = (3, 5)
    layers: Count = 8
    stem: Annotated[int, Field(ge=8)] = 32
    stages: Annotated[int, Field(ge=1, le=6)] = 4  # of blocks of one width
    stem_stride: Annotated[int, Field(ge=1, le=2)] = 1

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"stem": IntRange(_MULTIPLE, self.stem, _MULTIPLE)}
        for s in range(1, self.stages + 1):
            knobs |= {
                f"width{s}": IntRange(_MULTIPLE, self.width, _MULTIPLE),
                f"inner{s}": IntRange(_MULTIPLE, self.inner, _MULTIPLE),
                f"kernel{s}": Choice(self.kernels),
                f"layers{s}": IntRange(1, self.layers),
            }
        return knobs

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Widths that decrease are raised to those before them."""
        least = 0
        for s in range(1, self.stages + 1):
            least = max(least, genes[f"width{s}"])
            genes[f"width{s}"] = least
        return genes

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        channels, side = genotype["stem"], -(-min(input_shape[1:]) // self.stem_stride)
        x = conv_norm_relu(g, x, "stem", channels, (3, 3), self.stem_stride)
        for s in range(1, self.stages + 1):
            width, inner, kernel = (genotype[f"{gene}{s}"] for gene in ("width", "inner", "kernel"))
            for b in range(1, genotype[f"layers{s}"] + 1):
                stride = 2 if b == 1 and side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                x = _block(g, x, f"stage{s}.block{b}", (channels, inner, width), kernel, stride)
                channels = width
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _block(g: GraphBuilder, x: str, name: str, channels: tuple[int, int, int], kernel: int, stride: int) -> str:
    before, inner, width = channels
    y = conv_norm_relu(g, x, f"{name}.a", inner, (1, 1))
    y = conv_norm_relu(g, y, f"{name}.b", inner, (kernel, kernel), stride)
    y = g.add("conv", y, name=f"{name}.c.conv", out_channels=width, kernel=(1, 1), bias=False)
    y = g.add("batch_norm", y, name=f"{name}.c.norm")
    return residual_sum(g, x, y, name, (before, width), stride)

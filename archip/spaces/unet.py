"""U-Net: binary segmentation; height of the pyramid and filters of every level.

Choose it to outline cells or other objects in images of any size.

A network of height h has h levels with f_1 … f_h filters: on the way down two 3 x 3 convolutions at each level and
2 x 2 max-pooling between levels; on the way up nearest up-sampling, concatenation with the same level of the way down,
and two 3 x 3 convolutions; a 1 x 1 convolution gives one logit a pixel. Every 3 x 3 convolution is followed by
batch-norm and ReLU. The choices of a level are twice those of the level above.

Sides must be multiples of 2^(h-1): images of another size are padded with zeros at the bottom and the right, and the
output is cropped. Where a side is shorter than 2^(h-1), the lowest level would see padding only: that is refused. More
kernels than one make the kernels of the levels genes, too.
Source: Ronneberger et al. 2015, arXiv:1505.04597; space <height, filters per level>: Yang et al. 2020,
arXiv:2002.04116, section V. Differs: padded convolutions, up-sampling in place of up-convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import CandidateError
from archip.core.knobs import Choice, IntRange, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import odd
from archip.spaces._network import Counts, NetworkSpace, conv_norm_relu, increasing

__all__ = ["UNet"]


@dataclass(frozen=True)
class UNet(NetworkSpace):
    """Genes ``height``, ``f1 f2 …`` and, if there are choices, ``k1 k2 …``; levels below the height have none.

    Attributes:
        top: choices for the filters of level 1; those of level i are 2^(i-1) times as many.
        max_height: most levels.
        kernels: choices for the kernel of a level; odd.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"

    top: Counts = (4, 8, 16)
    max_height: Annotated[int, Field(ge=1, le=6)] = 5
    kernels: Counts = (3,)

    def __post_init__(self) -> None:
        increasing(self.top, "top")
        increasing(self.kernels, "kernels")
        odd(self.kernels, "kernels")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        levels = {f"f{i}": Choice([f * 2 ** (i - 1) for f in self.top]) for i in range(1, self.max_height + 1)}
        kernels = {f"k{i}": Choice(self.kernels) for i in range(1, self.max_height + 1)}
        return {"height": IntRange(1, self.max_height), **levels, **(kernels if len(self.kernels) > 1 else {})}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        return name == "height" or int(name[1:]) <= genes["height"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        sides, multiple = tuple(input_shape[1:]), 2 ** (genotype["height"] - 1)
        if min(sides) < multiple:
            raise CandidateError(f"{sides} pixels cannot be halved {genotype['height'] - 1} times")
        missing = [-side % multiple for side in sides]
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        if any(missing):
            x = g.add("pad", x, name="pad", pads=tuple((0, n) for n in missing))
        levels = range(1, genotype["height"] + 1)
        x = _pyramid(g, x, [(genotype[f"f{i}"], genotype.get(f"k{i}", self.kernels[0])) for i in levels])
        x = g.add("conv", x, name="logits", out_channels=n_outputs, kernel=(1, 1))
        for axis in (2, 3):
            if missing[axis - 2]:
                x = g.add("slice", x, name=f"crop{axis}", axis=axis, stop=sides[axis - 2])
        return g.finish(x)


def _pyramid(g: GraphBuilder, x: str, levels: Sequence[tuple[int, int]]) -> str:
    """Down to the lowest level and up again; (filters, kernel) of the levels from the top."""
    kept = []
    for i, level in enumerate(levels, 1):
        if i > 1:
            kept.append(x)
            x = g.add("max_pool", x, name=f"down{i}.pool", kernel=(2, 2))
        x = _two_convs(g, x, f"down{i}", *level)
    for i in range(len(levels) - 1, 0, -1):
        x = g.add("upsample", x, name=f"up{i}.upsample", scale=(2, 2), mode="nearest")
        x = g.add("concat", kept.pop(), x, name=f"up{i}.concat", axis=1)
        x = _two_convs(g, x, f"up{i}", *levels[i - 1])
    return x


def _two_convs(g: GraphBuilder, x: str, name: str, channels: int, kernel: int) -> str:
    x = conv_norm_relu(g, x, f"{name}.1", channels, (kernel, kernel))
    return conv_norm_relu(g, x, f"{name}.2", channels, (kernel, kernel))

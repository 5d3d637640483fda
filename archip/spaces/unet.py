"""U-Net: binary segmentation; height of the pyramid and filters of every level.

Choose it to outline cells or other objects in images.

A network of height h has h levels with f_1 … f_h filters: on the way down two 3 x 3 convolutions at each level and
2 x 2 max-pooling between levels; on the way up nearest up-sampling, concatenation with the same level of the way down,
and two 3 x 3 convolutions; a 1 x 1 convolution gives one logit a pixel. Every 3 x 3 convolution is followed by
batch-norm and ReLU. The choices of a level are twice those of the level above. The sides must halve h - 1 times.
Source: Ronneberger et al. 2015, arXiv:1505.04597; space <height, filters per level>: Yang et al. 2020,
arXiv:2002.04116, section V. Differs: padded convolutions, up-sampling in place of up-convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field

from archip.core.errors import CandidateError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import NetworkSpace, conv_norm_relu

__all__ = ["UNet"]


@dataclass(frozen=True)
class UNet(NetworkSpace):
    """Genes ``height`` and ``f1 f2 …``; filters of levels below the height do not matter.

    Attributes:
        top: choices for the filters of level 1; those of level i are 2^(i-1) times as many.
        max_height: most levels.
    """

    axes: ClassVar[str] = "NCHW"
    task: ClassVar[str] = "segmentation"

    top: tuple[int, ...] = (4, 8, 16)
    max_height: Annotated[int, Field(ge=1, le=6)] = 5

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        levels = range(1, self.max_height + 1)
        return {"height": Choice(tuple(levels))} | {
            f"f{i}": Choice(tuple(f * 2 ** (i - 1) for f in self.top)) for i in levels
        }

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        return name == "height" or int(name.removeprefix("f")) <= genes["height"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        height = genotype["height"]
        if any(side % 2 ** (height - 1) for side in input_shape[1:]):
            raise CandidateError(f"{tuple(input_shape[1:])} pixels do not halve {height - 1} times")
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), "NCHW")
        kept = []
        for i in range(1, height + 1):
            if i > 1:
                kept.append(x)
                x = g.add("max_pool", x, name=f"down{i}.pool", kernel=(2, 2))
            x = self._double(g, x, f"down{i}", genotype[f"f{i}"])
        for i in range(height - 1, 0, -1):
            x = g.add("upsample", x, name=f"up{i}.upsample", scale=(2, 2), mode="nearest")
            x = g.add("concat", kept.pop(), x, name=f"up{i}.concat", axis=1)
            x = self._double(g, x, f"up{i}", genotype[f"f{i}"])
        return g.finish(g.add("conv", x, name="logits", out_channels=n_outputs, kernel=(1, 1)))

    @staticmethod
    def _double(g: GraphBuilder, x: str, name: str, filters: int) -> str:
        return conv_norm_relu(g, conv_norm_relu(g, x, f"{name}.1", filters, (3, 3)), f"{name}.2", filters, (3, 3))

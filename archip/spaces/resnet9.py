"""ResNet-9: NASAIC's backbone for images; stem and block filters, and how many skip convolutions a block has.

Choose it for image classification on a chip budget, from 8 x 8 pixels upwards, with any number of channels.

A network <FN0, FN1, SK1, FN2, SK2, FN3, SK3> is, from input to output::

    stem       conv 3x3 (FN0) - batch-norm - ReLU
    block i    conv 3x3 (FNi) - batch-norm - ReLU - max-pool 2x2
               SKi = 1:  x + f(x)       where f is conv 3x3 (FNi) - batch-norm - ReLU
               SKi = 2:  x + g(f(x))    where g is another such convolution; SKi = 0: only the first line
    end        global pooling - linear classifier

A block pools only while both sides of its map are at least 4, so that 2 x 2 is left: of 8 x 8 digits, the first two
blocks pool and the third does not. More kernels than one make the kernels of stem and blocks genes, too (a skip
convolution has its block's); `resolutions` makes the size of the input one.
Source: Yang et al. 2020, arXiv:2002.04116, section V (search space <FN, SK>); how the skip convolutions are
arranged is not stated there: ours follows ResNet-9 (prep, conv-pool, residual of two), whose skip count is 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import odd, sized_input
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, conv_norm_relu, increasing

__all__ = ["ResNet9"]


@dataclass(frozen=True)
class ResNet9(NetworkSpace):
    """Genes ``fn0``, then ``fn1 sk1 fn2 sk2 …`` for each block; ``k0 k1 …`` and ``resolution`` if there are choices.

    Attributes:
        stem: choices for the filters of the stem.
        filters: choices for the filters of a block.
        skips: choices for the skip convolutions of a block.
        blocks: number of blocks.
        pool: how the last map becomes one number a channel.
        kernels: choices for the kernel of the stem and of each block; odd.
        resolutions: choices for the shortest side that inputs are resized to; empty: they stay as they are.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    stem: Counts = (8, 16, 32, 64)
    filters: Counts = (32, 64, 128, 256)
    skips: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2)
    blocks: Annotated[int, Field(ge=1, le=8)] = 3
    pool: Literal["avg", "max"] = "avg"
    kernels: Counts = (3,)
    resolutions: tuple[Count, ...] = ()

    def __post_init__(self) -> None:
        for option in ("stem", "filters", "skips", "kernels", "resolutions"):
            increasing(getattr(self, option), option)
        odd(self.kernels, "kernels")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"fn0": Choice(self.stem)}
        for i in range(1, self.blocks + 1):
            knobs |= {f"fn{i}": Choice(self.filters), f"sk{i}": Choice(self.skips)}
        if len(self.kernels) > 1:
            knobs |= {f"k{i}": Choice(self.kernels) for i in range(self.blocks + 1)}
        return knobs | ({"resolution": Choice(self.resolutions)} if self.resolutions else {})

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x, sides = sized_input(g, self.axes, input_shape, genotype.get("resolution"))
        kernels = [(genotype.get(f"k{i}", self.kernels[0]),) * 2 for i in range(self.blocks + 1)]
        x = conv_norm_relu(g, x, "stem", genotype["fn0"], kernels[0])
        for i in range(1, self.blocks + 1):
            x = conv_norm_relu(g, x, f"block{i}", genotype[f"fn{i}"], kernels[i])
            if min(sides) >= SMALLEST_HALVED:
                x = g.add("max_pool", x, name=f"block{i}.pool", kernel=(2, 2))
                sides = tuple(side // 2 for side in sides)
            x = _residual(g, x, f"block{i}", genotype[f"fn{i}"], kernels[i], genotype[f"sk{i}"])
        if self.pool == "max":
            x = g.add("flatten", g.add("max_pool", x, name="pool", kernel=sides), name="flatten")
        else:
            x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _residual(g: GraphBuilder, x: str, block: str, filters: int, kernel: tuple[int, int], n_convs: int) -> str:
    """The sum of `x` and a chain of `n_convs` convolutions of it; `x` itself if there are none."""
    branch = x
    for j in range(1, n_convs + 1):
        branch = conv_norm_relu(g, branch, f"{block}.skip{j}", filters, kernel)
    return g.add("add", x, branch, name=f"{block}.add") if n_convs else x

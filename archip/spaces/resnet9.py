"""ResNet-9: NASAIC's backbone for images; stem and block filters, and how many skip convolutions a block has.

Choose it for image classification on a chip budget, from 8 x 8 pixels upwards.

A network <FN0, FN1, SK1, FN2, SK2, FN3, SK3> is: stem 3 x 3 convolution with FN0 filters; for each block i a 3 x 3
convolution with FNi filters, 2 x 2 max-pooling, and, for SKi > 0, a residual branch of SKi 3 x 3 convolutions of FNi
filters that is added to its input; global average pooling and a linear classifier. Every convolution is followed by
batch-norm and ReLU. A block pools only while the map stays at least 2 x 2, so that small images keep their depth.
Source: Yang et al. 2020, arXiv:2002.04116, section V (search space ⟨FN, SK⟩); how the skip convolutions are
arranged is not stated there: ours follows ResNet-9 (prep, conv-pool, residual of two), whose skip count is 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import NetworkSpace, conv_norm_relu, increasing

__all__ = ["ResNet9"]


@dataclass(frozen=True)
class ResNet9(NetworkSpace):
    """Genes ``fn0``, then ``fn1 sk1 fn2 sk2 …`` for each block.

    Attributes:
        stem: filters of the stem.
        filters: filters of a block.
        skips: skip convolutions of a block.
    """

    axes: ClassVar[str] = "NCHW"
    task: ClassVar[str] = "classification"

    stem: tuple[int, ...] = (8, 16, 32, 64)
    filters: tuple[int, ...] = (32, 64, 128, 256)
    skips: tuple[int, ...] = (0, 1, 2)
    blocks: Annotated[int, Field(ge=1, le=5)] = 3

    def __post_init__(self) -> None:
        for option in ("stem", "filters", "skips"):
            increasing(getattr(self, option), option)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"fn0": Choice(self.stem)}
        for i in range(1, self.blocks + 1):
            knobs |= {f"fn{i}": Choice(self.filters), f"sk{i}": Choice(self.skips)}
        return knobs

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), "NCHW")
        x = conv_norm_relu(g, x, "stem", genotype["fn0"], (3, 3))
        side = min(input_shape[1:])
        for i in range(1, self.blocks + 1):
            x = conv_norm_relu(g, x, f"block{i}", genotype[f"fn{i}"], (3, 3))
            if side >= 4:
                side //= 2
                x = g.add("max_pool", x, name=f"block{i}.pool", kernel=(2, 2))
            branch = x
            for j in range(1, genotype[f"sk{i}"] + 1):
                branch = conv_norm_relu(g, branch, f"block{i}.skip{j}", genotype[f"fn{i}"], (3, 3))
            if branch != x:
                x = g.add("add", x, branch, name=f"block{i}.add")
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

"""OFA ResNet-50: the once-for-all space of bottlenecks; depth, width and expansion of the stages, and of the stem.

Choose it for image classification on accelerators and GPUs that run dense convolutions well. The defaults are the
published widths; `width: 0.25` suits small images, `stem_stride: 2` and `stem_pool: true` photographs.

A network is a stem of two convolutions 3x3, or three with a sum around the second, and stages of bottlenecks::

    bottleneck   conv 1x1 (e c) - conv 3x3 (e c) - conv 1x1 (c), summed with the block's input, then ReLU; in the first
                 block of a stage the input goes through mean pooling, if the map is halved, and conv 1x1

Batch-norm follows every convolution. Stage s has ``layers + depth_s`` blocks, of which the first ones stay when it
shrinks, and c = filters x ``width_s``; its first block has the stage's stride while the map's sides are at least 4.
Depth 1 2 2 1, widths 1 and expansions 0.25 give ResNet-50-D.
Source: OFAResNets in the code of Cai et al. 2020, arXiv:1908.09791 (state choices, rounding, pooled shortcuts); He et
al. 2019, arXiv:1812.01187 (ResNet-D).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import conv_norm, divisible, sized_input
from archip.spaces._network import SMALLEST_HALVED, Count, NetworkSpace, increasing

__all__ = ["OfaResNet"]

Stride = Annotated[int, Field(ge=1, le=2)]
Ratios = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


@dataclass(frozen=True)
class OfaResNet(NetworkSpace):
    """Genes ``resolution`` if there are choices, ``stem_depth stem_inner stem_width``, ``depth1 width1 …``, then
    ``expansion1.1 …`` of each block.

    Attributes:
        filters, layers, strides: of each stage: filters, its fewest blocks, stride of the first.
        extra: choices for the blocks that a stage has besides.
        factors: choices for the width of a stage, of the stem's inner convolutions, and of its last.
        expansions: choices for the width inside a block, as a share of the stage's.
        resolutions: choices for the shortest side that inputs are resized to; empty: they stay as they are.
        width: factor of all filters, which are rounded to multiples of 8.
        stem: filters of the stem; its inner convolutions have half of them.
        stem_stride, stem_pool: stride of the first convolution; whether max-pooling ends the stem.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    filters: Annotated[tuple[Count, ...], Field(min_length=1, max_length=9)] = (256, 512, 1024, 2048)
    layers: tuple[Count, ...] = (2, 2, 4, 2)
    strides: tuple[Stride, ...] = (1, 2, 2, 2)
    extra: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2)
    factors: Ratios = (0.65, 0.8, 1.0)
    expansions: Ratios = (0.2, 0.25, 0.35)
    resolutions: tuple[Count, ...] = ()
    width: Annotated[float, Field(gt=0)] = 1.0
    stem: Count = 64
    stem_stride: Stride = 1
    stem_pool: bool = False

    def __post_init__(self) -> None:
        for option in ("extra", "factors", "expansions", "resolutions"):
            increasing(getattr(self, option), option)
        for option in ("layers", "strides"):
            if len(getattr(self, option)) != len(self.filters):
                right = f"one value for each of the {len(self.filters)} stages that `filters` has"
                raise UserError(f"{len(getattr(self, option))} values", option, right)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"resolution": Choice(self.resolutions)} if self.resolutions else {}
        knobs |= {"stem_depth": Choice((0, 1)), "stem_inner": Choice(self.factors), "stem_width": Choice(self.factors)}
        for s in range(1, len(self.filters) + 1):
            knobs |= {f"depth{s}": Choice(self.extra), f"width{s}": Choice(self.factors)}
        return knobs | {f"expansion{s}.{b}": Choice(self.expansions) for s, b in self._blocks()}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        gene, _, block = name.partition(".")
        return not block or int(block) <= self.layers[int(gene[-1]) - 1] + genes[f"depth{gene[-1]}"]

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Of factors and expansions that are rounded to the same filters, the first."""
        for gene in ("stem_inner", "stem_width", *(f"width{s}" for s in range(1, len(self.filters) + 1))):
            made = self._filters(gene, genes[gene])
            genes[gene] = next(f for f in self.factors if self._filters(gene, f) == made)
        for s, b in self._blocks():
            if (gene := f"expansion{s}.{b}") in genes:
                width = self._filters(f"width{s}", genes[f"width{s}"])
                made = _inner(width, genes[gene])
                genes[gene] = next(e for e in self.expansions if _inner(width, e) == made)
        return genes

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x, sides = sized_input(g, self.axes, input_shape, genotype.get("resolution"))
        x, side = self._stem(g, x, min(sides), genotype)
        for s in range(1, len(self.filters) + 1):
            width = self._filters(f"width{s}", genotype[f"width{s}"])
            for b in range(1, self.layers[s - 1] + genotype[f"depth{s}"] + 1):
                stride = self.strides[s - 1] if b == 1 and side >= SMALLEST_HALVED else 1
                inner = _inner(width, genotype[f"expansion{s}.{b}"])
                y = conv_norm(g, x, f"stage{s}.block{b}.a", inner, (1, 1), act="relu")
                y = conv_norm(g, y, f"stage{s}.block{b}.b", inner, (3, 3), stride=stride, act="relu")
                y = conv_norm(g, y, f"stage{s}.block{b}.c", width, (1, 1))
                if b == 1:
                    x = _shortcut(g, x, f"stage{s}.block1.skip", width, stride)
                x = g.add("add", x, y, name=f"stage{s}.block{b}.add")
                x = g.add("relu", x, name=f"stage{s}.block{b}.relu")
                side = -(-side // stride)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    def _stem(self, g: GraphBuilder, x: str, side: int, genotype: Mapping[str, Any]) -> tuple[str, int]:
        """(value, shortest side) behind the stem."""
        inner, width = (self._filters(gene, genotype[gene]) for gene in ("stem_inner", "stem_width"))
        x = conv_norm(g, x, "stem.a", inner, (3, 3), stride=self.stem_stride, act="relu")
        side = -(-side // self.stem_stride)
        if genotype["stem_depth"]:
            x = g.add("add", x, conv_norm(g, x, "stem.b", inner, (3, 3), act="relu"), name="stem.add")
        x = conv_norm(g, x, "stem.c", width, (3, 3), act="relu")
        if self.stem_pool and side >= SMALLEST_HALVED:
            x, side = g.add("max_pool", x, name="stem.pool", kernel=(3, 3), stride=2, padding=1), -(-side // 2)
        return x, side

    def _filters(self, gene: str, factor: float) -> int:
        """Filters of a gene ``stem_inner``, ``stem_width`` or ``width<stage>`` with this value."""
        if gene == "stem_inner":
            return divisible(self._filters("stem_width", factor) // 2)
        filters = self.stem if gene == "stem_width" else self.filters[int(gene.removeprefix("width")) - 1]
        return divisible(filters * self.width * factor)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """(stage, block) of all blocks that a network may have, from 1."""
        return ((s, b) for s, n in enumerate(self.layers, 1) for b in range(1, n + self.extra[-1] + 1))


def _inner(width: int, expansion: float) -> int:
    return divisible(round(width * expansion))


def _shortcut(g: GraphBuilder, x: str, name: str, width: int, stride: int) -> str:
    if stride > 1:  # windows may hang over the end, as those of the block's convolution do
        x = g.add("avg_pool", x, name=f"{name}.pool", kernel=(stride, stride), ceil=True, count_pad=False)
    return conv_norm(g, x, name, width, (1, 1))

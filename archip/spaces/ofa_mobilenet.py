"""OFA MobileNetV3: the once-for-all space; depth of every stage, kernel and expansion of every layer, resolution.

Choose it for image classification on phones, processors and microcontrollers, above all with one supernet that many
devices share. The defaults are the published widths; `width: 0.25` and `stem_stride: 1` suit images of 28 x 28. On
arrays that run depthwise convolutions badly, look at `mobilenet_edge_tpu`.

A network is a stem, a block without expansion, stages of inverted bottlenecks, and a head::

    stem       conv 3x3 - batch-norm - h-swish, then depthwise 3x3 - conv 1x1 with a sum
    layer      conv 1x1 (e c) - depthwise k x k - squeeze-and-excitation, if the stage has it - conv 1x1; a sum with
               the layer's input where size and channels allow
    head       conv 1x1 - global pooling - conv 1x1 - linear classifier

Stage s keeps the first depth_s layers; its first layer has the stage's stride while the map's sides are at least 4.
Inputs are resized, linearly, to the gene `resolution`; without `resolutions` they stay as they are.
Source: Cai et al. 2020, arXiv:1908.09791, section 3.1, and OFAMobileNetV3 of the authors' code (widths, strides,
activations, rounding); squeeze-and-excitation and h-swish: Howard et al. 2019, arXiv:1905.02244.
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
from archip.spaces._blocks import conv_norm, divisible, odd, sized_input, squeeze_excite
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, increasing

__all__ = ["OfaMobileNet"]

Stride = Annotated[int, Field(ge=1, le=2)]
Ratios = Annotated[tuple[Annotated[int | float, Field(gt=0)], ...], Field(min_length=1)]


@dataclass(frozen=True)
class OfaMobileNet(NetworkSpace):
    """Genes ``resolution`` if there are choices, ``depth1 …``, then ``kernel1.1 expansion1.1 …`` of each layer.

    Attributes:
        filters, strides, squeezed, swish: of each stage: filters, stride of its first layer, whether it has
            squeeze-and-excitation, whether its activations are h-swish in place of ReLU.
        layers: choices for the number of layers of a stage.
        kernels, expansions: choices of each layer.
        resolutions: choices for the shortest side that inputs are resized to; empty: they stay as they are.
        width: factor of all filters, which are rounded to multiples of 8.
        stem: filters of the first convolution and block. stem_stride: 2 for photographs.
        head: filters of the convolutions before and behind the global pooling.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    filters: Annotated[tuple[Count, ...], Field(min_length=1, max_length=9)] = (24, 40, 80, 112, 160)
    strides: tuple[Stride, ...] = (2, 2, 2, 1, 2)
    squeezed: tuple[bool, ...] = (False, True, False, True, True)
    swish: tuple[bool, ...] = (False, False, True, True, True)
    layers: Counts = (2, 3, 4)
    kernels: Counts = (3, 5, 7)
    expansions: Ratios = (3, 4, 6)
    resolutions: tuple[Count, ...] = ()
    width: Annotated[float, Field(gt=0)] = 1.0
    stem: Count = 16
    stem_stride: Stride = 1
    head: tuple[Count, Count] = (960, 1280)

    def __post_init__(self) -> None:
        for option in ("layers", "kernels", "expansions", "resolutions"):
            increasing(getattr(self, option), option)
        for option in ("strides", "squeezed", "swish"):
            if len(getattr(self, option)) != len(self.filters):
                right = f"one value for each of the {len(self.filters)} stages that `filters` has"
                raise UserError(f"{len(getattr(self, option))} values", option, right)
        odd(self.kernels, "kernels")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"resolution": Choice(self.resolutions)} if self.resolutions else {}
        knobs |= {f"depth{s}": Choice(self.layers) for s in range(1, len(self.filters) + 1)}
        for s, b in self._layers():
            knobs |= {f"kernel{s}.{b}": Choice(self.kernels), f"expansion{s}.{b}": Choice(self.expansions)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        gene, _, layer = name.partition(".")
        return not layer or int(layer) <= genes[f"depth{gene[-1]}"]

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Of expansions that are rounded to the same filters, the first."""
        for s, b in self._layers():
            if (gene := f"expansion{s}.{b}") in genes:
                before = self._widths[s if b > 1 else s - 1]
                made = _inner(before, genes[gene])
                genes[gene] = next(e for e in self.expansions if _inner(before, e) == made)
        return genes

    @property
    def depths(self) -> frozenset[str]:
        """The genes that count layers."""
        return frozenset(f"depth{s}" for s in range(1, len(self.filters) + 1))

    @property
    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Start of a block's node names → the genes that its cost depends on; without one of them it is not there."""
        size = ("resolution",) if self.resolutions else ()
        layers = {f"stage{s}.layer{b}": (*size, f"kernel{s}.{b}", f"expansion{s}.{b}") for s, b in self._layers()}
        ends = ("resize", "stem", "first", "head", "pool", "mix", "flatten", "classifier")
        return {**dict.fromkeys(ends, size), **layers}

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x, sides = sized_input(g, self.axes, input_shape, genotype.get("resolution"))
        channels, side = self._widths[0], -(-min(sides) // self.stem_stride)
        x = conv_norm(g, x, "stem", channels, (3, 3), stride=self.stem_stride, act="hardswish")
        y = conv_norm(g, x, "first.depth", channels, (3, 3), groups=channels, act="relu")
        x = g.add("add", x, conv_norm(g, y, "first.project", channels, (1, 1)), name="first.add")
        for s, width in enumerate(self._widths[1:], 1):
            for b in range(1, genotype[f"depth{s}"] + 1):
                stride = self.strides[s - 1] if b == 1 and side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                inner = _inner(channels, genotype[f"expansion{s}.{b}"])
                x = self._layer(g, x, (s, b), (channels, inner, width), genotype[f"kernel{s}.{b}"], stride)
                channels = width
        before, behind = (divisible(filters * self.width) for filters in self.head)
        x = conv_norm(g, x, "head", before, (1, 1), act="hardswish")
        x = g.add("mean", x, name="pool", axes=(2, 3), keepdims=True)
        x = g.add("conv", x, name="mix", out_channels=behind, kernel=(1, 1), bias=False)
        x = g.add("flatten", g.add("hardswish", x, name="mix.hardswish"), name="flatten")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        """Filters of the stem and of each stage."""
        return tuple(divisible(filters * self.width) for filters in (self.stem, *self.filters))

    def _layers(self) -> Iterator[tuple[int, int]]:
        """(stage, layer) of all layers that a network may have, from 1."""
        return ((s, b) for s in range(1, len(self.filters) + 1) for b in range(1, self.layers[-1] + 1))

    def _layer(
        self, g: GraphBuilder, x: str, at: tuple[int, int], channels: tuple[int, int, int], kernel: int, stride: int
    ) -> str:
        """An inverted bottleneck from `channels` before over those inside to those behind."""
        before, inner, width = channels
        name, act = f"stage{at[0]}.layer{at[1]}", "hardswish" if self.swish[at[0] - 1] else "relu"
        y = conv_norm(g, x, f"{name}.expand", inner, (1, 1), act=act)
        y = conv_norm(g, y, f"{name}.depth", inner, (kernel, kernel), stride=stride, groups=inner, act=act)
        if self.squeezed[at[0] - 1]:
            y = squeeze_excite(g, y, f"{name}.se", inner, divisible(inner // 4))
        y = conv_norm(g, y, f"{name}.project", width, (1, 1))
        return g.add("add", x, y, name=f"{name}.add") if stride == 1 and before == width else y


def _inner(before: int, expansion: float) -> int:
    return divisible(round(before * expansion))

"""MobileNet for edge accelerators: inverted bottlenecks, each of them as it is or fused; ReLU only, no squeeze.

Choose it for image classification on arrays that run plain convolutions well and depthwise ones badly: which blocks to
fuse depends on the array, above all on how many channels fill it.

An inverted bottleneck with expansion e on c channels is conv 1x1 (e c) - depthwise k x k - conv 1x1 (filters); fused
it is conv k x k (e c) - conv 1x1 (filters), whose first convolution has k^2 times the MACs of the expansion. Batch-norm
follows every convolution, ReLU all but the last, and a sum with the block's input where size and channels allow. A
stage halves the map in its first block while its sides are at least 4.
Source: Gupta, Akin 2020, arXiv:2003.02838, section 3 (fused inverted bottlenecks; no swish, no squeeze-and-excite).
The default filters are those of MobileNetEdgeTPU as recalled; the options of a layer are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, IntRange, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Count, Counts, NetworkSpace, conv_norm_relu, increasing

__all__ = ["MobileNetEdgeTPU"]

_MULTIPLE = 8


@dataclass(frozen=True)
class MobileNetEdgeTPU(NetworkSpace):
    """Genes ``width1 layers1``, then ``fused1.1 kernel1.1 expansion1.1 …`` of each layer of the stage, and so on.

    Attributes:
        filters: of each stage, before the width.
        widths: choices for the factor of a stage's filters, which are rounded to multiples of 8.
        layers: most layers of a stage.
        fused: choices for the kind of a layer; one of them alone makes a space of that kind.
        kernels, expansions: choices of each layer.
        stem, stem_stride: first convolution; stride 2 for photographs.
        head: filters of the last convolution, 1x1.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    filters: Annotated[tuple[Count, ...], Field(min_length=1, max_length=9)] = (16, 32, 48, 96, 192)
    widths: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.75, 1.0, 1.25)
    layers: Count = 3
    fused: Annotated[tuple[bool, ...], Field(min_length=1, max_length=2)] = (False, True)
    kernels: Counts = (3, 5)
    expansions: Counts = (4, 8)
    stem: Count = 32
    stem_stride: Annotated[int, Field(ge=1, le=2)] = 1
    head: Count = 256

    def __post_init__(self) -> None:
        for option in ("widths", "fused", "kernels", "expansions"):
            increasing(getattr(self, option), option)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {}
        for s in range(1, len(self.filters) + 1):
            knobs |= {f"width{s}": Choice(self.widths), f"layers{s}": IntRange(1, self.layers)}
            for b in range(1, self.layers + 1):
                knobs |= {
                    f"fused{s}.{b}": Choice(self.fused, ordered=False),
                    f"kernel{s}.{b}": Choice(self.kernels),
                    f"expansion{s}.{b}": Choice(self.expansions),
                }
        return knobs

    @property
    def depths(self) -> frozenset[str]:
        """The genes that count layers."""
        return frozenset(f"layers{s}" for s in range(1, len(self.filters) + 1))

    @property
    def blocks(self) -> Mapping[str, tuple[str, ...]]:
        """Start of a block's node names → the genes that its cost depends on; without one of them it is not there."""
        blocks: dict[str, tuple[str, ...]] = {"stem": ()}
        for s in range(1, len(self.filters) + 1):
            for b in range(1, self.layers + 1):
                before = (f"width{s - 1}",) if b == 1 and s > 1 else ()
                own = tuple(f"{gene}{s}.{b}" for gene in ("fused", "kernel", "expansion"))
                blocks[f"stage{s}.layer{b}"] = (*before, f"width{s}", *own)
        return {**blocks, "head": (f"width{len(self.filters)}",), "pool": (), "classifier": ()}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        gene, _, layer = name.partition(".")
        return not layer or int(layer) <= genes[f"layers{gene[-1]}"]

    def collapse(self, genes: dict[str, Any]) -> dict[str, Any]:
        """Of widths that are rounded to the same filters, the first."""
        for s, filters in enumerate(self.filters, 1):
            made = _rounded(filters * genes[f"width{s}"])
            genes[f"width{s}"] = next(w for w in self.widths if _rounded(filters * w) == made)
        return genes

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        x = conv_norm_relu(g, x, "stem", self.stem, (3, 3), self.stem_stride)
        channels, side = self.stem, -(-min(input_shape[1:]) // self.stem_stride)
        for s, filters in enumerate(self.filters, 1):
            width = _rounded(filters * genotype[f"width{s}"])
            for b in range(1, genotype[f"layers{s}"] + 1):
                fused, kernel, expansion = (genotype[f"{gene}{s}.{b}"] for gene in ("fused", "kernel", "expansion"))
                stride = 2 if b == 1 and side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                make = _fused if fused else _bottleneck
                x = make(g, x, f"stage{s}.layer{b}", (channels, expansion * channels, width), kernel, stride)
                channels = width
        x = conv_norm_relu(g, x, "head", self.head, (1, 1))
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _rounded(filters: float) -> int:
    """The nearest multiple of 8, at least 8."""
    return max(_MULTIPLE, int(filters / _MULTIPLE + 0.5) * _MULTIPLE)


def _fused(g: GraphBuilder, x: str, name: str, channels: tuple[int, int, int], kernel: int, stride: int) -> str:
    """The expansion is a k x k convolution."""
    y = conv_norm_relu(g, x, f"{name}.fused", channels[1], (kernel, kernel), stride)
    return _projected(g, x, y, f"{name}.fused", channels, stride)


def _bottleneck(g: GraphBuilder, x: str, name: str, channels: tuple[int, int, int], kernel: int, stride: int) -> str:
    """Expansion, then depthwise convolution."""
    inner, padding = channels[1], (kernel // 2, kernel // 2)
    y = conv_norm_relu(g, x, f"{name}.expand", inner, (1, 1))
    y = g.add("conv", y, name=f"{name}.depth.conv", out_channels=inner, kernel=(kernel, kernel), stride=stride,
              padding=padding, groups=inner, bias=False)  # fmt: skip
    y = g.add("relu", g.add("batch_norm", y, name=f"{name}.depth.norm"), name=f"{name}.depth.relu")
    return _projected(g, x, y, name, channels, stride)


def _projected(g: GraphBuilder, x: str, y: str, name: str, channels: tuple[int, int, int], stride: int) -> str:
    """To the block's filters without ReLU, and the sum with its input where that fits."""
    before, _, width = channels
    y = g.add("conv", y, name=f"{name}.project.conv", out_channels=width, kernel=(1, 1), bias=False)
    y = g.add("batch_norm", y, name=f"{name}.project.norm")
    return g.add("add", x, y, name=f"{name}.add") if stride == 1 and before == width else y

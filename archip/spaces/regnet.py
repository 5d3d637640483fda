"""RegNet: residual networks whose stage widths follow a quantised linear rule; four numbers say a whole network.

Choose it for image classification with few numbers to search and networks that are good on the average. The rule need
not suit every data set: compare with `resnet9`.

u_j = w0 + wa j for block j; s_j = round(log(u_j / w0) / log wm); the width of block j is w0 wm^s_j, rounded to 8;
blocks of one width make a stage. A block is conv 1x1, grouped conv 3x3, conv 1x1 with a residual sum; every stage
begins with stride 2, but for those that would leave less than 2 x 2. Widths are rounded to multiples of the group's.
Source: Radosavovic et al. 2020, arXiv:2003.13678, section 3.3 (eq. 2-4); bottleneck ratio 1 as found best there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, IntRange, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import (
    SMALLEST_HALVED,
    Count,
    Counts,
    NetworkSpace,
    conv_norm_relu,
    increasing,
    residual_sum,
)

__all__ = ["RegNet"]

_MULTIPLE = 8


@dataclass(frozen=True)
class RegNet(NetworkSpace):
    """Genes ``depth w0 wa wm group``.

    Attributes:
        depth: most blocks. w0, wa: most initial width and most slope (both in steps of 8 and 4). wm: choices for the
            ratio between the widths of neighbouring stages. group: choices for the group width.
        stem: filters of the first convolution. stem_stride: its stride; 2 for photographs.
        stages: a network has at most so many; more are not permitted.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    depth: Annotated[int, Field(ge=1, le=64)] = 16
    w0: Annotated[int, Field(ge=8, le=256)] = 64
    wa: Annotated[int, Field(ge=4, le=256)] = 32
    wm: Annotated[tuple[Annotated[float, Field(gt=1, le=3)], ...], Field(min_length=1)] = (1.5, 2.0, 2.5, 3.0)
    group: Counts = (1, 8, 16)
    stem: Count = 16
    stem_stride: Annotated[int, Field(ge=1, le=2)] = 1
    stages: Annotated[int, Field(ge=1)] = 4

    def __post_init__(self) -> None:
        increasing(self.group, "group")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {
            "depth": IntRange(1, self.depth),
            "w0": IntRange(_MULTIPLE, self.w0, _MULTIPLE),
            "wa": IntRange(4, self.wa, 4),
            "wm": Choice(self.wm),
            "group": Choice(self.group),
        }

    def permits(self, genes: Mapping[str, Any]) -> bool:
        return len(self.widths(genes)[0]) <= self.stages

    def widths(self, genes: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        """(width, number of blocks) of every stage."""
        return grouped(*stages_of(genes["depth"], genes["w0"], genes["wa"], genes["wm"]), genes["group"])

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        x = conv_norm_relu(g, x, "stem", self.stem, (3, 3), self.stem_stride)
        side, channels = -(-min(input_shape[1:]) // self.stem_stride), self.stem
        for s, (width, n_blocks) in enumerate(zip(*self.widths(genotype), strict=True), 1):
            for b in range(1, n_blocks + 1):
                stride = 2 if b == 1 and side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                x = _block(g, x, f"stage{s}.block{b}", channels, width, genotype["group"], stride)
                channels = width
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def stages_of(depth: int, w0: float, wa: float, wm: float) -> tuple[list[int], list[int]]:
    """(width, number of blocks) of every stage before widths are made to suit the groups; eq. 2-4."""
    widths = [
        round(w0 * wm ** round(math.log((w0 + wa * j) / w0) / math.log(wm)) / _MULTIPLE) * _MULTIPLE
        for j in range(depth)
    ]
    distinct = list(dict.fromkeys(widths))
    return distinct, [widths.count(w) for w in distinct]


def grouped(widths: Sequence[int], depths: Sequence[int], group: int) -> tuple[list[int], list[int]]:
    """Widths as multiples of the group width (which is at most the width); stages that become equal are one."""
    new = [max(group, round(w / group) * group) if group <= w else w for w in widths]
    merged: dict[int, int] = {}
    for width, depth in zip(new, depths, strict=True):
        merged[width] = merged.get(width, 0) + depth
    return list(merged), list(merged.values())


def _block(g: GraphBuilder, x: str, name: str, channels: int, width: int, group: int, stride: int) -> str:
    y = conv_norm_relu(g, x, f"{name}.a", width, (1, 1))
    groups = width // min(group, width)
    y = g.add("conv", y, name=f"{name}.b.conv", out_channels=width, kernel=(3, 3), stride=stride, padding=(1, 1),
              groups=groups, bias=False)  # fmt: skip
    y = g.add("relu", g.add("batch_norm", y, name=f"{name}.b.norm"), name=f"{name}.b.relu")
    y = g.add("conv", y, name=f"{name}.c.conv", out_channels=width, kernel=(1, 1), bias=False)
    y = g.add("batch_norm", y, name=f"{name}.c.norm")
    return residual_sum(g, x, y, name, (channels, width), stride)

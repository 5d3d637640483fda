"""NATS-Bench's size space: one fixed cell of NAS-Bench-201 in a small network whose five widths are searched.

Choose it to train the networks of the benchmark's size table themselves, or for a slimmable residual network on small
images; to search by their published accuracies, choose `tabular`.

Stem conv 3x3 (c1); a cell (c1); a residual block with stride 2 (c2); a cell (c3); a residual block with stride 2 (c4);
a cell (c5); batch-norm, ReLU, global pooling, linear classifier. The cell is the best one of NAS-Bench-201 on CIFAR-10:
convolutions 3x3 on all edges but 0-3, which passes its input on, through a convolution 1x1 where the width changes.
Source: Dong et al. 2021, arXiv:2009.00437, section 3.2 and its code (`DynamicShapeTinyNet`, AutoDL-Projects).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Counts, NetworkSpace, increasing
from archip.spaces.nb201 import reduction, relu_conv

__all__ = ["NATSSize"]

_STAGES = 5


@dataclass(frozen=True)
class NATSSize(NetworkSpace):
    """Genes ``c1`` … ``c5``: the widths.

    Attributes:
        widths: choices for each of them.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    widths: Counts = (8, 16, 24, 32, 40, 48, 56, 64)

    def __post_init__(self) -> None:
        increasing(self.widths, "widths")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {f"c{i}": Choice(self.widths) for i in range(1, _STAGES + 1)}

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        before = genotype["c1"]
        x = g.add("conv", x, name="stem.conv", out_channels=before, kernel=(3, 3), padding=(1, 1), bias=False)
        x = g.add("batch_norm", x, name="stem.norm")
        side = min(input_shape[1:])
        for i in range(1, _STAGES + 1):
            width = genotype[f"c{i}"]
            if i % 2:
                x = _cell(g, x, f"cell{i}", before, width)
            else:
                stride = 2 if side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                x = reduction(g, x, f"reduction{i}", width, stride)
            before = width
        x = g.add("relu", g.add("batch_norm", x, name="last.norm"), name="last.relu")
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _cell(g: GraphBuilder, x: str, name: str, before: int, width: int) -> str:
    """Node 1 = f(0); node 2 = f(0) + f(1); node 3 = 0 + f(1) + f(2), where each f is ReLU - conv 3x3 - batch-norm."""
    one = relu_conv(g, x, f"{name}.0-1", width, 3)
    two = relu_conv(g, x, f"{name}.0-2", width, 3)
    two = g.add("add", two, relu_conv(g, one, f"{name}.1-2", width, 3), name=f"{name}.node2")
    passed = x if before == width else _passed(g, x, name, width)
    three = g.add("add", passed, relu_conv(g, one, f"{name}.1-3", width, 3), name=f"{name}.node3.a")
    return g.add("add", three, relu_conv(g, two, f"{name}.2-3", width, 3), name=f"{name}.node3.b")


def _passed(g: GraphBuilder, x: str, name: str, width: int) -> str:
    x = g.add("conv", x, name=f"{name}.0-3.conv", out_channels=width, kernel=(1, 1), bias=False)
    return g.add("batch_norm", x, name=f"{name}.0-3.norm")

"""NAS-Bench-201's networks: 17 blocks of one cell with 4 nodes and 6 edges, each edge with one of 5 operators.

Choose it to train or score the networks of the benchmark themselves, or for a small cell space on images of 8 x 8 and
more; to search by their published accuracies, choose `tabular`.

Stem conv 3x3; three stages of `cells` cells with C, 2C, 4C channels, between them a residual block with stride 2;
global pooling, linear classifier. Operators are ReLU - conv - batch-norm, average pooling 3x3 (padding is not counted),
identity or nothing; a node is the sum of its edges. Edges whose result nobody reads are kept, as in the benchmark.
Source: Dong and Yang 2020, arXiv:2001.00326, section 2.1, and its code (NAS-Bench-201, AutoDL-Projects).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import SMALLEST_HALVED, Count, NetworkSpace

__all__ = ["NB201"]

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (from, to), in the order of the benchmark's string


@dataclass(frozen=True)
class NB201(NetworkSpace):
    """Genes ``0-1 0-2 1-2 0-3 1-3 2-3``: the operator of each edge.

    Attributes:
        channels: of the first stage.
        cells: in each stage.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    channels: Count = 16
    cells: Count = 5

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {f"{a}-{b}": Choice(OPERATORS, ordered=False) for a, b in EDGES}

    def layers_key(self, genotype: Mapping[str, Any]) -> str:
        """Every edge has a convolution of its own, whether its result is read or not: their numbers say all."""
        return " ".join(sorted(op for op in genotype.values() if "conv" in op))

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        x = _conv(g, x, "stem", self.channels, 3)
        side = min(input_shape[1:])
        for stage in range(3):
            width = self.channels << stage
            if stage:
                stride = 2 if side >= SMALLEST_HALVED else 1
                side = -(-side // stride)
                x = reduction(g, x, f"reduction{stage}", width, stride)
            for c in range(1, self.cells + 1):
                x = _cell(g, x, f"stage{stage + 1}.cell{c}", genotype, width)
        x = g.add("relu", g.add("batch_norm", x, name="last.norm"), name="last.relu")
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def parse(text: str) -> dict[str, str]:
    """The genotype of a cell as the benchmark writes it: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

    Raises:
        UserError: another form, or an operator that the benchmark does not have.
    """
    genes: dict[str, str] = {}
    for to, node in enumerate(text.split("+"), 1):
        for edge in node.strip("|").split("|"):
            op, _, origin = edge.partition("~")
            if op not in OPERATORS or f"{origin}-{to}" not in {f"{a}-{b}" for a, b in EDGES}:
                raise UserError(f"{edge!r} is no edge into node {to}", text, f"one of {', '.join(OPERATORS)}, as op~0")
            genes[f"{origin}-{to}"] = op
    if len(genes) != len(EDGES):
        raise UserError(f"{len(genes)} edges instead of 6", text, "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|")
    return {f"{a}-{b}": genes[f"{a}-{b}"] for a, b in EDGES}


def _conv(g: GraphBuilder, x: str, name: str, width: int, kernel: int, stride: int = 1) -> str:
    x = g.add("conv", x, name=f"{name}.conv", out_channels=width, kernel=(kernel, kernel), stride=stride,
              padding=(kernel // 2, kernel // 2), bias=False)  # fmt: skip
    return g.add("batch_norm", x, name=f"{name}.norm")


def relu_conv(g: GraphBuilder, x: str, name: str, width: int, kernel: int, stride: int = 1) -> str:
    return _conv(g, g.add("relu", x, name=f"{name}.relu"), name, width, kernel, stride)


def reduction(g: GraphBuilder, x: str, name: str, width: int, stride: int) -> str:
    y = relu_conv(g, relu_conv(g, x, f"{name}.a", width, 3, stride), f"{name}.b", width, 3)
    if stride == 2:
        x = g.add("avg_pool", x, name=f"{name}.pool", kernel=(2, 2))
    x = g.add("conv", x, name=f"{name}.skip", out_channels=width, kernel=(1, 1), bias=False)
    return g.add("add", x, y, name=f"{name}.add")


def _cell(g: GraphBuilder, x: str, name: str, genes: Mapping[str, Any], width: int) -> str:
    nodes = [x]
    for to in (1, 2, 3):
        edges = [(a, genes[f"{a}-{to}"]) for a in range(to)]
        values = [_edge(g, nodes[a], f"{name}.{a}-{to}", op, width) for a, op in edges if op != "none"]
        # A node that nothing flows into holds zeros.
        total = values[0] if values else g.add("sub", x, x, name=f"{name}.node{to}.zero")
        for i, value in enumerate(values[1:], 1):
            total = g.add("add", total, value, name=f"{name}.node{to}.add{i}")
        nodes.append(total)
    return nodes[-1]


def _edge(g: GraphBuilder, x: str, name: str, op: str, width: int) -> str:
    if op == "skip_connect":
        return x
    if op == "avg_pool_3x3":
        return g.add("avg_pool", x, name=name, kernel=(3, 3), stride=1, padding=(1, 1), count_pad=False)
    return relu_conv(g, x, name, width, int(op[-1]))

"""Pooling ResNet: a residual network whose blocks stay as they are; where its maps are halved is what is searched.

Choose it to learn how much resolution a task wants, and for experiments with mixtures of supernets: all networks have
the same weights. The default is ResNet-20 with two halvings, 36 networks, whose accuracies the table `pooling36` has.

A network is a stem, conv 3x3 - batch-norm - ReLU, and blocks of two convolutions 3x3 with a residual sum. Scale i has
``blocks_i`` layers, the stem counted to the first; the last scale has the rest. The first block of every scale but the
first halves the map: its first convolution has stride 2, and its input takes every second element, through a
convolution 1x1 where the width changes. Widths belong to the layers' places and do not move with the halvings.
Source: Javan et al. 2023, arXiv:2306.11982 (balanced mixture of supernets) and its code: widths, strides, shortcuts.
Differs: batch-norms have trained scale and shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import CandidateError, UserError
from archip.core.knobs import IntRange, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import conv_norm
from archip.spaces._network import Count, NetworkSpace

__all__ = ["PoolingResNet"]


@dataclass(frozen=True)
class PoolingResNet(NetworkSpace):
    """Genes ``blocks1 blocks2 …``: layers before the first halving, between it and the second, and so on.

    Attributes:
        filters: of the stem and of every block.
        halvings: how often the map is halved.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    filters: Annotated[tuple[Count, ...], Field(min_length=2, max_length=64)] = (*[16] * 4, *[32] * 3, *[64] * 3)
    halvings: Annotated[int, Field(ge=1, le=6)] = 2

    def __post_init__(self) -> None:
        if self.halvings >= len(self.filters):
            right = f"at most {len(self.filters) - 1}, one for each block"
            raise UserError(
                f"{self.halvings} halvings have no place in {len(self.filters) - 1} blocks", "halvings", right
            )

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        most = len(self.filters) - self.halvings
        return {f"blocks{i}": IntRange(1, most) for i in range(1, self.halvings + 1)}

    def permits(self, genes: Mapping[str, Any]) -> bool:
        return sum(genes.values()) < len(self.filters)

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        if min(input_shape[1:]) < 2**self.halvings:
            raise CandidateError(f"{tuple(input_shape[1:])} pixels cannot be halved {self.halvings} times")
        ends = [sum(genotype[f"blocks{j}"] for j in range(1, i + 1)) for i in range(1, self.halvings + 1)]
        g = GraphBuilder()
        x = g.input("image", (1, *input_shape), self.axes)
        x = conv_norm(g, x, "stem", self.filters[0], (3, 3), act="relu")
        for i in range(1, len(self.filters)):
            x = _block(g, x, f"block{i}", self.filters[i - 1], self.filters[i], 2 if i in ends else 1)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _block(g: GraphBuilder, x: str, name: str, before: int, width: int, stride: int) -> str:
    y = conv_norm(g, x, f"{name}.1", width, (3, 3), stride=stride, act="relu")
    y = conv_norm(g, y, f"{name}.2", width, (3, 3))
    if before != width:
        x = conv_norm(g, x, f"{name}.skip", width, (1, 1), stride=stride)
    elif stride > 1:
        x = g.add("max_pool", x, name=f"{name}.skip.pool", kernel=(1, 1), stride=stride)
    return g.add("relu", g.add("add", x, y, name=f"{name}.add"), name=f"{name}.relu")

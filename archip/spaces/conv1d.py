"""Conv1d: small 1-D convolutional networks for time series; depth, width, kernel and dilation.

Choose it for series from sensors: motion, speech features, machines. Genotypes of a few thousand weights fit
microcontrollers.

A network is a stack of ``depth`` blocks, each convolution, batch-norm, ReLU; block i has ``width_i`` filters, kernel
``kernel``, and dilation ``dilation`` to the power i, as in temporal convolutional networks. From the second block on
the series is halved by max-pooling while it stays at least 8 long; global average pooling and a linear classifier
end it.
Source: ours, after Bai et al. 2018, arXiv:1803.01271 (dilation that grows with depth), and Wang et al. 2017,
arXiv:1611.06455 (fully convolutional network: conv, norm, ReLU, global pooling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import NetworkSpace, conv_norm_relu, increasing

__all__ = ["Conv1d"]


@dataclass(frozen=True)
class Conv1d(NetworkSpace):
    """Genes ``depth kernel dilation width1 width2 …``; widths beyond the depth do not matter."""

    axes: ClassVar[str] = "NCL"
    task: ClassVar[str] = "classification"

    depths: tuple[int, ...] = (1, 2, 3, 4)
    widths: tuple[int, ...] = (8, 16, 32, 64)
    kernels: tuple[int, ...] = (3, 5, 7, 9)
    dilations: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        for option in ("depths", "widths", "kernels", "dilations"):
            increasing(getattr(self, option), option)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {
            "depth": Choice(self.depths),
            "kernel": Choice(self.kernels),
            "dilation": Choice(self.dilations),
        }
        return knobs | {f"width{i}": Choice(self.widths) for i in range(1, max(self.depths) + 1)}

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        if name.startswith("width"):
            return int(name.removeprefix("width")) <= genes["depth"]
        return name != "dilation" or genes["depth"] > 1  # the first block's dilation is always 1

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("series", (1, *input_shape), "NCL")
        length = input_shape[1]
        for i in range(1, genotype["depth"] + 1):
            if i > 1 and length >= 16:
                length //= 2
                x = g.add("max_pool", x, name=f"block{i}.pool", kernel=(2,))
            dilation = genotype.get("dilation", 1) ** (i - 1)
            x = conv_norm_relu(g, x, f"block{i}", genotype[f"width{i}"], (genotype["kernel"],), dilation=dilation)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

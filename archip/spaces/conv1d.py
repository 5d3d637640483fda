"""Conv1d: 1-D convolutional networks for time series; depth, width, kernel, dilation, and how time is shortened.

Choose it for series from sensors: motion, speech features, machines. It reaches from some hundred weights, which fit
microcontrollers, over dilated networks to the FCN baseline (depth 3, ``{widths: [128, 256], kernels: [3, 5, 9]}``).

A network has ``depth`` blocks, each convolution, batch-norm, ReLU; global average pooling and a linear classifier end
it. Block i has ``width_i`` filters of size ``kernel_i`` with dilation ``dilation``^(i-1), as in temporal convolutional
networks. ``reduce`` says what halves the series from each block to the next, while it is at least 4 long: nothing
(``none``), max-pooling (``pool``), or the convolution of the next block (``stride``). Of a single block, `dilation`
and `reduce` mean nothing and are no genes.
Source: ours, after Bai et al. 2018, arXiv:1803.01271 (dilation that grows with depth), Wang et al. 2017,
arXiv:1611.06455 (fully convolutional network: conv, norm, ReLU, global pooling), and King et al. 2023,
arXiv:2310.18384 (MicroNAS: kernels, filters, and strides or pooling along time; its own space is `micro_nas`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._blocks import odd
from archip.spaces._network import SMALLEST_HALVED, Counts, NetworkSpace, conv_norm_relu, increasing

__all__ = ["Conv1d"]

Reduce = Literal["none", "pool", "stride"]


@dataclass(frozen=True)
class Conv1d(NetworkSpace):
    """Genes ``depth dilation reduce``, then ``width1 kernel1 width2 kernel2 …`` up to the depth.

    Attributes:
        depths: choices for the number of blocks.
        widths: choices for the filters of a block.
        kernels: choices for the kernel of a block; odd.
        dilations: choices for the factor by which dilation grows from block to block.
        reduces: choices for what halves the series between blocks.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCL"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    depths: Counts = (1, 2, 3, 4)
    widths: Counts = (8, 16, 32, 64)
    kernels: Counts = (3, 5, 7, 9)
    dilations: Counts = (1, 2)
    reduces: Annotated[tuple[Reduce, ...], Field(min_length=1)] = ("none", "pool", "stride")

    def __post_init__(self) -> None:
        for option in ("depths", "widths", "kernels", "dilations"):
            increasing(getattr(self, option), option)
        odd(self.kernels, "kernels")
        if len(set(self.reduces)) < len(self.reduces):
            raise UserError(f"{list(self.reduces)} repeats a choice", "reduces", "each choice once")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {
            "depth": Choice(self.depths),
            "dilation": Choice(self.dilations),
            "reduce": Choice(self.reduces, ordered=False),
        }
        for i in range(1, max(self.depths) + 1):
            knobs |= {f"width{i}": Choice(self.widths), f"kernel{i}": Choice(self.kernels)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        if name in ("dilation", "reduce"):
            return genes["depth"] > 1
        return name == "depth" or int(name.removeprefix("width").removeprefix("kernel")) <= genes["depth"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g = GraphBuilder()
        x = g.input("series", (1, *input_shape), self.axes)
        length = input_shape[1]
        for i in range(1, genotype["depth"] + 1):
            halve = genotype["reduce"] if i > 1 and length >= SMALLEST_HALVED else "none"
            if halve == "pool":
                x = g.add("max_pool", x, name=f"block{i}.pool", kernel=(2,))
            shape = {"stride": 2 if halve == "stride" else 1, "dilation": genotype.get("dilation", 1) ** (i - 1)}
            x = conv_norm_relu(g, x, f"block{i}", genotype[f"width{i}"], (genotype[f"kernel{i}"],), **shape)
            length = {"none": length, "pool": length // 2, "stride": (length + 1) // 2}[halve]
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

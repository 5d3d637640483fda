"""TransNAS-Bench-101's macro networks: 4 to 6 modules of two residual blocks; where the map shrinks, the channels grow.

Choose it to cost, train or score the networks of the benchmark themselves; to search by their published results,
choose `tabular` with the table `transnas_macro`.

Stem: conv 3x3 to half the channels and conv 3x3 to all of them, each with stride 2. A module's first block changes
size and channels: ``normal`` keeps both, ``double`` doubles the channels, ``halve`` halves the sides, ``double_halve``
does both. A block is ReLU - conv 3x3 - batch-norm twice, plus its input, through conv 1x1 and batch-norm where the
shape changes. Global pooling, linear classifier. The benchmark writes a network as one digit a module, 1 to 4 in the
order above, with 0 for modules that are not there; 3,256 networks halve 1 to 4 times and double 1 to 3 times.
Source: Duan et al. 2021, arXiv:2105.11871, section 3.1; its code (yawen-d/TransNASBench, net_macro.py). Differs: the
dense tasks' decoders and the nine tiles of jigsaw are not built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import Count, NetworkSpace

__all__ = ["TransNASMacro"]

ABSENT = "none"
MODULES = ("normal", "double", "halve", "double_halve")  # digits 1, 2, 3, 4
FEWEST, MOST = 4, 6
HALVED, DOUBLED = (1, 4), (1, 3)  # fewest and most modules that halve, that double


@dataclass(frozen=True)
class TransNASMacro(NetworkSpace):
    """Genes ``module1 … module6``; the last two may be ``none``.

    Attributes:
        channels: after the stem.
        blocks: of a module.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    channels: Count = 64
    blocks: Count = 2

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        sure = {f"module{m}": Choice(MODULES, ordered=False) for m in range(1, FEWEST + 1)}
        return sure | {f"module{m}": Choice((ABSENT, *MODULES), ordered=False) for m in range(FEWEST + 1, MOST + 1)}

    def permits(self, genes: Mapping[str, Any]) -> bool:
        kinds = list(genes.values())
        halved, doubled = (sum(what in kind for kind in kinds) for what in ("halve", "double"))
        gap = kinds[FEWEST] == ABSENT != kinds[FEWEST + 1]
        return not gap and HALVED[0] <= halved <= HALVED[1] and DOUBLED[0] <= doubled <= DOUBLED[1]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, width = GraphBuilder(), self.channels
        x = _conv(g, g.input("image", (1, *input_shape), self.axes), "stem1", max(1, width // 2), 2)
        x = _relu_conv(g, x, "stem2", width, 2)
        for module in self.knobs:
            kind = genotype[module]
            for b in range(1, 1 + self.blocks * (kind != ABSENT)):
                before, stride = width, 2 if b == 1 and "halve" in kind else 1
                width *= 2 if b == 1 and "double" in kind else 1
                x = _block(g, x, f"{module}.block{b}", before, width, stride)
        x = g.add("global_avg_pool", x, name="pool")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _block(g: GraphBuilder, x: str, name: str, before: int, width: int, stride: int) -> str:
    y = _relu_conv(g, _relu_conv(g, x, f"{name}.a", width, stride), f"{name}.b", width, 1)
    if stride != 1 or before != width:
        x = g.add("conv", x, name=f"{name}.skip.conv", out_channels=width, kernel=(1, 1), stride=stride, bias=False)
        x = g.add("batch_norm", x, name=f"{name}.skip.norm")
    return g.add("add", x, y, name=f"{name}.add")


def _relu_conv(g: GraphBuilder, x: str, name: str, width: int, stride: int) -> str:
    return _conv(g, g.add("relu", x, name=f"{name}.relu"), name, width, stride)


def _conv(g: GraphBuilder, x: str, name: str, width: int, stride: int) -> str:
    x = g.add("conv", x, name=f"{name}.conv", out_channels=width, kernel=(3, 3), stride=stride, padding=(1, 1),
              bias=False)  # fmt: skip
    return g.add("batch_norm", x, name=f"{name}.norm")

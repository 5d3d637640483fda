"""TransNAS-Bench-101's macro networks: 4 to 6 modules of two residual blocks; where the map shrinks, the channels grow.

Choose it to cost, train or score the networks of the benchmark themselves; to search by their published results,
choose `tabular` with the table `transnas_macro`.

Stem: conv 3x3 to half the channels and conv 3x3 to all of them, each with stride 2. A module's first block changes
size and channels: ``normal`` keeps both, ``double`` doubles the channels, ``halve`` halves the sides, ``double_halve``
does both. A block is ReLU - conv 3x3 - batch-norm twice, plus its input, through conv 1x1 and batch-norm where the
shape changes. Global pooling, linear classifier. The benchmark writes a network as one digit a module, 1 to 4 in the
order above, with 0 for modules that are not there; 3,256 networks halve 1 to 4 times and double 1 to 3 times.
Decoders of the other tasks, built on the last map (`decoder`): ``segmentation`` is convolutions 3x3 from 1,024 channels
down, as many of them transposed as the map was halved; ``image`` (auto-encoding, surface normals) has 14 of them, ends
in tanh, and is costed only, as archip has no data of that kind; ``jigsaw`` takes nine tiles as the channels of one
input (27 for RGB), runs them through one encoder and pools each of them for one linear classifier.
Source: Duan et al. 2021, arXiv:2105.11871, section 3.1; its code (yawen-d/TransNASBench, net_macro.py, decoder.py).
Differs: none known; the discriminator that trains ``image`` is no part of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from archip.core.errors import CandidateError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._network import Count, NetworkSpace

__all__ = ["TransNASMacro"]

ABSENT = "none"
MODULES = ("normal", "double", "halve", "double_halve")  # digits 1, 2, 3, 4
TILES, SLOPE = 9, 0.2
FEWEST, MOST = 4, 6
HALVED, DOUBLED = (1, 4), (1, 3)  # fewest and most modules that halve, that double


@dataclass(frozen=True)
class TransNASMacro(NetworkSpace):
    """Genes ``module1 … module6``; the last two may be ``none``.

    Attributes:
        channels: after the stem.
        blocks: of a module.
        decoder: what follows the last map; ``segmentation`` and ``image`` are for tasks with an answer a pixel.
    """

    axes: ClassVar[Literal["NCHW", "NCL"]] = "NCHW"
    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    channels: Count = 64
    blocks: Count = 2
    decoder: Literal["classifier", "jigsaw", "segmentation", "image"] = "classifier"

    def __post_init__(self) -> None:
        if self.decoder in ("segmentation", "image"):
            object.__setattr__(self, "task", "segmentation")  # of this instance: the decoder decides

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
        g, width, shape = GraphBuilder(), self.channels, tuple(input_shape)
        x = g.input("image", (1, *shape), self.axes)
        if self.decoder == "jigsaw":
            shape = (_of_a_tile(shape[0]), *shape[1:])
            x = g.add("reshape", x, name="tiles", shape=(TILES, *shape))
        x = _conv(g, x, "stem1", max(1, width // 2), 2)
        x = _relu_conv(g, x, "stem2", width, 2)
        halved = 2
        for module in self.knobs:
            kind = genotype[module]
            halved += "halve" in kind
            for b in range(1, 1 + self.blocks * (kind != ABSENT)):
                before, stride = width, 2 if b == 1 and "halve" in kind else 1
                width *= 2 if b == 1 and "double" in kind else 1
                x = _block(g, x, f"{module}.block{b}", before, width, stride)
        if self.decoder in ("segmentation", "image"):
            _refuse_odd(shape[1:], halved)
            return g.finish((_masks if self.decoder == "segmentation" else _image)(g, x, halved, n_outputs))
        x = g.add("global_avg_pool", x, name="pool")
        if self.decoder == "jigsaw":
            x = g.add("reshape", x, name="side_by_side", shape=(1, TILES * width))
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))


def _of_a_tile(channels: int) -> int:
    """Channels of one tile.

    Raises:
        CandidateError: the channels of the input are not those of nine tiles.
    """
    if channels % TILES:
        raise CandidateError(f"an input of {channels} channels is not {TILES} tiles, e.g. 27 channels for RGB")
    return channels // TILES


def _refuse_odd(sides: Sequence[int], halved: int) -> None:
    """Raise where the way up would not end at the size of the image.

    Raises:
        CandidateError: a side is no multiple of what the encoder halves.
    """
    if any(side % 2**halved for side in sides):
        raise CandidateError(f"{tuple(sides)} pixels are no multiples of {2**halved}, as this network halves them")


def _masks(g: GraphBuilder, x: str, halved: int, n_outputs: int) -> str:
    """Logits a pixel; halved 3 to 6 times by the encoder."""
    x, width = _up(g, x, 1, 1024, False), 1024
    for i in range(2, 8):
        is_up = i > 7 - halved
        width //= 2 if i < 7 else 1
        x = _up(g, x, i, width, is_up)
    return g.add("conv", x, name="decoder8.conv", out_channels=n_outputs, kernel=(3, 3), padding=(1, 1))


def _image(g: GraphBuilder, x: str, halved: int, n_outputs: int) -> str:
    """An image between -1 and 1; which of the convolutions are transposed follows from how often it was halved."""
    widths = (1024, 1024, 512, 512, 256, 128, 64, 64, 32, 32, 16, 32, 16)
    needed = {3: 6, 5: 5, 7: 4, 9: 3, 11: 0, 13: 0}  # halvings from which on a layer doubles the sides
    for i, width in enumerate(widths, 1):
        x = _up(g, x, i, width, i in needed and halved >= needed[i])
    x = g.add("conv", x, name="decoder14.conv", out_channels=n_outputs, kernel=(3, 3), padding=(1, 1))
    return g.add("tanh", x, name="decoder14.tanh")


def _up(g: GraphBuilder, x: str, i: int, width: int, doubles: bool) -> str:
    """A convolution 3x3, transposed if the sides double, with batch-norm and leaky ReLU."""
    shape: dict[str, Any] = {"out_channels": width, "kernel": (3, 3), "padding": (1, 1)}
    if doubles:
        x = g.add("conv_transpose", x, name=f"decoder{i}.up", stride=2, output_padding=(1, 1), **shape)
    else:
        x = g.add("conv", x, name=f"decoder{i}.conv", **shape)
    return g.add("leaky_relu", g.add("batch_norm", x, name=f"decoder{i}.norm"), name=f"decoder{i}.relu", slope=SLOPE)


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

"""HyTra: a fabric of convolution and attention layers over images, with free positions of the downsampling.

Choose it for hybrids of CNN and transformer: each layer is a bottleneck of convolutions or one with self-attention over
the places of the map, and before each layer the map may be halved, which doubles the channels.

Scale s (0 …) has ``width`` x 2^s inner and four times as many outer channels. A layer i at scale s is, after
``down_i`` (stride 2 in both of its branches)::

    conv        1x1 - depthwise 3x3 - norm - ReLU - 3x3 - norm - ReLU - 1x1 - norm
    attention   1x1 - depthwise 3x3 - norm - ReLU - attention - norm - ReLU - 1x1 - norm

plus the shortcut (mean of 2 x 2, 1x1, norm where size or channels change), then ReLU. The depthwise convolution tells
the attention where things are. Attention is a choice only from scale ``attention_from`` on, where maps are small; heads
have `head_features` channels each. Layers of one position have weights of their own at every scale.
BossNet-T0 (without squeeze-and-excitation) is of the space ``{stem: imagenet, width: 64, layers: 16, scales: 4,
attention_from: 2, head_features: 64}`` on 224 x 224.
Source: Li et al. 2021, arXiv:2103.12424 (BossNAS), section 4.1, and the authors' code. Differs: attention weighs values
by the scores of its queries (in the released code, by those of its keys); every position offers every scale that it
can reach, where theirs limits the scales of some; no scale is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.errors import CandidateError, UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._attention import Heads, mixed, root
from archip.spaces._network import Axes, Count, NetworkSpace, TaskKind, conv_norm_relu

__all__ = ["Hytra"]

_EXPANSION = 4
_KERNEL = (3, 3)


@dataclass(frozen=True)
class Hytra(NetworkSpace):
    """Genes ``down1 op1 down2 op2 …``: a layer's map is halved first (1) or not (0); ``conv`` or ``attention``.

    Attributes:
        layers: number of layers.
        scales: scales that there are; once the last is reached, nothing is halved any more.
        attention_from: the first scale at which a layer may be attention.
        width: inner channels at scale 0.
        head_features: channels of a head; they divide the inner channels of every scale with attention.
        stem: one convolution 3x3 without stride, or a 7x7 and max-pooling, which quarter the sides.
    """

    axes: ClassVar[Axes] = "NCHW"
    task: ClassVar[TaskKind] = "classification"

    layers: Annotated[int, Field(ge=1, le=32)] = 4
    scales: Annotated[int, Field(ge=1, le=6)] = 3
    attention_from: Annotated[int, Field(ge=0)] = 1
    width: Count = 8
    head_features: Count = 8
    stem: Literal["small", "imagenet"] = "small"

    def __post_init__(self) -> None:
        if self.attention_from >= self.scales:
            right = f"a scale that is there: 0 to {self.scales - 1}"
            raise UserError(f"attention from scale {self.attention_from} on", "attention_from", right)
        if self.width * 2**self.attention_from % self.head_features:
            text = f"{self.width * 2**self.attention_from} channels do not divide into heads of {self.head_features}"
            raise UserError(text, "head_features", "a divisor of width x 2^attention_from")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {}
        for i in range(1, self.layers + 1):
            knobs |= {f"down{i}": Choice((0, 1)), f"op{i}": Choice(("conv", "attention"), ordered=False)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        i = int(name.removeprefix("down").removeprefix("op"))
        if name.startswith("op"):
            return _scale(genes, i) >= self.attention_from
        return _scale(genes, i - 1) < self.scales - 1

    def corners(self) -> Iterator[Mapping[str, Any]]:
        """Genotypes that have every layer at every scale it can be at, reached from the same and from the scale before.

        A supernet takes the sizes of its weights from these.
        """
        for scale in range(self.scales):
            for last in range(scale, self.layers + 1) if scale else (0,):
                downs = {*range(1, scale), last} if scale else set()
                for op in ("conv", "attention"):
                    genes = {f"op{i}": op for i in range(1, self.layers + 1)}
                    yield genes | {f"down{i}": int(i in downs) for i in range(1, self.layers + 1)}

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, sides = GraphBuilder(), tuple(input_shape[1:])
        x = g.input("image", (1, *input_shape), self.axes)
        if self.stem == "imagenet":
            x = conv_norm_relu(g, x, "stem", self.width, (7, 7), stride=2)
            x = g.add("max_pool", x, name="stem.pool", kernel=_KERNEL, stride=2, padding=1)
            sides = tuple(-(-side // 4) for side in sides)
        else:
            x = conv_norm_relu(g, x, "stem", self.width, _KERNEL)
        channels = self.width
        scores = root(g, self.head_features) if "attention" in genotype.values() else ""
        for i in range(1, self.layers + 1):
            stride = 1 + genotype.get(f"down{i}", 0)
            if min(sides) < stride:
                raise CandidateError(f"layer {i}: a map of {' x '.join(map(str, sides))} cannot be halved")
            sides = tuple(-(-side // stride) for side in sides)
            scale = _scale(genotype, i)
            layer = _Layer(f"layer{i}.scale{scale}", self.width * 2**scale, channels, stride, (sides[0], sides[1]))
            heads = Heads(layer.inner // self.head_features, self.head_features, scores)
            x = layer.add(g, x, heads if genotype.get(f"op{i}") == "attention" else None)
            channels = layer.outer
        return g.finish(g.add("linear", g.add("global_avg_pool", x, name="pool"), name="classifier",
                              out_features=n_outputs))  # fmt: skip


def _scale(genes: Mapping[str, Any], i: int) -> int:
    """Scale of layer `i`: how often the map has been halved."""
    return sum(genes.get(f"down{j}", 0) for j in range(1, i + 1))


@dataclass(frozen=True)
class _Layer:
    """A layer of the fabric; `sides` are those of its output."""

    name: str
    inner: int
    before: int
    stride: int
    sides: tuple[int, int]

    @property
    def outer(self) -> int:
        return _EXPANSION * self.inner

    def add(self, g: GraphBuilder, x: str, heads: Heads | None) -> str:
        """The layer: of attention with these heads, of convolutions without."""
        at = f"{self.name}.{'attention' if heads else 'conv'}"
        y = g.add("conv", x, name=f"{at}.in", out_channels=self.inner, kernel=(1, 1), bias=False)
        places = {"kernel": _KERNEL, "stride": self.stride, "padding": 1, "groups": self.inner}
        y = _norm_relu(g, g.add("conv", y, name=f"{at}.places", out_channels=self.inner, **places), f"{at}.first")
        if heads:
            y = _norm_relu(g, self._attention(g, y, at, heads), f"{at}.mid")
        else:
            y = conv_norm_relu(g, y, f"{at}.mid", self.inner, _KERNEL)
        y = g.add("conv", y, name=f"{at}.out", out_channels=self.outer, kernel=(1, 1), bias=False)
        y = g.add("batch_norm", y, name=f"{at}.last")
        return g.add("relu", g.add("add", self._shortcut(g, x, at), y, name=f"{at}.add"), name=f"{at}.relu")

    def _shortcut(self, g: GraphBuilder, x: str, at: str) -> str:
        if self.stride == 1 and self.before == self.outer:
            return x
        at = f"{at}.skip{self.before}"  # one for each width that may come before
        if self.stride == 2:
            x = g.add("avg_pool", x, name=f"{at}.pool", kernel=(2, 2), ceil=True, count_pad=False)
        x = g.add("conv", x, name=f"{at}.conv", out_channels=self.outer, kernel=(1, 1), bias=False)
        return g.add("batch_norm", x, name=f"{at}.norm")

    def _attention(self, g: GraphBuilder, x: str, at: str, heads: Heads) -> str:
        """Self-attention between the places of a map."""
        n, parts = self.sides[0] * self.sides[1], {}
        for part in "qkv":
            y = g.add("conv", x, name=f"{at}.{part}", out_channels=self.inner, kernel=(1, 1), bias=False)
            parts[part] = g.add("reshape", y, name=f"{at}.{part}.heads", shape=(1, heads.n, heads.features, n))
            if part != "k":
                parts[part] = g.add("transpose", parts[part], name=f"{at}.{part}.turned", perm=(0, 1, 3, 2))
        y = mixed(g, parts, at, heads.root)
        y = g.add("transpose", y, name=f"{at}.turned", perm=(0, 1, 3, 2))
        return g.add("reshape", y, name=f"{at}.map", shape=(1, self.inner, *self.sides))


def _norm_relu(g: GraphBuilder, x: str, name: str) -> str:
    return g.add("relu", g.add("batch_norm", x, name=f"{name}.norm"), name=f"{name}.relu")

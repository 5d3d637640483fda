"""ViT-ResNAS: transformers of several stages; between them the tokens are thinned out with a residual connection.

Choose it for images of more than some 64 patches: late stages have few tokens with many features, as in CNNs.

A stem of three convolutions (the first with stride 2, the others residual) and a convolution that cuts patches give the
tokens; a learned token stands before them. Every stage has layers as in `vit` (norm, attention, norm, MLP). From one
stage to the next the map of tokens is halved and the features are doubled::

    patches: conv 3x3 with stride 2 (norm(x)) + positions     +  mean of 2 x 2, new features zero
    token:   linear (norm(x))                                 +  itself, new features zero

so that a path without a norm leads through all stages. What a gene chooses for the hidden features of the first stage
is doubled with every stage, like `dim`. The published supernet of ViT-ResNAS-Tiny is ``{patch: 14, stem: 24,
dims: [160, 176, 192, 224, 256], depths: [3, 4, 5, 6], heads: [[3, 4, 5, 6], [6, 8, 10, 12], [6, 8, 10, 12]],
head_features: [32, 48, 64], hiddens: [384, 448, 512, 576, 640, 704, 768]}`` on 224 x 224.
Source: Liao et al. 2021, arXiv:2109.00642, sections 3 and 4, and the authors' code. Differs: a stage's first layers are
kept (which of them are left out makes no difference to a network trained alone); one gene for the features of all
stages, as in the networks that the authors found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field

from archip.core.errors import CandidateError, UserError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._attention import Heads, grid, plus_token, pre_norm_block, root, to_map, to_tokens
from archip.spaces._network import Axes, Count, Counts, NetworkSpace, TaskKind, conv_norm_relu, increasing

__all__ = ["VitResnas"]

_KERNEL = (3, 3)


@dataclass(frozen=True)
class VitResnas(NetworkSpace):
    """Genes ``dim``, then for stage 1 ``depth1 heads1_1 hidden1_1 heads1_2 hidden1_2 …`` up to its depth, and so on.

    Attributes:
        patch: pixels along a side of a patch; even, since the stem halves the image.
        stem: filters of the stem.
        dims: choices for the features of a token in the first stage.
        depths: choices for the layers of a stage.
        heads: for each stage, choices for the heads of a layer.
        head_features: for each stage, features of a head.
        hiddens: choices for the hidden features of a layer's MLP in the first stage.
    """

    axes: ClassVar[Axes] = "NCHW"
    task: ClassVar[TaskKind] = "classification"

    patch: Annotated[int, Field(ge=2, multiple_of=2)] = 2
    stem: Count = 16
    dims: Counts = (16, 24, 32)
    depths: Counts = (1, 2, 3)
    heads: Annotated[tuple[Counts, ...], Field(min_length=1)] = ((1, 2), (2, 4), (2, 4))
    head_features: Counts = (8, 12, 16)
    hiddens: Counts = (32, 48, 64)

    def __post_init__(self) -> None:
        for option in ("dims", "depths", "hiddens"):
            increasing(getattr(self, option), option)
        for choices in self.heads:
            increasing(choices, "heads")
        if len(self.heads) != len(self.head_features):
            text = f"{len(self.heads)} stages have heads, {len(self.head_features)} have features of heads"
            raise UserError(text, "head_features", "one entry a stage in heads and in head_features")

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"dim": Choice(self.dims)}
        for s, heads in enumerate(self.heads, 1):
            knobs[f"depth{s}"] = Choice(self.depths)
            for i in range(1, max(self.depths) + 1):
                knobs |= {f"heads{s}_{i}": Choice(heads), f"hidden{s}_{i}": Choice(self.hiddens)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        stage, _, layer = name.removeprefix("heads").removeprefix("hidden").partition("_")
        return not layer or int(layer) <= genes[f"depth{stage}"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, dim = GraphBuilder(), genotype["dim"]
        sides = grid(input_shape[1:], self.patch)
        n = sides[0] * sides[1]
        x = self._stem(g, g.input("image", (1, *input_shape), self.axes), dim)
        x = plus_token(g, to_tokens(g, x, "patches", n, dim), n, dim)
        x = g.add("add", x, g.add("parameter", name="places", shape=(1, n + 1, dim)), name="places.add")
        for s, each in enumerate(self.head_features, 1):
            if s > 1:
                x, sides, dim = _reduced(g, x, f"reduce{s}", sides, dim)
            size, scale = (1 + sides[0] * sides[1], dim), root(g, each, f"root{s}")
            for i in range(1, genotype[f"depth{s}"] + 1):
                heads = Heads(genotype[f"heads{s}_{i}"], each, scale)
                x = pre_norm_block(g, x, f"layer{s}_{i}", size, heads, genotype[f"hidden{s}_{i}"] * 2 ** (s - 1))
        x = g.add("slice", g.add("layer_norm", x, name="norm"), name="class.taken", axis=1, stop=1)
        x = g.add("flatten", x, name="flatten")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    def _stem(self, g: GraphBuilder, x: str, dim: int) -> str:
        first = conv_norm_relu(g, x, "stem1", self.stem, _KERNEL, stride=2)
        x = conv_norm_relu(g, conv_norm_relu(g, first, "stem2", self.stem, _KERNEL), "stem3", self.stem, _KERNEL)
        x, half = g.add("add", x, first, name="stem.add"), self.patch // 2
        return g.add("conv", x, name="patches", out_channels=dim, kernel=(half, half), stride=half)


def _reduced(g: GraphBuilder, x: str, name: str, sides: tuple[int, int], dim: int) -> tuple[str, tuple[int, int], int]:
    """Tokens, sides of their map, and features after a residual spatial reduction.

    Raises:
        CandidateError: the map cannot be halved.
    """
    if sides[0] % 2 or sides[1] % 2:
        raise CandidateError(f"{name}: a map of {sides[0]} x {sides[1]} tokens cannot be halved")
    small, wide = (sides[0] // 2, sides[1] // 2), 2 * dim
    n = small[0] * small[1]
    token, patches = _parted(g, g.add("layer_norm", x, name=f"{name}.norm"), name, sides, dim)
    patches = g.add("conv", patches, name=f"{name}.conv", out_channels=wide, kernel=_KERNEL, stride=2, padding=1)
    places = g.add("parameter", name=f"{name}.places", shape=(1, n, wide))
    patches = g.add("add", to_tokens(g, patches, f"{name}.conv", n, wide), places, name=f"{name}.places.add")
    token = g.add("linear", token, name=f"{name}.token", out_features=wide)
    y = g.add("concat", token, patches, name=f"{name}.joined", axis=1)

    token, patches = _parted(g, x, f"{name}.skip", sides, dim)
    patches = g.add("avg_pool", patches, name=f"{name}.skip.pool", kernel=(2, 2))
    patches = to_tokens(g, patches, f"{name}.skip.pool", n, dim)
    x = g.add("concat", token, patches, name=f"{name}.skip.joined", axis=1)
    x = g.add("pad", x, name=f"{name}.skip.wide", pads=((0, 0), (0, wide - dim)))
    return g.add("add", x, y, name=f"{name}.add"), small, wide


def _parted(g: GraphBuilder, x: str, name: str, sides: tuple[int, int], dim: int) -> tuple[str, str]:
    """The learned token, and the others as a map."""
    token = g.add("slice", x, name=f"{name}.first", axis=1, stop=1)
    return token, to_map(g, g.add("slice", x, name=f"{name}.others", axis=1, start=1), name, sides, dim)

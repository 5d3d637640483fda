"""ViT: vision transformers; patch, depth, features, and for every layer its heads and the width of its MLP.

Choose it for image classification with attention instead of convolutions, as a supernet too. The image's sides must be
multiples of the patch: 8 x 8 digits take patches of 2 or 4.

A network cuts the image into patches (a convolution whose stride is its kernel), puts a learned token before them
(``end: class``; ``mean`` averages over the patches instead), adds learned positions, and has ``depth`` layers::

    x + attention(norm(x))     heads_i heads of `head_features` features each
    x + mlp(norm(x))           mlp_i x dim hidden features, GELU

with a norm and a linear classifier at the end. Patches of each size have weights and positions of their own.
DeiT-Ti is ``{patches: [16], depths: [12], dims: [192], heads: [3], head_features: 64, ratios: [4]}`` on 224 x 224, and
AutoFormer's tiny space ``{patches: [16], depths: [12, 13, 14], dims: [192, 216, 240], heads: [3, 4], head_features: 64,
ratios: [3.5, 4]}`` (without its relative positions).
Source: Dosovitskiy et al. 2021, arXiv:2010.11929; Touvron et al. 2021, arXiv:2012.12877 (DeiT); Chen et al. 2021,
arXiv:2107.00651 (AutoFormer: heads and MLP ratio a layer, heads of fixed size).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._attention import Heads, grid, plus_token, pre_norm_block, root, to_tokens
from archip.spaces._network import Axes, Count, Counts, NetworkSpace, TaskKind, increasing

__all__ = ["Vit"]

Ratios = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


@dataclass(frozen=True)
class Vit(NetworkSpace):
    """Genes ``patch depth dim``, then ``heads1 mlp1 heads2 mlp2 …`` up to the depth.

    Attributes:
        patches: choices for the side of a patch.
        depths: choices for the number of layers.
        dims: choices for the features of a token.
        heads: choices for the heads of a layer.
        head_features: features of a head.
        ratios: choices for the hidden features of a layer's MLP, as a multiple of dim.
        end: what is classified: a token of its own, or the mean of the patches.
    """

    axes: ClassVar[Axes] = "NCHW"
    task: ClassVar[TaskKind] = "classification"

    patches: Counts = (2, 4)
    depths: Counts = (2, 3, 4)
    dims: Counts = (32, 48, 64)
    heads: Counts = (1, 2, 3, 4)
    head_features: Count = 16
    ratios: Ratios = (1.0, 2.0, 4.0)
    end: Literal["class", "mean"] = "class"

    def __post_init__(self) -> None:
        for option in ("patches", "depths", "dims", "heads", "ratios"):
            increasing(getattr(self, option), option)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {
            "patch": Choice(self.patches),
            "depth": Choice(self.depths),
            "dim": Choice(self.dims),
        }
        for i in range(1, max(self.depths) + 1):
            knobs |= {f"heads{i}": Choice(self.heads), f"mlp{i}": Choice(self.ratios)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        layer = name.removeprefix("heads").removeprefix("mlp")
        return not layer.isdecimal() or int(layer) <= genes["depth"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, patch, dim = GraphBuilder(), genotype["patch"], genotype["dim"]
        rows, columns = grid(input_shape[1:], patch)
        n = rows * columns
        x = g.input("image", (1, *input_shape), self.axes)
        x = g.add("conv", x, name=f"patch{patch}", out_channels=dim, kernel=(patch, patch), stride=patch)
        x = to_tokens(g, x, f"patch{patch}", n, dim)
        if self.end == "class":
            x, n = plus_token(g, x, n, dim), n + 1
        places = g.add("parameter", name=f"patch{patch}.places", shape=(1, n, dim))
        x = g.add("add", x, places, name="places.add")
        scale = root(g, self.head_features)
        for i in range(1, genotype["depth"] + 1):
            heads = Heads(genotype[f"heads{i}"], self.head_features, scale)
            x = pre_norm_block(g, x, f"layer{i}", (n, dim), heads, max(1, int(genotype[f"mlp{i}"] * dim)))
        x = g.add("layer_norm", x, name="norm")
        if self.end == "class":
            x = g.add("flatten", g.add("slice", x, name="class.taken", axis=1, stop=1), name="flatten")
        else:
            x = g.add("mean", x, name="mean", axes=(1,))
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

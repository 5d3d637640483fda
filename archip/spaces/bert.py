"""BERT: encoders of token sequences; depth, hidden size, and for every layer its heads and intermediate size.

Choose it to classify texts that are rows of token numbers (data sets with axes ``NT``, e.g. `texts`). `vocabulary` must
be that of the data: tokens are numbered below it, and 0 is padding, which no token looks at.

A network adds the rows of its tokens and of their places (and, with ``segments``, the first row of a table of
segments), normalises, and has ``depth`` layers::

    x = norm(x + attention(x))     heads_i heads of `head_features` features each
    x = norm(x + mlp(x))           ffn_i hidden features, GELU

A linear layer and tanh of the first token (the pooler) and a linear classifier end it. BERT-base is ``{depths: [12],
hiddens: [768], heads: [12], head_features: 64, ffns: [3072], vocabulary: 30522, positions: 512, segments: 2}``.
Source: Devlin et al. 2019, arXiv:1810.04805; elastic as in Sridhar et al. 2023, arXiv:2308.15609 (InstaTune: layers,
heads and intermediate size of every layer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field

from archip.core.errors import CandidateError
from archip.core.knobs import Choice, Knob
from archip.ir.graph import Graph, GraphBuilder
from archip.spaces._attention import Heads, attention, feed_forward, root
from archip.spaces._network import Axes, Count, Counts, NetworkSpace, TaskKind, increasing

__all__ = ["Bert"]

_EPS = 1e-12  # of BERT's norms
_UNSEEN = -1e4  # added to the scores of padding


@dataclass(frozen=True)
class Bert(NetworkSpace):
    """Genes ``depth hidden``, then ``heads1 ffn1 heads2 ffn2 …`` up to the depth.

    Attributes:
        depths: choices for the number of layers.
        hiddens: choices for the features of a token.
        heads: choices for the heads of a layer.
        head_features: features of a head.
        ffns: choices for the hidden features of a layer's feed-forward part.
        vocabulary: tokens that there are; those of the data are numbered below it.
        positions: rows of the table of places; None: as many as the sequences have tokens.
        segments: rows of the table of segments; 0: there is none.
    """

    axes: ClassVar[Axes] = "NT"
    task: ClassVar[TaskKind] = "classification"

    depths: Counts = (1, 2, 3)
    hiddens: Counts = (32, 48, 64)
    heads: Counts = (1, 2, 3, 4)
    head_features: Count = 16
    ffns: Counts = (32, 64, 128)
    vocabulary: Count = 4096
    positions: Count | None = None
    segments: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        for option in ("depths", "hiddens", "heads", "ffns"):
            increasing(getattr(self, option), option)

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        knobs: dict[str, Knob] = {"depth": Choice(self.depths), "hidden": Choice(self.hiddens)}
        for i in range(1, max(self.depths) + 1):
            knobs |= {f"heads{i}": Choice(self.heads), f"ffn{i}": Choice(self.ffns)}
        return knobs

    def is_active(self, name: str, genes: Mapping[str, Any]) -> bool:
        layer = name.removeprefix("heads").removeprefix("ffn")
        return not layer.isdecimal() or int(layer) <= genes["depth"]

    def graph(self, genotype: Mapping[str, Any], input_shape: Sequence[int], n_outputs: int) -> Graph:
        g, hidden, (n,) = GraphBuilder(), genotype["hidden"], input_shape
        ids = g.input("tokens", (1, n), self.axes)
        x = self._embedded(g, ids, n, hidden)
        mask, scale = _mask(g, ids, n), root(g, self.head_features)
        for i in range(1, genotype["depth"] + 1):
            heads, at = Heads(genotype[f"heads{i}"], self.head_features, scale), f"layer{i}"
            y = attention(g, x, f"{at}.attention", (n, hidden), heads, mask)
            x = g.add("layer_norm", g.add("add", x, y, name=f"{at}.add1"), name=f"{at}.norm1", eps=_EPS)
            y = feed_forward(g, x, f"{at}.mlp", genotype[f"ffn{i}"], hidden)
            x = g.add("layer_norm", g.add("add", x, y, name=f"{at}.add2"), name=f"{at}.norm2", eps=_EPS)
        x = g.add("flatten", g.add("slice", x, name="first", axis=1, stop=1), name="flatten")
        x = g.add("tanh", g.add("linear", x, name="pooler", out_features=hidden), name="tanh")
        return g.finish(g.add("linear", x, name="classifier", out_features=n_outputs))

    def _embedded(self, g: GraphBuilder, ids: str, n: int, hidden: int) -> str:
        """Tokens, places and segment, summed and normalised."""
        rows = self.positions or n
        if n > rows:
            raise CandidateError(f"sequences of {n} tokens do not fit into {rows} positions")
        x = g.add("embedding", ids, name="words", n=self.vocabulary, dim=hidden)
        places = g.add("parameter", name="places", shape=(1, rows, hidden))
        if rows > n:
            places = g.add("slice", places, name="places.taken", axis=1, stop=n)
        x = g.add("add", x, places, name="places.add")
        if self.segments:
            table = g.add("parameter", name="segments", shape=(1, self.segments, hidden))
            first = g.add("slice", table, name="segments.taken", axis=1, stop=1)
            x = g.add("add", x, first, name="segments.add")
        return g.add("layer_norm", x, name="norm", eps=_EPS)


def _mask(g: GraphBuilder, ids: str, n: int) -> str:
    """What is added to scores (batch, heads, n, n): a large negative number where the token looked at is padding."""
    is_padding = g.add("equal", ids, g.add("constant", name="padding", shape=(), value=0), name="padding.is")
    mask = g.add(
        "mul", is_padding, g.add("constant", name="padding.score", shape=(), value=_UNSEEN), name="padding.mul"
    )
    return g.add("reshape", mask, name="padding.mask", shape=(1, 1, 1, n))

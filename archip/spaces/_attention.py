"""Blocks of transformers, for the spaces that have them: self-attention, the feed-forward part, patches as tokens.

Sequences are values of shape (batch, tokens, features). A layer with fewer heads or hidden features than another of its
name has the leading ones; a head is never torn, since all heads of a layer's name have one size.
Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; Dosovitskiy et al. 2021, arXiv:2010.11929, equations 1-4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archip.core.errors import CandidateError
from archip.ir.graph import GraphBuilder

__all__ = [
    "Heads",
    "attention",
    "feed_forward",
    "grid",
    "mixed",
    "plus_token",
    "pre_norm_block",
    "root",
    "to_map",
    "to_tokens",
]


@dataclass(frozen=True)
class Heads:
    """So many heads of so many features each; `root` is the value 1 / sqrt(features), one for all layers."""

    n: int
    features: int
    root: str


def root(g: GraphBuilder, features: int, name: str = "root") -> str:
    """The number that scores of heads with `features` features are multiplied with."""
    return g.add("constant", name=name, shape=(), value=features**-0.5)


def attention(g: GraphBuilder, x: str, name: str, size: tuple[int, int], heads: Heads, mask: str = "") -> str:
    """Self-attention; `size` is (tokens, features), `mask` a value that is added to scores (batch, heads, n, n)."""
    (n, features), inner = size, heads.n * heads.features
    turned = {}
    for part, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
        y = g.add("linear", x, name=f"{name}.{part}", out_features=inner)
        y = g.add("reshape", y, name=f"{name}.{part}.heads", shape=(1, n, heads.n, heads.features))
        turned[part] = g.add("transpose", y, name=f"{name}.{part}.turned", perm=perm)
    y = mixed(g, turned, name, heads.root, mask)
    y = g.add("transpose", y, name=f"{name}.turned", perm=(0, 2, 1, 3))
    y = g.add("reshape", y, name=f"{name}.joined", shape=(1, n, inner))
    return g.add("linear", y, name=f"{name}.out", out_features=features)


def mixed(g: GraphBuilder, parts: Mapping[str, str], name: str, root: str, mask: str = "") -> str:
    """softmax(root q k) v of the `parts` q and v (batch, heads, tokens, d) and k (batch, heads, d, tokens)."""
    scores = g.add("matmul", parts["q"], parts["k"], name=f"{name}.scores")
    scores = g.add("mul", scores, root, name=f"{name}.scaled")
    if mask:
        scores = g.add("add", scores, mask, name=f"{name}.masked")
    return g.add("matmul", g.add("softmax", scores, name=f"{name}.weights"), parts["v"], name=f"{name}.context")


def feed_forward(g: GraphBuilder, x: str, name: str, hidden: int, out_features: int) -> str:
    """Linear, GELU, linear."""
    x = g.add("linear", x, name=f"{name}.up", out_features=hidden)
    return g.add("linear", g.add("gelu", x, name=f"{name}.gelu"), name=f"{name}.down", out_features=out_features)


def pre_norm_block(g: GraphBuilder, x: str, name: str, size: tuple[int, int], heads: Heads, hidden: int) -> str:
    """Gives x + attention(norm(x)), then x + feed_forward(norm(x)); `size` is (tokens, features)."""
    y = attention(g, g.add("layer_norm", x, name=f"{name}.norm1"), f"{name}.attention", size, heads)
    x = g.add("add", x, y, name=f"{name}.add1")
    y = feed_forward(g, g.add("layer_norm", x, name=f"{name}.norm2"), f"{name}.mlp", hidden, size[1])
    return g.add("add", x, y, name=f"{name}.add2")


def grid(sides: Sequence[int], patch: int) -> tuple[int, int]:
    """Rows and columns of patches of an image.

    Raises:
        CandidateError: the patches do not tile it.
    """
    if any(side % patch or side < patch for side in sides):
        raise CandidateError(f"patches of {patch} x {patch} do not tile an image of {' x '.join(map(str, sides))}")
    return sides[0] // patch, sides[1] // patch


def to_tokens(g: GraphBuilder, x: str, name: str, n: int, features: int) -> str:
    """A map (batch, features, rows, columns) of `n` places as a sequence, row by row."""
    x = g.add("reshape", x, name=f"{name}.rows", shape=(1, features, n))
    return g.add("transpose", x, name=f"{name}.tokens", perm=(0, 2, 1))


def to_map(g: GraphBuilder, x: str, name: str, sides: tuple[int, int], features: int) -> str:
    """A sequence as a map again."""
    x = g.add("transpose", x, name=f"{name}.columns", perm=(0, 2, 1))
    return g.add("reshape", x, name=f"{name}.map", shape=(1, features, *sides))


def plus_token(g: GraphBuilder, x: str, n: int, features: int) -> str:
    """The sequence of `n` tokens with a learned one, ``class``, before it."""
    x = g.add("pad", x, name="class.place", pads=((1, 0), (0, 0)))
    token = g.add("parameter", name="class", shape=(1, 1, features))
    return g.add("add", x, g.add("pad", token, name="class.rows", pads=((0, n), (0, 0))), name="class.add")

"""The text of a network: by hand, and the same whatever its nodes are called and in whatever order they stand."""

from __future__ import annotations

import numpy as np
import pytest

from archip.ir.graph import Graph, GraphBuilder, Node
from archip.predictors._graph_text import graph_text, text_features
from archip.spaces.nb201 import NB201


def residual() -> Graph:
    g = GraphBuilder()
    x = g.input("image", (1, 3, 8, 8), "NCHW")
    a = g.add("conv", x, name="a", out_channels=4, kernel=(3, 3), padding=(1, 1), groups=1)
    b = g.add("relu", a, name="b")
    g.add("relu", x, name="nobody reads it")
    return g.finish(g.add("add", a, b, name="sum"))


def renamed(graph: Graph, rng: np.random.Generator) -> Graph:
    """Other names, another order, and sums written the other way round."""
    new = {n.name: f"n{i}" for i, n in zip(rng.permutation(len(graph.nodes)), graph.nodes, strict=True)}
    new |= {i.name: i.name for i in graph.inputs}
    left = [Node(new[n.name], n.op, tuple(new[i] for i in n.inputs), n.attributes) for n in graph.nodes]
    left = [Node(n.name, n.op, n.inputs[::-1], n.attributes) if n.op == "add" else n for n in left]
    placed, known = [], {i.name for i in graph.inputs}
    while left:
        ready = [n for n in left if known.issuperset(n.inputs)]
        node = ready[rng.integers(len(ready))]
        placed.append(node)
        known.add(node.name)
        left.remove(node)
    return Graph(graph.inputs, tuple(placed), tuple(new[o] for o in graph.outputs))


def test_by_hand():
    lines = ["input >3x8x8", "conv kernel=3x3 padding=1x1 >4x8x8", "relu >4x8x8", "add @2 >4x8x8"]
    assert graph_text(residual()) == "\n".join(lines)
    bare = graph_text(residual(), parameters=False, references=False, shapes=False)
    assert bare == "input\nconv\nrelu\nadd"


@pytest.mark.parametrize("seed", range(6))
def test_names_and_order_play_no_part(seed):
    rng = np.random.default_rng(seed)
    space = NB201(cells=1)
    graph = space.graph(space.sample(rng), (3, 8, 8), 10)
    assert graph_text(renamed(graph, rng)) == graph_text(graph)


def test_different_networks_have_different_texts():
    space = NB201(cells=1)
    genes = dict.fromkeys(space.knobs, "nor_conv_3x3")
    texts = {graph_text(space.graph(genes | {edge: "nor_conv_1x1"}, (3, 8, 8), 10)) for edge in space.knobs}
    assert len(texts) == 6


def test_features_count_word_sequences():
    F = text_features(["a b\na b", "a"], width=1 << 16, n=2)
    # words a (2), b (2), ; (1); pairs "a b" (2), "b ;", "; a"
    assert sorted(F[0][F[0] > 0]) == pytest.approx(np.log([2, 2, 2, 3, 3, 3]))
    assert sorted(F[1][F[1] > 0]) == pytest.approx([np.log(2)])
    assert np.flatnonzero(F[1])[0] in np.flatnonzero(F[0])

"""ONNX-Net: the ranking loss at its minimum, and what is learnt in one space and holds in another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from archip.core import registry
from archip.ir.graph import Graph, GraphBuilder
from archip.predictors._agreement import kendall
from archip.predictors.onnx_net import OnnxNet
from archip.spaces.nb201 import NB201


def test_two_samples_by_hand():
    # margin 1, penalty p, features -1 and 1: the minimum of (1 - 2 w)^2 + p w^2 is at w = 2 / (4 + p)
    net = OnnxNet(margin=1.0)
    weights = net._learnt(np.array([[-1.0], [1.0]]), np.array([0.0, 5.0]), 0.5, np.random.default_rng(0))
    assert weights == pytest.approx([2 / 4.5], rel=1e-5)


def test_an_order_that_a_line_can_give_is_found():
    rng = np.random.default_rng(0)
    X_NF = rng.normal(size=(30, 5))
    y_N = np.exp(3 * X_NF @ [1.0, -2.0, 0.5, 0.0, 1.0])
    gaps = X_NF[np.argsort(y_N)][1:] - X_NF[np.argsort(y_N)][:-1]
    assert linprog(np.zeros(5), -gaps, -np.full(29, 1e-9), bounds=(None, None)).status == 0  # such a line exists
    net = registry.create("predictors", "onnx_net", {"penalties": [1e-9]}).fit(X_NF, y_N)
    assert kendall(net.predict(X_NF)[0], y_N) > 0.99


def plain(ops: list[str], width: int) -> Graph:
    """A chain, unlike the cells of the other space."""
    g = GraphBuilder()
    x = g.input("picture", (1, 3, 16, 16), "NCHW")
    for i, op in enumerate(ops):
        if op == "pool":
            x = g.add("avg_pool", x, name=f"{i}", kernel=(3, 3), stride=1, padding=(1, 1), count_pad=False)
            continue
        k = int(op)
        x = g.add("conv", x, name=f"{i}", out_channels=width, kernel=(k, k), padding=(k // 2, k // 2), bias=False)
        x = g.add("relu", g.add("batch_norm", x, name=f"{i}.norm"), name=f"{i}.relu")
    return g.finish(x)


def test_it_carries_over_to_another_space():
    rng = np.random.default_rng(0)
    space = NB201(cells=1)
    genes = [space.sample(rng) for _ in range(80)]
    worth = {"nor_conv_3x3": 3.0, "nor_conv_1x1": 1.0, "avg_pool_3x3": -2.0}
    y_N = np.array([sum(worth.get(op, 0.0) for op in g.values()) for g in genes])
    net = OnnxNet().fit(OnnxNet.features([space.graph(g, (3, 8, 8), 10) for g in genes]), y_N)
    chains = [rng.choice(["3", "1", "pool"], size=8).tolist() for _ in range(60)]
    truth = [sum({"3": 3.0, "1": 1.0, "pool": -2.0}[op] for op in chain) for chain in chains]
    said = net.predict(OnnxNet.features([plain(chain, 24) for chain in chains]))[0]
    assert kendall(said, np.array(truth)) > 0.6

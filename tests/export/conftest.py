"""Networks to export."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from archip.core import registry
from archip.export._network import Network
from archip.ir.graph import GraphBuilder
from archip.nets.build import build_module

SHAPES = {"resnet9": (3, 16, 16), "conv1d": (6, 60), "unet": (3, 18, 20)}


@pytest.fixture(scope="session")
def make_network():
    """make_network(space, seed): a random network whose batch norms have seen data."""

    def make(name: str, seed: int = 0) -> Network:
        space, shape = registry.create("spaces", name), SHAPES[name]
        genotype = space.sample(np.random.default_rng(seed))
        mean, std = tuple(0.25 * i for i in range(shape[0])), tuple(1 + 0.1 * i for i in range(shape[0]))
        data = SimpleNamespace(input_shape=shape, n_outputs=3, task=space.task, classes=("a, b", 'c"', "d\\"),
                               mean=mean, std=std)  # fmt: skip
        module = trained(space.build(genotype, shape, 3, seed), shape, seed)
        return Network.of(f"{name}_{seed}", space, genotype, module, data, {"test.accuracy": 0.875})

    return make


def trained(module, shape, seed=0):
    """Statistics and affine weights that are not those of the start."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim == 1:
                p.add_(0.2 * torch.randn(p.shape, generator=draw))
        module.train()(torch.randn(16, *shape, generator=draw))
    return module.eval()


@pytest.fixture(scope="session")
def odd_network() -> Network:
    """Operators and names that our spaces do not use, two inputs and two outputs."""
    g = GraphBuilder()
    x, other = g.input("x", (1, 4, 6, 6), "NCHW"), g.input("y", (1, 2, 3, 3), "NCHW")
    x = g.add("conv_transpose", x, name="/up/0.conv", out_channels=4, kernel=(2, 2), stride=2)
    for op in ("relu6", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "identity"):
        x = g.add(op, x, name=op)
    x = g.add("pad", x, name="pad", pads=((1, 0), (0, 1)))
    x = g.add("avg_pool", x, name="avg", kernel=(3, 3), stride=2, padding=1)
    x = g.add("slice", x, name="cut", axis=2, start=1, stop=5, step=2)
    y = g.add("upsample", x, name="bilinear", scale=(2, 1), mode="bilinear")
    y = g.add("mean", y, name="mean", axes=(2,), keepdims=True)
    x = g.add("mul", g.add("sub", x, y, name="sub"), y, name="mul")
    x = g.add("div", x, g.add("softmax", x, name="weights", axis=1), name="div")
    x = g.add("transpose", x, name="perm", perm=(0, 2, 3, 1))
    x = g.add("reshape", x, name="class", shape=(1, -1, 4))
    x = g.add("layer_norm", x, name="norm", eps=1e-3)
    z = g.add("matmul", x, g.add("transpose", x, name="t", perm=(0, 2, 1)), name="scores")
    x = g.add("matmul", g.add("softmax", z, name="soft", axis=-1), x, name="attention")
    x = g.add("dropout", x, name="drop", p=0.3)
    x = g.add("flatten", x, name="flat")
    x = g.add("concat", x, g.add("flatten", other, name="flat 2"), name="both")
    out = g.add("linear", x, name="fc", out_features=2, bias=False)
    graph = g.finish(out, y)
    module = build_module(graph, 0).eval()
    return Network("odd", graph, module)

"""Networks computed without modules: the same numbers as the module of the graph, for every kind of layer."""

from __future__ import annotations

import pytest
import torch

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, GraphBuilder
from archip.nets.build import build_module
from archip.nets.functional import compute

IMAGE, SERIES, VOLUME, TOKENS = (4, 6, 8), (4, 9), (2, 3, 4, 5), (5, 12)
LAYERS = [
    ("conv", {"out_channels": 6, "kernel": (3, 5), "stride": (2, 1), "padding": (1, 2), "groups": 2}, IMAGE),
    ("conv", {"out_channels": 6, "kernel": (3,), "dilation": 2, "bias": False}, SERIES),
    ("conv", {"out_channels": 2, "kernel": (2, 2, 2)}, VOLUME),
    ("conv_transpose", {"out_channels": 6, "kernel": (2, 2), "stride": 2}, IMAGE),
    ("linear", {"out_features": 3}, TOKENS),
    ("batch_norm", {"eps": 0.1}, IMAGE),
    ("batch_norm", {"affine": False}, SERIES),
    ("layer_norm", {"bias": False}, TOKENS),
    ("lstm", {"hidden": 5}, SERIES),
    ("dropout", {"p": 0.0}, SERIES),
    ("resize", {"size": (3, 5), "mode": "bilinear"}, IMAGE),
]


def weights_of(module: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    return {name: dict(layer.named_parameters()) for name, layer in module.named_children()}


@pytest.mark.parametrize(("op", "attributes", "shape"), LAYERS)
def test_layers_compute_what_their_modules_do(op, attributes, shape):
    g = GraphBuilder()
    graph = g.finish(g.add(op, g.input("x", (1, *shape), "N" + "?" * len(shape)), name="layer", **attributes))
    module = build_module(graph, seed=0).train()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, *shape)
    assert torch.equal(compute(graph, weights_of(module), x), module(x))


def branches() -> Graph:
    g = GraphBuilder()
    x, y = g.input("x", (1, 3, 4, 4), "NCHW"), g.input("y", (1, 3, 1, 1), "NCHW")
    x = g.add("mul", x, g.add("sigmoid", y, name="gate"), name="gated")
    a = g.add("conv", x, name="a", out_channels=2, kernel=(1, 1))
    b = g.add("max_pool", g.add("concat", x, a, name="both"), name="b", kernel=(2, 2))
    return g.finish(a, b)


def test_several_inputs_and_outputs_and_values_that_are_read_twice():
    module = build_module(branches(), seed=0)
    x, y = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1)
    found = compute(branches(), weights_of(module), x, y)
    assert all(torch.equal(a, b) for a, b in zip(found, module(x, y), strict=True))


def test_what_torch_cannot_compute_is_refused_by_name():
    g = GraphBuilder()
    graph = g.finish(g.add("erf", g.input("x", (1, 3), "NC"), name="strange"))
    with pytest.raises(CandidateError, match="strange"):
        compute(graph, {}, torch.zeros(2, 3))

"""Models written for timing compute what the network computes, and the measurement says how steady it was."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import CandidateError
from archip.hardware.devices._device import Deployed
from archip.hardware.devices._onnx_model import onnx_model
from archip.ir.graph import GraphBuilder

NETWORKS = [n for n in registry.names("spaces") if hasattr(registry.find("spaces", n), "task")]


def network(op: str = "relu", **attributes):
    g = GraphBuilder()
    x = g.input("image", (1, 3, 8, 8), "NCHW")
    x = g.add(
        op, g.add("conv", x, name="conv", out_channels=8, kernel=(3, 3), padding=(1, 1)), name="act", **attributes
    )
    return g.finish(g.add("linear", g.add("global_avg_pool", x, name="pool"), name="out", out_features=4))


def difference(graph) -> float:
    """Largest difference between the ONNX model and the torch module with the same weights, over the largest value."""
    import onnxruntime
    import torch

    from archip.nets.build import build_module
    from archip.nets.torch_form import attribute_names

    module = build_module(graph).eval()
    state, names = module.state_dict(), attribute_names(graph)
    values = lambda node, tensor, shape: state[f"{names[node]}.{tensor}"].numpy()  # noqa: E731
    session = onnxruntime.InferenceSession(onnx_model(graph, values), providers=["CPUExecutionProvider"])
    rng, given = np.random.default_rng(0), graph.inputs[0]
    x = rng.integers(9, size=given.shape) if given.is_tokens else rng.normal(size=given.shape).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    return float(np.abs(session.run(None, {graph.inputs[0].name: x})[0] - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_every_space_compute_the_same(name):
    space = registry.create("spaces", name)
    shape = {"NCHW": (3, 16, 16), "NCL": (6, 64), "NT": (12,)}[space.axes]
    for seed in range(2):
        genotype = space.sample(np.random.default_rng(seed))
        assert difference(space.graph(genotype, shape, 4)) < 1e-4


@pytest.mark.parametrize("op", ["relu6", "silu", "gelu", "hardswish", "hardsigmoid", "sigmoid", "softmax"])
def test_activations_compute_the_same(op):
    assert difference(network(op)) < 1e-5


@pytest.mark.parametrize(
    ("op", "attributes"),
    [("sum", {"axes": (2, 3), "keepdims": True}), ("square", {}), ("clip", {"least": -0.1}),
     ("clip", {"least": -0.1, "most": 0.2}), ("slice", {"axis": 1, "start": 2, "stop": 6}),
     ("slice", {"axis": 3, "start": 1, "step": 2}), ("pad", {"pads": ((1, 0), (0, 2)), "value": 0.5}),
     ("resize", {"size": (5, 12), "mode": "bilinear"}), ("resize", {"size": (5, 16), "mode": "nearest"}),
     ("avg_pool", {"kernel": (3, 3), "ceil": True, "count_pad": False})],
)  # fmt: skip
def test_operators_compute_the_same(op, attributes):
    assert difference(network(op, **attributes)) < 1e-5


def test_an_operator_that_cannot_be_written_is_named():
    g = GraphBuilder()
    x = g.input("x", (1, 4), "NC")
    with pytest.raises(CandidateError, match="'act': cumsum"):
        onnx_model(g.finish(g.add("cumsum", x, name="act", axis=1)))


def test_a_measurement_says_how_it_was_made():
    device = registry.create("hardware/devices", "onnxruntime", {"repeats": 8, "warmup": 1, "tries": 1})
    result = device.measure_graph(network())
    assert 0 < result["p10_s"] <= result["latency_s"] <= result["p90_s"]
    assert (result["repeats"], result["threads"], result["tries"]) == (8, 1, 1)
    assert result["drift"] > 0
    costs = device.costs([Deployed(network()), Deployed(network())])
    weights = 2 * (3 * 9 * 8 + 8 + 8 * 4 + 4)
    assert costs["memory_bytes"] == 4 * weights + 4 * (3 * 64 + 8 * 64)
    with pytest.raises(CandidateError, match="bits"):
        device.costs([Deployed(network(), {"weight_bits": 4})])


def test_a_measurement_that_drifts_is_made_again(monkeypatch):
    device = registry.create("hardware/devices", "onnxruntime", {"repeats": 4, "warmup": 0, "tries": 3})
    drifts = iter([1.5, 0.7, 1.05, 1.0])
    monkeypatch.setattr(device, "_repeated", lambda session, inputs: {"drift": next(drifts)})
    assert device.measure_graph(network())["drift"] == 1.05
    assert next(drifts) == 1.0  # the third was steady

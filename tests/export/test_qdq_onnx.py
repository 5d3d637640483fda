"""Quantised ONNX files: ONNX Runtime computes what the simulation does, and what ONNX cannot tell is refused."""

from __future__ import annotations

import onnx
import pytest
import torch

from archip.compress.quantize.uniform import Uniform
from archip.core.errors import CandidateError
from archip.export._network import Network
from archip.export.qdq_onnx import QdqOnnx
from archip.spaces.bert import Bert
from archip.spaces.resnet9 import ResNet9

BERT = Bert(depths=(1,), hiddens=(32,), heads=(2,), ffns=(32,), vocabulary=50)
RESNET = ResNet9(stem=(4,), filters=(8,), skips=(1,), blocks=1)
CASES = {
    "bert": (BERT, {"depth": 1, "hidden": 32, "heads1": 2, "ffn1": 32}, (12,)),
    "resnet9": (RESNET, {"fn0": 4, "fn1": 8, "sk1": 1}, (1, 8, 8)),
}


def made(name, **bits):
    space, genotype, shape = CASES[name]
    module = space.build(genotype, shape, 3, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    x = (
        torch.randint(1, 50, (16, *shape), generator=generator)
        if space is BERT
        else torch.randn(16, *shape, generator=generator)
    )
    rounded = Uniform().quantized(module, bits, [x])
    return Network(name, space.graph(genotype, shape, 3), rounded), x


@pytest.mark.parametrize(("name", "weights", "values"), [("bert", 4, 8), ("resnet9", 8, 8), ("resnet9", 3, 5)])
def test_onnx_runtime_computes_what_the_simulation_does(name, weights, values, tmp_path):
    import onnxruntime

    network, x = made(name, weight_bits=weights, activation_bits=values)
    path = QdqOnnx().write(network, tmp_path)
    assert path.name == f"{name}.qdq.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(found), network.module(x), atol=1e-5)


def test_weights_are_stored_as_integers(tmp_path):
    network, _ = made("resnet9", weight_bits=4)
    model = onnx.load(QdqOnnx().write(network, tmp_path))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert stored["stem_conv.integers"].dtype == "int8"
    assert abs(stored["stem_conv.integers"]).max() == 7
    assert "stem_conv.layer.weight" not in stored


def test_more_than_eight_bits_and_floats_are_refused():
    with pytest.raises(CandidateError, match="block1_conv has more than 8 bits"):
        QdqOnnx().encode(made("resnet9", weight_bits={"block1.conv": 16})[0])
    space, genotype, shape = CASES["resnet9"]
    plain = Network("plain", space.graph(genotype, shape, 3), space.build(genotype, shape, 3, seed=0))
    with pytest.raises(CandidateError, match="without bits"):
        QdqOnnx().encode(plain)

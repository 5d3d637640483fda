"""Networks with attention, taken from a supernet: ONNX Runtime and the source file compute what torch computes."""

from __future__ import annotations

import runpy

import numpy as np
import onnxruntime
import pytest
import torch

from archip.core import registry
from archip.export._network import Network
from archip.export._verify import verify_onnx
from archip.export.onnx import Onnx
from archip.export.pytorch_source import PytorchSource
from archip.export.safetensors import Safetensors
from archip.nets.supernet import SuperNet

SHAPES = {"vit": (1, 8, 8), "bert": (9,), "vit_resnas": (1, 8, 8), "hytra": (1, 8, 8)}


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("vit_resnas", "hytra")]


@pytest.fixture(params=["vit", "bert", *SLOW], scope="module")
def network(request) -> Network:
    name, shape = request.param, SHAPES[request.param]
    space = registry.create("spaces", name)
    genotype = space.sample(np.random.default_rng(3))
    module = SuperNet(space, shape, 3, seed=0).extract(genotype)
    return Network(name, space.graph(genotype, shape, 3), module.eval())


def inputs(network: Network, n: int) -> np.ndarray:
    rng, given = np.random.default_rng(n), network.graph.inputs[0]
    shape = (n, *given.shape[1:])
    return rng.integers(0, 4096, shape) if given.is_tokens else rng.normal(size=shape).astype(np.float32)


def test_onnx_runtime_computes_what_torch_computes(network, tmp_path):
    path = Onnx().write(network, tmp_path)
    for n in (1, 7):
        assert verify_onnx(network.module, path, inputs(network, n)) < 1e-4
    (given,) = onnxruntime.InferenceSession(str(path)).get_inputs()
    assert given.type == ("tensor(int64)" if network.name == "bert" else "tensor(float)")


def test_the_source_file_computes_the_same_bits(network, tmp_path):
    source, weights = PytorchSource().write(network, tmp_path), Safetensors().write(network, tmp_path)
    loaded = runpy.run_path(str(source))["load"](weights)
    x = torch.from_numpy(inputs(network, 5))
    assert torch.equal(loaded(x), network.module(x))
    assert list(loaded.state_dict()) == list(network.module.state_dict())

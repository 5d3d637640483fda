"""ONNX files: what ONNX Runtime computes, the free batch axis, metadata, silence."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from archip.core.errors import UserError
from archip.export._verify import verify_onnx
from archip.export.onnx import Onnx


@pytest.mark.parametrize(("space", "seed"), [("resnet9", 1), ("unet", 1), ("conv1d", 2)])
def test_onnx_runtime_computes_what_torch_computes(space, seed, make_network, tmp_path):
    """On batches of one and more; random genotypes with used batch norms."""
    network = make_network(space, seed)
    path = Onnx().write(network, tmp_path)
    rng, shape = np.random.default_rng(seed), network.graph.inputs[0].shape[1:]
    for n in (1, 7):
        assert verify_onnx(network.module, path, rng.normal(size=(n, *shape)).astype(np.float32)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("space", ["resnet9", "unet", "conv1d"])
def test_onnx_runtime_computes_what_torch_computes_on_more_networks(space, seed, make_network, tmp_path):
    test_onnx_runtime_computes_what_torch_computes(space, 10 + seed, make_network, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 20, 23])
def test_other_operators_inputs_and_opsets(opset, odd_network, tmp_path):
    path = Onnx(opset=opset).write(odd_network, tmp_path)
    assert [(o.domain, o.version) for o in onnx.load(path).opset_import if not o.domain] == [("", opset)]
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3, *i.shape[1:])).astype(np.float32) for i in odd_network.graph.inputs]
    assert verify_onnx(odd_network.module, path, *inputs) < 1e-4


def test_the_file_says_what_it_is_and_nothing_of_this_machine(make_network, tmp_path, capfd):
    network = make_network("conv1d", 3)
    path = Onnx().write(network, tmp_path)
    assert capfd.readouterr().out == ""  # stdout is for the summary
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 18
    metadata = {p.key: p.value for p in model.metadata_props}
    assert metadata == network.metadata
    assert json.loads(metadata["mean"]) == list(network.mean)
    assert b".py" not in path.read_bytes()
    session = onnxruntime.InferenceSession(str(path))
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("series", ["batch", 6, 60])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("logits", ["batch", 3])]


def test_a_difference_is_seen(make_network, tmp_path):
    """The check of exported files must be able to fail."""
    network, other = make_network("conv1d", 0), make_network("conv1d", 0)
    path = Onnx().write(network, tmp_path)
    other.module.classifier.bias.data[0] += 0.5
    x = np.zeros((2, 6, 60), np.float32)
    assert verify_onnx(other.module, path, x) == pytest.approx(0.5, abs=1e-4)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="ONNX Runtime cannot run it"):
        verify_onnx(network.module, path, x)

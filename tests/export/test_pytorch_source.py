"""The source file: imports only torch, computes the same bits, is one that a person can read."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch

from archip.core.errors import CandidateError, UserError
from archip.export._network import Network
from archip.export.pytorch_source import PytorchSource
from archip.export.safetensors import Safetensors
from archip.ir.graph import GraphBuilder

ALONE = """
import sys
for name in ("archip", "safetensors", "onnx", "numpy.testing"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
import resnet9_4 as made, torch
network = made.load(sys.argv[1] + "/resnet9_4.safetensors")
x = torch.load(sys.argv[1] + "/x.pt")
torch.save(network(made.normalise(x)).detach(), sys.argv[1] + "/y.pt")
"""


def written(network, folder):
    """The namespace of the written file, and the network that it loads."""
    source, weights = PytorchSource().write(network, folder), Safetensors().write(network, folder)
    made = runpy.run_path(str(source))
    return made, made["load"](weights)


@pytest.mark.parametrize("space", ["resnet9", "unet", "conv1d"])
@pytest.mark.parametrize("seed", range(4))
def test_computes_the_same_bits(space, seed, make_network, tmp_path):
    network = make_network(space, seed)
    _, loaded = written(network, tmp_path)
    x = torch.randn(5, *network.graph.inputs[0].shape[1:])
    assert torch.equal(loaded(x), network.module(x))
    assert list(loaded.state_dict()) == list(network.module.state_dict())
    assert not loaded.training


def test_other_operators_inputs_and_names(odd_network, tmp_path):
    _, loaded = written(odd_network, tmp_path)
    inputs = [torch.randn(3, *i.shape[1:]) for i in odd_network.graph.inputs]
    for found, expected in zip(loaded(*inputs), odd_network.module(*inputs), strict=True):
        assert torch.equal(found, expected)


def test_runs_where_nothing_but_torch_is(make_network, tmp_path):
    network = make_network("resnet9", 4)
    written(network, tmp_path)
    raw = torch.rand(2, 3, 16, 16)
    torch.save(raw, tmp_path / "x.pt")
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (network.mean, network.std))
    expected = network.module((raw - mean) / std)
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), expected, rtol=0, atol=1e-6)


def test_imports_torch_and_the_standard_library_only(make_network, tmp_path):
    tree = ast.parse(PytorchSource().write(make_network("unet"), tmp_path).read_text())
    modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert {m.split(".")[0] for m in modules} == {"__future__", "json", "pathlib", "struct", "torch"}


def test_reads_like_a_network(make_network, tmp_path):
    """What a person looks for: layers by name, shapes where they change, classes and normalisation."""
    network = make_network("conv1d", 0)
    text = PytorchSource().write(network, tmp_path).read_text()
    made, _ = written(network, tmp_path)
    genes = {n.name: n.attrs for n in network.graph.nodes}["block1.conv"]
    channels, (kernel,) = genes["out_channels"], genes["kernel"]
    assert f"self.block1_conv = nn.Conv1d(6, {channels}, ({kernel},), padding=({kernel // 2},), bias=False)" in text
    assert f"x = self.block1_conv(x)  # (N, {channels}, 60)" in text
    assert "Measured: test.accuracy 0.875." in text
    assert (made["CLASSES"], made["MEAN"], made["STD"]) == (network.classes, network.mean, network.std)
    assert max(map(len, text.splitlines())) <= 120
    raw = np.random.default_rng(0).integers(0, 9, (2, 6, 60))
    expected = (raw - np.array(network.mean)[:, None]) / np.array(network.std)[:, None]
    np.testing.assert_allclose(made["normalise"](torch.from_numpy(raw)), expected, rtol=1e-5)


def test_passes_the_type_checker_and_the_linter(make_network, odd_network, tmp_path):
    for network in (make_network("resnet9"), odd_network):
        PytorchSource().write(network, tmp_path)
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "120", "--select",
                           "E,F,W,I,UP,B", str(tmp_path)], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_what_cannot_be_written_is_said(odd_network):
    g = GraphBuilder()
    graph = g.finish(g.add("cumsum", g.input("x", (1, 4), "NC"), name="memory", axis=1))
    with pytest.raises(CandidateError, match="memory"):
        PytorchSource().encode(Network("net", graph, torch.nn.Identity()))
    with pytest.raises(UserError, match="cannot name a Python file"):
        PytorchSource().encode(Network("my net", odd_network.graph, odd_network.module))

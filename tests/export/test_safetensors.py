"""Safetensors files: weights, and a header that is enough to build the network again."""

from __future__ import annotations

import json

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from archip.export.safetensors import Safetensors
from archip.ir.graph import Graph
from archip.nets.build import build_module


def header(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["archip"])


def test_the_file_alone_is_enough_to_build_the_network_again(make_network, tmp_path):
    network = make_network("unet", 2)
    path = Safetensors().write(network, tmp_path)
    again = build_module(Graph.from_json(header(path)["graph"]), seed=99)
    again.load_state_dict(load_file(path))
    x = torch.randn(3, *network.graph.inputs[0].shape[1:])
    assert torch.equal(again.eval()(x), network.module(x))


def test_the_header_says_what_inputs_and_outputs_mean(make_network, tmp_path):
    network = make_network("resnet9")
    about = header(Safetensors().write(network, tmp_path))
    assert about["classes"] == ["a, b", 'c"', "d\\"]
    assert (about["mean"], about["std"]) == (list(network.mean), list(network.std))
    assert (about["name"], about["task"], about["metrics"]) == ("resnet9_0", "classification", {"test.accuracy": 0.875})


def test_tensors_of_any_layout_are_written_as_they_are_named(make_network, tmp_path):
    """Training lays images out channels last; the file does not show it."""
    network = make_network("resnet9")
    expected = {k: t.clone() for k, t in network.module.state_dict().items()}
    network.module.to(memory_format=torch.channels_last)
    found = load_file(Safetensors().write(network, tmp_path))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[k], expected[k]) for k in expected)

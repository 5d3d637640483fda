"""Supernets of the convolutional spaces: squeeze layers, depthwise kernels, parts of channels, resizing, concatenation.

Every network computes with its slices of the store what its own module computes, to the bit, and trains only those.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.core import registry  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402

SPACES = {
    "ofa_mobilenet": ({"width": 0.25, "layers": [1, 2], "head": [16, 24], "resolutions": [12, 16]}, (3, 16, 16)),
    "ofa_resnet": ({"width": 0.125, "extra": [0, 1], "factors": [0.5, 1.0]}, (3, 9, 9)),
    "mobilenet_edge_tpu": ({"filters": [8, 16], "layers": 2, "stem": 8, "head": 16}, (3, 8, 8)),
    "pooling_resnet": ({"filters": [4, 4, 6, 6], "halvings": 2}, (3, 8, 8)),
    "tdnn": ({"channels": 32, "aggregate": 48, "embedding": 8, "attention": 6}, (5, 12)),
    "micro_nas": ({"filters": [4, 8], "groups": 2, "cells": 1}, (5, 16)),
    "resnet9": ({"stem": [4], "filters": [4, 8], "kernels": [3, 5], "resolutions": [6, 8]}, (3, 8, 8)),
}


@pytest.fixture(scope="module", params=SPACES)
def case(request):
    options, shape = SPACES[request.param]
    space = registry.create("spaces", request.param, options)
    samples = [space.sample(np.random.default_rng(seed)) for seed in range(5)]
    torch.manual_seed(0)
    return SuperNet(space, shape, 4, seed=0), samples, torch.randn(3, *shape)


def test_a_network_computes_the_same_in_the_store_and_on_its_own(case):
    net, samples, x = case
    for genotype in (net.largest, net.smallest, *samples):
        assert torch.equal(net(x, genotype), net.extract(genotype).train()(x))


def test_gradients_reach_the_used_slices_and_nothing_else(case):
    net, samples, x = case
    for genotype in samples[:2]:
        net.zero_grad()
        net(x, genotype).square().sum().backward()
        alone = net.extract(genotype).train()
        alone(x).square().sum().backward()
        gradients = {name: p.grad for name, p in alone.named_parameters()}
        for name, parameter in net.named_parameters():
            if name in gradients:
                total = gradients[name].abs().sum()
                torch.testing.assert_close(parameter.grad.abs().sum(), total, rtol=1e-4, atol=1e-6)
                assert parameter.grad.count_nonzero() == gradients[name].count_nonzero()
            else:
                assert parameter.grad is None


def test_the_store_holds_every_network_and_no_more(case):
    net, samples, _ = case
    seen: dict[str, np.ndarray] = {}
    for genotype in (net.largest, *samples):
        for name, p in net.extract(genotype).named_parameters():
            seen[name] = np.maximum(seen.get(name, np.zeros(p.ndim, dtype=int)), p.shape)
    store = dict(net.named_parameters())
    assert seen.keys() <= store.keys()
    assert all(np.prod(store[name].shape) >= np.prod(size) for name, size in seen.items())
    largest = sum(p.numel() for p in net.extract(net.largest).parameters())
    assert sum(p.numel() for p in net.parameters()) <= 1.6 * largest  # fused and unfused layers are both there


@pytest.mark.parametrize("name", ["ofa_mobilenet", "tdnn", "resnet9"])
def test_kernel_transforms_begin_as_the_centre_and_mix_it_afterwards(name):
    options, shape = SPACES[name]
    space = registry.create("spaces", name, options)
    plain = SuperNet(space, shape, 4, seed=0)
    net = SuperNet(space, shape, 4, seed=0, kernel_transforms=True)
    x = torch.randn(3, *shape)
    smallest = {**net.largest, **{k: knob.values[0] for k, knob in space.knobs.items() if k[0] == "k"}}
    some = space.canonical(smallest)
    torch.testing.assert_close(net(x, some), plain(x, some))
    assert torch.equal(net(x), plain(x))
    matrices = {n: p for n, p in net.named_parameters() if "_to_" in n}
    with torch.no_grad():
        for matrix in matrices.values():
            matrix.add_(0.1 * torch.randn_like(matrix))
    assert not torch.allclose(net(x, some), plain(x, some))
    assert torch.equal(net(x), plain(x))
    assert torch.equal(net(x, some), net.extract(some).train()(x))
    net(x, some).square().sum().backward()
    assert all(matrix.grad.abs().sum() > 0 for n, matrix in matrices.items())


def test_transforms_of_a_kernel_by_hand():
    """5 to 3 to 1, each the centre of the one before times a matrix."""
    options, shape = SPACES["tdnn"]
    space = registry.create("spaces", "tdnn", options)
    net = SuperNet(space, shape, 4, seed=0, kernel_transforms=True)
    stem = net.get_submodule("stem_conv")
    with torch.no_grad():
        stem.kernel_5_to_3.normal_()
        stem.kernel_3_to_1.normal_()
    three = stem.weight[:, :, 1:4] @ stem.kernel_5_to_3.T
    one = three[:, :, 1:2] @ stem.kernel_3_to_1.T
    for kernel, expected in ((5, stem.weight), (3, three), (1, one)):
        alone = net.extract({**net.largest, "kernel0": kernel})
        torch.testing.assert_close(alone.get_parameter("stem_conv.weight"), expected)


def test_parts_of_channels_have_the_leading_filters_of_each_part():
    """As EfficientTDNN's supernet: of 32 channels in 8 parts, 16 are the first two of every four."""
    options, shape = SPACES["tdnn"]
    space = registry.create("spaces", "tdnn", options)
    net = SuperNet(space, shape, 4, seed=0)
    genotype = {**net.largest, "width1": 0.5}
    alone, store = net.extract(genotype), dict(net.named_parameters())
    places = [4 * part + i for part in range(8) for i in range(2)]
    assert torch.equal(alone.get_parameter("block1_in_conv.weight"), store["block1_in_conv.weight"][places])
    assert torch.equal(alone.get_parameter("block1_in_norm.weight"), store["block1_in_norm.weight"][places])
    assert torch.equal(alone.get_parameter("block1_res2_conv.weight"), store["block1_res2_conv.weight"][:2, :2])
    assert torch.equal(alone.get_parameter("block1_out_conv.weight"), store["block1_out_conv.weight"][:, places])


def test_a_deeper_network_adds_its_channels_behind():
    """Half the width behind the pooling: means, then deviations, each with room for all."""
    options, shape = SPACES["tdnn"]
    net = SuperNet(registry.create("spaces", "tdnn", options), shape, 4, seed=0)
    alone, store = net.extract({**net.largest, "cat": 0.5}), dict(net.named_parameters())
    places = [*range(24), *range(48, 72)]
    assert torch.equal(alone.get_parameter("embedding.weight"), store["embedding.weight"][:, places])
    shallow = {k: v for k, v in net.largest.items() if not k.endswith(("3", "4"))} | {"depth": 2}
    assert torch.equal(net.extract(shallow).get_parameter("cat_conv.weight"), store["cat_conv.weight"][:, :64])

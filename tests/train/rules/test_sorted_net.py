"""SortedNet: networks of the chain lie within each other; several of them make the gradient of a step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.testing.elastic import elastic_net, gradients, scene_of, step_of  # noqa: E402
from archip.train.rules.sorted_net import SortedNet  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 6, 8), skips=(0, 1, 2), blocks=2)


def started(net, rule=None):
    rule = rule or SortedNet()
    rule.start(scene_of(net))
    return rule


def test_parameters_of_a_network_are_a_prefix_of_those_of_the_next():
    net = SuperNet(SPACE, (1, 8, 8), 3, 0)
    rule = started(net, SortedNet(levels=4, chains="one"))
    chain = [rule.nested(dict.fromkeys(("depth", "width"), level)) for level in range(4)]
    assert (chain[0], chain[-1]) == (net.smallest, net.largest)
    modules = [dict(net.extract(genotype).named_parameters()) for genotype in chain]
    for small, large in itertools.pairwise(modules):
        assert sum(p.numel() for p in small.values()) < sum(p.numel() for p in large.values())
        for name, parameter in small.items():
            assert parameter.equal(large[name][tuple(slice(n) for n in parameter.shape)])


def test_kinds_have_levels_of_their_own():
    net = elastic_net()
    rule = started(net)
    assert rule.n_levels == 3
    levels = {"depth": 0, "width": 2, "kernel": 1, "resolution": 2}
    assert rule.nested(levels) == {"side": 8, "width": 12, "depth": 1, "kernel": 5}
    rng = np.random.default_rng(0)
    drawn = [tuple(rule._levels(rng).values()) for _ in range(600)]
    assert len(set(drawn)) == 3**4
    one = SortedNet(chains="one")
    one.start(scene_of(net))
    assert {tuple(one._levels(rng).values()) for _ in range(60)} == {(k,) * 4 for k in range(3)}


def test_gradients_are_the_mean_over_the_networks_of_a_step():
    net = elastic_net()
    rule = started(net, SortedNet(g_acc=3))
    step = step_of(net, 0.2, seed=4)
    shown = rule.backward(step)
    found = gradients(net)
    rng = np.random.default_rng(4)
    genotypes = [rule.nested(rule._levels(rng)) for _ in range(3)]
    expected = sum(step.loss(net(step.x, g), step.y) for g in genotypes) / 3
    expected.backward()
    assert shown.item() == pytest.approx(expected.item(), rel=1e-5)
    for a, b in zip(found, gradients(net), strict=True):
        assert torch.allclose(a, b, atol=1e-6)

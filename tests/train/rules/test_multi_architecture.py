"""Several architectures a batch: the gradient is the mean of separate passes over the sub-batches."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.testing.elastic import elastic_net, gradients, scene_of, step_of  # noqa: E402
from archip.train.rules.multi_architecture import MultiArchitecture  # noqa: E402


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_gradients_are_the_mean_of_separate_passes(n):
    net = elastic_net()
    rule = MultiArchitecture(n)
    rule.start(scene_of(net))
    step = step_of(net, 0.3, seed=6)
    shown = rule.backward(step)
    found = gradients(net)
    parts = {1: [8], 2: [4, 4], 3: [3, 2, 3], 20: [1] * 8}[n]
    rng, begin, expected = np.random.default_rng(6), 0, 0.0
    for size in parts:
        genotype, rows = net.space.sample(rng), slice(begin, begin + size)
        loss = size / 8 * step.loss(net(step.x[rows], genotype), step.y[rows])
        loss.backward()
        expected, begin = expected + loss.item(), begin + size
    assert shown.item() == pytest.approx(expected, rel=1e-5)
    for a, b in zip(found, gradients(net), strict=True):
        assert torch.allclose(a, b, atol=1e-6)

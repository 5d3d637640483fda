"""DI on layers counted by hand."""

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.di import Di
from claims._convnets import Conv, convolutions, vgg16


def test_layers_by_the_formulas_of_the_paper():
    """Standard, depthwise, group, pointwise: M and W of each, R 3, E x F 8 x 8, 16 channels in and out, 4 groups."""
    rows = [
        Conv("full", 16, 16, 8, 3),
        Conv("depthwise", 16, 16, 8, 3, groups=16),
        Conv("group", 16, 16, 8, 3, groups=4),
        Conv("point", 16, 16, 8, 1),
    ]
    M = np.array([64 * 9 * 256, 64 * 9 * 16, 64 * 9 * 256 / 4, 64 * 256])
    W, A = np.array([9 * 256, 9 * 16, 9 * 256 / 4, 256]), 2 * 16 * 64
    found = Di(alpha=0.8).evaluate(convolutions(rows))
    assert found["di"] == pytest.approx(M / (0.2 * W + 0.8 * A))
    assert found["ai"] == pytest.approx(M / (W + A))
    assert found["weight_reuse"] == pytest.approx(np.full(4, 64))
    assert found["activation_reuse"] == pytest.approx(M / A)
    assert found["disparity"] == pytest.approx(64 * A / M)


def test_alpha_one_half_is_twice_the_intensity():
    found = Di(alpha=0.5).evaluate(convolutions(vgg16()))
    assert (found["di"] == 2 * found["ai"]).all()


def test_equal_intensity_is_told_apart():
    """60 x 40 + 40 weights against activations, and the other way round: 7000 elements both."""
    work = convolutions([Conv("a", 10, 10, 7, 1), Conv("b", 10, 10, 7, 1)])
    work.moved_LO[:] = [[6000, 500, 500], [1000, 3000, 3000]]
    found = Di(alpha=0.8).evaluate(work)
    assert found["ai"][0] == found["ai"][1]
    assert found["di"][0] > 1.5 * found["di"][1]  # 0.2 * 6000 + 0.8 * 1000 against 0.2 * 1000 + 0.8 * 6000: 2.5 x


def test_a_network_is_the_ratio_of_its_sums():
    work = convolutions(vgg16())
    found = Di().networks([work, work.select(range(3))])
    weights, activations = work.moved_LO[:, 0].sum(), work.moved_LO[:, 1:].sum()
    assert found["di"][0] == pytest.approx(work.macs / (0.2 * weights + 0.8 * activations))
    assert len(found["ai"]) == 2


def test_alpha_is_found_again():
    rng = np.random.default_rng(0)
    works = []
    for _ in range(12):
        work = convolutions([Conv("a", 16, 16, 8, 3)])
        work.moved_LO[:] = rng.integers(100, 100_000, 3)
        works.append(work)
    truth = Di(alpha=0.73).networks(works)["di"]
    assert Di.fit(works, truth * 1e9).alpha == 0.73


def test_too_few_networks_are_refused():
    with pytest.raises(UserError, match="at least 10"):
        Di.fit([convolutions(vgg16())], [1.0])


def test_options_are_checked():
    with pytest.raises(UserError, match="less than 1"):
        registry.create("hardware/models", "di", {"alpha": 1.0})

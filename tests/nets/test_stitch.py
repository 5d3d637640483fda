"""Stitched networks: their number, routes against the models run by hand, fitted stitches, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import archip  # noqa: E402
from archip.core.errors import UserError  # noqa: E402
from archip.nets.stitch import Route, stitch  # noqa: E402


def mlp(width, depth=4, seed=0):
    torch.manual_seed(seed)
    sizes = [6, *[width] * depth]
    blocks = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    return nn.Sequential(nn.Identity(), *blocks, nn.Linear(width, 3)).eval()


def cnn(width):
    blocks = [nn.Sequential(nn.Conv2d(a, width, 3, padding=1), nn.ReLU()) for a in (1, width, width)]
    return nn.Sequential(*blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2)))


@pytest.mark.parametrize(("depth", "window", "per_pair"), [(12, 2, 34), (4, 2, 10), (4, 1, 4), (4, 3, 14), (3, 9, 9)])
def test_the_number_of_networks_is_the_formula(depth, window, per_pair):
    net = archip.stitch([mlp(w, depth) for w in (4, 6, 8)], torch.randn(30, 6), window)
    assert len(net.routes) == 2 * per_pair + 3  # 71 for the paper's 12 blocks
    assert net.macs == sorted(net.macs)
    between = [cost for route, cost in zip(net.routes, net.macs, strict=True) if route.leave is not None]
    assert 4 * 6 + 4 * 4 * (depth - 1) < min(between)


def test_a_route_is_the_models_run_by_hand():
    models, x = [mlp(4), mlp(8)], torch.randn(20, 6)
    net = stitch(models, x).eval()
    place = net.routes.index(Route(0, 1, 2))
    half = models[0][2](models[0][1](x))
    by_hand = models[1][5](models[1][4](models[1][3](net.stitches["0_1_2"](half))))
    assert torch.equal(net(x, {"route": place}), by_hand)
    assert torch.equal(net.extract({"route": place})(x), by_hand)
    assert torch.equal(net(x), models[1](x))
    assert torch.equal(net(x, {"route": net.routes.index(Route(0))}), models[0](x))
    macs = 6 * 4 + 4 * 4 + 4 * 8 + 8 * 8 + 8 * 8 + 8 * 3
    assert net.cost({"route": place}) == macs


def test_a_fitted_stitch_is_exact_where_activations_are_linear_in_each_other():
    x, linear = torch.randn(64, 6), nn.Linear(8, 8)
    first, other = mlp(8), mlp(8, seed=1)
    wide = nn.Sequential(nn.Linear(8, 9), nn.ReLU()), nn.Sequential(nn.Linear(9, 8), nn.ReLU())
    second = nn.Sequential(first[0], first[1], nn.Sequential(first[2], linear), *wide, other[5]).eval()
    net = stitch([first, second], x).eval()
    place = {"route": net.routes.index(Route(0, 1, 2))}
    assert torch.allclose(net(x, place), second(x), atol=1e-4)
    loose = stitch([first, second], x, start="random").eval()
    assert not torch.allclose(loose(x, place), second(x), atol=1e-2)


def test_convolutions_and_tokens_are_stitched_along_their_channels():
    net = stitch([cnn(4), cnn(6)], torch.randn(8, 1, 5, 5))
    outputs = [net(torch.randn(2, 1, 5, 5), genotype) for genotype in net.space.enumerate()]
    assert {tuple(y.shape) for y in outputs} == {(2, 2)}
    tokens = stitch([mlp(4), mlp(8)], torch.randn(5, 7, 6), axis=-1)
    assert tokens(torch.randn(2, 7, 6), {"route": 3}).shape == (2, 7, 3)


def test_models_of_other_depths_are_stitched_at_the_nearest_places():
    net = stitch([mlp(4, 2), mlp(8, 4)], torch.randn(20, 6))
    pairs = {(route.leave, route.enter) for route in net.routes if route.leave is not None}
    assert pairs == {(0, 0), (0, 1), (1, 2), (1, 3)}


def test_what_cannot_be_stitched_is_refused():
    x = torch.randn(20, 6)
    with pytest.raises(UserError, match="1 models"):
        stitch([mlp(4)], x)
    with pytest.raises(UserError, match="no sequence of a stem"):
        stitch([nn.Linear(6, 3), mlp(4)], x)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="model 0 is larger than model 1"):
        stitch([mlp(8), mlp(4)], x)
    with pytest.raises(UserError, match="0"):
        stitch([mlp(4), mlp(8)], x, window=0)
    small, halved = cnn(4), cnn(6)
    halved[1] = nn.Sequential(halved[1], nn.MaxPool2d(2))
    halved[0] = nn.Sequential(halved[0], nn.Conv2d(6, 6, 3, padding=1))
    with pytest.raises(UserError, match="differ in more than channels"):
        stitch([small, halved], torch.randn(8, 1, 6, 6))

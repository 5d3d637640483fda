"""Sorting a supernet's channels: networks that keep all of them compute the same, narrow ones keep the important."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.conv1d import Conv1d  # noqa: E402
from archip.spaces.ofa_mobilenet import OfaMobileNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.spaces.unet import UNet  # noqa: E402

SPACES = {
    "resnet9": (ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1, 2), blocks=2), (1, 8, 8), 3),
    "ofa_mobilenet": (
        OfaMobileNet((24,), (2,), (True,), (True,), layers=(1, 2), width=0.5, stem=16, head=(32, 32)),
        (1, 8, 8),
        3,
    ),
    "unet": (UNet(), (3, 16, 16), 1),
    "conv1d": (Conv1d(depths=(1, 2, 3), widths=(4, 8), kernels=(3, 5)), (2, 16), 3),
}


@pytest.mark.parametrize("name", SPACES)
def test_networks_with_all_channels_compute_what_they_did(name):
    space, shape, n_outputs = SPACES[name]
    net, x = SuperNet(space, shape, n_outputs, 0).double(), torch.randn(4, *shape, dtype=torch.float64)
    with torch.no_grad():
        before, outputs = [p.clone() for p in net.parameters()], net(x, net.largest)
        orders = net.sort()
        assert torch.allclose(net(x, net.largest), outputs, atol=1e-9)
    assert orders
    assert any(not a.equal(b) for a, b in zip(before, net.parameters(), strict=True))


def test_narrow_networks_keep_the_channels_that_are_read_most():
    space, shape, n_outputs = SPACES["resnet9"]
    net = SuperNet(space, shape, n_outputs, 0)
    with torch.no_grad():
        net.get_parameter("block1_conv.weight")[:, 5] *= 100  # reads channel 5 of the stem
        stem = net.get_parameter("stem_conv.weight")[5].clone()
        orders = net.sort()
        assert int(orders["stem.conv"][0]) == 5
        assert net.get_parameter("stem_conv.weight")[0].equal(stem)
        norms = net.get_parameter("block1_conv.weight").abs().sum((0, 2, 3))
    assert norms.sort(descending=True).values.allclose(norms)


def test_given_orders_are_taken():
    space, shape, n_outputs = SPACES["resnet9"]
    net, other = SuperNet(space, shape, n_outputs, 0), SuperNet(space, shape, n_outputs, 0)
    orders = net.sort()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(-1)
    other.sort(orders)
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        assert a.equal(-b)

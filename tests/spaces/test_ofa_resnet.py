"""OFA ResNet-50: ResNet-50-D as one of its points, the stem and the blocks by hand, rounding, small images."""

from __future__ import annotations

import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.ofa_resnet import OfaResNet

PHOTO = (3, 224, 224)
SMALL = {"filters": [16, 32], "layers": [1, 1], "strides": [1, 2], "extra": [0, 1], "stem": 16}


def small(**options) -> OfaResNet:
    return registry.create("spaces", "ofa_resnet", {**SMALL, **options})


def uniform(space: OfaResNet, stem_depth: int, depths, factor: float, expansion: float) -> dict:
    genes = {"stem_depth": stem_depth, "stem_inner": factor, "stem_width": factor}
    for s, depth in enumerate(depths, 1):
        genes |= {f"depth{s}": depth, f"width{s}": factor}
    genes |= {name: expansion for name in space.knobs if name.startswith("expansion")}
    return space.canonical(genes)


def test_resnet_50_d_is_a_point_of_the_space():
    """25,576,264 weights and 4.35 G MACs as timm states them for resnet50d; that count has norms and pooling, too, with
    which ResNet-50's 4.09 G are 4.11 G.
    """
    space = OfaResNet(stem_stride=2, stem_pool=True)
    work = workload(space.graph(uniform(space, 1, (1, 2, 2, 1), 1.0, 0.25), PHOTO, 1000))
    assert work.params == 25_576_264
    assert work.macs == pytest.approx(4.35e9 - 0.02e9, rel=0.002)


@pytest.mark.parametrize(
    ("depths", "expansions", "widths", "params"),
    [
        ("22002", "133100031030101100", "222200", 11_688_600),
        ("22020", "030330101003000301", "212010", 11_608_072),
        ("02022", "003111003103031011", "002001", 17_244_560),
    ],
)
def test_networks_have_the_weights_of_those_of_the_authors_code(depths, expansions, widths, params):
    """Three networks that OFAResNets of the package ofa 0.1.0 drew, and their weights there; 3 is 0.35."""
    space = OfaResNet()
    factors, ratios = dict(zip("012", space.factors, strict=True)), {"0": 0.2, "1": 0.25, "3": 0.35}
    genes = {"stem_depth": int(depths[0] == "2"), "stem_inner": factors[widths[0]], "stem_width": factors[widths[1]]}
    rest = iter(expansions)
    for s, n_layers in enumerate((2, 2, 4, 2), 1):
        genes |= {f"depth{s}": int(depths[s]), f"width{s}": factors[widths[s + 1]]}
        genes |= {f"expansion{s}.{b}": ratios[next(rest)] for b in range(1, n_layers + 3)}
    assert workload(space.graph(space.canonical(genes), PHOTO, 1000)).params == params


def test_depths_are_those_of_the_authors_code():
    """At least 2, 2, 4 and 2 blocks, at most two more each: 10 to 18."""
    space = OfaResNet(width=0.125)
    for extra, n_blocks in ((0, 10), (2, 18)):
        names = [n.name for n in space.graph(uniform(space, 1, (extra,) * 4, 1.0, 0.25), (3, 32, 32), 10).nodes]
        assert sum(name.endswith(".c.conv") and name.startswith("stage") for name in names) == n_blocks


def test_macs_by_hand():
    """16 x 16: stem 8, 8, 16; stage 1: inside 8, to 16; stage 2 on 8 x 8: inside 16 of 16 x 16, to 32."""
    space = small(expansions=[0.5], factors=[1.0])
    work = workload(space.graph(uniform(space, 1, (0, 1), 1.0, 0.5), (3, 16, 16), 10))
    stem = 9 * 256 * (3 * 8 + 8 * 8 + 8 * 16)
    stage1 = 256 * (16 * 8 + 9 * 8 * 8 + 8 * 16 + 16 * 16)
    stage2 = 256 * 16 * 16 + 64 * (9 * 16 * 16 + 16 * 32 + 16 * 32)
    assert work.macs == stem + stage1 + stage2 + 64 * (32 * 16 + 9 * 16 * 16 + 16 * 32) + 320


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    space = small(expansions=[0.5])
    m = space.build(uniform(space, 1, (0, 1), 1.0, 0.5), (3, 9, 9), 4, seed=1).eval()
    x = torch.randn(2, 3, 9, 9)

    def conv(x, name, act=F.relu, **options):
        n = getattr(m, f"{name}_norm")
        y = F.conv2d(x, getattr(m, f"{name}_conv").weight, **options)
        return act(F.batch_norm(y, n.running_mean, n.running_var, n.weight, n.bias))

    def block(x, name, stride=1):
        y = conv(conv(x, f"{name}_a"), f"{name}_b", padding=1, stride=stride)
        y = conv(y, f"{name}_c", lambda y: y)
        if name.endswith("block1"):
            if stride > 1:
                x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2) * mass
            x = conv(x, f"{name}_skip", lambda y: y)
        return F.relu(x + y)

    mass = 1 / F.avg_pool2d(F.pad(torch.ones(1, 1, 9, 9), (0, 1, 0, 1)), 2)  # means of what is there
    y = conv(x, "stem_a", padding=1)
    y = conv(y + conv(y, "stem_b", padding=1), "stem_c", padding=1)
    y = block(block(block(y, "stage1_block1"), "stage2_block1", 2), "stage2_block2").mean((2, 3))
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


@pytest.mark.parametrize(
    ("options", "sides", "last"),
    [({}, (28, 28), (4, 4)), ({}, (8, 8), (2, 2)), ({"stem_stride": 2, "stem_pool": True}, (64, 96), (2, 3)),
     ({"stem_stride": 2, "stem_pool": True}, (1, 1), (1, 1))],
)  # fmt: skip
def test_maps_are_halved_only_while_two_by_two_is_left(options, sides, last):
    space = OfaResNet(width=0.125, **options)
    graph = space.graph(uniform(space, 0, (0, 0, 0, 0), 1.0, 0.25), (1, *sides), 10)
    assert graph.shapes["stage4.block1.relu"][2:] == last


def test_widths_that_round_to_the_same_filters_are_one_network():
    """Of the stem's inner widths 20, 24 (25) and 32, rounded to 8, the first two are one."""
    space = OfaResNet()
    genes = uniform(space, 1, (0, 0, 0, 0), 0.8, 0.25)
    assert genes["stem_inner"] == 0.65
    assert genes["stem_width"] == genes["width1"] == 0.8


def test_options_that_cannot_be_meant_are_refused():
    with pytest.raises(UserError, match="one value for each of the 2 stages"):
        small(layers=[1])

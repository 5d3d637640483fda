"""ResNet-9: the paper's points, sizes by hand, and the rule of pooling."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.ir.workload import workload
from archip.spaces.resnet9 import ResNet9

IMAGE = (3, 32, 32)


def genes(*values: int) -> dict[str, int]:
    """The paper's notation <FN0, FN1, SK1, …> as genes."""
    names = ["fn0", *(f"{kind}{i}" for i in range(1, 9) for kind in ("fn", "sk"))]
    return dict(zip(names, values, strict=False))


LARGEST, SMALLEST = genes(32, 128, 2, 256, 2, 256, 2), genes(8, 32, 0, 32, 0, 32, 0)


@pytest.mark.parametrize("point", [LARGEST, SMALLEST])
def test_has_the_points_of_the_paper(point):
    assert ResNet9().canonical(point) == point


def test_has_as_many_networks_as_choices():
    """4 stems, and 4 filters times 3 skip counts in each of 3 blocks."""
    assert len({str(g) for g in ResNet9().enumerate()}) == ResNet9().size == 4 * 12**3


def test_sizes_by_hand():
    """<8,32,1,64,0,32,0> on 3 x 32 x 32 with 10 classes.

    MACs: stem 3*8*9*32^2; block 1 8*32*9*32^2, its skip 32*32*9*16^2; block 2 32*64*9*16^2; block 3 64*32*9*8^2;
    32*10. A batch-norm has two weights a channel; the classifier has a bias.
    """
    work = workload(ResNet9().graph(genes(8, 32, 1, 64, 0, 32, 0), IMAGE, 10))
    macs = 3 * 8 * 9 * 1024 + 8 * 32 * 9 * 1024 + 32 * 32 * 9 * 256 + 32 * 64 * 9 * 256 + 64 * 32 * 9 * 64 + 320
    weights = 9 * (3 * 8 + 8 * 32 + 32 * 32 + 32 * 64 + 64 * 32) + 2 * (8 + 32 + 32 + 64 + 32) + 32 * 10 + 10
    assert (work.macs, work.params) == (macs, weights)


def test_size_of_the_largest_of_the_paper_by_hand():
    """Per block: the first convolution before pooling, two after it on a quarter of the pixels."""
    macs = 9 * (3 * 32 * 1024 + 32 * 128 * 1024 + 2 * 128**2 * 256
                + 128 * 256 * 256 + 2 * 256**2 * 64 + 256**2 * 64 + 2 * 256**2 * 16) + 2560  # fmt: skip
    assert workload(ResNet9().graph(LARGEST, IMAGE, 10)).macs == macs == 321_751_552


@pytest.mark.parametrize(
    ("sides", "maps"),
    [
        ((32, 32), [(16, 16), (8, 8), (4, 4)]),
        ((8, 8), [(4, 4), (2, 2), (2, 2)]),
        ((28, 28), [(14, 14), (7, 7), (3, 3)]),
        ((3, 40), [(3, 40)] * 3),
        ((40, 64), [(20, 32), (10, 16), (5, 8)]),
        ((1, 1), [(1, 1)] * 3),
    ],
)
def test_a_block_pools_only_while_two_by_two_is_left(sides, maps):
    shapes = ResNet9().graph(genes(8, 32, 1, 32, 1, 32, 1), (1, *sides), 10).shapes
    assert [shapes[f"block{i}.add"][2:] for i in (1, 2, 3)] == maps


@pytest.mark.parametrize(("pool", "operators"), [("avg", ["global_avg_pool"]), ("max", ["max_pool", "flatten"])])
def test_ends_with_a_vector_of_channels(pool, operators):
    graph = ResNet9(pool=pool).graph(SMALLEST, (3, 17, 20), 10)
    assert [n.op for n in graph.nodes[-1 - len(operators) :]] == [*operators, "linear"]
    assert graph.shapes[graph.nodes[-2].name] == (1, 32)


def test_computes_what_the_docstring_says():
    """Every line of the structure, written by hand with the weights of the module."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    m = ResNet9(blocks=2).build(genes(8, 32, 2, 64, 0), (3, 8, 8), 4, seed=3).eval()
    x = torch.randn(2, 3, 8, 8)

    def cbr(x, name):
        x = F.conv2d(x, getattr(m, f"{name}_conv").weight, padding=1)
        n = getattr(m, f"{name}_norm")
        return F.relu(F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias))

    y = F.max_pool2d(cbr(cbr(x, "stem"), "block1"), 2)
    y = y + cbr(cbr(y, "block1_skip1"), "block1_skip2")
    y = F.max_pool2d(cbr(y, "block2"), 2).mean((2, 3))
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


def test_deeper_and_wider_through_options():
    """The paper's STL-10 backbone: up to 5 blocks, 512 filters, 3 convolutions."""
    space = registry.create("spaces", "resnet9", {"blocks": 5, "filters": [32, 512], "skips": [0, 3]})
    graph = space.graph(space.canonical(genes(8, *[512, 3] * 5)), (3, 96, 96), 10)
    assert graph.shapes["block5.skip3.relu"] == (1, 512, 3, 3)
    assert len(space.sample(np.random.default_rng(0))) == 11


def test_more_kernels_and_sizes_are_genes_and_the_plain_space_stays():
    """A skip convolution has the kernel of its block; without options graphs are what they were."""
    space = ResNet9(kernels=(3, 5), resolutions=(8, 16), blocks=2)
    assert list(space.knobs) == ["fn0", "fn1", "sk1", "fn2", "sk2", "k0", "k1", "k2", "resolution"]
    assert list(ResNet9(blocks=2).knobs) == ["fn0", "fn1", "sk1", "fn2", "sk2"]
    genotype = {**genes(8, 32, 1, 32, 2), "k0": 3, "k1": 5, "k2": 3, "resolution": 8}
    graph = space.graph(genotype, (3, 16, 24), 10)
    kernels = {n.name: n.attrs["kernel"][0] for n in graph.nodes if n.op == "conv"}
    assert kernels == {"stem.conv": 3, "block1.conv": 5, "block1.skip1.conv": 5, "block2.conv": 3,
                       "block2.skip1.conv": 3, "block2.skip2.conv": 3}  # fmt: skip
    assert graph.shapes["resize"] == (1, 3, 8, 12)
    plain = ResNet9(blocks=2).graph(genes(8, 32, 1, 32, 2), (3, 16, 16), 10)
    assert space.graph({**genotype, "k1": 3, "resolution": 16}, (3, 16, 16), 10).id == plain.id

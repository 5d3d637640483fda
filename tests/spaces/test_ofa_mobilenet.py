"""OFA MobileNetV3: MobileNetV3 as one of its points, the authors' networks, the table's codes, blocks by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.data._table import load_table
from archip.ir.workload import workload
from archip.search.joint_table import _declared, _genotype
from archip.spaces.ofa_mobilenet import OfaMobileNet
from archip.spaces.tabular import Tabular

PHOTO = (3, 224, 224)
SMALL = {"filters": [8, 16], "strides": [2, 1], "squeezed": [False, True], "swish": [False, True], "layers": [1, 2],
         "stem": 8, "head": [16, 24]}  # fmt: skip


def small(**options) -> OfaMobileNet:
    return registry.create("spaces", "ofa_mobilenet", {**SMALL, **options})


def uniform(space: OfaMobileNet, depth: int, kernel: int, expansion: float) -> dict:
    values = {"depth": depth, "kernel": kernel, "expansion": expansion}
    return space.canonical({name: values[name.rstrip("0123456789.")] for name in space.knobs})


def test_mobilenet_v3_large_is_a_point_of_the_space():
    """Howard et al. 2019, table 1; torchvision's has 5,483,032 weights, 1,280 of them biases that are not here."""
    space = OfaMobileNet(stem_stride=2, expansions=(2.3, 2.5, 3, 4, 6))
    stages = [[(3, 4), (3, 3)], [(5, 3), (5, 3), (5, 3)], [(3, 6), (3, 2.5), (3, 2.3), (3, 2.3)], [(3, 6), (3, 6)]]
    stages.append([(5, 6)] * 3)
    genes = {f"depth{s}": len(layers) for s, layers in enumerate(stages, 1)}
    for s, layers in enumerate(stages, 1):
        for b, (kernel, expansion) in enumerate(layers, 1):
            genes |= {f"kernel{s}.{b}": kernel, f"expansion{s}.{b}": expansion}
    work = workload(space.graph(space.canonical(genes), PHOTO, 1000))
    assert work.params == 5_483_032 - 1280
    assert work.macs == pytest.approx(219e6, rel=0.015)  # as published


@pytest.mark.parametrize(
    ("point", "params", "macs"),
    [((4, 7, 6), 7_664_760, 566_170_656), ((2, 3, 3), 3_410_792, 121_278_672)],
)
def test_largest_and_smallest_are_those_of_the_authors_code(point, params, macs):
    """Weights: of OFAMobileNetV3 in the package ofa 0.1.0; MACs for 224 x 224: ours, which nothing else confirms."""
    space = OfaMobileNet(stem_stride=2)
    work = workload(space.graph(uniform(space, *point), PHOTO, 1000))
    assert (work.params, work.macs) == (params, macs)


def test_the_wider_network_is_that_of_the_authors_code():
    """Width 1.2, in the package ofa 0.1.0."""
    space = OfaMobileNet(stem_stride=2, width=1.2)
    assert workload(space.graph(uniform(space, 4, 7, 6), PHOTO, 1000)).params == 10_701_632


def test_number_of_networks():
    """(9^2 + 9^3 + 9^4)^5 for one resolution: the paper says more than 10^19."""
    space = small()
    assert len(list(space.enumerate())) == (9 + 81) ** 2
    assert (9**2 + 9**3 + 9**4) ** 5 > 1e19
    assert OfaMobileNet(resolutions=tuple(range(128, 225, 4))).size == 25 * 3**5 * 9**20


def test_rows_of_the_table_are_genotypes_and_back(shared_data):
    """Kernels and expansions as 20 digits, depths as 5: those of layers that are there come back."""
    table = Tabular(table="ofa")
    networks, shape, n_outputs = _declared(table, "v100")
    space = registry.create("spaces", networks.space, networks.options)
    columns = load_table("ofa").files.main
    seen = set()
    for row in range(0, 5000, 250):
        genes = space.canonical(_genotype(networks, table.genotype(row)))
        kernels, expansions, depths = (columns[name][row] for name in ("ks", "e", "d"))
        assert "".join(str(genes[f"depth{s}"]) for s in range(1, 6)) == depths
        assert genes["resolution"] == int(columns["r"][row])
        for s, depth in enumerate(map(int, depths)):
            for gene, digits in (("kernel", kernels), ("expansion", expansions)):
                found = [genes.get(f"{gene}{s + 1}.{b}") for b in (1, 2, 3, 4)]
                assert found == [*map(int, digits[4 * s : 4 * s + depth]), *[None] * (4 - depth)]
        seen.add(space.graph(genes, shape, n_outputs).id)
    assert len(seen) == 20


def test_macs_by_hand():
    """16 x 16, stem 3 -> 8; stage 1 to 8 x 8: 8 -> 24 -> 8; stage 2, squeezed: 8 -> 24 -> 16."""
    work = workload(small().graph(uniform(small(), 1, 5, 3), (3, 16, 16), 10))
    stem = 27 * 8 * 256 + 9 * 8 * 256 + 64 * 256
    layers = 8 * 24 * 256 + 25 * 24 * 64 + 24 * 8 * 64 + 8 * 24 * 64 + 25 * 24 * 64 + 24 * 16 * 64
    assert work.macs == stem + layers + 2 * 24 * 8 + 16 * 16 * 64 + 16 * 24 + 24 * 10


@pytest.mark.parametrize(
    ("sides", "last"), [((28, 28), (2, 2)), ((32, 32), (2, 2)), ((8, 8), (2, 2)), ((40, 64), (3, 4)), ((1, 1), (1, 1))]
)
def test_maps_are_halved_only_while_two_by_two_is_left(sides, last):
    space = OfaMobileNet(width=0.25)
    shapes = space.graph(uniform(space, 2, 3, 3), (1, *sides), 10).shapes
    assert shapes["head.conv"][2:] == last


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    m = small().build(uniform(small(), 2, 3, 4) | {"depth1": 1}, (3, 8, 8), 4, seed=1).eval()
    x = torch.randn(2, 3, 8, 8)

    def conv(x, name, act=lambda y: y, **options):
        n = getattr(m, f"{name}_norm")
        y = F.conv2d(x, getattr(m, f"{name}_conv").weight, **options)
        return act(F.batch_norm(y, n.running_mean, n.running_var, n.weight, n.bias))

    def layer(x, name, act, stride, squeezed):
        y = conv(x, f"{name}_expand", act)
        y = conv(y, f"{name}_depth", act, padding=1, stride=stride, groups=y.shape[1])
        if squeezed:
            s = F.relu(y.mean((2, 3)) @ m.get_parameter(f"{name}_se_squeeze.weight")[:, :, 0, 0].T)
            s = s @ m.get_parameter(f"{name}_se_excite.weight")[:, :, 0, 0].T
            y = y * F.hardsigmoid(s)[:, :, None, None]
        y = conv(y, f"{name}_project")
        return x + y if stride == 1 and x.shape[1] == y.shape[1] else y

    y = conv(x, "stem", F.hardswish, padding=1)
    y = y + conv(conv(y, "first_depth", F.relu, padding=1, groups=8), "first_project")
    y = layer(y, "stage1_layer1", F.relu, 2, False)
    y = layer(layer(y, "stage2_layer1", F.hardswish, 1, True), "stage2_layer2", F.hardswish, 1, True)
    y = conv(y, "head", F.hardswish).mean((2, 3))
    y = F.hardswish(y @ m.mix.weight[:, :, 0, 0].T)
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


def test_resolution_resizes_the_input_and_nothing_else():
    space = small(resolutions=[12, 16])
    genes = uniform(small(), 1, 3, 3)
    plain = small().graph(genes, (3, 16, 16), 10)
    assert space.graph({**genes, "resolution": 16}, (3, 16, 16), 10).id == plain.id
    graph = space.graph({**genes, "resolution": 12}, (3, 24, 16), 10)
    assert graph.shapes["resize"] == (1, 3, 18, 12)  # the ratio of the sides is kept
    torch = pytest.importorskip("torch")
    x = torch.rand(2, 3, 24, 16)
    small_x = torch.nn.functional.interpolate(x, size=(18, 12), mode="bilinear")
    m = space.build({**genes, "resolution": 12}, (3, 24, 16), 10, seed=0).eval()
    plain = small().build(genes, (3, 18, 12), 10, seed=0).eval()
    torch.testing.assert_close(m(x), plain(small_x))


def test_expansions_that_round_to_the_same_filters_are_one_network():
    space = small(expansions=[2.4, 2.5, 4])
    assert space.canonical(uniform(space, 1, 3, 2.5))["expansion1.1"] == 2.4  # 8 x 2.4 and 8 x 2.5 make 24 both
    assert math.isclose(space.canonical(uniform(space, 2, 3, 2.5))["expansion2.2"], 2.4)


def test_costs_of_blocks_add_up():
    from archip.evaluators._block_costs import BlockCosts
    from archip.hardware.cost import layer_costs
    from archip.hardware.instances import load_accelerator

    space, accelerator = small(kernels=[3, 5], expansions=[3], resolutions=[12, 16]), load_accelerator("eyeriss_like")
    costs = BlockCosts.of(space, (3, 16, 16), 10, [accelerator])
    some = [space.sample(np.random.default_rng(seed)) for seed in range(4)]
    _, energy_N = costs.costs(space.codes(some), np.zeros(4, dtype=np.int64))
    for genotype, energy in zip(some, energy_N, strict=True):
        work = workload(space.graph(genotype, (3, 16, 16), 10))
        assert layer_costs(work, [accelerator]).energy_AL.sum() == pytest.approx(energy, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"strides": [2]}, "one value for each of the 2 stages"), ({"kernels": [3, 4]}, "even kernel"),
     ({"layers": [2, 1]}, "growing")],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_refused(options, says):
    with pytest.raises(UserError, match=says):
        small(**options)

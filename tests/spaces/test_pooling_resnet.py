"""Pooling ResNet: ResNet-20 and its 36 halvings, with the published accuracies as a table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from archip.core.errors import CandidateError, UserError
from archip.data._table import load_table
from archip.ir.workload import workload
from archip.search.joint_table import _declared, _genotype
from archip.spaces.pooling_resnet import PoolingResNet
from archip.spaces.tabular import Tabular

CIFAR = (3, 32, 32)


def test_the_default_is_resnet_20():
    """272,474 weights and 40.81 M MACs, as stated for ResNet-20 with convolutions in its shortcuts."""
    work = workload(PoolingResNet().graph({"blocks1": 4, "blocks2": 3}, CIFAR, 10))
    assert (work.params, work.macs) == (272_474, 40_813_184)


def test_all_36_networks_have_the_same_weights():
    space = PoolingResNet()
    graphs = [space.graph(genotype, CIFAR, 10) for genotype in space.enumerate()]
    assert len({g.id for g in graphs}) == len(graphs) == 36
    assert {workload(g).params for g in graphs} == {272_474}


@pytest.mark.parametrize(("blocks", "sides"), [((1, 1), [16, *[8] * 8]), ((7, 1), [*[32] * 6, 16, 8, 8])])
def test_the_first_block_of_a_scale_halves(blocks, sides):
    """The stem counts to the first scale: of 7, 1, 2 the seventh block halves, and the eighth."""
    shapes = PoolingResNet().graph(dict(zip(("blocks1", "blocks2"), blocks, strict=True)), CIFAR, 10).shapes
    assert [shapes[f"block{i}.relu"][2] for i in range(1, 10)] == sides


def test_the_table_gives_the_published_correlations(shared_data):
    """Best alone: number 34 of 36, [7, 1, 2], 92.01; Kendall's tau (and Spearman's rho) of the estimates of one, two,
    four and eight supernets: 0.14 (0.23), 0.31 (0.47), 0.60 (0.76), 0.53 (0.71).
    """
    table = load_table("pooling36")
    truth = table.metric("baseline.accuracy")
    best = Tabular(table="pooling36").genotype(int(truth.argmax()))
    assert best == {"blocks1": 7, "blocks2": 1}
    assert truth.max() == pytest.approx(0.9201, abs=5e-5)
    taus, rhos = [], []
    for n in (1, 2, 4, 8):
        estimate = table.metric(f"M{n}.accuracy")
        taus.append(kendalltau(truth, estimate).statistic)
        rhos.append(spearmanr(truth, estimate).statistic)
    assert taus == pytest.approx([0.14, 0.31, 0.60, 0.53], abs=0.006)
    assert rhos == pytest.approx([0.23, 0.47, 0.76, 0.71], abs=0.006)


def test_rows_of_the_table_are_the_networks_of_the_space(shared_data):
    table = Tabular(table="pooling36")
    networks, shape, n_outputs = _declared(table, "cifar10")
    space = PoolingResNet()
    found = [space.canonical(_genotype(networks, genotype)) for genotype in table.enumerate()]
    assert sorted(map(str, found)) == sorted(map(str, space.enumerate()))
    codes = load_table("pooling36").files.main["code"]
    for row in (0, 20, 35):
        genes = table.genotype(row)
        halves = [int(bit) for bit in str(codes[row]).split(",")]
        shapes = space.graph(genes, shape, n_outputs).shapes
        sides = [shapes["stem.relu"][2], *(shapes[f"block{i}.relu"][2] for i in range(1, 10))]
        assert halves[1:] == [int(b < a) for a, b in itertools.pairwise(sides)]


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    space = PoolingResNet(filters=(4, 4, 6))
    m = space.build({"blocks1": 1, "blocks2": 1}, (3, 8, 8), 4, seed=1).eval()
    x = torch.randn(2, 3, 8, 8)

    def conv(x, name, **options):
        n = getattr(m, f"{name}_norm")
        y = F.conv2d(x, getattr(m, f"{name}_conv").weight, **options)
        return F.batch_norm(y, n.running_mean, n.running_var, n.weight, n.bias)

    y = F.relu(conv(x, "stem", padding=1))
    z = conv(F.relu(conv(y, "block1_1", padding=1, stride=2)), "block1_2", padding=1)
    y = F.relu(y[:, :, ::2, ::2] + z)
    z = conv(F.relu(conv(y, "block2_1", padding=1, stride=2)), "block2_2", padding=1)
    y = F.relu(conv(y, "block2_skip", stride=2) + z).mean((2, 3))
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


def test_what_cannot_be_halved_is_refused():
    with pytest.raises(CandidateError, match="halved 2 times"):
        PoolingResNet().graph({"blocks1": 4, "blocks2": 3}, (3, 3, 3), 10)
    with pytest.raises(UserError, match="no place in 1 blocks"):
        PoolingResNet(filters=(4, 4), halvings=2)
    with pytest.raises(UserError, match="constraint"):
        PoolingResNet().canonical({"blocks1": 8, "blocks2": 2})
    assert np.isfinite(PoolingResNet().size)

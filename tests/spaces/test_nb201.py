"""NAS-Bench-201's networks against the benchmark's own counts."""

import csv
import gzip
import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.nb201 import EDGES, NB201, parse

FIXTURE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


@pytest.mark.golden
def test_costs_are_those_of_the_benchmark():
    """Its FLOPs count the classifier's 10 biases."""
    folder = os.environ.get("ARCHIP_DATA")
    if folder is None:
        pytest.skip("ARCHIP_DATA names no folder with nb201.csv.gz")
    with gzip.open(Path(folder) / "nb201.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))[::401]
    for row in rows:
        work = workload(NB201().graph(parse(row["arch_str"]), (3, 32, 32), 10))
        assert (work.macs + 10, work.params) == (int(row["flops_cifar10"]), int(row["params_cifar10"]))


def test_the_cell_of_the_paper_by_hand():
    """15 cells x 7.08 M + stem 0.44 M + two reduction blocks 7.34 M each, and the classifier."""
    work = workload(NB201().graph(parse(FIXTURE), (3, 32, 32), 10))
    cells = 15 * 3 * 9 * 16 * 16 * 32 * 32
    reductions = sum(9 * (c // 2 * c + c * c) * s * s + c // 2 * c * s * s for c, s in ((32, 16), (64, 8)))
    assert work.macs == cells + 27 * 16 * 32 * 32 + reductions + 64 * 10


def test_strings_and_genotypes():
    genes = parse(FIXTURE)
    assert list(genes) == [f"{a}-{b}" for a, b in EDGES]
    assert genes["1-2"] == "avg_pool_3x3"
    with pytest.raises(UserError, match="nor_conv_5x5"):
        parse(FIXTURE.replace("nor_conv_3x3~1", "nor_conv_5x5~1"))
    with pytest.raises(UserError, match="5 edges"):
        parse(FIXTURE.replace("skip_connect~2|", ""))


def test_a_cell_computes_what_the_paper_says():
    """One cell of convolutions 1x1 and pooling, node by node."""
    text = "|nor_conv_1x1~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    space = NB201(channels=4, cells=1)
    net = space.build(parse(text), (3, 8, 8), 10, seed=0).eval()
    seen = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, (i[0], o)))
    with torch.no_grad():
        net(torch.randn(2, 3, 8, 8))
    cell, node1 = seen["stem_norm"][1], seen["stage1_cell1_0_1_norm"][1]
    node2 = F.avg_pool2d(node1, 3, 1, 1, count_include_pad=False)
    assert torch.equal(seen["stage1_cell1_0_1_conv"][0], F.relu(cell))
    assert torch.allclose(seen["stage1_cell1_2_3_conv"][0], F.relu(node2))
    node3 = cell + seen["stage1_cell1_2_3_norm"][1]
    assert torch.allclose(seen["reduction1_a_conv"][0], F.relu(node3))


def test_a_cell_without_edges_gives_zeros():
    net = NB201(channels=4, cells=1).build(dict.fromkeys((f"{a}-{b}" for a, b in EDGES), "none"), (3, 8, 8), 10, seed=0)
    with torch.no_grad():
        outputs = net.eval()(torch.randn(3, 3, 8, 8))
    assert torch.equal(outputs[0], outputs[1])  # nothing of the input comes through

"""Conv1d: sizes by hand, canonical genotypes, lengths, published relatives."""

from __future__ import annotations

import pytest

from archip.ir.workload import workload
from archip.spaces.conv1d import Conv1d

TWO = {"depth": 2, "dilation": 2, "reduce": "pool", "width1": 8, "kernel1": 5, "width2": 16, "kernel2": 3}


def test_sizes_by_hand():
    """6 x 100, 4 classes: 8 filters of 5 at 100 steps, 16 filters of 3 at 50, then 16 x 4; norms 2 a channel."""
    graph = Conv1d().graph(TWO, (6, 100), 4)
    work = workload(graph)
    assert work.macs == 6 * 8 * 5 * 100 + 8 * 16 * 3 * 50 + 16 * 4
    assert work.params == 6 * 8 * 5 + 2 * 8 + 8 * 16 * 3 + 2 * 16 + 16 * 4 + 4
    assert graph.node["block2.conv"].attrs["dilation"] == 2
    assert work.dims_LD[0].tolist() == [1, 1, 8, 6, 1, 100, 1, 5]


def test_the_smallest_has_some_hundred_weights():
    one = {"depth": 1, "width1": 8, "kernel1": 3}
    assert workload(Conv1d().graph(one, (6, 100), 4)).params == 6 * 8 * 3 + 2 * 8 + 8 * 4 + 4 == 196


def test_genes_that_mean_nothing_are_no_genes():
    one = {"depth": 1, "width1": 8, "kernel1": 5}
    assert Conv1d().canonical({**TWO, "depth": 1}) == one
    assert Conv1d().canonical({**one, "width4": 8}) == one


def test_counts_each_network_once():
    """Depth 1: 4 widths x 4 kernels; depth 2: 6 ways to grow x (4 x 4)^2."""
    assert sum(1 for _ in Conv1d(depths=(1, 2)).enumerate()) == 16 + 6 * 16**2


@pytest.mark.parametrize(("reduce", "lengths"), [("none", [50] * 4), ("pool", [50, 25, 12, 6]),
                                                 ("stride", [50, 25, 13, 7])])  # fmt: skip
def test_reduce_says_what_happens_to_time(reduce, lengths):
    genes = {"depth": 4, "dilation": 2, "reduce": reduce} | {f"width{i}": 8 for i in range(1, 5)}
    graph = Conv1d().graph(genes | {f"kernel{i}": 9 for i in range(1, 5)}, (1, 50), 2)
    assert [graph.shapes[f"block{i}.relu"][2] for i in range(1, 5)] == lengths
    assert [graph.node[f"block{i}.conv"].attrs["dilation"] for i in range(1, 5)] == [1, 2, 4, 8]


@pytest.mark.parametrize(("length", "last"), [(1, 1), (3, 3), (4, 2), (7, 3)])
@pytest.mark.parametrize("reduce", ["pool", "stride"])
def test_short_series_are_not_halved(length, last, reduce):
    genes = {"depth": 3, "dilation": 1, "reduce": reduce} | {f"width{i}": 8 for i in range(1, 4)}
    graph = Conv1d().graph(genes | {f"kernel{i}": 3 for i in range(1, 4)}, (1, length), 2)
    expected = {("stride", 7): 2}.get((reduce, length), last)  # 7 becomes 4, which is halved once more
    assert graph.shapes["block3.relu"][2] == expected


def test_fcn_by_hand():
    """Wang et al. 2017: 128, 256, 128 filters, here with 9, 5, 3 for their kernels of 8, 5, 3."""
    space = Conv1d(widths=(128, 256), kernels=(3, 5, 9))
    widths, kernels = (128, 256, 128), (9, 5, 3)
    genes = {"depth": 3, "dilation": 1, "reduce": "none"}
    for i in range(3):
        genes |= {f"width{i + 1}": widths[i], f"kernel{i + 1}": kernels[i]}
    work = workload(space.graph(space.canonical(genes), (1, 140), 2))
    convs = 128 * 9 + 128 * 256 * 5 + 256 * 128 * 3
    assert work.params == convs + 2 * (128 + 256 + 128) + 128 * 2 + 2
    assert work.macs == convs * 140 + 256

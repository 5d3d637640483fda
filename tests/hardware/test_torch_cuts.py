"""Mappings costed from tables in torch: the numbers of the compiled kernels, on the CPU and on a GPU."""

import numpy as np
import pytest
import torch

from archip.hardware.instances import load_accelerator
from archip.hardware.mapping import LOOPS
from archip.hardware.models import _kernels as kernels
from archip.hardware.models._cut_tables import tabulate
from archip.hardware.models._torch_cuts import CutCosts
from archip.hardware.models.loopnest import pack_chips, pack_layers

LAYERS = {  # B G K C OY OX FY FX, stride
    "conv": ((1, 1, 24, 12, 14, 14, 3, 3), 1),
    "strided": ((2, 1, 16, 8, 10, 6, 5, 3), 2),
    "depthwise": ((1, 12, 1, 1, 9, 9, 3, 3), 1),
    "gemm": ((1, 1, 30, 40, 12, 1, 1, 1), 1),
}
TEMPLATES = ["nvdla", "shidiannao", "eyeriss"]
NAMES = ["tpu_like", "eyeriss_like", "edge_tpu_like", "ascend_like", "meta_prototype", *TEMPLATES]


def _primes(n):
    factors, p = [], 2
    while n > 1:
        while n % p == 0:
            factors.append(p)
            n //= p
        p += 1
    return factors


def _mappings(chip, dims, rng, n_orders=4, n=60):
    """Random orders of prime factors, one or two unrollings, random cuts."""
    asked_RDF = np.ones((n_orders, kernels.MAX_ARRAY, 8), dtype=np.int64)
    orders = []
    for r in range(n_orders):
        f = int(rng.integers(8))
        asked_RDF[r, 0, f] = min(int(chip["array_D"][0]), int(rng.integers(1, 5)))
        steps = [-(-size // asked_RDF[r, 0, i]) if i == f else size for i, size in enumerate(dims)]
        loops = [(i, p) for i, size in enumerate(steps) for p in _primes(int(size))]
        orders.append([loops[i] for i in rng.permutation(len(loops))])
    longest = max(map(len, orders))
    loops_RT, sizes_RT = np.zeros((n_orders, longest), np.int64), np.ones((n_orders, longest), np.int64)
    for r, order in enumerate(orders):
        for t, (loop, size) in enumerate(order):
            loops_RT[r, t], sizes_RT[r, t] = loop, size
    order_M = rng.integers(n_orders, size=n)
    cuts_MOE = np.zeros((n, 3, kernels.MAX_LEVELS + 1), np.int64)
    for o in range(3):
        levels = int(chip["levels_O"][o])
        cuts_MOE[:, o, 1:levels] = np.sort(rng.integers(longest + 1, size=(n, levels - 1)), axis=1)
        cuts_MOE[:, o, levels:] = longest
    return asked_RDF, loops_RT, sizes_RT, order_M, cuts_MOE


def _by_kernels(chips, layers, asked_RDF, loops_RT, sizes_RT, order_M, cuts_MOE, zigzag):
    n, longest = len(order_M), loops_RT.shape[1]
    loops_MT, sizes_MT = np.zeros((n, kernels.MAX_LOOPS), np.int64), np.ones((n, kernels.MAX_LOOPS), np.int64)
    loops_MT[:, :longest], sizes_MT[:, :longest] = loops_RT[order_M], sizes_RT[order_M]
    results_MR, words = np.zeros((n, kernels.N_RESULTS)), np.zeros((n, 3, kernels.MAX_LEVELS, 4))
    which, n_loops = np.zeros((n, 2), np.int64), np.full(n, longest)
    kernels.evaluate_batch(chips, layers, which, asked_RDF[order_M], loops_MT, sizes_MT, n_loops, cuts_MOE, zigzag,
                           kernels.scratch(), results_MR, words)  # fmt: skip
    return results_MR[:, :6]


def _both(name, layer, zigzag, device):
    """Costs in torch, and of the kernels."""
    dims, stride = LAYERS[layer]
    assert len(dims) == len(LOOPS)
    knobs = {"pes": 64, "bandwidth": "16 GB/s"} if name in TEMPLATES else {}
    chips = pack_chips([load_accelerator(name, **knobs)])
    ones = np.ones((1, 2), np.int64)
    layers = pack_layers(np.array([dims]), stride * ones, ones, ones, np.full((1, 3), 8))
    given = _mappings(chips[0], dims, np.random.default_rng(len(name) + len(layer)))
    expected = _by_kernels(chips, layers, *given, zigzag)
    asked_RDF, loops_RT, sizes_RT, order_M, cuts_MOE = given
    costs = CutCosts(chips, tabulate(chips, layers, asked_RDF, loops_RT, sizes_RT, zigzag), zigzag, device)
    found = costs(torch.from_numpy(order_M), torch.from_numpy(cuts_MOE)).cpu().numpy()
    return found, expected


@pytest.mark.parametrize("zigzag", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", NAMES)
def test_equal_to_the_kernels(name, layer, zigzag):
    found, expected = _both(name, layer, zigzag, "cpu")
    assert len(np.unique(expected[:, 1])) > 1 or name == "tpu_like"  # the mappings differ in what is compared
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-6)
    assert np.array_equal(np.rint(found[:, :5].sum(1)), np.rint(expected[:, :5].sum(1)))


@pytest.mark.gpu
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", NAMES)
def test_equal_to_the_kernels_on_a_gpu(name, layer):
    found, expected = _both(name, layer, False, "cuda")
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-6)
    assert np.array_equal(np.rint(found[:, :5].sum(1)), np.rint(expected[:, :5].sum(1)))

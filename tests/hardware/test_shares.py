"""Latencies added up from shares of the operands are those of the model, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from _layers import random_row, workload
from numba import njit

from archip.core import registry
from archip.hardware.accelerator import Accelerator, Memory
from archip.hardware.mappers._shares import latency
from archip.hardware.mappers._ways import WAYS, add_joules, begin_pair, fits, list_ways, plan
from archip.hardware.models import _kernels as kernels
from archip.hardware.models.loopnest import pack_chips, pack_layers

MOST = 500  # mappings of one order


@njit(error_model="numpy")
def added_up(chips, layers, asked_DF, loops_T, sizes_T, zigzag, first, memory, all_ways, cuts_MOE, costs_M2):
    """Combinations of ways to cut one order, as the search goes through them, from some way of W on; how many."""
    chip, layer, s, ways, n = chips[0], layers[0], memory[0], all_ways[0], len(loops_T)
    skew = kernels.spread(chip, layer, asked_DF, zigzag, s)
    for t in range(n):
        s.loop_T[t], s.size_T[t] = loops_T[t], sizes_T[t]
    kernels.sweep(n, s)
    kernels.number_places(n, s)
    plan(chip, ways)
    for o in range(3):
        list_ways(chip, layer, o, n, zigzag, ways, s)
    m = 0
    for w in range(first % max(1, ways.n_O[0]), ways.n_O[0]):
        for i in range(ways.n_O[1]):
            if not begin_pair(chip, w, i, ways):
                continue
            for o in range(ways.n_O[2]):
                if m == len(costs_M2):
                    return m
                if fits(chip, o, ways):
                    for k, z in enumerate((w, i, o)):
                        for e in range(chip.levels_O[k]):
                            cuts_MOE[m, k, e] = ways.cuts_OZE[k, z, e]
                        cuts_MOE[m, k, chip.levels_O[k]] = n
                    energy = add_joules(chip, 1, i, add_joules(chip, 0, w, 0.0, ways), ways)
                    costs_M2[m, 0] = latency(chip, skew, w, i, o, zigzag, ways, s)
                    costs_M2[m, 1] = add_joules(chip, 2, o, energy, ways) + s.mac_energy
                    m += 1
    return m


def random_accelerator(rng):
    """Any hierarchy: two to six memories of any operands, of all sizes."""
    array = {"D1": int(rng.integers(1, 5)), "D2": int(rng.integers(1, 5))}
    memories, first = [], [("WIO",), ("W", "I", "O")][rng.integers(2)]
    for k, operands in enumerate((*first, *rng.choice(["W", "I", "O", "WI", "IO", "WO", "WIO"], rng.integers(1, 4)))):
        narrow = int(rng.choice([8, 16]))
        width = narrow, narrow * int(rng.choice([1, 4, 16]))
        serves = tuple(d for d in array if rng.random() < 0.3 + 0.1 * k)
        bits, energy_j = float(2 ** rng.integers(7, 18)), rng.random(2) * 10
        memories.append(Memory(f"m{k}", operands, bits, *energy_j, width, rng.choice(["RW", "R+W", "4"]), serves))
    width = (16, int(rng.choice([16, 64, 1024])))
    memories.append(Memory("dram", "WIO", 2.0**50, 100.0, 110.0, width, "RW", tuple(array)))
    return Accelerator("any", array, tuple(memories), multiply_j=0.7, systolic=bool(rng.integers(2)))


def random_nest(chip, dims, rng):
    """An unrolling of one loop for each array dimension, and an order of at most six factors of the rest."""
    asked_DF, left_F = np.ones((kernels.MAX_ARRAY, 8), dtype=np.int64), dims.copy()
    for d in range(2):
        f = rng.integers(8)
        asked_DF[d, f] = min(int(chip["array_D"][d]), int(left_F[f]))
        left_F[f] = -(-left_F[f] // asked_DF[d, f])
    factors = [(f, k) for f, size in enumerate(-(-dims // asked_DF.prod(0))) for k in _split(int(size))]
    return asked_DF, [factors[t] for t in rng.permutation(len(factors))]


def _split(size):
    divisors = [k for k in range(2, size) if size % k == 0]
    first = divisors[len(divisors) // 2] if divisors else size
    return [k for k in (first, size // first) if k > 1]


def by_the_model(chips, layers, asked_DF, order, cuts_MOE, zigzag):
    """(Latency, energy) of each mapping, costed one by one."""
    n = len(cuts_MOE)
    loops_MT, sizes_MT = np.zeros((n, kernels.MAX_LOOPS), np.int64), np.ones((n, kernels.MAX_LOOPS), np.int64)
    loops_MT[:, : len(order)], sizes_MT[:, : len(order)] = np.array(order).T
    results_MR, words = np.zeros((n, kernels.N_RESULTS)), np.zeros((n, 3, kernels.MAX_LEVELS, 4))
    which, n_loops = np.zeros((n, 2), np.int64), np.full(n, len(order))
    asked_MDF = np.repeat(asked_DF[None], n, 0)
    kernels.evaluate_batch(chips, layers, which, asked_MDF, loops_MT, sizes_MT, n_loops, cuts_MOE, zigzag,
                           kernels.scratch(), results_MR, words)  # fmt: skip
    parts = results_MR[:, kernels.TOTAL]
    for column in (kernels.STALL, kernels.ONLOAD, kernels.OFFLOAD, kernels.DRAIN):
        parts = parts + results_MR[:, column]
    return np.stack([np.rint(parts), results_MR[:, kernels.ENERGY]], 1), results_MR[:, kernels.STALL]


def compare(accelerators, rng, n_cases):
    """Differences between both; returns how many mappings were compared, left to the model, and stalled."""
    counts, memory, ways = np.zeros(3), kernels.scratch(), np.zeros(1, WAYS)
    for case in range(n_cases):
        chips = pack_chips([accelerators(rng)])
        work = workload(random_row(rng), bits=int(rng.choice([4, 8, 16])))
        layers = pack_layers(work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO)
        asked_DF, order = random_nest(chips[0], work.dims_LD[0], rng)
        if not order:
            continue
        zigzag = bool(case % 2)
        cuts_MOE, costs_M2 = np.zeros((MOST, 3, kernels.MAX_LEVELS + 1), np.int64), np.zeros((MOST, 2))
        loops_T, sizes_T = np.array(order).T.copy()
        n = added_up(
            chips, layers, asked_DF, loops_T, sizes_T, zigzag, rng.integers(100), memory, ways, cuts_MOE, costs_M2
        )
        expected_M2, stall_M = by_the_model(chips, layers, asked_DF, order, cuts_MOE[:n], zigzag)
        known_M = costs_M2[:n, 0] >= 0
        np.testing.assert_array_equal(costs_M2[:n][known_M], expected_M2[known_M])
        np.testing.assert_array_equal(costs_M2[:n, 1], expected_M2[:, 1])
        counts += known_M.sum(), (~known_M).sum(), (stall_M > 0).sum()
    return counts


def test_equal_to_the_model_on_any_hierarchy():
    compared, left, stalled = compare(random_accelerator, np.random.default_rng(0), 150)
    assert compared > 10_000
    assert left < 0.1 * compared
    assert 0.2 * compared < stalled < compared


@pytest.mark.parametrize("name", registry.names("hardware/templates"))
def test_equal_to_the_model_on_every_template(name):
    template = registry.find("hardware/templates", name)

    def make(rng):
        return template(pes=int(rng.integers(1, 9)) ** 2, bandwidth=float(rng.choice([1e9, 3e9, 32e9]))).accelerator()

    compared, left, _ = compare(make, np.random.default_rng(1), 40)
    assert compared > 500
    assert left < 0.1 * compared

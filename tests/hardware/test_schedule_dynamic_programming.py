"""Dynamic programming against CP-SAT (another model, another solver) and by hand; bounds against linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from archip.hardware.schedule._label_dp import energy_bound, new_pool, solve, solve_all, time_bound
from archip.hardware.schedule._schedule import flaws
from archip.hardware.schedule.cp_sat import CpSat
from archip.hardware.schedule.dynamic_programming import DynamicProgramming


@pytest.mark.parametrize("beside", [0.0, 1e300, -1e300, np.nan])
def test_one_chain_has_three_multipliers_and_reads_no_more(beside):
    """What lies behind them in memory decides nothing: 2 of 3 layers go to the cheap core within 12 cycles."""
    cycles_KL, energy_KL = np.array([[2, 2, 2], [5, 5, 5]]), np.array([[9.0, 9, 9], [1.0, 1, 1]])
    energy_m, time_m = np.array([0.5, 0.1, 0.1, beside]), np.array([0.4, 0.3, 0.3, beside])
    core_L, start_L = np.zeros(3, np.int64), np.zeros(3, np.int64)
    found = solve(
        cycles_KL, energy_KL, 3, 12, 100.0, False, 0, energy_m[:3], time_m[:3], new_pool(1000), core_L, start_L
    )
    assert found == (1, 12, 11.0, True)
    assert sorted(core_L.tolist()) == [0, 1, 1]


def test_by_hand():
    # Chain 0: 2 layers, chain 1: 1 layer. Core 0 is fast and dear, core 1 slow and cheap.
    cycles_KL, energy_KL = np.array([[2, 2, 3], [5, 5, 6]]), np.array([[9.0, 9, 9], [1.0, 1, 1]])
    chain_L = np.array([0, 0, 1])
    shortest = DynamicProgramming().schedule(cycles_KL, energy_KL, chain_L)
    assert (shortest.makespan, shortest.energy_j, shortest.gap) == (6, 19.0, 0.0)  # chain 1 on core 1 meanwhile
    # Within 9: two layers on core 1 take 10 at least, so one of them is: 19 J; 7 cycles would do, 6 is the least.
    assert DynamicProgramming().schedule(cycles_KL, energy_KL, chain_L, 9).makespan == 6
    cheap = DynamicProgramming().schedule(cycles_KL, energy_KL, chain_L, 11)
    # Within 11: chain 0 on core 1 (10 cycles, 2 J) and chain 1 on core 0 (9 J), or 5 + 6 = 11 on core 1 and one of
    # chain 0 on core 0: 9 + 1 + 1 = 11 J either way; the former ends at 10.
    assert (cheap.makespan, cheap.energy_j) == (10, 11.0)
    # A limit that cannot be kept: the shortest; one on energy alone: the shortest within it.
    assert DynamicProgramming().schedule(cycles_KL, energy_KL, chain_L, 3).makespan == 6
    frugal = DynamicProgramming().schedule(cycles_KL, energy_KL, chain_L, limit_energy_j=3.0)
    assert (frugal.makespan, frugal.energy_j) == (16, 3.0)


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    n_cores, sizes = [(2, (4, 4)), (2, (6,)), (3, (3, 3)), (2, (2, 3, 2)), (1, (2, 2))][seed % 5]
    n_layers = sum(sizes)
    cycles_KL = rng.integers(0, 20, (n_cores, n_layers))
    cycles_KL[1:][rng.random((n_cores - 1, n_layers)) < 0.1] = -1
    energy_KL = rng.integers(1, 20, (n_cores, n_layers)).astype(float)
    return cycles_KL, energy_KL, np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_cp_sat(seed):
    args = random_case(seed)
    for limit in (None, 25, 45):
        ours, theirs = DynamicProgramming().schedule(*args, limit), CpSat().schedule(*args, limit)
        assert flaws(ours, *args) == []
        assert (ours.makespan, ours.energy_j, ours.gap) == (theirs.makespan, theirs.energy_j, 0.0)
    for energy in (40.0, 70.0):
        ours = DynamicProgramming().schedule(*args, limit_energy_j=energy)
        theirs = CpSat().schedule(*args, limit_energy_j=energy)
        assert (ours.makespan, ours.energy_j) == (theirs.makespan, theirs.energy_j)


def real_case(seed: int):
    """Two chains of 11 and 19 layers with costs as large as real ones."""
    rng = np.random.default_rng(seed)
    return rng.integers(1000, 100_000, (2, 30)), rng.integers(10**9, 3 * 10**9, (2, 30)).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_are_those_of_the_linear_relaxations(seed):
    """Lagrangian and linear relaxation have the same optimum; x is the share of a layer that is on core 1."""
    cycles_KL, energy_KL = real_case(seed)
    first_C = np.array([0, 11, 30])
    rise_L = cycles_KL[1] - cycles_KL[0]
    sums = np.zeros((4, 30))
    sums[0, :11], sums[1, 11:], sums[2], sums[3] = rise_L[:11], rise_L[11:], cycles_KL[1], -cycles_KL[0]
    at_zero = np.array([cycles_KL[0, :11].sum(), cycles_KL[0, 11:].sum(), 0, cycles_KL[0].sum()])
    least = np.zeros(31)
    least[30] = 1
    shortest = linprog(least, np.column_stack([sums, -np.ones(4)]), -at_zero, bounds=[(0, 1)] * 30 + [(0, None)]).fun
    found = time_bound(cycles_KL, first_C, 1e18, np.full(4, 0.25))
    assert 0.99 * shortest <= found <= shortest * (1 + 1e-9)
    limit = int(1.15 * shortest)
    relaxed = linprog(energy_KL[1] - energy_KL[0], sums, limit - at_zero, bounds=(0, 1)).fun + energy_KL[0].sum()
    found = energy_bound(cycles_KL, energy_KL, first_C, limit, 1.005 * relaxed, np.zeros(4))
    assert 0.999 * relaxed <= found <= relaxed * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_all_points_under_a_roof_are_those_found_one_by_one(seed):
    cycles_KL, energy_KL = real_case(seed)
    first_C, time_m, energy_m, plain = np.array([0, 11, 30]), np.full(4, 0.25), np.zeros(4), np.zeros(4)
    core_L, start_L, pool = np.zeros(30, np.int64), np.zeros(30, np.int64), new_pool(1 << 20)
    limit = int(1.2 * time_bound(cycles_KL, first_C, 1e18, time_m))

    def cheapest(most: int, roof: float) -> tuple[int, int, float, bool]:
        return solve(cycles_KL, energy_KL, 11, most, roof, False, 0, plain, plain, pool, core_L, start_L)

    best = cheapest(limit, 1e18)[2]
    roof = 1.01 * best
    energy_bound(cycles_KL, energy_KL, first_C, limit, best, energy_m)
    one_by_one, most = [], limit
    while (found := cheapest(most, roof))[0] == 1:  # the least energy, then within fewer cycles, and so on
        one_by_one.append([found[1], int(found[2])])
        most = found[1] - 1
    points, core_PL = np.zeros((1 << 12, 2), np.int64), np.zeros((1 << 12, 30), np.int64)
    lowered = np.full(4, roof)  # above any line through the roof: every point under the roof is asked for
    n = solve_all(cycles_KL, energy_KL, 11, limit, lowered, roof, energy_m, time_m, pool, points, core_PL)
    assert points[:n].tolist() == one_by_one
    assert len(one_by_one) > 1
    spent = np.take_along_axis(energy_KL, core_PL[:n], axis=0).sum(axis=1)
    assert spent.tolist() == points[:n, 1].tolist()

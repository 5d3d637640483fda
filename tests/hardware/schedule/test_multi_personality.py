"""Multi-personality partitioning against every split of small netlists, and against static mapping."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from archip.core.errors import CandidateError
from archip.hardware.schedule.multi_personality import MultiPersonality, Netlist, _merged, _pareto


def random_netlist(seed, n, slack=1.15):
    """Nodes in LUTs (10 a unit of size, one DSP) or in DSPs (2 LUTs and one DSP a unit), and a random mapping.

    The capacities are those of the mapping, in two halves, and a little more.
    """
    rng = np.random.default_rng(seed)
    weight_VV = np.zeros((n, n))
    for _ in range(3 * n // 2):
        a, b = rng.choice(n, 2, replace=False)
        weight_VV[a, b] += rng.integers(1, 5)
        weight_VV[b, a] = weight_VV[a, b]
    size_V = rng.integers(2, 11, n).astype(float)
    as_luts, as_dsps = np.stack([10 * size_V, np.ones(n)], 1), np.stack([2 * size_V, size_V], 1)
    needs_VPR, fixed = np.stack([as_luts, as_dsps], 1), rng.integers(0, 2, n)
    half_R = np.maximum(needs_VPR[np.arange(n), fixed].sum(axis=0) / 2 * slack, needs_VPR.max(axis=(0, 1)))
    return Netlist(weight_VV, needs_VPR, np.tile(half_R, (2, 1))), fixed


@njit
def least_cut(weight_VV, needs_VPR, capacity_QR):
    """Over all splits into two and all choices between two personalities that fit; infinite if none does."""
    n, least = len(weight_VV), np.inf
    part_V = np.zeros(n, np.int64)
    for number in range(4**n):
        used_QR = np.zeros_like(capacity_QR)
        for v in range(n):
            part_V[v] = number & 1
            used_QR[part_V[v]] += needs_VPR[v, (number >> 1) & 1]
            number >>= 2
        if (used_QR <= capacity_QR * (1 + 1e-12)).all():
            cut = 0.0
            for v in range(n):
                for u in range(v):
                    if part_V[v] != part_V[u]:
                        cut += weight_VV[v, u]
            least = min(least, cut)
    return least


def check(netlist, found):
    """Cut, capacities and deviation counted anew."""
    used_QR = np.zeros_like(netlist.capacity_QR)
    for v, (part, personality) in enumerate(zip(found.part_V, found.personality_V, strict=True)):
        used_QR[part] += netlist.needs_VPR[v, personality]
    assert (used_QR <= netlist.capacity_QR * (1 + 1e-6)).all()
    apart_VV = found.part_V[:, None] != found.part_V
    assert found.cut == pytest.approx((netlist.weight_VV * apart_VV).sum() / 2)
    share_QR = used_QR / netlist.capacity_QR
    assert found.deviation == pytest.approx(abs(share_QR / share_QR.mean() - 1).max())


def test_the_optimum_of_small_netlists():
    """Card: equal to the exhaustive optimum on at least 90 % of 50 cases."""
    hits = 0
    for seed in range(50):
        netlist, _ = random_netlist(seed, 8)
        found = MultiPersonality().partition(netlist)
        check(netlist, found)
        least = least_cut(*netlist)
        assert found.cut >= least - 1e-9
        hits += found.cut <= least + 1e-9
    assert hits >= 45


def test_never_worse_than_the_static_mapping_that_it_begins_with():
    better = 0
    for seed in range(15):
        netlist, fixed = random_netlist(seed, 30)
        static = MultiPersonality(starts=4).partition(netlist, fixed)
        assert (static.personality_V == fixed).all()
        found = MultiPersonality(starts=4).partition(netlist, begin=static)
        check(netlist, static)
        check(netlist, found)
        assert found.cut + found.deviation <= static.cut + static.deviation + 1e-9
        better += found.cut < static.cut
    assert better >= 5


def test_a_flip_makes_room():
    # Two pairs joined by 9 should stay together; as LUTs a pair does not fit into one part, as DSPs it does.
    weight_VV = np.array([[0, 9, 1, 0], [9, 0, 0, 1], [1, 0, 0, 9], [0, 1, 9, 0]], dtype=float)
    needs_VPR = np.tile([[8.0, 0], [1, 4]], (4, 1, 1))
    netlist = Netlist(weight_VV, needs_VPR, np.array([[10.0, 10], [10, 10]]))
    assert MultiPersonality().partition(netlist).cut == 2
    with pytest.raises(CandidateError, match="no split found that fits: part 0 lacks resource 0"):
        MultiPersonality().partition(netlist, fixed=[0, 0, 0, 0])


def test_three_parts_and_nodes_with_fewer_personalities():
    weight_VV = np.zeros((9, 9))
    for a in range(9):
        for b in range(9):
            if a != b and a // 3 == b // 3:
                weight_VV[a, b] = 5
    weight_VV[2, 3] = weight_VV[3, 2] = weight_VV[5, 6] = weight_VV[6, 5] = 1
    needs_VPR = np.tile([[3.0, 1], [1, 3]], (9, 1, 1))
    needs_VPR[::2, 1] = np.nan
    netlist = Netlist(weight_VV, needs_VPR, np.full((3, 2), 10.0))
    found = MultiPersonality().partition(netlist)
    check(netlist, found)
    assert found.cut == 2
    assert (found.personality_V[::2] == 0).all()


def test_coarse_nodes_keep_what_no_other_choice_undercuts():
    assert _pareto(np.array([[1.0, 4], [2, 2], [3, 3], [4, 1], [2, 2]])).tolist() == [0, 1, 3]
    many = np.stack([np.arange(20.0), 20 - np.arange(20.0)], 1)
    assert len(_pareto(many)) == 8
    netlist, _ = random_netlist(0, 4)
    coarse, parents = _merged(netlist, [[0, 2], [1], [3]])
    for row, (a, b) in zip(coarse.needs_VPR[0], parents[0], strict=False):
        assert (row == netlist.needs_VPR[0, a] + netlist.needs_VPR[2, b]).all()
    assert coarse.weight_VV[0, 1] == netlist.weight_VV[0, 1] + netlist.weight_VV[2, 1]
    assert np.isnan(coarse.needs_VPR[1, len(parents[1]) :]).all()


def test_same_seed_same_partition():
    netlist, _ = random_netlist(3, 30)
    a, b = (MultiPersonality(starts=4, seed=5).partition(netlist) for _ in range(2))
    assert (a.part_V == b.part_V).all()
    assert (a.personality_V == b.personality_V).all()

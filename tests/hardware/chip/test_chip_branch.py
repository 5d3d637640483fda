"""Three and four cores: sets that are not complete are bounded; counts and survivors against plain enumeration."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from _brute import all_points, chips, front, random_table

from archip.hardware.chip import branch
from archip.hardware.chip.bounds import ChipLimits, no_limits, surveyed
from archip.hardware.chip.branch import PartialSurvey, known_points
from archip.hardware.chip.front import pareto_chips
from archip.hardware.chip.search import Metric, best_chip, key_of

KEYS: dict[Metric, tuple[int, ...]] = {"energy": (1, 0, 2), "latency": (0, 1, 2), "area": (2, 1, 0)}


def rows(survivors) -> set[tuple[int, ...]]:
    return {tuple(row) for row in np.hstack([np.sort(survivors.chips_NK), survivors.bounds_N3]).tolist()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cores", [3, 4])
def test_survivors_are_those_of_plain_enumeration(seed, cores, monkeypatch):
    rng = np.random.default_rng(3000 + seed)
    table = random_table(rng, 6, [4, 3], cores, cores)
    everything = no_limits(table)
    shares = rng.uniform(0.2, 0.9, 3) if seed % 3 else np.ones(3)
    limits = ChipLimits(*(int(most * share) for most, share in zip(everything, shares, strict=True)))
    found = surveyed(table, limits)
    monkeypatch.setattr(branch, "_MOST_ROOM", 0)
    plain = surveyed(table, limits)
    assert rows(found) == rows(plain)
    assert len(found.chips_NK) == len(plain.chips_NK)
    n_chips = len(chips(table))
    assert found.counts["within_totals"] == plain.counts["within_totals"] == n_chips
    assert sum(found.counts.values()) - n_chips + len(found.chips_NK) == n_chips


def test_sets_that_fit_are_counted():
    rng = np.random.default_rng(5)
    table = random_table(rng, 5, [2], 1, 4)
    sets = PartialSurvey(table)
    for n in range(4):
        every = combinations_with_replacement(range(5), n)
        fit = [c for c in every if (table.use_DR[list(c)].sum(axis=0) <= table.totals_R).all()]
        assert sets.n_completions[n, 0, -1, -1] == len(fit)


def test_known_points_are_a_staircase_for_each_area():
    known = known_points(np.array([[9, 1, 1], [5, 5, 2], [9, 1, 2], [4, 6, 3], [8, 0, 3]]))
    stairs = {
        int(area): known.stairs_QS2[q, : known.n_steps_Q[q]].tolist() for q, area in enumerate(known.levels_Q.tolist())
    }
    assert stairs[1] == [[9, 1]]
    assert stairs[2] == [[5, 5], [9, 1]]
    assert stairs[3] == [[4, 6], [5, 5], [8, 0]]


@pytest.mark.parametrize("seed", range(10))
def test_four_cores_equal_brute_force(seed):
    rng = np.random.default_rng(4000 + seed)
    table = random_table(rng, 4, [[2, 2], [3], [1, 2]][seed % 3], 1 + seed % 2, 3 + seed % 2)
    points = all_points(table)
    found = pareto_chips(table, no_limits(table))
    assert {tuple(p) for p in found.points_N3.tolist()} == front(points)
    told = found.certificate
    assert told.enumerated == len(chips(table)) == sum(told.pruned.values()) + told.solved
    assert (told.gap, told.n_open) == (0.0, 0)
    for minimise, key in KEYS.items():
        best = best_chip(table, no_limits(table), minimise)
        assert best.point is not None
        assert key_of(best.point, minimise) == min(tuple(p[i] for i in key) for p in points)
        assert best.certificate.enumerated == sum(best.certificate.pruned.values()) + best.certificate.solved
        assert min(best.certificate.pruned.values()) >= 0


def test_time_that_is_up_leaves_chips_open():
    table = random_table(np.random.default_rng(1), 5, [3, 2], 1, 4)
    for told in (
        best_chip(table, no_limits(table), "latency", time_limit_s=-1).certificate,
        pareto_chips(table, no_limits(table), time_limit_s=-1).certificate,
    ):
        assert told.n_open > 0
        assert told.gap is None
        assert told.enumerated == sum(told.pruned.values()) + told.solved + told.n_open

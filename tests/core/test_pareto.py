import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archip.core.candidate import Candidate
from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import (
    binding,
    crowding_distances,
    dominates,
    domination_ranks,
    front,
    hypervolume,
    hypervolume_contributions,
    non_dominated_mask,
)
from archip.core.record import Record, Status

GOALS = Goals((Objective("quality", +1), Objective("energy_j", -1)), (Limit("latency_s", 1.0), Limit("area_mm2", 2.0)))
SMALL = st.integers(1, 5).flatmap(
    lambda m: st.integers(0, 9).flatmap(lambda n: arrays(float, (n, m), elements=st.integers(0, 5).map(float)))
)


def record(quality=0.5, energy=1.0, latency=0.5, area=1.0, status=Status.OK, **dropped):
    metrics = {"quality": quality, "energy_j": energy, "latency_s": latency, "area_mm2": area}
    metrics = {k: v for k, v in metrics.items() if v is not None}
    return Record(Candidate({"t": {"x": str(metrics)}}), metrics, status)


def inclusion_exclusion(losses, reference):
    """Hypervolume by its definition: the union of boxes."""
    total = 0.0
    for size in range(1, len(losses) + 1):
        for chosen in itertools.combinations(losses, size):
            total += (-1) ** (size + 1) * np.prod(np.maximum(reference - np.max(chosen, axis=0), 0.0))
    return total


def sphere(rng, n, m):
    """Points of which none dominates another: the part of the unit sphere about the ideal point that is minimal."""
    x = np.abs(rng.normal(size=(n, m)))
    return 1.0 - x / np.linalg.norm(x, axis=1, keepdims=True)


def test_dominates_needs_one_better_and_none_worse():
    a = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [np.nan, 0.0]])
    b = np.array([[1.0, 3.0], [1.0, 2.0], [0.0, 3.0], [1.0, 1.0]])
    assert dominates(a, b).tolist() == [True, False, False, False]


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("levels", [3, 30, 10**6])
def test_mask_equals_brute_force(n_objectives, levels):
    """600 points go through division and filtering; few levels give many ties and repeated points."""
    losses = np.random.default_rng(levels).integers(0, levels, (600, n_objectives)).astype(float)
    losses[::50, 0] = np.inf
    expected = ~dominates(losses[:, None], losses[None]).any(0)
    assert (non_dominated_mask(losses) == expected).all()


@given(SMALL)
@settings(max_examples=60, deadline=None)
def test_mask_keeps_equal_points_together(losses):
    expected = ~dominates(losses[:, None], losses[None]).any(0)
    assert (non_dominated_mask(losses) == expected).all()


def test_nan_is_never_on_the_front_and_dominates_nothing():
    losses = np.array([[np.nan, 0.0], [1.0, 1.0], [0.0, np.nan], [2.0, 2.0]])
    assert non_dominated_mask(losses).tolist() == [False, True, False, False]
    assert domination_ranks(losses).tolist() == [2, 0, 2, 1]


@pytest.mark.slow
@pytest.mark.parametrize("none_dominated", [False, True])
def test_mask_of_100000_points_takes_seconds(none_dominated):
    rng = np.random.default_rng(0)
    losses = sphere(rng, 100_000, 4) if none_dominated else rng.random((100_000, 4))
    began = time.perf_counter()
    assert non_dominated_mask(losses).all() == none_dominated
    assert time.perf_counter() - began < 10.0  # 2 s on an idle core


def test_ranks_put_feasible_fronts_first_then_violation():
    losses = np.array([[0, 3], [3, 0], [1, 3], [4, 4], [0, 0], [0, 0], [9, 9]], dtype=float)
    violations = np.array([0, 0, 0, 0, 0.5, 0.1, np.inf])
    # front 0: (0,3) (3,0); front 1: (1,3), dominated by (0,3) alone; front 2: (4,4); then 0.1, 0.5, inf
    assert domination_ranks(losses, violations).tolist() == [0, 0, 1, 2, 4, 3, 5]


@pytest.mark.parametrize("n_objectives", [1, 2, 4])
def test_ranks_equal_peeling_by_definition(n_objectives):
    rng = np.random.default_rng(n_objectives)
    losses = rng.integers(0, 8, (120, n_objectives)).astype(float)
    violations = rng.choice([0.0, 0.0, 0.3, 0.7], 120)
    feasible = violations == 0
    better = dominates(losses[:, None], losses[None]) & feasible[:, None] & feasible[None]
    better |= violations[:, None] < violations[None]
    expected, left, rank = np.zeros(120, int), np.ones(120, bool), 0
    while left.any():
        best = left & ~(better & left[:, None]).any(0)
        expected[best], left, rank = rank, left & ~best, rank + 1
    assert (domination_ranks(losses, violations) == expected).all()


def test_crowding_by_hand():
    losses = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 2.0], [10.0, 0.0]])
    # (1,6): (4-0)/10 + (10-2)/10 = 1.2 · (4,2): (10-1)/10 + (6-0)/10 = 1.5
    assert crowding_distances(losses) == pytest.approx([np.inf, 1.2, 1.5, np.inf])


def test_crowding_skips_constant_and_missing_objectives():
    losses = np.array([[0.0, 7.0, np.inf], [1.0, 7.0, 0.0], [4.0, 7.0, np.inf]])
    assert crowding_distances(losses) == pytest.approx([np.inf, 1.0, np.inf])
    assert crowding_distances(np.zeros((0, 2))).shape == (0,)
    assert crowding_distances(np.full((3, 2), np.inf)).tolist() == [0, 0, 0]


def test_hypervolume_by_hand():
    two = np.array([[1.0, 3.0], [2.0, 1.0], [3.0, 3.0], [5.0, 0.0]])  # within (4, 4): 3·1 + 2·3 - 2·1 = 7
    assert hypervolume(two, np.array([4.0, 4.0])) == 7.0
    assert hypervolume_contributions(two, np.array([4.0, 4.0])).tolist() == [1.0, 4.0, 0.0, 0.0]
    three = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])  # three 2·1·1 boxes that share 1·1·1
    assert hypervolume(three, np.full(3, 2.0)) == 4.0
    assert hypervolume(np.zeros((0, 3)), np.ones(3)) == 0.0


@given(SMALL)
@settings(max_examples=150, deadline=None)
def test_hypervolume_equals_inclusion_exclusion(losses):
    reference = np.full(losses.shape[1], 4.0)
    volume = hypervolume(losses, reference)
    assert volume == pytest.approx(inclusion_exclusion(losses, reference))
    without = [inclusion_exclusion(np.delete(losses, i, axis=0), reference) for i in range(len(losses))]
    assert hypervolume_contributions(losses, reference) == pytest.approx(volume - np.array(without))


@pytest.mark.parametrize("n_objectives", [2, 3, 4, 5])
def test_hypervolume_agrees_with_monte_carlo(n_objectives):
    rng = np.random.default_rng(n_objectives)
    losses, shots = sphere(rng, 60, n_objectives), rng.random((20_000, n_objectives))
    share = (losses[None] <= shots[:, None]).all(-1).any(1).mean()
    error = np.sqrt(share * (1 - share) / len(shots))
    assert abs(hypervolume(losses, np.ones(n_objectives)) - share) < 4 * error


def test_hypervolume_agrees_with_pymoo():
    pymoo = pytest.importorskip("pymoo.indicators.hv", reason="pymoo is not installed")
    losses = sphere(np.random.default_rng(0), 80, 4)
    assert hypervolume(losses, np.ones(4)) == pytest.approx(pymoo.HV(ref_point=np.ones(4))(losses))


def test_front_holds_feasible_non_dominated_records():
    best, cheap = record(quality=0.9, energy=2.0), record(quality=0.6, energy=1.0)
    worse, late = record(quality=0.8, energy=2.5), record(quality=1.0, energy=0.1, latency=1.5)
    failed = record(None, None, None, None, status=Status.FAILED)
    found = front([worse, late, best, failed, cheap], GOALS)
    assert list(found) == [best, cheap]
    assert found.losses.tolist() == [[-0.9, 2.0], [-0.6, 1.0]]
    assert (len(front([late, failed], GOALS)), len(front([], GOALS))) == (0, 0)


def test_binding_names_the_limit_that_nothing_keeps():
    near, far = record(latency=1.2, area=2.0), record(latency=3.0, area=2.5)
    failed = record(None, None, None, None, status=Status.FAILED)
    found = binding([far, near, failed], GOALS)
    assert found.limit == Limit("latency_s", 1.0)
    assert found.least_violation == pytest.approx({Limit("latency_s", 1.0): 0.2, Limit("area_mm2", 2.0): 0.0})
    assert found.n_broken == {Limit("latency_s", 1.0): 2, Limit("area_mm2", 2.0): 1}
    assert found.nearest is near


def test_binding_of_limits_that_are_only_kept_apart():
    records = [record(latency=2.0), record(area=3.0), record(area=4.0)]
    assert binding(records, GOALS).limit == Limit("area_mm2", 2.0)


def test_binding_knows_only_what_was_evaluated():
    failed = record(None, None, None, None, status=Status.FAILED)
    nothing = binding([failed], GOALS)
    assert (nothing.limit, nothing.nearest, nothing.least_violation) == (None, None, {})
    pruned = record(quality=None, energy=None, latency=1.5, area=None, status=Status.INFEASIBLE)
    assert binding([pruned], GOALS).least_violation == {Limit("latency_s", 1.0): 0.5}

"""Schedules: what holds for every policy, hand cases of list scheduling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import CandidateError
from archip.hardware.schedule._schedule import Schedule, list_schedule

POLICIES = registry.names("hardware/schedule")


def fixed(cycles_KL, core_L, chain_L):
    """Start of each layer and makespan of a given assignment (chains must stand together)."""
    cycles_LK = np.ascontiguousarray(np.array(cycles_KL, dtype=np.int64).T)
    first_C = np.concatenate(([0], np.cumsum(np.bincount(chain_L))))
    start_L = np.zeros(len(core_L), dtype=np.int64)
    span = list_schedule(cycles_LK, np.array(core_L), first_C, 1 << 60, start_L)
    return start_L.tolist(), span


def test_one_chain_runs_one_after_the_other():
    assert fixed([[3, 5, 2], [4, 4, 4]], [0, 1, 0], [0, 0, 0]) == ([0, 3, 7], 9)


def test_equal_starts_go_to_the_longest_rest():
    # Both chains want core 0 at cycle 0; chain 1 has 2 + 9 cycles left, chain 0 only 4, so chain 1 goes first.
    assert fixed([[4, 2, 0], [0, 0, 9]], [0, 0, 1], [0, 1, 1]) == ([2, 0, 2], 11)


def test_earliest_start_goes_first():
    # Chain 0: core 1 until 1, then core 0 (10 cycles). Chain 1 starts on core 0 at 0 although its rest is shorter.
    assert fixed([[0, 10, 3], [1, 0, 0]], [1, 0, 0], [0, 0, 1]) == ([0, 3, 0], 13)


def test_gives_up_beyond_the_cutoff():
    cycles_LK, first_C, start_L = np.array([[3], [5]]), np.array([0, 1, 2]), np.zeros(2, dtype=np.int64)
    assert list_schedule(cycles_LK, np.zeros(2, dtype=np.int64), first_C, 8, start_L) == 8
    assert list_schedule(cycles_LK, np.zeros(2, dtype=np.int64), first_C, 7, start_L) == 8
    assert list_schedule(cycles_LK, np.zeros(2, dtype=np.int64), first_C, 4, start_L) == 5


def test_list_scheduling_takes_the_core_of_earliest_end():
    policy = registry.create("hardware/schedule", "list_scheduling")
    # Equal layers of two chains on two equal cores: one chain each. The third layer of chain 0 is fast on core 1 only.
    plan = policy.schedule(np.array([[5, 5, 9, 5], [5, 5, 1, 5]]), np.ones((2, 4)), np.array([0, 0, 0, 1]))
    assert plan.start_L.tolist() == [0, 5, 10, 0]
    assert plan.core_L.tolist() == [0, 0, 1, 1]
    assert (plan.makespan, plan.energy_j) == (11, 4.0)


@st.composite
def instances(draw):
    cores, layers = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    chains = draw(st.integers(1, min(3, layers)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    chain_L = rng.permutation(np.concatenate((np.arange(chains), rng.integers(0, chains, layers - chains))))
    cycles_KL = rng.integers(0, 20, (cores, layers))
    cycles_KL[:, rng.random(layers) < 0.3] *= np.where(rng.random((cores, 1)) < 0.5, -1, 1)
    cycles_KL[0] = np.abs(cycles_KL[0])
    return cycles_KL, rng.uniform(1, 9, (cores, layers)), chain_L


@pytest.mark.parametrize("name", POLICIES)
@settings(max_examples=60, deadline=None)
@given(instance=instances(), slack=st.none() | st.floats(0.5, 2.0))
def test_schedules_are_valid(name, instance, slack):
    cycles_KL, energy_KL, chain_L = instance
    limit = None if slack is None else int(slack * np.abs(cycles_KL).min(axis=0).sum())
    plan: Schedule = registry.create("hardware/schedule", name).schedule(cycles_KL, energy_KL, chain_L, limit)
    layers = np.arange(len(chain_L))
    cycles_L = cycles_KL[plan.core_L, layers]
    assert (cycles_L >= 0).all()
    assert (plan.end_L - plan.start_L == cycles_L).all()
    assert plan.energy_j == pytest.approx(energy_KL[plan.core_L, layers].sum())
    assert plan.makespan == plan.end_L.max()
    for groups in (chain_L, plan.core_L):  # nothing overlaps within a chain or on a core
        for group in np.unique(groups):
            rows = layers[groups == group]
            rows = rows[np.lexsort((plan.end_L[rows], plan.start_L[rows]))]
            assert (plan.start_L[rows][1:] >= plan.end_L[rows][:-1]).all()
            assert plan.makespan >= cycles_L[rows].sum()
    for chain in np.unique(chain_L):  # layers of a chain in order
        starts = plan.start_L[chain_L == chain]
        assert (np.diff(starts) >= 0).all()


@pytest.mark.parametrize("name", POLICIES)
def test_one_core_is_the_sum(name):
    cycles_KL = np.array([[3, 4, 5, 6]])
    plan = registry.create("hardware/schedule", name).schedule(cycles_KL, np.ones((1, 4)), np.array([0, 1, 0, 1]), 2)
    assert plan.makespan == 18


@pytest.mark.parametrize("name", POLICIES)
def test_a_layer_that_no_core_can_run_is_named(name):
    with pytest.raises(CandidateError, match="layer 1 can run on no core"):
        registry.create("hardware/schedule", name).schedule(
            np.array([[3, -1], [3, -1]]), np.ones((2, 2)), np.array([1, 0])
        )

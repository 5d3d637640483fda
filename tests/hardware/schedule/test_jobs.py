"""List scheduling by hand: chains, graphs and DRAM contention; orders of layers."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core.errors import UserError
from archip.hardware.schedule._jobs import Dram, list_schedule, make_jobs, start_cycles
from archip.hardware.schedule.list_scheduling import ListScheduling


def jobs_of(cycles_KL, chain_L, predecessors=None, dram=None):
    return make_jobs(np.array(cycles_KL), np.ones(np.shape(cycles_KL)), np.array(chain_L), predecessors, dram)


def fixed(cycles_KL, core_L, chain_L, predecessors=None, dram=None):
    """Start of each layer and makespan of a given assignment, in the caller's order."""
    jobs = jobs_of(cycles_KL, chain_L, predecessors, dram)
    core_L = np.array(core_L)[jobs.order_L]
    start_L = np.zeros(len(core_L), dtype=np.int64)
    span = list_schedule(jobs, core_L, 1 << 60, start_L)
    assert (start_cycles(jobs, core_L) == start_L).all()
    return start_L[np.argsort(jobs.order_L)].tolist(), span


def test_one_chain_runs_one_after_the_other():
    assert fixed([[3, 5, 2], [4, 4, 4]], [0, 1, 0], [0, 0, 0]) == ([0, 3, 7], 9)


def test_equal_starts_go_to_the_longest_rest():
    # Both chains want core 0 at cycle 0; chain 1 has 2 + 9 cycles left, chain 0 only 4, so chain 1 goes first.
    assert fixed([[4, 2, 0], [0, 0, 9]], [0, 0, 1], [0, 1, 1]) == ([2, 0, 2], 11)


def test_earliest_start_goes_first():
    # Chain 0: core 1 until 1, then core 0 (10 cycles). Chain 1 starts on core 0 at 0 although its rest is shorter.
    assert fixed([[0, 10, 3], [1, 0, 0]], [1, 0, 0], [0, 0, 1]) == ([0, 3, 0], 13)


def test_chains_whose_layers_do_not_stand_together():
    assert fixed([[3, 1, 3, 1], [9, 9, 9, 9]], [0, 1, 0, 1], [0, 1, 0, 1]) == ([0, 0, 3, 9], 18)


def test_gives_up_beyond_the_cutoff():
    jobs, cores, start_L = jobs_of([[3, 5]], [0, 1]), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    assert list_schedule(jobs, cores, 8, start_L) == 8
    assert list_schedule(jobs, cores, 7, start_L) == 8
    assert list_schedule(jobs, cores, 4, start_L) == 5


def test_a_fork_and_a_join():
    # 0 → 1, 2 → 3 on two cores: 1 and 2 run side by side, 3 waits for the longer one.
    cores, before = [0, 0, 1, 1], [(), (0,), (0,), (1, 2)]
    assert fixed([[2, 5, 9, 9], [9, 9, 3, 1]], cores, [0, 0, 0, 0], before) == ([0, 2, 2, 7], 8)


def test_the_longest_path_goes_first_not_the_longest_layer():
    # One core: layer 1 is the longest, but layer 0 has 4 cycles of core 1 behind it.
    before = [(), (), (0,)]
    assert fixed([[2, 3, 0], [0, 0, 4]], [0, 0, 1], [0, 1, 0], before) == ([0, 2, 2], 6)


def test_layers_may_be_given_in_any_order():
    assert fixed([[1, 2, 3]], [0, 0, 0], [0, 0, 0], [(2,), (0,), ()]) == ([3, 4, 0], 6)


@pytest.mark.parametrize(
    ("before", "message"),
    [([(), (2,), (1,)], "layers 1, 2 wait for each other"), ([(), (3,), ()], "not of 3 layers"), ([()], "not of 3")],
)
def test_predecessors_that_cannot_be_are_refused(before, message):
    with pytest.raises(UserError, match=message):
        jobs_of([[1, 1, 1]], [0, 0, 0], before)


def test_layers_wait_for_bandwidth():
    # 3, 2 and 2 bytes a cycle of 5: layer 2 waits until layer 0 ends at 4, not for its core.
    dram = Dram(np.array([[12, 12, 4], [12, 12, 4], [12, 12, 4]]), 5.0)
    assert fixed([[4, 6, 2]] * 3, [0, 1, 2], [0, 1, 2], dram=dram) == ([0, 0, 4], 6)


def test_what_was_delayed_does_not_start_in_the_past():
    # Layer 1 (chain 1) needs 6 of 10 and waits for the end of layer 0 (9 of 10) at 5; then layer 2, short of traffic,
    # takes core 0 at 5 too. Layer 1 must not begin at 0, when the last layers begun leave room.
    dram = Dram(np.array([[45, 30, 5], [45, 30, 5]]), 10.0)
    assert fixed([[5, 5, 5], [5, 5, 5]], [0, 1, 0], [0, 1, 0], dram=dram) == ([0, 5, 5], 10)


def test_a_layer_that_needs_more_than_the_bandwidth_takes_as_long_as_its_bytes():
    dram = Dram(np.array([[21, 0], [0, 8]]), 2.0)
    assert fixed([[3, 9], [9, 4]], [0, 1], [0, 1], dram=dram) == ([0, 11], 15)


def test_list_scheduling_takes_the_core_of_earliest_end():
    # Equal layers of two chains on two equal cores: one chain each. The third layer of chain 0 is fast on core 1 only.
    plan = ListScheduling().schedule(np.array([[5, 5, 9, 5], [5, 5, 1, 5]]), np.ones((2, 4)), np.array([0, 0, 0, 1]))
    assert plan.start_L.tolist() == [0, 5, 10, 0]
    assert plan.core_L.tolist() == [0, 0, 1, 1]
    assert (plan.makespan, plan.energy_j, plan.gap) == (11, 4.0, None)


def test_list_scheduling_spreads_the_branches_of_a_graph():
    before = [(), (0,), (0,), (1, 2)]
    plan = ListScheduling().schedule(np.full((2, 4), 5), np.ones((2, 4)), np.zeros(4, dtype=int), predecessors=before)
    assert plan.makespan == 15

"""What every scheduling policy must keep (`hardware/schedule/_schedule.py: Policy`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from archip.core.errors import CandidateError, UserError
from archip.hardware.schedule._schedule import Dram, Policy, flaws

__all__ = ["Instance", "SchedulerContract", "random_instance"]

MakePolicy = Callable[[], Policy]


class Instance(NamedTuple):
    """Something to schedule; arguments as of `Policy.schedule`."""

    cycles_KL: np.ndarray
    energy_KL: np.ndarray
    chain_L: np.ndarray
    predecessors: tuple[tuple[int, ...], ...]
    dram: Dram


def random_instance(seed: int, n_cores: int, n_chains: int, n_layers: int) -> Instance:
    """Layers in any order; the graph's edges go either way; core 0 can run everything; some layers take no time."""
    rng = np.random.default_rng(seed)
    chains = np.concatenate((np.arange(n_chains), rng.integers(0, n_chains, n_layers - n_chains)))
    cycles_KL = rng.integers(0, 20, (n_cores, n_layers))
    cycles_KL[1:][rng.random((n_cores - 1, n_layers)) < 0.2] = -1
    rank_L = rng.permutation(n_layers)
    edge_LL = (rank_L[:, None] > rank_L) & (rng.random((n_layers, n_layers)) < 0.3)
    bytes_KL = rng.integers(0, 60, (n_cores, n_layers)) * (cycles_KL > 0)
    return Instance(
        cycles_KL=cycles_KL,
        energy_KL=rng.uniform(1, 9, (n_cores, n_layers)),
        chain_L=rng.permutation(chains),
        predecessors=tuple(tuple(np.flatnonzero(row).tolist()) for row in edge_LL),
        dram=Dram(bytes_KL, 4.0),
    )


class SchedulerContract:
    """Derive a test class and give it the fixture `make`: a function that makes the policy."""

    @pytest.mark.parametrize("seed", range(12))
    def test_chains_are_valid(self, make: MakePolicy, seed: int):
        case = random_instance(seed, n_cores=1 + seed % 3, n_chains=1 + seed % 2, n_layers=2 + seed % 7)
        args = case.cycles_KL, case.energy_KL, case.chain_L
        for slack in (None, 0.6, 1.3):
            limit = None if slack is None else int(slack * case.cycles_KL.max(axis=0).sum())
            assert flaws(make().schedule(*args, limit), *args) == []

    @pytest.mark.parametrize("seed", range(12))
    def test_graphs_are_valid(self, make: MakePolicy, seed: int):
        case = random_instance(seed, n_cores=1 + seed % 3, n_chains=2, n_layers=2 + seed % 7)
        args = case.cycles_KL, case.energy_KL, case.chain_L
        if not make().takes_graphs:
            with pytest.raises(UserError, match="predecessors"):
                make().schedule(*args, predecessors=case.predecessors)
        else:
            plan = make().schedule(*args, predecessors=case.predecessors)
            assert flaws(plan, *args, case.predecessors) == []

    @pytest.mark.parametrize("seed", range(12))
    def test_dram_is_shared(self, make: MakePolicy, seed: int):
        case = random_instance(seed, n_cores=1 + seed % 3, n_chains=2, n_layers=2 + seed % 7)
        args = case.cycles_KL, case.energy_KL, case.chain_L
        if not make().takes_dram:
            with pytest.raises(UserError, match="DRAM"):
                make().schedule(*args, dram=case.dram)
        else:
            assert flaws(make().schedule(*args, dram=case.dram), *args, dram=case.dram) == []

    def test_dram_without_bounds_changes_nothing(self, make: MakePolicy):
        case = random_instance(7, n_cores=2, n_chains=2, n_layers=8)
        args = case.cycles_KL, case.energy_KL, case.chain_L
        if make().takes_dram:
            wide = make().schedule(*args, dram=Dram(case.dram.bytes_KL, 1e9))
            assert wide.makespan == make().schedule(*args).makespan

    def test_one_core_is_the_sum(self, make: MakePolicy):
        plan = make().schedule(np.array([[3, 4, 5, 6]]), np.ones((1, 4)), np.array([0, 1, 0, 1]), 2)
        assert plan.makespan == 18

    def test_same_question_same_answer(self, make: MakePolicy):
        case = random_instance(3, n_cores=2, n_chains=2, n_layers=8)
        plans = [make().schedule(case.cycles_KL, case.energy_KL, case.chain_L) for _ in range(2)]
        assert plans[0].core_L.tolist() == plans[1].core_L.tolist()
        assert plans[0].start_L.tolist() == plans[1].start_L.tolist()

    def test_never_shorter_than_a_chain_or_half_the_load_of_two_cores(self, make: MakePolicy):
        for seed in range(6):
            case = random_instance(seed, n_cores=2, n_chains=2, n_layers=8)
            plan = make().schedule(case.cycles_KL, case.energy_KL, case.chain_L)
            fastest_L = np.where(case.cycles_KL < 0, 1 << 40, case.cycles_KL).min(axis=0)
            assert plan.makespan >= max(fastest_L.sum() / 2, np.bincount(case.chain_L, fastest_L).max())
            assert plan.gap is None or plan.gap >= 0

    def test_a_layer_that_no_core_can_run_is_named(self, make: MakePolicy):
        with pytest.raises(CandidateError, match="layer 1 can run on no core"):
            make().schedule(np.array([[3, -1], [3, -1]]), np.ones((2, 2)), np.array([1, 0]))

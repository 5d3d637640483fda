"""CP-SAT against every assignment and order of small instances, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.schedule._schedule import flaws
from archip.hardware.schedule.cp_sat import CpSat
from archip.hardware.schedule.hap import Hap
from archip.testing.scheduler import random_instance


def all_schedules(cycles_KL, energy_KL, predecessors, dram=None):
    """(makespan, energy) of all assignments, each with all orders, every layer as early as it can be."""
    n_cores, n_layers = cycles_KL.shape
    orders = [
        order
        for order in itertools.permutations(range(n_layers))
        if all(order.index(j) < order.index(i) for i in range(n_layers) for j in predecessors[i])
    ]
    for cores in itertools.product(range(n_cores), repeat=n_layers):
        cycles = [int(cycles_KL[k, i]) for i, k in enumerate(cores)]
        if min(cycles) >= 0:
            rates = [0.0] * n_layers
            if dram is not None:
                alone = [dram.bytes_KL[k, i] / dram.bytes_per_cycle for i, k in enumerate(cores)]
                cycles = [max(c, math.ceil(a)) for c, a in zip(cycles, alone, strict=True)]
                rates = [math.ceil(1000 * a / max(1, c) - 1e-9) for a, c in zip(alone, cycles, strict=True)]
            energy = sum(energy_KL[k, i] for i, k in enumerate(cores))
            yield min(span(order, cores, cycles, rates, predecessors) for order in orders), energy


def span(order, cores, cycles, rates, predecessors):
    begun = {}
    for i in order:
        earliest = max((begun[j] + cycles[j] for j in predecessors[i]), default=0)
        times = {earliest, *(begun[j] + cycles[j] for j in begun if begun[j] + cycles[j] > earliest)}
        begun[i] = next(t for t in sorted(times) if fits(t, i, begun, cores, cycles, rates))
    return max(begun[i] + cycles[i] for i in order)


def fits(at, i, begun, cores, cycles, rates):
    """Whether layer i can run from `at` on: its core is free, and at each begin within it the rates fit."""
    end = at + cycles[i]
    beside = [j for j in begun if begun[j] < end and at < begun[j] + cycles[j]]
    if any(cores[j] == cores[i] for j in beside):
        return False
    moments = {at, *(begun[j] for j in beside if begun[j] > at)}
    return all(
        rates[i] + sum(rates[j] for j in beside if begun[j] <= t < begun[j] + cycles[j]) <= 1000 for t in moments
    )


def chains(chain_L):
    return [[max(j for j in range(i) if chain_L[j] == chain_L[i])] if c in chain_L[:i] else []
            for i, c in enumerate(chain_L)]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["chains", "graph", "dram"])
def test_the_optimum_of_all_schedules(kind, seed):
    case = random_instance(seed, n_cores=2, n_chains=2, n_layers=5)
    args = case.cycles_KL, case.energy_KL, case.chain_L
    extra = {"graph": {"predecessors": case.predecessors}, "dram": {"dram": case.dram}}.get(kind, {})
    before = extra.get("predecessors", chains(case.chain_L.tolist()))
    everything = list(all_schedules(case.cycles_KL, case.energy_KL, before, extra.get("dram")))

    plan = CpSat().schedule(*args, **extra)
    least = min(everything)
    assert (plan.makespan, plan.energy_j, plan.gap) == (least[0], pytest.approx(least[1]), 0)
    assert flaws(plan, *args, **extra) == []

    limit = int(1.3 * least[0])
    plan = CpSat().schedule(*args, limit, **extra)
    energy, cycles = min((round(e, 6), s) for s, e in everything if s <= limit)
    assert (plan.makespan, plan.energy_j, plan.gap) == (cycles, pytest.approx(energy), 0)
    assert flaws(plan, *args, **extra) == []

    limit_j = 0.5 * least[1] + 0.5 * min(e for _, e in everything)
    plan = CpSat().schedule(*args, limit_energy_j=limit_j, **extra)
    cycles, energy = min((s, e) for s, e in everything if e <= limit_j)
    assert (plan.makespan, plan.energy_j, plan.gap) == (cycles, pytest.approx(energy), 0)


def test_limits_that_cannot_be_kept_give_way():
    cycles_KL, energy_KL = np.array([[2, 2, 2], [4, 4, 4]]), np.array([[5.0, 5, 5], [1.0, 1, 1]])
    late = CpSat().schedule(cycles_KL, energy_KL, np.zeros(3, dtype=int), 5)
    assert (late.makespan, late.energy_j, late.gap) == (6, 15.0, 0)
    costly = CpSat().schedule(cycles_KL, energy_KL, np.zeros(3, dtype=int), limit_energy_j=2.0)
    assert (costly.makespan, costly.energy_j, costly.gap) == (12, 3.0, 0)


def test_where_list_scheduling_is_not_enough():
    """Core 0 idles for the first cycle, so that layer 2 begins at 3; list scheduling starts layer 3 at once."""
    cycles_KL = np.array([[-1, 2, -1, 5], [1, -1, 10, -1]])
    args = cycles_KL, np.ones((2, 4)), np.array([0, 0, 0, 1])
    plan = CpSat().schedule(*args)
    assert (plan.makespan, plan.gap) == (13, 0)
    assert plan.start_L.tolist()[:3] == [0, 1, 3]
    assert Hap().schedule(*args).makespan == 17


def test_no_time_gives_a_valid_schedule_and_an_honest_gap():
    case = random_instance(0, n_cores=3, n_chains=3, n_layers=60)
    args = case.cycles_KL, case.energy_KL, case.chain_L
    plan = CpSat(time_limit_s=1e-3).schedule(*args)
    assert flaws(plan, *args) == []
    assert plan.gap is None or 0 <= plan.gap <= 1
    assert plan.makespan == Hap().schedule(*args).makespan


def test_energies_in_picojoules_are_as_exact_as_in_joules():
    case = random_instance(5, n_cores=2, n_chains=2, n_layers=8)
    limit = int(case.cycles_KL.max(axis=0).sum())
    plans = [CpSat().schedule(case.cycles_KL, case.energy_KL * unit, case.chain_L, limit) for unit in (1.0, 1e-12)]
    assert plans[0].core_L.tolist() == plans[1].core_L.tolist()
    assert plans[1].energy_j == pytest.approx(plans[0].energy_j * 1e-12)


def test_options_are_checked():
    with pytest.raises(UserError, match="greater than 0"):
        registry.create("hardware/schedule", "cp_sat", {"time_limit_s": 0})

"""The adapter to pymoo: what its generations are told, and that its NSGA-II finds what ours finds."""

from functools import cache

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.pareto import front, hypervolume
from archip.core.record import Record, Status
from archip.core.rng import generator
from archip.strategies.pymoo import _MODULES, _SINGLE, Pymoo
from archip.testing.strategy import asks
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

pytest.importorskip("pymoo")
GOALS = Goals((Objective("quality", +1), Objective("latency_s", -1)), (Limit("energy_j", 1.0),))


def started(goals=GOALS, **options):
    strategy = Pymoo(**options)
    strategy.start(ToySpace(), goals)
    return strategy, np.random.default_rng(0)


def told(algorithm):
    """What the algorithm was told of a generation of four: two within the limit, one that breaks it, one that fails."""
    strategy, rng = started(algorithm=algorithm, population=4)
    generation = strategy.ask(4, rng)
    metrics = [{"quality": 0.5, "latency_s": 2.0, "energy_j": 0.5}, {"quality": 0.4, "latency_s": 1.0, "energy_j": 0.9},
               {"latency_s": 1.0, "energy_j": 1.25}, {}]  # fmt: skip
    status = [Status.OK, Status.OK, Status.INFEASIBLE, Status.FAILED]
    strategy.tell([Record(c, m, s) for c, m, s in zip(generation, metrics, status, strict=True)])
    told_of = strategy._individuals
    strategy.ask(1, rng)
    return told_of.get("F"), told_of.get("G")


def test_limits_are_constraints_and_failures_break_them_most():
    losses_NO, violations_N1 = told("NSGA2")
    assert losses_NO.tolist() == [[-0.5, 2.0], [-0.4, 1.0], [-0.4, 2.0], [-0.4, 2.0]]
    assert violations_N1[:, 0].tolist() == pytest.approx([0, 0, 0.25 / 1.25, 10])


def test_an_algorithm_without_constraints_is_told_worse_losses():
    strategy, rng = started(algorithm="MOEAD", population=4)
    (one,) = strategy.ask(1, rng)
    strategy.tell([Record(one, {"quality": 0.5, "latency_s": 2.0, "energy_j": 2.0}, Status.INFEASIBLE)])
    for candidate in strategy.ask(3, rng):
        strategy.tell([Record(candidate, {"quality": 0.4, "latency_s": 1.0, "energy_j": 0.9})])
    told_of = strategy._individuals
    strategy.ask(1, rng)
    assert not strategy._algorithm.problem.has_constraints()
    assert told_of[0].F.tolist() == pytest.approx([-0.4 + 0.5 * 0.4, 2.0 + 0.5 * 2.0])


@pytest.mark.parametrize("name", _MODULES)
def test_every_algorithm_by_name(name):
    goals = Goals(TOY_GOALS.objectives[:1], TOY_GOALS.limits) if name in _SINGLE else TOY_GOALS
    runs = []
    for _ in range(2):
        strategy, _ = started(goals, algorithm=name, population=12)
        asked = []
        for number in range(5):
            batch = strategy.ask(12, generator(0, number))
            strategy.tell([toy_record(c) for c in batch])
            asked += batch
        runs.append(asked)
    assert runs[0] == runs[1]
    assert len({c.id for c in runs[0]}) == 60
    assert strategy._algorithm.n_iter > 2


def test_wrong_names_are_answered():
    with pytest.raises(UserError, match="NSGA2"):
        started(algorithm="NSGA-2")
    with pytest.raises(UserError, match="one objective"):
        started(algorithm="GA")


@cache
def box():
    """Where hypervolumes are taken: between the best losses and those that nine of ten feasible candidates keep."""
    losses = TOY_GOALS.losses([r for r in map(toy_record, ToySpace().enumerate()) if TOY_GOALS.feasible(r)])
    return losses.min(0), np.quantile(losses, 0.9, axis=0)


def volume(name, options, seed):
    low, high = box()
    records = [toy_record(c) for c in asks(registry.create("strategies", name, options), 10, 40, seed)]
    return hypervolume((front(records, TOY_GOALS).losses - low) / (high - low), np.ones(2))


def test_its_nsga2_finds_what_ours_finds():
    """Hypervolume after 400 candidates, mean of five seeds: within 5 % of each other, both above random search."""
    theirs, ours, random = (
        np.mean([volume(name, options, seed) for seed in range(5)])
        for name, options in (("pymoo", {}), ("nsga2", {"population": 40}), ("random_search", None))
    )
    assert theirs == pytest.approx(ours, rel=0.05)
    assert min(theirs, ours) > random

import numpy as np
from _stairs import GOALS, Stairs, at, failed, record

from archip.core.pareto import dominates
from archip.strategies.nsga2 import NSGA2

RNG = np.random.default_rng(0)


def nsga2(**options):
    strategy = NSGA2(**options)
    strategy.start(Stairs(1000), GOALS)
    return strategy


def names(strategy):
    return [r.candidate.net["line"] for r in strategy.living]


def test_survivors_by_rank_then_crowding_by_hand():
    strategy = nsga2(population=5)
    front = [(0, 0.9, 9.0), (1, 0.8, 8.0), (2, 0.7, 4.0), (3, 0.2, 1.0)]  # (name, quality, energy)
    strategy.observe([record(n, q, e) for n, q, e in front])
    # crowding: 1 → (0.9 − 0.7)/0.7 + (9 − 4)/8 = 0.91;  2 → (0.8 − 0.2)/0.7 + (8 − 1)/8 = 1.73;  ends infinite
    assert names(strategy) == [0, 3, 2, 1]
    # 4 is dominated by 2; 5 and 6 break the limit by 10 % and 5 %, however good
    strategy.observe([record(5, 1.0, 0.1, area=1.1), record(6, 1.0, 0.2, area=1.05), record(4, 0.6, 5.0), failed(7)])
    assert names(strategy) == [0, 3, 2, 1, 4]
    strategy.population = 7
    strategy.observe([record(5, 1.0, 0.1, area=1.1), record(6, 1.0, 0.2, area=1.05)])
    assert names(strategy) == [0, 3, 2, 1, 4, 6, 5]


def test_survivors_keep_to_constraint_domination():
    """Nobody dies who constraint-dominates a survivor (definition 1 of the paper, written out here)."""
    rng = np.random.default_rng(2)
    records = [record(i, *rng.integers(1, 6, 2) / 5, area=rng.choice([0.5, 1.2, 1.4])) for i in range(60)]
    strategy = nsga2(population=25)
    strategy.observe(records)
    alive = {r.candidate for r in strategy.living}
    assert len(alive) == 25
    for dead in (r for r in records if r.candidate not in alive):
        for survivor in strategy.living:
            broken, other = GOALS.violation(dead.metrics), GOALS.violation(survivor.metrics)
            loss, its = GOALS.losses([dead, survivor])
            assert not broken < other
            assert not (broken == other == 0 and dominates(loss, its))


def test_the_better_of_two_is_a_parent():
    strategy = nsga2(population=4, crossover=0.0, mutation=0.0)
    strategy.observe([record(0, 0.9, 0.1), record(1, 0.8, 0.2), record(2, 0.7, 0.3), record(3, 0.6, 0.4)])
    share = np.bincount([strategy.child(RNG).net["line"] for _ in range(4000)]) / 4000
    assert np.abs(share - np.array([7, 5, 3, 1]) / 16).max() < 0.03  # chance that the lower of two is i; 4 sigma


def test_crossover_and_mutation_happen_as_often_as_asked():
    strategy = nsga2(population=2, crossover=0.5, mutation=0.25)
    strategy.observe([record(0), record(100)])  # equal: both ends of the front, told in this order
    children = np.array([strategy.child(RNG).net["line"] for _ in range(4000)])
    # the parent is 0 with 3/4, else 100; crossover gives the middle, 50, if the two differ (3/8); mutation adds one
    assert abs((children % 10 == 1).mean() - 0.25) < 0.03
    assert abs((children // 10 == 5).mean() - 0.5 * 3 / 8) < 0.03


def test_any_number_may_be_asked_for_before_results_come():
    strategy = nsga2(population=4)
    first = strategy.ask(10, RNG)
    assert len(first) == 10
    strategy.tell([record(c.net["line"]) for c in first[:3]])
    assert len(strategy.living) == 3
    assert at(first[0].net["line"]) not in strategy.ask(10, RNG)

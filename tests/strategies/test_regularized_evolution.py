import numpy as np
from _stairs import GOALS, Stairs, at, failed, record

from archip.strategies.regularized_evolution import RegularizedEvolution

RNG = np.random.default_rng(0)


def evolution(**options):
    strategy = RegularizedEvolution(**options)
    strategy.start(Stairs(100), GOALS)
    return strategy


def test_the_oldest_dies_not_the_worst():
    strategy = evolution(population=3, tournament=3)
    strategy.observe([record(0, quality=0.9), record(1, quality=0.1), record(2), record(3)])
    strategy.observe([record(4)])
    assert [r.candidate for r in strategy.living] == [at(2), at(3), at(4)]


def test_the_best_of_the_sample_is_the_parent():
    """With a sample of 200 of 4, the best is in it but for a chance of 0.75^200; `mutate` gives its right neighbour."""
    strategy = evolution(population=4, tournament=200)
    told = [record(10, quality=0.4), record(20, quality=0.9, area=3.0), record(30, quality=0.6), record(40)]
    strategy.observe(told)
    assert {strategy.child(RNG) for _ in range(20)} == {at(31)}  # 20 is better but breaks the limit


def test_a_sample_of_one_is_a_random_parent():
    strategy = evolution(population=4, tournament=1)
    strategy.observe([record(x, quality=x / 100) for x in (10, 20, 30, 40)])
    children = [strategy.child(RNG).net["line"] for _ in range(400)]
    assert set(children) == {11, 21, 31, 41}
    assert max(np.bincount(children)) < 140  # 100 each, standard deviation 9


def test_failures_do_not_join_and_the_beginning_is_random():
    strategy = evolution(population=5, tournament=2)
    first = strategy.ask(5, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    assert first == [Stairs(100).sample(rng) for _ in range(5)]
    strategy.tell([failed(c.net["line"]) for c in first])
    assert strategy.living == []
    assert len(strategy.ask(5, RNG)) == 5  # still at random: there is nobody to breed

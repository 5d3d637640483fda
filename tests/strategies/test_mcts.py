"""Tree search: the score by hand, the order of visits, bisection, branches that are used up."""

from math import log, sqrt

import numpy as np
import pytest

from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.spaces.product import ProductSpace
from archip.strategies.mcts import MCTS

GOALS = Goals((Objective("quality", +1),), (Limit("energy_j", 1.0),))


class Knobs(KnobSpace):
    def __init__(self, ordered, **knobs):
        self.knobs = {name: Choice(values, ordered=ordered) for name, values in knobs.items()}


def started(ordered=True, goals=GOALS, **options):
    strategy = MCTS(**options)
    strategy.start(ProductSpace({"net.t": Knobs(ordered, a=(0, 1, 2, 3), b=(0, 1, 2, 3))}), goals)
    return strategy


def told(strategy, candidate, quality):
    strategy.tell([Record(candidate, {"quality": quality, "energy_j": 0.5})])
    return candidate.net["t"]


def search(strategy, n, seed=0):
    """Genotypes asked for, where a counts tenths and b hundredths."""
    rng, genes = np.random.default_rng(seed), []
    for _ in range(n):
        (candidate,) = strategy.ask(1, rng)
        a, b = candidate.net["t"]["a"], candidate.net["t"]["b"]
        genes.append(tuple(told(strategy, candidate, 0.1 * a + 0.01 * b).values()))
    return genes


def test_branches_without_visits_go_first_and_then_the_best_score():
    """Rewards 0, 0.1, 0.2, 0.3 (+ b): after one visit each, UCT of branch 3 is 1 + c sqrt(2 ln 4), the greatest."""
    strategy = started(ordered=False, c=0.3)
    genes = search(strategy, 5)
    assert sorted(a for a, _ in genes[:4]) == [0, 1, 2, 3]
    assert genes[4][0] == 3
    worths = [0.1 * a + 0.01 * b for a, b in genes]
    branch = strategy.root.below[(3,)]
    mean = (worths[[a for a, _ in genes].index(3)] + worths[4] - 2 * min(worths)) / 2 / (max(worths) - min(worths))
    assert strategy.score(branch, 5) == pytest.approx(mean + 0.3 * sqrt(2 * log(5) / 2))


def test_bisection_halves_ordered_knobs_only():
    ordered, plain, names = started(bisect=True), started(bisect=False), started(ordered=False, bisect=True)
    for strategy in (ordered, plain, names):
        search(strategy, 6)
    assert set(ordered.root.below) == {(0, 1), (2, 3)}
    assert set(plain.root.below) == set(names.root.below) == {(0,), (1,), (2,), (3,)}


@pytest.mark.parametrize("bisect", [True, False])
def test_everything_is_asked_for_once_by_the_tree_itself(bisect):
    """Branches that are used up are left alone: sixteen candidates need hardly more proposals."""
    strategy, rng = started(bisect=bisect, c=0.0), np.random.default_rng(0)
    n_proposals, found = 0, set()
    while len(found) < 16:
        n_proposals += 1
        candidate = strategy.propose(rng)
        if candidate.id not in strategy.asked:
            strategy.asked.add(candidate.id)
            strategy.pending[candidate.id] = candidate
            found.add(tuple(told(strategy, candidate, 0.5).values()))
    assert n_proposals < 48
    for _ in range(48):
        strategy.propose(rng)
    assert strategy.root.is_exhausted


def test_what_breaks_a_limit_is_worth_nothing_and_what_is_out_counts_as_a_visit():
    strategy, rng = started(ordered=False), np.random.default_rng(0)
    one, two, three = strategy.ask(3, rng)
    told(strategy, one, 0.2)
    told(strategy, two, 0.6)
    strategy.tell([Record(three, {"energy_j": 2.0}, Status.INFEASIBLE)])
    branch = strategy.root.below[(three.net["t"]["a"],)]
    assert strategy.score(branch, 3) == pytest.approx(0.3 * sqrt(2 * log(3)))
    strategy.ask(1, rng)
    assert strategy.root.n_visits == 4
    assert strategy.root.n_good == 2

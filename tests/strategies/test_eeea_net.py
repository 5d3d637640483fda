"""EEEA-Net: the population before any child, and inversion."""

import numpy as np

from archip.core.candidate import Candidate
from archip.core.knobs import IntRange, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.spaces.product import ProductSpace
from archip.strategies.eeea_net import EEEANet, inverted

GOALS = Goals((Objective("quality", +1), Objective("params", -1)), (Limit("params", 12.0),))


class Row(KnobSpace):
    @property
    def knobs(self):
        return {name: IntRange(0, 9) for name in "abcd"}


SPACE = ProductSpace({"net.t": Row()})


def judged(candidate):
    genes = candidate.net["t"]
    params = float(sum(genes.values()))
    if params > 12:
        return Record(candidate, {"params": params}, Status.INFEASIBLE)
    return Record(candidate, {"params": params, "quality": genes["a"] / 10})


def test_children_come_only_after_a_whole_population_within_the_limit_and_none_beyond_it_lives():
    strategy, rng = EEEANet(population=12), np.random.default_rng(0)
    strategy.start(SPACE, GOALS)
    n_asked = 0
    while len(strategy.living) < 12:  # a random row keeps the limit about one time in seven
        strategy.tell([judged(c) for c in strategy.ask(1, rng)])
        n_asked += 1
    assert n_asked > 24
    for _ in range(100):
        strategy.tell([judged(c) for c in strategy.ask(1, rng)])
        assert len(strategy.living) == 12
        assert all(r.metrics["params"] <= 12 for r in strategy.living)
    assert max(r.metrics["quality"] for r in strategy.living) > 0.7


def test_inversion_turns_a_run_of_genes_round():
    start = Candidate({"t": {"a": 1, "b": 2, "c": 3, "d": 4}})
    runs = [[1, 2, 3, 4][:i] + [1, 2, 3, 4][i:j][::-1] + [1, 2, 3, 4][j:] for i in range(5) for j in range(i, 5)]
    seen = {tuple(inverted(SPACE, start, np.random.default_rng(k)).net["t"].values()) for k in range(200)}
    assert seen == set(map(tuple, runs))

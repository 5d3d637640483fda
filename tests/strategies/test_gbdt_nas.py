"""Pruning: the value of a gene that always costs leaves the space, and is not asked for again."""

from functools import cached_property

import numpy as np

from archip.core.candidate import Candidate
from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.core.rng import generator
from archip.spaces.product import ProductSpace
from archip.strategies.gbdt_nas import GbdtNas

GOALS = Goals((Objective.of("quality"),))


class Genes(KnobSpace):
    @cached_property
    def knobs(self):
        return {f"g{i}": Choice(("bad", "fair", "good"), ordered=False) for i in range(6)}


def told(candidate: Candidate) -> Record:
    genes = candidate.net["toy"]
    return Record(candidate, {"quality": 0.5 - 0.1 * (genes["g0"] == "bad") + 0.01 * (genes["g1"] == "good")})


def search(n_asks, **options):
    strategy = GbdtNas(initial=40, batch=10, **options)
    strategy.start(ProductSpace({"net.toy": Genes()}), GOALS)
    asked = []
    for number in range(n_asks):
        batch = strategy.ask(10, generator(0, "ask", number))
        strategy.tell([told(c) for c in batch])
        asked.append(batch)
    return strategy, asked


def test_the_worst_value_leaves_first_and_is_not_asked_for_again():
    strategy, asked = search(5)
    assert strategy.pruned() == {"net.toy/g0": ["bad"]}
    assert all(c.net["toy"]["g0"] != "bad" for c in asked[4])


def test_two_values_of_every_gene_stay():
    strategy, _ = search(10, prune=5, pool=200)
    assert strategy.pruned()
    assert all(len(values) == 1 for values in strategy.pruned().values())


def test_nothing_leaves_where_pruning_is_off():
    strategy, asked = search(8, prune=0)
    assert strategy.pruned() == {}
    assert np.mean([told(c).metrics["quality"] for c in asked[-1]]) > 0.5

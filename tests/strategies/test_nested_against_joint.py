"""Does the exact chip pay? Nested against joint and random search at equal numbers of evaluated networks, on the toy.

60 networks of 780, each with as many chips as the strategy tries before it goes on to others; ten seeds. Written down
before the first run: nested's share of the exact hypervolume (quality, latency, within the energy) is above that of
joint on the mean and for 8 of 10 seeds at least, and so is joint's above that of random search, on the mean alone.
"""

import numpy as np

from archip.core import registry
from archip.core.pareto import front, hypervolume
from archip.core.rng import generator
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

SEEDS, NETWORKS = range(10), 60
OPTIONS = {
    "nested": {"outer": {"nsga2": {"population": 20}}},
    "joint": {"search": {"nsga2": {"population": 20}}},
}


def _optimum():
    losses = front([toy_record(c) for c in ToySpace().enumerate()], TOY_GOALS).losses
    feasible = TOY_GOALS.losses([r for c in ToySpace().enumerate() if TOY_GOALS.feasible(r := toy_record(c))])
    low, high = losses.min(0), np.quantile(feasible, 0.9, axis=0)
    return low, high, hypervolume((losses - low) / (high - low), np.ones(2))


def _share(name, seed, optimum):
    """Of the exact hypervolume, by the records up to the last that belongs to the first NETWORKS networks."""
    low, high, whole = optimum
    strategy = registry.create("strategies", name, OPTIONS.get(name))
    strategy.start(ToySpace(), TOY_GOALS)
    records, networks, number = [], set(), 0
    while len(networks) < NETWORKS:
        batch = [toy_record(c) for c in strategy.ask(10, generator(seed, number))]
        strategy.tell(batch)
        number += 1
        for record in batch:
            if len(networks) < NETWORKS:
                networks.add(str(record.candidate.net))
                records.append(record)
    return hypervolume((front(records, TOY_GOALS).losses - low) / (high - low), np.ones(2)) / whole


def test_nested_dominates_more_than_joint_and_joint_more_than_random_search():
    optimum = _optimum()
    shares = {
        name: np.array([_share(name, s, optimum) for s in SEEDS]) for name in ("nested", "joint", "random_search")
    }
    assert shares["nested"].max() <= 1 + 1e-12
    assert shares["nested"].mean() > shares["joint"].mean()
    assert (shares["nested"] > shares["joint"]).sum() >= 8
    assert shares["joint"].mean() > shares["random_search"].mean()

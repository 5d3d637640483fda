"""HAO with bits of every layer beside the networks, on an FPGA that is divided anew for each of them."""

import numpy as np

from archip.core import registry
from archip.core.pareto import non_dominated_mask
from archip.core.problem import Problem
from archip.core.record import Record
from archip.core.rng import generator
from archip.search.setup import prepare

PROBLEM = {
    "name": "bits",
    "tasks": {"a": {"data": "digits", "net": {"resnet9": {"stem": [4], "filters": [8], "skips": [0], "blocks": 2}}}},
    "target": {"device": {"fpga": {"dsps": 12}}},
    "compress": {"weight_bits": [4, 8], "activation_bits": [4, 8]},
    "objectives": ["quality", "latency"],
    "strategy": "hao",
    "evaluator": "supernet",
}


def test_bits_are_proposed_where_they_pay(tmp_path):
    """Quality grows with every bit, by layers unlike: what is asked for after learning is on the front, or nearly."""
    setup = prepare(Problem.from_dict(PROBLEM), tmp_path)
    space, goals = setup.space, setup.problem.goals
    every = list(space.enumerate())
    costs = dict(zip([c.id for c in every], space.screen(every), strict=True))
    worth = dict(zip(space.knobs, np.random.default_rng(0).uniform(0.2, 1, len(space.knobs)), strict=True))

    def judged(candidate):
        bits = candidate.parts["compress.a"]
        quality = sum(worth[f"compress.a/{name}"] * (width == 8) for name, width in bits.items()) / 10
        return Record(candidate, {**costs[candidate.id], "quality": quality})

    assert len({c["latency_cycles"] for c in costs.values()}) > 3
    strategy = registry.create("strategies", "hao", {"learnt": 24, "pool": len(every)})
    strategy.start(space, goals)
    learnt = [judged(c) for c in strategy.ask(24, generator(0))]
    strategy.tell(learnt)
    records = [judged(c) for c in every]
    losses = np.array([[-r.metrics["quality"], r.metrics["latency_cycles"]] for r in records])
    best = {r.candidate.id for r, on in zip(records, non_dominated_mask(losses), strict=True) if on}
    left = best - {r.candidate.id for r in learnt}
    asked = {c.id for c in strategy.ask(2 * len(left), generator(1))}
    assert len(left) >= 3
    assert len(left & asked) >= 0.7 * len(left)

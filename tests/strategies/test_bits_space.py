"""Strategies on networks with bits, whose genes follow the network: what they ask for is canonical and new."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.spaces.compression import Compression
from archip.spaces.product import ProductSpace
from archip.spaces.resnet9 import ResNet9

NET = ResNet9(stem=(4, 8), filters=(8, 16), skips=(0, 1), blocks=2)
GOALS = Goals((Objective.of("quality"), Objective.of("flash_bytes")))
STRATEGIES = {
    "nsga2": {"population": 10},
    "linas": {"population": 10, "predicted": 50},
    "regularized_evolution": {"population": 10},
    "local_search": {},
    "reinforce": {},
    "ppo": {},
    "mcts": {},
    "smbo": {},
    "predictor_guided": {},
    "eeea_net": {},
}


def product():
    of = Compression.of(NET, lambda genotype: NET.graph(genotype, (1, 8, 8), 10), (2, 4, 8), (8,))
    return ProductSpace({"net.a": NET, "compress.a": of})


def record(candidate):
    """Bits and filters are good, and cost something."""
    bits = [v for k, v in candidate.compress["a"].items() if k.endswith("weight_bits")]
    size = candidate.net["a"]["fn1"] + candidate.net["a"]["fn2"]
    return Record(candidate, {"quality": 1 - 1 / size - 0.1 / np.mean(bits), "flash_bytes": float(size * sum(bits))})


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_asked_for_has_the_genes_of_its_network(name):
    space, seen = product(), set()
    strategy = registry.create("strategies", name, STRATEGIES[name])
    strategy.start(space, GOALS)
    for number in range(4):
        asked = strategy.ask(10, np.random.default_rng(number))
        assert all(space.canonical(candidate) == candidate for candidate in asked)
        assert not seen & {candidate.id for candidate in asked}
        seen |= {candidate.id for candidate in asked}
        strategy.tell([record(candidate) for candidate in asked])
    assert len(seen) == 40


def test_sharing_between_tasks_does_not_reach_bits():
    strategy = registry.create("strategies", "fbnet_v5")
    with pytest.raises(UserError, match="not their bits"):
        strategy.start(product(), GOALS)

"""Block paths: what is settled stays, values come equally often, and all paths are all paths."""

from __future__ import annotations

from collections import Counter

import numpy as np

from archip.core import registry
from archip.nets.block_paths import BlockPaths
from archip.spaces.hytra import Hytra
from archip.spaces.resnet9 import ResNet9

SPACE = ResNet9(stem=(4, 8), filters=(2, 4, 8, 16), skips=(0, 1), blocks=2)
GENES = [("fn0", "fn1", "sk1"), ("fn2", "sk2")]
SETTLED = {"fn0": 8, "fn1": 16, "sk1": 1}


def test_drawn_paths_have_each_value_equally_often_behind_the_settled_ones():
    paths, rng = BlockPaths(SPACE, GENES), np.random.default_rng(0)
    drawn = paths.draw(SETTLED, 1, 4, rng)
    assert Counter(genotype["fn2"] for genotype in drawn) == {2: 1, 4: 1, 8: 1, 16: 1}
    assert Counter(genotype["sk2"] for genotype in drawn) == {0: 2, 1: 2}
    assert all(genotype.items() >= SETTLED.items() for genotype in drawn)
    assert len({tuple(g["fn2"] for g in paths.draw(SETTLED, 1, 4, rng)) for _ in range(20)}) > 5


def test_the_population_is_every_path_once_or_so_many_as_wanted():
    paths, rng = BlockPaths(SPACE, GENES), np.random.default_rng(0)
    found = [paths.name(genotype, 1) for genotype in paths.population(SETTLED, 1, 8, rng)]
    assert sorted(found) == sorted({paths.name(genotype, 1) for genotype in SPACE.enumerate()})
    few = [paths.name(genotype, 0) for genotype in paths.population({}, 0, 5, rng)]
    assert 2 <= len(few) == len(set(few)) <= 5


def test_genes_that_a_network_lacks_behind_the_settled_ones_have_their_first_value():
    space = Hytra(layers=3, scales=2, attention_from=1)
    paths = BlockPaths(space, [("down1", "op1"), ("down2", "op2", "down3", "op3")])
    settled = {"down1": 1, "op1": "attention"}
    own = space.canonical({"down1": 0, "down2": 0, "down3": 0})
    assert paths.joined(settled, own, 1) == {**settled, "op2": "conv", "op3": "conv"}
    others = paths.population(settled, 1, 100, np.random.default_rng(0))
    assert len(others) == 4  # the map cannot be halved any more


def test_constraints_of_the_space_are_kept():
    space = registry.create("spaces", "conv1d", {"depths": [1, 2], "widths": [4, 8]})
    names = list(space.knobs)
    paths, rng = BlockPaths(space, [names[:2], names[2:]]), np.random.default_rng(0)
    for genotype in [*paths.draw({}, 0, 4, rng), *paths.population({}, 0, 3, rng)]:
        assert space.canonical(genotype) == genotype

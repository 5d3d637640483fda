"""Few-shot: operations that pull apart are split apart, children begin with equal weights, and cuts are the best."""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.core.knobs import Choice, KnobSpace  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rule import Scene  # noqa: E402
from archip.train.rules.few_shot import FewShot, cut  # noqa: E402

FACTORS = {"a": 1.0, "b": -1.0, "a2": 1.05, "b2": -0.95}


class Operations(KnobSpace):
    @cached_property
    def knobs(self):
        return {"width": Choice((1, 2)), "op": Choice(tuple(FACTORS), ordered=False)}


class Opposed(nn.Module):
    """Operations on shared weights of which two pairs want opposite signs; the width changes nothing."""

    def __init__(self, seed):
        super().__init__()
        self.about, self.space = {}, Operations()
        self.largest = self.smallest = {"width": 2, "op": "a"}
        self.w = nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)))

    def forward(self, x, genotype):
        return FACTORS[genotype["op"]] * x @ self.w


def scene(module, seed):
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(seed))
    y = x[:, :3].argmax(1)

    def some(rng, n):
        rows = rng.choice(len(x), n)
        return x[rows], y[rows]

    return Scene(module, 1, 10, some, nn.functional.cross_entropy, "classification", float, lambda: None)


@pytest.mark.parametrize("seed", range(10))
def test_operations_that_disagree_are_split_apart(seed):
    rule = FewShot(splits=(0.5,), samples=4)
    sets = rule.network(lambda _: Opposed(seed))
    rule.start(scene(sets, seed))
    rule.epoch_ended(3, np.random.default_rng(seed))
    assert sets.used == [0]
    rule.epoch_ended(4, np.random.default_rng(seed))
    assert {frozenset(sets.values(i)["op"]) for i in sets.used} == {frozenset(("a", "a2")), frozenset(("b", "b2"))}
    assert sets.values(0)["width"] == [1, 2]


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_the_cut_is_the_best_of_all_balanced_ones(n):
    distances = np.random.default_rng(n).random((n, n))
    distances = distances + distances.T
    score, group = cut(distances)
    others = [[i for i in range(n) if i not in side] for side in itertools.combinations(range(n), n // 2)]
    every = [
        np.mean([distances[i, j] for i in side for j in other])
        for side, other in zip(itertools.combinations(range(n), n // 2), others, strict=True)
    ]
    assert len(group) == n // 2
    assert score == pytest.approx(max(every))


def test_many_values_are_cut_along_their_blocks():
    same = np.arange(20) % 2
    score, group = cut((same[:, None] != same[None]).astype(float))
    assert score == 1
    assert len({same[i] for i in group}) == 1


def test_children_begin_with_equal_weights_and_averages_and_then_part(images):
    space = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=1)
    rule = FewShot(splits=(0.3, 0.6), samples=2)
    sets = rule.network(lambda i: SuperNet(space, images.input_shape, 2, i))
    seen = []
    split = sets.split

    def watched(number, gene, values, child):
        seen.append((number, child))
        assert all(
            a.equal(b) for a, b in zip(sets.nets[number].parameters(), sets.nets[child].parameters(), strict=True)
        )
        split(number, gene, values, child)

    sets.split = watched
    fit(sets, images, Recipe(epochs=4, keep="last", batch=24), 0, rule=rule)
    assert seen == [(0, 1), (0, 2), (1, 3)]
    assert sets.used == [0, 1, 2, 3]
    owners = [sets.owner(genotype) for genotype in space.enumerate()]
    assert sorted(set(owners)) == [0, 1, 2, 3]
    classifiers = [sets.nets[i].get_parameter("classifier.weight") for i in range(4)]
    assert all(not a.equal(b) for a, b in itertools.combinations(classifiers, 2))


def test_a_single_supernet_is_refused(images):
    net = SuperNet(ResNet9(), images.input_shape, 2, 0)
    with pytest.raises(UserError, match="several weight sets"):
        fit(net, images, Recipe(epochs=1, keep="last"), 0, rule=FewShot())

"""NEAS: what a value is worth by hand, that the space shrinks where it should, and that draws stay inside."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rules.neas import Neas, value_worths  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=1)


def test_a_value_is_worth_its_accuracy_and_how_much_it_disagrees():
    drawn = [{"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 1}]
    accuracy = np.array([0.5, 0.7, 0.9])
    distance = np.array([[0.0, 0.1, 0.3], [0.1, 0.0, 0.4], [0.3, 0.4, 0.0]])
    allowed = {"a": [1, 2, 3], "b": [0, 1]}
    worths = value_worths(drawn, allowed, accuracy, distance, 2.0)
    assert worths == {
        ("a", 1): pytest.approx(0.6 + 2 * 0.35),
        ("a", 2): pytest.approx(0.9 + 2 * 0.35),
        ("b", 0): pytest.approx(0.5 + 2 * 0.2),
        ("b", 1): pytest.approx(0.8 + 2 * 0.2),
    }
    assert value_worths(drawn, {"a": [1], "b": [0, 1]}, accuracy, distance, 0.0).keys() == {("b", 0), ("b", 1)}


def test_the_space_shrinks_round_by_round_and_every_gene_keeps_a_value(images):
    rule = Neas(rounds=4, drop=2, judged=8)
    net = SuperNet(SPACE, images.input_shape, 2, 0)
    fit(net, images, Recipe(epochs=4, keep="last"), 0, rule=rule)
    assert sum(len(v) for v in rule.allowed.values()) < 6
    assert all(rule.allowed.values())
    rng = np.random.default_rng(0)
    drawn = [rule.draw(rng) for _ in range(30)]
    assert all(value in rule.allowed[name] for genotype in drawn for name, value in genotype.items())
    state = rule.state()
    other = Neas(rounds=4, drop=2, judged=8)
    other.shared = rule.shared
    other.restore(state)
    assert other.allowed == rule.allowed


def test_no_rounds_are_uniform_paths(images):
    rule = Neas(rounds=0)
    fit(SuperNet(SPACE, images.input_shape, 2, 0), images, Recipe(epochs=2, keep="last"), 0, rule=rule)
    assert {name: len(values) for name, values in rule.allowed.items()} == {"fn0": 2, "fn1": 2, "sk1": 2}

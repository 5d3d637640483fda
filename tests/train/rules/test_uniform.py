"""Uniform paths: gradients of the networks that were drawn, averaged; no network stands for all."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rule import Step  # noqa: E402
from archip.train.rules.uniform import Uniform  # noqa: E402


class Coin:
    """A space of two genotypes."""

    def sample(self, rng):
        return int(rng.integers(2))


class Either(nn.Module):
    """One of two linear layers, by genotype."""

    space, largest, smallest = Coin(), 1, 0

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 2) for _ in range(2))

    def forward(self, x, genotype):
        return self.layers[genotype](x.flatten(1))


@pytest.mark.parametrize("n_paths", [1, 5])
def test_gradients_are_the_mean_over_the_drawn_networks(n_paths):
    module, x, y = Either(), torch.randn(8, 64), torch.arange(8) % 2
    loss = nn.functional.cross_entropy
    rule = Uniform(n_paths)
    rule.shared = module
    shown = rule.backward(Step(module, x, y, loss, np.random.default_rng(3)))
    found = [p.grad for p in module.parameters()]
    rng = np.random.default_rng(3)
    drawn = [Coin().sample(rng) for _ in range(n_paths)]
    module.zero_grad()
    expected = sum(loss(module(x, g), y) for g in drawn) / n_paths
    expected.backward()
    assert shown.item() == pytest.approx(expected.item(), rel=1e-5)
    for a, parameter in zip(found, module.parameters(), strict=True):
        assert (a is None) == (parameter.grad is None)
        assert a is None or torch.allclose(a, parameter.grad, atol=1e-7)


def test_a_supernet_is_trained_without_validation(images):
    result = fit(Either(), images, Recipe(epochs=2, keep="last"), 0, rule=Uniform())
    assert result.metrics == {}
    assert [set(entry) for entry in result.history] == [{"loss"}] * 2


def test_the_best_epoch_of_a_supernet_is_not_defined(images):
    with pytest.raises(UserError, match="keep: last"):
        fit(Either(), images, Recipe(epochs=2), 0, rule=Uniform())


def test_options_tell_rules_apart():
    assert repr(Uniform()) == repr(Uniform()) != repr(Uniform(2))

"""ShiftNAS: the generator meets budgets, bins that are not trained gain, and all of it comes back."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.testing.elastic import scene_of, step_of  # noqa: E402
from archip.train.rules.shift_nas import ShiftNas  # noqa: E402

SPACE = ResNet9(stem=(4, 8, 16), filters=(8, 16, 24, 32), skips=(0, 1, 2), blocks=2)


@pytest.fixture(scope="module")
def generator():
    rule = ShiftNas()
    rule.start(scene_of(SuperNet(SPACE, (1, 8, 8), 3, 0)))
    rng = np.random.default_rng(0)
    for _ in range(150):
        loss = rule.generator.loss(rng)
        rule.adam.zero_grad()
        loss.backward()
        rule.adam.step()
    return rule.generator


def test_the_fitted_cost_is_the_cost(generator):
    rng = np.random.default_rng(9)
    genotypes = [SPACE.sample(rng) for _ in range(50)]
    codes = SPACE.codes(genotypes)
    hot = np.concatenate([np.eye(n)[codes[:, i]] for i, n in enumerate(generator.sizes)], 1)
    found = generator.cost(torch.from_numpy(hot).float()).numpy() * generator.high
    exact = np.array([generator.shared.cost(g) for g in genotypes])
    assert np.abs(found / exact - 1).max() < 0.05


def test_the_generator_meets_budgets(generator):
    rng = np.random.default_rng(1)
    low, high = generator.low, generator.high
    targets = rng.uniform(low + 0.05 * (high - low), 0.95 * high, 50)
    errors = [abs(generator.shared.cost(generator.draw(t, rng)[0]) / t - 1) for t in targets]
    assert np.mean(errors) < 0.03


class Bins(nn.Module):
    """A network for each of eight costs; the first is left as it is, the others fit their targets."""

    space = None
    smallest, largest = 0, 7

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.full((1,), float(i == 0))) for i in range(8))

    def forward(self, x, genotype):
        return self.weights[genotype] * x


def test_a_bin_that_is_not_trained_gains():
    net, rule = Bins(), ShiftNas()
    rule.scene, rule.shared = scene_of(net), net
    rule.logits, rule.losses, rule.norms = (torch.zeros(8) for _ in range(3))
    rule.bounds = np.arange(9.0)

    class Nearest:
        def draw(self, target, rng):
            return int(target), None

    rule.generator = Nearest()
    step = step_of(net, 0.5)
    step = type(step)(net, step.x, step.y, lambda outputs, y: outputs.square().mean(), step.rng, 0.5)
    before = rule.probabilities[0]
    for _ in range(10):
        rule.shift(step)
    assert rule.probabilities[0] > 1.5 * before
    assert rule.probabilities.sum() == pytest.approx(1)
    assert all(p.grad is None for p in net.parameters())

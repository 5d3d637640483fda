"""Balanced mixture: equal shares for all sets, networks in the set where they score, and the published table."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rules.balanced_mixture import BalancedMixture, balance, softmax  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=1)


@pytest.mark.parametrize("seed", range(3))
def test_all_sets_are_equally_likely(seed):
    logits_NM = 100 * np.random.default_rng(seed).random((36, 4))
    assert np.ptp(softmax(logits_NM).mean(0)) > 0.05  # of themselves they are not
    balanced_NM = softmax(logits_NM + balance(logits_NM))
    assert np.ptp(balanced_NM.mean(0)) < 1e-2


def test_one_number_a_set_is_the_same_as_round_after_round():
    chances_NM = softmax(5 * np.random.default_rng(0).random((9, 3)))
    expected = chances_NM.copy()
    while np.sum((m := expected.mean(0)) * np.log(m * 3)) >= 1e-4:
        expected = expected / m
        expected = expected / expected.sum(1, keepdims=True)
    found = softmax(np.log(chances_NM) + balance(np.log(chances_NM)))
    assert np.allclose(found, expected, atol=1e-12)


def test_a_step_trains_one_set_and_scores_it(images):
    rule = BalancedMixture(sets=3)
    sets = rule.network(lambda i: SuperNet(SPACE, images.input_shape, 2, i))
    before = {name: p.clone() for name, p in sets.named_parameters()}
    fit(sets, images, Recipe(epochs=1, keep="last", batch=1000, ema=0.0), 0, rule=rule)
    changed = {name.split(".")[1] for name, p in sets.named_parameters() if not p.equal(before[name])}
    assert len(changed) >= 1
    assert bool(((sets.scores >= 0) & (sets.scores <= 1)).all())
    owners = [sets.owner(g) for g in sets.networks]
    assert owners == sets.scores.argmax(1).tolist()


def test_a_single_supernet_is_refused(images):
    with pytest.raises(UserError, match="several weight sets"):
        fit(SuperNet(SPACE, images.input_shape, 2, 0), images, Recipe(epochs=1, keep="last"), 0, rule=BalancedMixture())

"""MLP: interactions, the ranking loss by hand, outliers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archip.core import registry
from archip.predictors._agreement import kendall


def fitted(X_NF, y_N, **options):
    return registry.create("predictors", "mlp", options).fit(X_NF, y_N)


def test_a_product_of_features_is_learnt_which_a_line_cannot_say():
    rng = np.random.default_rng(0)
    X_NF, X_MF = rng.uniform(-1, 1, (200, 3)), rng.uniform(-1, 1, (300, 3))
    y_N, y_M = X_NF[:, 0] * X_NF[:, 1], X_MF[:, 0] * X_MF[:, 1]
    assert kendall(fitted(X_NF, y_N).predict(X_MF)[0], y_M) > 0.8
    assert kendall(registry.create("predictors", "ridge").fit(X_NF, y_N).predict(X_MF)[0], y_M) < 0.3


def test_the_ranking_loss_by_hand():
    mlp = registry.create("predictors", "mlp", {"members": 2, "margin": 0.1})
    f_EN = torch.tensor([[0.0, 0.05, 1.0], [0.0, 0.0, 0.0]])
    t_N, drawn_EN = torch.tensor([2.0, 1.0, 3.0]), torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]])
    # member 0: pairs (0, 1) lacks 0.1 + 0.05, (2, 0) and (2, 1) nothing; member 1: the pair (0, 1) counts twice
    assert float(mlp._ranking(f_EN, t_N, drawn_EN)) == pytest.approx(0.15 / 3 + 0.1)


def test_the_ranking_loss_orders_better_where_outliers_rule_the_squares():
    found = {}
    for rank in (0.0, 10.0):
        taus = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            X_NF, X_MF = rng.normal(size=(60, 5)), rng.normal(size=(200, 5))
            good_N, good_M = X_NF @ np.arange(5), X_MF @ np.arange(5)
            y_N = good_N - 200 * (rng.random(60) < 0.05)
            taus.append(kendall(fitted(X_NF, y_N, rank=rank, steps=150, seed=seed).predict(X_MF)[0], good_M))
        found[rank] = np.mean(taus)
    assert found[10.0] > found[0.0] + 0.05


def test_beyond_what_was_seen_it_does_not_run_away():
    rng = np.random.default_rng(1)
    X_NF = rng.normal(size=(40, 2))
    mlp = fitted(X_NF, X_NF.sum(1), steps=100)
    assert np.array_equal(mlp.predict(np.full((1, 2), 1e3))[0], mlp.predict(np.full((1, 2), 1e9))[0])

"""The choice by cross-validation: what is chosen, and whether the error that is stated is the one that is met."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archip.core import registry
from archip.core.errors import UserError
from archip.predictors._agreement import Agreement, agreement, interval
from archip.predictors.cross_validated import _judged

LINE_OR_STEPS = ("ridge", {"boosted_trees": {"members": 2, "trees": 40}})


def chosen(X_NF, y_N, **options):
    return registry.create("predictors", "cross_validated", options).fit(X_NF, y_N)


def test_agreement_against_hand_counts_and_scipy():
    observed_N = np.array([1.0, 2.0, 4.0, 8.0, 8.0])
    found = agreement(observed_N * [1.0, 1.04, 0.91, 1.2, 0.5], observed_N)
    assert (found.within_5, found.within_10, found.relative) == (2 / 5, 3 / 5, pytest.approx(0.09))
    rng = np.random.default_rng(0)
    a_N, b_N = rng.normal(size=4000), np.zeros(4000)
    b_N += a_N + rng.normal(size=4000)
    assert agreement(a_N, b_N).kendall == pytest.approx(stats.kendalltau(a_N, b_N)[0])
    assert agreement(a_N, b_N).spearman == pytest.approx(stats.spearmanr(a_N, b_N)[0], abs=1e-3)


def test_spearman_of_few_samples_is_on_average_that_of_many():
    rng = np.random.default_rng(1)
    pairs = rng.multivariate_normal([0, 0], [[1, 0.95], [0.95, 1]], size=(3000, 12))
    population = 6 / np.pi * np.arcsin(0.95 / 2)  # of a normal pair, Pearson 1907
    ours = np.mean([agreement(*p.T).spearman for p in pairs])
    plain = np.mean([stats.spearmanr(*p.T)[0] for p in pairs])
    assert abs(ours - population) < 0.004 < population - plain


def test_an_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    truth = Agreement(6 / np.pi * np.arcsin(0.9 / 2), 2 / np.pi * np.arcsin(0.9), 0, 0, 0)
    held = []
    for _ in range(80):
        a_N, b_N = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=30).T
        low, high = interval(a_N, b_N, agreement(a_N, b_N))
        held.append((low.spearman <= truth.spearman <= high.spearman, low.kendall <= truth.kendall <= high.kendall))
    assert (np.mean(held, axis=0) > 0.88).all()
    assert (np.mean(held, axis=0) < 1).all()


def test_linear_for_a_line_and_trees_for_steps():
    rng = np.random.default_rng(0)
    X_NF = rng.uniform(1, 9, (60, 3))
    line = chosen(X_NF, X_NF @ [1.0, 2.0, 3.0] + 1, candidates=LINE_OR_STEPS)
    assert type(line.chosen).__name__ == "Ridge"
    corners = 1 + 10.0 * ((X_NF[:, 0] > 5) ^ (X_NF[:, 1] > 5)) + 0.05 * rng.normal(size=60)
    assert type(chosen(X_NF, corners, candidates=LINE_OR_STEPS).chosen).__name__ == "BoostedTrees"


def test_the_prefix_without_noise_is_preferred():
    rng = np.random.default_rng(0)
    X_NF = np.hstack([rng.integers(0, 5, (40, 3)), rng.normal(size=(40, 30))])
    y_N = X_NF[:, :3] @ [1.0, 2.0, 4.0] + 3 + 0.5 * rng.normal(size=40)
    fitted = chosen(X_NF, y_N, candidates=("ridge",), prefixes=(3, 33))
    assert fitted.state["width"] == 3
    assert set(fitted.error.candidates) == {"ridge, 3 features", "ridge, 33 features"}


def test_the_best_of_many_that_know_nothing_is_not_believed():
    """Sixteen candidates that guess: the best looks good, and the correction takes that off."""
    naive, corrected = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        guesses_CN, y_N = 10 + rng.normal(size=(16, 50)), 10 + rng.normal(size=50)
        best, error = _judged([str(c) for c in range(16)], guesses_CN, y_N, seed)
        naive.append(error.candidates[str(best)].kendall)
        corrected.append(error.expected.kendall)
    assert np.mean(naive) > 0.08
    assert abs(np.mean(corrected)) < np.mean(naive) / 2  # the truth is 0


def test_a_candidate_that_cannot_learn_is_left_out():
    rng = np.random.default_rng(0)
    X_NF = rng.normal(size=(20, 2))
    fitted = chosen(X_NF, X_NF @ [1.0, 2.0], candidates=("additive", "ridge"))
    assert list(fitted.error.candidates) == ["ridge, 2 features"]
    with pytest.raises(UserError, match="no candidate"):
        chosen(X_NF, X_NF @ [1.0, 2.0], candidates=("additive",))
    with pytest.raises(UserError, match="too few"):
        chosen(X_NF[:3], np.arange(3.0))
    with pytest.raises(UserError, match="ridge"):
        registry.create("predictors", "cross_validated", {"candidates": ["rigde"]})

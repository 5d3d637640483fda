"""Ensemble selection: whom it selects, by hand, and the mean and variance of the mixture."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.predictors.ensemble_selection import _selected


def test_two_that_err_differently_are_both_selected_and_the_third_is_not():
    y_N = np.arange(6.0)
    one_N, other_N = y_N + np.eye(6)[0] * 1.5, y_N - np.eye(6)[5] * 1.5  # each has one pair wrong
    assert _selected(np.array([one_N, other_N, -y_N]), y_N, 2).tolist() == [1, 1, 0]
    assert _selected(np.array([-y_N, y_N]), y_N, 5).tolist() == [0, 5]


def test_mean_and_variance_are_those_of_the_mixture():
    rng = np.random.default_rng(0)
    X_NF = rng.uniform(-1, 1, (40, 2))
    both = registry.create("predictors", "ensemble_selection", {"candidates": ["ridge", "gp"], "rounds": 4})
    both.fit(X_NF, np.sin(3 * X_NF[:, 0]) + X_NF[:, 1])
    both.members = [registry.create("predictors", n).fit(X_NF, X_NF.sum(1)) for n in ("ridge", "gp")]
    both._weights_E, both._scale = np.array([0.25, 0.75]), 1.0
    (a_M, s_M), (b_M, t_M) = (member.predict(X_NF) for member in both.members)
    mean_M, std_M = both.predict(X_NF)
    assert mean_M == pytest.approx(0.25 * a_M + 0.75 * b_M)
    second_M = 0.25 * (s_M**2 + a_M**2) + 0.75 * (t_M**2 + b_M**2)
    assert std_M**2 == pytest.approx(second_M - mean_M**2, abs=1e-9)


def test_no_candidate_or_none_that_can_learn():
    with pytest.raises(UserError, match="no predictor"):
        registry.create("predictors", "ensemble_selection", {"candidates": []})
    only_positive = registry.create("predictors", "ensemble_selection", {"candidates": ["additive"]})
    with pytest.raises(UserError, match="no candidate"):
        only_positive.fit(np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0))

"""Near best: the weights by hand, and what they do with few and with many samples."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.predictors._agreement import kendall
from archip.predictors.near_best import NearBest, _parts


def test_parts_of_samples_have_kendalls_tau_as_their_mean():
    rng = np.random.default_rng(0)
    y_N, held_out_CN = rng.normal(size=30), rng.normal(size=(3, 30))
    assert _parts(held_out_CN, y_N).mean(1) == pytest.approx([kendall(row_N, y_N) for row_N in held_out_CN])


def test_weights_by_hand():
    # four samples; the second candidate swaps the last two, which costs each of them 2/3 of its part
    y_N = np.arange(4.0)
    held_out_CN = np.array([y_N, [0, 1, 3, 2]])
    behind_N = np.array([0, 0, 2 / 3, 2 / 3])
    errors = behind_N.mean() / (2 * behind_N.std() / 2)
    weight = np.exp(-0.5 * errors**2)
    assert NearBest(width=1.0).weights(held_out_CN, y_N) == pytest.approx(np.array([1, weight]) / (1 + weight))


def test_the_standard_error_is_that_of_repeated_draws():
    """Of the difference of two taus, against its spread over 400 draws of 60 samples."""
    rng = np.random.default_rng(1)
    differences, errors = [], []
    for _ in range(400):
        y_N = rng.normal(size=60)
        one, other = (_parts((y_N + scale * rng.normal(size=60))[None], y_N)[0] for scale in (0.5, 0.8))
        differences.append((one - other).mean())
        errors.append(2 * (one - other).std() / 60**0.5)
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.15)


def test_few_samples_average_and_many_choose():
    rng = np.random.default_rng(2)
    least = {}
    for n in (20, 1000):
        y_N = rng.normal(size=n)
        held_out_CN = np.array([y_N + 0.7 * rng.normal(size=n), y_N + 1.1 * rng.normal(size=n)])
        least[n] = NearBest().weights(held_out_CN, y_N).min()
    assert least[20] > 0.1
    assert least[1000] == 0


def test_it_fits_only_whom_it_needs():
    rng = np.random.default_rng(3)
    X_NF = rng.normal(size=(150, 3))
    mean = registry.create("predictors", "near_best", {"candidates": ["ridge", "boosted_trees"]})
    mean.fit(X_NF, X_NF @ [3.0, 1.0, 2.0] + 0.01 * rng.normal(size=150))
    assert len(mean.members) == 1
    assert mean._weights_E.tolist() == [1]

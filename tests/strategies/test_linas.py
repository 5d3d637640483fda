"""LINAS on the toy problem: predictors that lead NSGA-II find more of the front than NSGA-II alone."""

import numpy as np
import pytest

from archip.core import registry
from archip.core.pareto import hypervolume
from archip.core.rng import generator
from archip.strategies.linas import _Stack
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record


def test_the_stack_is_the_mean_of_ridge_and_support_vectors():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(60, 5)), np.array([3.0, -2.0, 0.0, 1.0, 0.5])
    y = 7 + X @ w
    stack = _Stack(X[:40], y[:40], is_log=False)
    predicted = stack.predict(X[40:])
    halves = [
        stack._mean + stack._unit * half for half in (stack._ridge.predict(X[40:])[0], stack._vectors.predict(X[40:]))
    ]
    np.testing.assert_allclose(predicted, (halves[0] + halves[1]) / 2)
    np.testing.assert_allclose(halves[0], y[40:], atol=0.01)  # ridge knows a linear function
    assert np.corrcoef(predicted, y[40:])[0, 1] > 0.95


def test_costs_are_learnt_as_products():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3))
    y = np.exp(X @ np.array([2.0, -1.0, 0.5]))
    error = {
        is_log: np.abs(np.log(np.maximum(_Stack(X[:40], y[:40], is_log).predict(X[40:]), 1e-3) / y[40:])).mean()
        for is_log in (True, False)
    }
    assert error[True] < 0.5 * error[False]


@pytest.mark.slow
def test_finds_more_hypervolume_than_nsga2():
    """120 of 16,380 candidates; written before the first run, in which LINAS learnt plain costs and tied."""
    shares = {name: [_hypervolume(name, seed) for seed in range(4)] for name in ("linas", "nsga2")}
    assert np.mean(shares["linas"]) > np.mean(shares["nsga2"])


def _hypervolume(name, seed):
    strategy = registry.create("strategies", name, {"population": 20})
    strategy.start(ToySpace(), TOY_GOALS)
    found = []
    for number in range(6):
        found += [toy_record(c) for c in strategy.ask(20, generator(seed, "ask", number))]
        strategy.tell(found[-20:])
    losses = TOY_GOALS.losses([r for r in found if TOY_GOALS.feasible(r)])
    return hypervolume((losses + np.array([1.0, 0.0])) / np.array([0.5, 1e-5]), np.ones(2))

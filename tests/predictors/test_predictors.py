"""Every predictor: learns what it can express, knows its uncertainty, and survives JSON bit by bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from archip.core import registry
from archip.core.errors import UserError
from archip.predictors._predictor import Predictor, Scaling, from_json
from archip.predictors.gp import _loss

NAMES = registry.names("predictors")
OPTIONS = {
    "cross_validated": {"candidates": ["ridge", "gp"], "folds": 5},
    "ensemble_selection": {"candidates": ["ridge", "gp"]},
    "gnn": {"kinds": 4, "hidden": 16, "layers": 1},
    "gennape": {"contrast": 60, "clusters": 2},
}
COARSE = {
    "gennape": 2.0,
    "boosted_trees": 0.9,
    "gnn": 0.65,
    "mlp": 0.65,
    "normal_scores": 1.1,
}  # these cannot express a sum of costs exactly


def make(name: str):
    return registry.create("predictors", name, OPTIONS.get(name))


def samples(n: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of four things, each with its cost, one free; the constant is 5."""
    rng = np.random.default_rng(seed)
    X_NF = rng.integers(0, 7, (n, 4)).astype(float)
    return X_NF, X_NF @ [3.0, 0.0, 1.0, 0.5] + 5 + noise * rng.normal(size=n)


TRAINED = {"gnn", "gennape"}  # many fits of them take minutes


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in TRAINED else n for n in NAMES])
def test_it_learns_a_sum_of_costs_and_its_uncertainty_is_right(name):
    X_NF, y_N = samples(150, noise=0.5)
    X_MF, y_M = samples(400, noise=0.5, seed=1)
    mean_M, std_M = make(name).fit(X_NF, y_N).predict(X_MF)
    assert mean_M.shape == std_M.shape == (400,)
    assert np.sqrt(((mean_M - y_M) ** 2).mean()) < COARSE.get(name, 0.6)
    assert 0.8 < np.sqrt((((mean_M - y_M) / std_M) ** 2).mean()) < 1.25


@pytest.mark.parametrize("name", NAMES)
def test_json_brings_it_back_bit_by_bit(name):
    X_NF, y_N = samples(40, noise=0.3)
    fitted = make(name).fit(X_NF, y_N)
    back = from_json(json.loads(json.dumps(fitted.to_json())))
    assert type(back) is type(fitted)
    for one, other in zip(fitted.predict(X_NF[:7]), back.predict(X_NF[:7]), strict=True):
        assert np.array_equal(one, other)
    assert back.to_json() == fitted.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_deterministic_and_forgets_what_it_learned_before(name):
    X_NF, y_N = samples(30, noise=0.3)
    fresh = make(name).fit(X_NF, y_N)
    used = make(name).fit(*samples(30, noise=0.3, seed=5)).fit(X_NF, y_N)
    assert fresh.to_json() == used.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_constant_features_and_one_answer_do_no_harm(name):
    X_NF, y_N = samples(12, noise=0.1)
    X_NF[:, 1] = 4.0
    assert np.isfinite(make(name).fit(X_NF, y_N).predict(X_NF)).all()
    mean_N, std_N = make(name).fit(X_NF, np.full(12, 3.0)).predict(X_NF)
    assert mean_N == pytest.approx(np.full(12, 3.0))
    assert (std_N >= 0).all()


def test_what_is_no_predictor_is_refused():
    X_NF, y_N = samples(12, noise=0.1)
    value = registry.create("predictors", "ridge").fit(X_NF, y_N).to_json()
    for broken in ({**value, "predictor": "rigde"}, {**value, "state": {}}, {"state": {}}):
        with pytest.raises(UserError):
            from_json(broken)


def test_ridge_solves_the_normal_equations_and_its_residuals_are_those_of_leaving_out():
    X_NF, y_N = samples(20, noise=1.0)
    ridge = registry.create("predictors", "ridge", {"penalties": (1e-2, 1e-2, 1)}).fit(X_NF, y_N)

    def solved(X_NF, y_N, scaling, at_MF):  # penalty per sample, intercept free
        Z_NF, mean = scaling(X_NF), y_N.mean()
        centre_F = Z_NF.mean(0)
        A_FF = (Z_NF - centre_F).T @ (Z_NF - centre_F) + 1e-2 * 20 * np.eye(4)
        return mean + (scaling(at_MF) - centre_F) @ np.linalg.solve(A_FF, (Z_NF - centre_F).T @ (y_N - mean))

    scaling = Scaling.of(X_NF)
    assert ridge.predict(X_NF)[0] == pytest.approx(solved(X_NF, y_N, scaling, X_NF))
    left_out = [
        y_N[i] - solved(np.delete(X_NF, i, 0), np.delete(y_N, i), scaling, X_NF[i : i + 1])[0] for i in range(20)
    ]
    far = 1e6 * np.ones((1, 4))
    assert ridge.predict(far)[1][0] > 1e3 * ridge.predict(X_NF)[1].max()
    assert ridge.state["sigma"] == pytest.approx(np.sqrt(np.mean(np.square(left_out))), rel=1e-9)


def test_additive_finds_the_unit_costs_and_never_turns_negative():
    X_NF, y_N = samples(30, noise=0.0)
    weights_G = registry.create("predictors", "additive").fit(X_NF, y_N).state["weights_G"]
    assert weights_G == pytest.approx([3, 0, 1, 0.5, 5], abs=1e-9)
    noisy = registry.create("predictors", "additive").fit(X_NF, y_N + np.random.default_rng(0).normal(size=30))
    assert (noisy.state["weights_G"] >= 0).all()
    with pytest.raises(UserError, match="positive"):
        registry.create("predictors", "additive").fit(X_NF, y_N - 20)


def test_trees_say_what_scikit_learn_says():
    X_NF, y_N = samples(60, noise=0.3)
    X_NF += np.random.default_rng(3).normal(size=X_NF.shape)
    ours = registry.create("predictors", "boosted_trees", {"members": 2, "trees": 20}).fit(X_NF, y_N)
    rng, each = np.random.default_rng(0), []
    for member in range(2):
        rows = rng.integers(60, size=60)
        model = GradientBoostingRegressor(n_estimators=20, subsample=0.8, init="zero", random_state=member)
        each.append(model.fit(X_NF[rows], y_N[rows] - y_N.mean()).predict(X_NF) + y_N.mean())
    assert ours.predict(X_NF)[0] == pytest.approx(np.mean(each, axis=0))


def test_the_process_agrees_with_scikit_learn_at_the_same_kernel():
    X_NF, y_N = samples(25, noise=0.3)
    ours = registry.create("predictors", "gp").fit(X_NF, y_N)
    trend, noise, amplitude = np.exp(ours.state["log_P"][:3])
    kernel = ConstantKernel(trend, "fixed") * DotProduct(0.0, "fixed") + WhiteKernel(noise + 1e-8, "fixed")
    kernel += ConstantKernel(amplitude, "fixed") * Matern(np.exp(ours.state["log_P"][3:]), "fixed", nu=2.5)
    scaling, unit = Scaling.of(X_NF), y_N.std()
    theirs = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    theirs.fit(scaling(X_NF), (y_N - y_N.mean()) / unit)
    X_MF, _ = samples(9, noise=0.3, seed=2)
    mean_M, std_M = theirs.predict(scaling(X_MF), return_std=True)
    assert ours.predict(X_MF)[0] == pytest.approx(y_N.mean() + unit * mean_M, rel=1e-6)
    assert ours.predict(X_MF)[1] == pytest.approx(unit * std_M, rel=1e-4)


def test_the_gradient_of_the_posterior_is_its_slope():
    X_NF, y_N = samples(15, noise=0.3)
    Z_NF, t_N = Scaling.of(X_NF)(X_NF), (y_N - y_N.mean()) / y_N.std()
    squares_FNN = (Z_NF.T[:, :, None] - Z_NF.T[:, None, :]) ** 2
    middle_P, spread_P = np.zeros(7), np.ones(7)
    log_P = np.random.default_rng(0).normal(size=7)
    _, gradient_P = _loss(log_P, Z_NF, squares_FNN, t_N, middle_P, spread_P)
    for p, step in enumerate(1e-6 * np.eye(7)):
        rest = (Z_NF, squares_FNN, t_N, middle_P, spread_P)
        slope = (_loss(log_P + step, *rest)[0] - _loss(log_P - step, *rest)[0]) / 2e-6
        assert gradient_P[p] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_the_interface_is_that_of_the_base():
    assert all(issubclass(registry.find("predictors", name), Predictor) for name in NAMES)

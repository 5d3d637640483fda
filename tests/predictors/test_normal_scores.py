"""Normal scores: the way there and back by hand, and what a change of unit may not change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from archip.core import registry
from archip.core.errors import UserError
from archip.predictors._agreement import kendall
from archip.spaces.tabular import Tabular


def fitted(X_NF, y_N, predictor="ridge"):
    return registry.create("predictors", "normal_scores", {"predictor": predictor}).fit(X_NF, y_N)


def test_scores_of_three_answers_and_of_ties():
    scored = fitted(np.arange(3.0)[:, None], np.array([10.0, 40.0, 20.0]))
    high = norm.ppf((3 - 3 / 8) / 3.25)  # Blom 1958
    assert scored.state["scores_K"] == pytest.approx([-high, 0, high])
    assert scored.state["answers_K"].tolist() == [10, 20, 40]
    halfway = scored._answers(np.array([high / 2, -high / 2, 2 * high, -2 * high]))
    assert halfway == pytest.approx([30, 15, 60, 0])  # beyond: 20 more for each `high`, or 10 less
    tied = fitted(np.arange(4.0)[:, None], np.array([1.0, 1.0, 2.0, 3.0]))
    assert tied.state["scores_K"][0] == pytest.approx(norm.ppf((1.5 - 3 / 8) / 4.25))


def test_the_order_depends_on_the_order_of_the_answers_only():
    rng = np.random.default_rng(0)
    X_NF, X_MF = rng.normal(size=(50, 3)), rng.normal(size=(80, 3))
    y_N = X_NF @ [1.0, 2.0, 3.0] + 0.3 * rng.normal(size=50)
    plain_M, bent_M = fitted(X_NF, y_N).predict(X_MF)[0], fitted(X_NF, np.exp(y_N)).predict(X_MF)[0]
    assert np.array_equal(np.argsort(plain_M), np.argsort(bent_M))


def test_one_failure_does_not_turn_the_order():
    rng = np.random.default_rng(0)
    X_NF, X_MF = rng.normal(size=(40, 4)), rng.normal(size=(200, 4))
    truth = np.array([1.0, 0.5, 0.2, 0.1])
    y_N = X_NF @ truth
    y_N[:2] -= 100
    ridge = registry.create("predictors", "ridge").fit(X_NF, y_N)
    assert kendall(fitted(X_NF, y_N).predict(X_MF)[0], X_MF @ truth) > 0.75
    assert kendall(ridge.predict(X_MF)[0], X_MF @ truth) < 0.5


@pytest.mark.parametrize("answer", ["line", "corners"])
def test_as_it_is_it_orders_as_well_as_the_best_of_three(answer):
    rng = np.random.default_rng(3)
    X_NF = rng.uniform(-1, 1, (360, 5))
    truth_N = X_NF @ [3.0, 2, 1, 1, 1] if answer == "line" else np.sign(X_NF[:, 0] * X_NF[:, 1]) + 0.5 * X_NF[:, 2]
    y_N = np.exp(truth_N + 0.05 * rng.normal(size=360))
    made = {"as it is": registry.create("predictors", "normal_scores")}
    made |= {
        name: registry.create("predictors", "normal_scores", {"predictor": name})
        for name in ("ridge", "gp", "boosted_trees")
    }
    tau = {k: kendall(p.fit(X_NF[:60], y_N[:60]).predict(X_NF[60:])[0], truth_N[60:]) for k, p in made.items()}
    chosen = tau.pop("as it is")
    assert max(tau.values()) - min(tau.values()) > 0.1  # it does matter which
    assert chosen > max(tau.values()) - 0.02


def test_an_unknown_predictor_is_refused_at_once():
    with pytest.raises(UserError, match="ridge"):
        registry.create("predictors", "normal_scores", {"predictor": "rigde"})


def test_on_nas_bench_201_fifty_labels_are_enough_for_a_tau_of_two_thirds(shared_data):
    space = Tabular("nb201", str(shared_data))
    genotypes = list(space.enumerate())
    accuracy_N = space.rows.metric("cifar10_valid_200.accuracy")[[space.row(g) for g in genotypes]]
    X_NF = np.hstack([space.statistics(genotypes), space.encode(genotypes)])
    taus = []
    for seed in range(2000, 2004):
        order = np.random.default_rng(seed).permutation(len(accuracy_N))
        model = registry.create("predictors", "normal_scores").fit(X_NF[order[:50]], accuracy_N[order[:50]])
        taus.append(kendall(model.predict(X_NF[order[50:1050]])[0], accuracy_N[order[50:1050]]))
    assert np.mean(taus) > 0.66

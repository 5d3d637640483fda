"""Surrogate search: n-grams by hand, the ridge against scikit-learn's, and that it learns what genes do together."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from archip.core.candidate import Candidate
from archip.core.knobs import Choice, IntRange, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.core.record import Record
from archip.spaces.product import ProductSpace
from archip.strategies.smbo import SMBO


class Knobs(KnobSpace):
    """c is there where b is 1 only."""

    @property
    def knobs(self):
        return {"a": IntRange(0, 15), "b": Choice((0, 1)), "c": Choice((0, 1, 2))}

    def is_active(self, name, genes):
        return name != "c" or genes["b"] == 1


def started(**options):
    strategy = SMBO(**options)
    strategy.start(ProductSpace({"net.t": Knobs()}), Goals((Objective("quality", +1),)))
    return strategy


def test_features_are_the_values_and_the_pairs_that_follow_each_other():
    strategy = started()
    rows = strategy._features([Candidate({"t": {"a": 5, "b": 1, "c": 2}}), Candidate({"t": {"a": 15, "b": 0}})])
    a, b, c, ab, bc = 0, 8, 10, 13, 29  # where each block begins: 8 ranges, 2, 3, 8 x 2, 2 x 3
    assert rows.shape == (2, 36)
    assert np.flatnonzero(rows[0]).tolist() == [a + 2, b + 1, c + 2, ab + 2 * 2 + 1, bc + 1 * 3 + 2, 35]
    assert np.flatnonzero(rows[1]).tolist() == [a + 7, b + 0, ab + 7 * 2 + 0, 35]


def test_the_weights_are_those_of_a_ridge_regression():
    strategy, rng = started(penalty=2.0), np.random.default_rng(0)
    candidates = strategy.ask(30, rng)
    qualities = rng.random(30)
    for part in (slice(0, 7), slice(7, 30)):
        pairs = zip(candidates[part], qualities[part], strict=True)
        strategy.tell([Record(c, {"quality": float(q)}) for c, q in pairs])
    X = strategy._features(candidates)
    other = Ridge(alpha=2.0).fit(X[:, :-1], qualities)
    assert X @ strategy._weights() == pytest.approx(other.predict(X[:, :-1]), abs=1e-5)


def test_it_finds_the_pair_that_is_worth_most():
    """Only b and c together are worth anything; after a sixth of the space all proposals of the model have them."""
    strategy, rng = started(initial=20, explore=0.0), np.random.default_rng(0)
    worth = lambda genes: float(genes.get("c") == 0) + 0.01 * genes["a"]  # noqa: E731
    for _ in range(10):
        strategy.tell([Record(c, {"quality": worth(c.net["t"])}) for c in strategy.ask(2, rng)])
    asked = strategy.ask(5, rng)
    assert all(c.net["t"].get("c") == 0 for c in asked)

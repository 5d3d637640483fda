"""Features and orders of guided search by hand, and predictors that lead."""

import numpy as np
import pytest
from _stairs import GOALS, Stairs, failed, record

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.rng import generator
from archip.strategies._predictor_guided import Features, normal_scores, worth_order, worth_scores
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

ONE = Goals(GOALS.objectives[:1], GOALS.limits)


def test_normal_scores_are_quantiles_of_places():
    np.testing.assert_allclose(normal_scores(np.array([3.0, -1e9, 5.0])), [0.0, -0.9674, 0.9674], atol=1e-4)


def test_one_objective_is_ordered_by_limit_then_loss():
    records = [record(0, quality=0.2), record(1, quality=0.9, area=2.0), failed(2), record(3, quality=0.7)]
    assert worth_order(records, ONE, 4).tolist() == [3, 0, 1, 2]
    assert worth_order(records, ONE, 2).tolist() == [3, 0]
    assert np.argsort(-worth_scores(records, ONE)).tolist() == [3, 0, 1, 2]


def test_several_objectives_are_ordered_by_domination_then_crowding():
    """0, 1, 3 are the front, 1 lies between the others; 2 is dominated by 1."""
    records = [record(0, 0.9, 5.0), record(1, 0.8, 4.0), record(2, 0.7, 4.5), record(3, 0.1, 1.0)]
    order = worth_order(records, GOALS, 4).tolist()
    assert sorted(order[:2]) == [0, 3]
    assert order[2:] == [1, 2]


def test_features_have_mean_0_and_squares_that_sum_to_1_a_group():
    space, rng = ToySpace(), np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(300)]
    (genes,) = Features(space, sample)(sample)  # no structure beyond the genes, no statistics: one group
    np.testing.assert_allclose(genes.mean(0), 0, atol=1e-12)
    assert (genes**2).sum(1).mean() == pytest.approx(1.0)


def test_statistics_are_normal_scores_of_the_reference():
    class Space(ToySpace):
        def statistics(self, candidates):
            return np.array([[toy_record(c).metrics["energy_j"]] for c in candidates])

    space, rng = Space(), np.random.default_rng(0)
    sample = [space.sample(rng) for _ in range(301)]
    _, statistics = Features(space, sample)(sample)
    energies = space.statistics(sample)[:, 0]
    assert abs(statistics[np.argsort(energies)[150], 0]) < 0.02  # the median
    assert (np.diff(statistics[np.argsort(energies), 0]) >= 0).all()


def test_spaces_without_features_are_refused():
    with pytest.raises(UserError, match="no features"):
        registry.create("strategies", "predictor_guided").start(Stairs(5), GOALS)


def test_unknown_predictors_and_options_are_refused_at_the_start():
    strategy = registry.create("strategies", "predictor_guided", {"predictor": "rigde"})
    with pytest.raises(UserError, match="ridge"):
        strategy.start(ToySpace(), TOY_GOALS)


@pytest.mark.parametrize("predictor", ["ridge", "gp"])
def test_halves_the_regret_of_random_search(predictor):
    """100 of 16,380 candidates; written before the first run."""
    goals = Goals(TOY_GOALS.objectives[:1], TOY_GOALS.limits)
    regrets = []
    for plug in (("predictor_guided", {"predictor": predictor, "batch": 10}), ("random_search", None)):
        regrets.append(np.mean([0.9 - _best(plug, goals, seed) for seed in range(3)]))
    assert regrets[0] < regrets[1]


def _best(plug, goals, seed):
    strategy = registry.create("strategies", *plug)
    strategy.start(ToySpace(), goals)
    found = []
    for number in range(10):
        found += [toy_record(c) for c in strategy.ask(10, generator(seed, "ask", number))]
        strategy.tell(found[-10:])
    return max(r.metrics["quality"] for r in found if goals.feasible(r))

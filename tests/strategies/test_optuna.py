"""The adapter to Optuna: what its trials are told, and which samplers it takes."""

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.strategies.optuna import Optuna
from archip.testing.strategy import asks
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record

optuna = pytest.importorskip("optuna")
GOALS = Goals((Objective("quality", +1), Objective("latency_s", -1)), (Limit("energy_j", 1.0),))


def started(**options):
    strategy = Optuna(**{"sampler": "RandomSampler", **options})
    strategy.start(ToySpace(), GOALS)
    return strategy, np.random.default_rng(0)


def test_trials_are_told_losses_violations_and_failures():
    strategy, rng = started()
    one, two, three, four = strategy.ask(4, rng)
    strategy.tell(
        [
            Record(one, {"quality": 0.5, "latency_s": 2.0, "energy_j": 0.5}),
            Record(two, {"quality": 0.4, "latency_s": 1.0, "energy_j": 0.9}),
            Record(three, {"latency_s": 1.0, "energy_j": 1.25}, Status.INFEASIBLE),
            Record(four, {}, Status.FAILED, "does not build"),
        ]
    )
    trials = strategy._study.get_trials()
    worst = [-0.4 + 0.25 * 0.4, 2.0 + 0.25 * 2.0]  # of either objective, worse by a quarter of its size
    assert trials[0].values == [-0.5, 2.0]
    assert trials[1].values == [-0.4, 1.0]
    assert trials[2].values == pytest.approx(worst)
    assert trials[3].state.name == "FAIL"


def test_the_genes_are_what_the_trial_suggested():
    strategy, rng = started()
    space = ToySpace()
    for candidate in strategy.ask(20, rng):
        codes = dict(zip(space.knobs, space.codes([candidate])[0].tolist(), strict=True))
        suggested = strategy._trials[candidate.id].params
        assert suggested == {name: code for name, code in codes.items() if code >= 0}


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler", "NSGAIIISampler", "QMCSampler", "RandomSampler"])
def test_samplers_by_name(sampler):
    first, again = (asks(registry.create("strategies", "optuna", {"sampler": sampler}), 3, 8) for _ in range(2))
    assert first == again
    assert len({c.id for c in first}) == 24


def test_an_unknown_sampler_is_named_with_the_nearest():
    with pytest.raises(UserError, match="TPESampler"):
        started(sampler="TPESample")


@pytest.mark.parametrize("sampler", ["BaseSampler", "BaseGASampler", "BruteForceSampler", "GridSampler"])
def test_samplers_that_cannot_be_made_by_their_name_are_refused(sampler):
    with pytest.raises(UserError, match=f"no sampler '{sampler}'"):
        started(sampler=sampler)


def test_a_sampler_for_one_objective_is_refused_with_two():
    strategy, rng = started(sampler="CmaEsSampler")
    with pytest.raises(UserError, match="CmaEsSampler cannot be used here"):
        strategy.ask(1, rng)


@pytest.mark.slow
def test_tpe_finds_more_than_random_search():
    """Best quality within the limit after 60 candidates, of three seeds."""
    means = []
    for name, options in (("optuna", None), ("random_search", None)):
        found = []
        for seed in range(3):
            records = [toy_record(c) for c in asks(registry.create("strategies", name, options), 6, 10, seed)]
            found.append(max(r.metrics["quality"] for r in records if TOY_GOALS.feasible(r)))
        means.append(np.mean(found))
    assert means[0] > means[1]

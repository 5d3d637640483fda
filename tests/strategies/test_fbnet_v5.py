"""FBNetV5: the estimated gradient against the exact one, one network for all tasks, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import UserError
from archip.core.knobs import Choice, Knob, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record
from archip.core.rng import generator
from archip.spaces.product import ProductSpace
from archip.strategies._controller import Decision
from archip.strategies.fbnet_v5 import FBNetV5

GOALS = Goals((Objective("quality", +1),))


@dataclass
class Gates(KnobSpace):
    n: int = 4

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {f"g{i}": Choice((0, 1)) for i in range(self.n)}


def started(n_tasks, n_gates=4, **options):
    strategy = FBNetV5(**options)
    strategy.start(ProductSpace({f"net.t{i}": Gates(n_gates) for i in range(n_tasks)}), GOALS)
    return strategy


def decisions_of(genes):
    return tuple(Decision(f"net/{name}", (0, 1), value) for name, value in genes.items())


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_mean_over_the_shared_proposal_is_the_exact_gradient(n_tasks):
    strategy, rng = started(n_tasks), np.random.default_rng(0)
    for policy in strategy._policies.values():
        policy.logits_GV[:] = rng.normal(size=policy.logits_GV.shape)
    every = [decisions_of(genes) for genes in Gates().enumerate()]
    q = np.exp([strategy._log_mixture(row) for row in every])
    assert q.sum() == pytest.approx(1)
    policy, rewards = strategy._policies["t0"], rng.random(len(every))
    weights = np.exp([policy.log_p(row) for row in every]) / q
    assert weights.max() <= n_tasks + 1e-9
    baseline = 0.3
    estimate = sum(q[i] * policy.gradient(row, weights[i] * (rewards[i] - baseline)) for i, row in enumerate(every))

    def value(logits_GV):
        p_GV = np.exp(logits_GV) / np.exp(logits_GV).sum(1, keepdims=True)
        return sum(
            r * np.prod([p_GV[g, d.code] for g, d in enumerate(row)]) for r, row in zip(rewards, every, strict=True)
        )

    exact = np.zeros_like(policy.logits_GV)
    for place in np.ndindex(*exact.shape):
        step = np.zeros_like(exact)
        step[place] = 1e-6
        exact[place] = (value(policy.logits_GV + step) - value(policy.logits_GV - step)) / 2e-6
    assert np.allclose(estimate, exact, atol=1e-8)


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_candidates_have_one_network_for_all_tasks_or_one_for_each(apart):
    strategy = started(3, 12, apart=apart)
    asked = strategy.ask(50, generator(0))
    alike = [len({canonical_json(genes) for genes in c.net.values()}) == 1 for c in asked]
    assert all(alike) if not apart else not any(alike)


def test_tasks_learn_their_own_networks_from_the_same_candidates():
    strategy = started(2)
    wanted = {"t0": [0, 0, 1, 1], "t1": [1, 0, 1, 0]}
    for number in range(20):
        asked = strategy.ask(8, generator(1, number))
        strategy.tell([judged(c, wanted) for c in asked])
    found = strategy.likeliest()
    assert found is not None
    assert {task: values_of(genes) for task, genes in found.net.items()} == wanted


def values_of(genes):
    return list(genes.values())


def judged(candidate: Candidate, wanted) -> Record:
    right = {t: float(np.mean(np.equal(values_of(candidate.net[t]), wanted[t]))) for t in wanted}
    quality = sum(right.values()) / len(right)
    return Record(candidate, {"quality": quality, **{f"{t}.accuracy": r for t, r in right.items()}})


def test_what_breaks_a_limit_is_worth_less_than_anything_else():
    strategy = FBNetV5()
    goals = Goals((Objective("quality", +1),), (Limit("latency_s", 1.0),))
    strategy.start(ProductSpace({"net.t0": Gates()}), goals)
    rewards = strategy._rewards["t0"]
    candidate = Candidate({"t0": dict.fromkeys(("g0", "g1", "g2", "g3"), 0)})
    good = Record(candidate, {"t0.accuracy": 0.4, "quality": 0.4, "latency_s": 0.5})
    slow = Record(candidate, {"t0.accuracy": 0.9, "quality": 0.9, "latency_s": 1.5})
    assert rewards.advantage(good, 1.0) is None
    assert rewards.advantage(slow, 1.0) == pytest.approx(0.4 - 0.5 - 0.4)


def test_tasks_of_different_spaces_are_refused():
    with pytest.raises(UserError, match="networks of a and b come from different spaces"):
        FBNetV5().start(ProductSpace({"net.a": Gates(3), "net.b": Gates(4)}), GOALS)

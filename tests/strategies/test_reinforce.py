import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.errors import UserError
from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.spaces.product import ProductSpace
from archip.strategies._controller import Decision, Episode
from archip.strategies.reinforce import Reinforce

GOALS = Goals((Objective("quality", +1),), (Limit("energy_j", 1.0),))


class Two(KnobSpace):
    @property
    def knobs(self):
        return {"a": Choice((0, 1, 2), ordered=False), "b": Choice((0, 1), ordered=False)}


def started(space=None, **options):
    strategy = Reinforce(**options)
    strategy.start(space or ProductSpace({"net.t": Two()}), GOALS)
    return strategy


def candidate(a, b):
    return Candidate({"t": {"a": a, "b": b}})


def test_the_gradient_is_that_of_log_probability_and_entropy():
    """Against finite differences of advantage * log p + entropy * H."""
    strategy = started(entropy=0.3)
    strategy._policy.logits_GV += np.array([[0.2, -0.5, 1.0], [0.4, -0.1, 0.0]])
    decisions = (Decision("net.t/a", (0, 1, 2), 2), Decision("net.t/b", (0, 1), 0))

    def objective(logits):
        total = 0.0
        for row, n, code in ((0, 3, 2), (1, 2, 0)):
            p = np.exp(logits[row, :n]) / np.exp(logits[row, :n]).sum()
            total += 0.7 * np.log(p[code]) - 0.3 * (p * np.log(p)).sum()
        return total

    gradient = strategy._policy.gradient(decisions, 0.7, strategy.entropy)
    for g, v in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[g, v] = 1e-6
        slope = (objective(strategy._policy.logits_GV + step) - objective(strategy._policy.logits_GV - step)) / 2e-6
        assert gradient[g, v] == pytest.approx(slope, abs=1e-6)


def test_the_baseline_is_the_moving_average_and_the_first_step_of_adam_is_the_rate():
    strategy = started(lr=0.5, momentum=0.9)
    decisions = (Decision("net.t/a", (0, 1, 2), 1), Decision("net.t/b", (0, 1), 0))
    strategy.learn([Episode(decisions, 1.0)])
    assert (strategy._baseline, np.abs(strategy._policy.logits_GV).max()) == (1.0, 0.0)  # nothing to compare with yet
    strategy = started(lr=0.5, momentum=0.9)
    strategy.learn([Episode(decisions, 1.0), Episode(decisions, 3.0)])
    assert strategy._baseline == pytest.approx(1.2)  # 0.9 * 1 + 0.1 * 3
    # Second step, the first with a gradient g: m = 0.1 g / (1 - 0.81), v = 0.001 g^2 / (1 - 0.998001)
    size = 0.5 * (0.1 / 0.19) / np.sqrt(0.001 / 0.001999)
    assert strategy._policy.logits_GV[0].tolist() == pytest.approx([-size, size, -size], rel=1e-6)
    assert strategy._policy.logits_GV[1].tolist() == pytest.approx([size, -size, 0.0], rel=1e-6)


def test_rewards_rank_what_breaks_a_limit_or_fails_below_all_else():
    strategy = started()
    seen = []
    strategy.learn = lambda episodes: seen.extend(e.reward for e in episodes)
    strategy.pending = {c.id: c for c in (candidate(a, b) for a in range(3) for b in range(2))}
    strategy.tell(
        [
            Record(candidate(0, 0), {"quality": 0.5, "energy_j": 0.5}),
            Record(candidate(1, 0), {"quality": 0.4, "energy_j": 0.9}),
            Record(candidate(2, 0), {"energy_j": 1.25}, Status.INFEASIBLE, "breaks energy_j"),
            Record(candidate(2, 1), {}, Status.FAILED, "does not build"),
        ]
    )
    assert seen == pytest.approx([0.5, 0.4, 0.4 - 0.25, 0.4 - 1.0])


def test_learns_the_better_choice():
    strategy = started()
    decisions = {code: (Decision("net.t/a", (0, 1, 2), code),) for code in range(3)}
    rng = np.random.default_rng(0)
    for _ in range(60):
        code = int(rng.choice(3, p=strategy.probabilities([], "net.t/a", range(3))))
        strategy.learn([Episode(decisions[code], float(code == 1))])
    assert strategy.probabilities([], "net.t/a", range(3))[1] > 0.8
    assert strategy.probabilities([], "net.t/a", (0, 2)).sum() == pytest.approx(1.0)


def test_a_space_without_knobs_is_refused():
    class Plain:
        pass

    with pytest.raises(UserError, match="not made of knobs"):
        Reinforce().start(Plain(), GOALS)

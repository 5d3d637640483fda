"""NASAIC: penalties, switches and episodes; and the LSTM policy beneath."""

import numpy as np
import pytest

from archip.core.candidate import Candidate
from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.spaces.product import ProductSpace
from archip.strategies._controller import Decision
from archip.strategies._sequence_policy import SequencePolicy
from archip.strategies._walks import Walks
from archip.strategies.nasaic import NASAIC

GOALS = Goals((Objective("quality", 1),), (Limit("latency_cycles", 100.0), Limit("energy_j", 10.0)))


class Knobs(KnobSpace):
    def __init__(self, **knobs):
        self.knobs = {name: Choice(values) for name, values in knobs.items()}


def _space():
    return ProductSpace(
        {"net.a": Knobs(width=[1, 2, 4, 8], depth=[1, 2, 3]), "hw": Knobs(pes=[1, 2, 4, 8], bw=[1, 2, 3, 4])}
    )


def _record(candidate, feasible=True, quality=0.5):
    costs = {"latency_cycles": 50.0 if feasible else 150.0, "energy_j": 5.0}
    if not feasible:
        return Record(candidate, costs, Status.INFEASIBLE)
    return Record(candidate, {**costs, "quality": quality})


def _started(**options):
    strategy = NASAIC(**options)
    strategy.start(_space(), GOALS)
    return strategy, np.random.default_rng(0)


def test_an_episode_keeps_its_networks_and_varies_the_chip():
    strategy, rng = _started(phi=3)
    asked = strategy.ask(8, rng)
    for episode in (asked[:4], asked[4:]):
        assert len({str(c.net) for c in episode}) == 1
        assert len({str(c.hw) for c in episode}) == 4


def test_penalties_follow_the_paper():
    """0 within the limits, 1 a limit at its bound b, in between linear; each limit counts."""
    strategy, rng = _started()
    (candidate,) = strategy.ask(1, rng)
    penalty = lambda cycles, joules: strategy._penalty(  # noqa: E731
        Record(candidate, {"latency_cycles": cycles, "energy_j": joules}, Status.INFEASIBLE)
    )
    assert penalty(100.0, 10.0) == 0
    assert penalty(150.0, 5.0) == pytest.approx(0.5)  # b is twice the limit at first
    assert penalty(300.0, 5.0) == pytest.approx(1)  # and the greatest value from then on
    assert penalty(150.0, 15.0) == pytest.approx(0.25 + 0.5)
    assert strategy._penalty(Record(candidate, {}, Status.FAILED, "no")) == 2


def test_networks_learn_only_from_their_episode_and_chips_from_every_step(monkeypatch):
    strategy, rng = _started(phi=1)
    lessons = []
    monkeypatch.setattr(strategy._policy, "learn", lessons.extend)
    first, second = strategy.ask(2, rng)
    strategy.tell([_record(first, feasible=False)])
    strategy.tell([_record(second, quality=0.8)])
    on = [[d.knob for d, a in zip(*lesson, strict=True) if a == a] for lesson in lessons]
    chip, net = ["hw/pes", "hw/bw"], ["net.a/width", "net.a/depth"]
    assert on == [chip, chip, net]


def test_dropped_networks_are_rewarded_by_their_best_chip(monkeypatch):
    strategy, rng = _started(phi=1)
    rewards = []
    monkeypatch.setattr(strategy, "_lesson", lambda d, switch, reward: rewards.append((switch, reward)) or (d, []))
    monkeypatch.setattr(strategy._policy, "learn", lambda lessons: None)
    first, second = strategy.ask(2, rng)
    costs = {"energy_j": 5.0}
    strategy.tell([Record(first, {**costs, "latency_cycles": 200.0}, Status.INFEASIBLE)])
    strategy.tell([Record(second, {**costs, "latency_cycles": 150.0}, Status.INFEASIBLE)])
    assert rewards == [("hw", -10.0), ("hw", -5.0), ("net", -5.0)]


def test_it_finds_the_chip_and_the_networks_that_are_worth_most():
    """The widest network fits only on the largest chip, which few of 192 candidates have."""

    def judged(c: Candidate) -> Record:
        width, depth = c.net["a"]["width"], c.net["a"]["depth"]
        pes, bw = c.hw["pes"], c.hw["bw"]
        costs = {"latency_cycles": 80.0 * width * depth / (pes * bw), "energy_j": 1.0}
        if costs["latency_cycles"] > 100:
            return Record(c, costs, Status.INFEASIBLE)
        return Record(c, {**costs, "quality": (width + depth) / 11})

    found = []
    for seed in range(3):
        strategy = NASAIC(phi=2, lr=0.02)
        strategy.start(_space(), GOALS)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            strategy.tell([judged(c) for c in strategy.ask(6, rng)])
        found.append(strategy.best.metrics["quality"])
    assert min(found) >= 10 / 11


def test_the_policy_in_numpy_is_that_in_torch():
    """The loss of one episode with all advantages 1 is -Σ log p of its decisions."""
    space = _space()
    policy = SequencePolicy(space.knobs, hidden=8, lr=0.1, entropy=0.0)
    rng = np.random.default_rng(0)
    for _ in range(3):
        decisions, log_p = [], 0.0
        for name, knob in space.knobs.items():
            allowed = tuple(range(len(knob.values)))[: -1 if name == "hw/pes" else None]
            p = policy.probabilities(decisions, name, allowed)
            decisions.append(Decision(name, allowed, int(rng.integers(len(allowed)))))
            log_p += np.log(p[decisions[-1].code])
            assert p.sum() == pytest.approx(1)
        loss = policy._loss([(decisions, [1.0] * len(decisions))] * 2)
        assert float(loss.detach()) == pytest.approx(-2 * log_p, rel=1e-5)
        policy.learn([(decisions, [1.0] * len(decisions))])


def test_rewarded_decisions_become_likelier():
    space = _space()
    policy = SequencePolicy(space.knobs, hidden=16, lr=0.05, entropy=0.0)
    good = [Decision(name, tuple(range(len(knob.values))), 1) for name, knob in space.knobs.items()]
    before = policy.probabilities(good[:1], good[1].knob, good[1].allowed)[1]
    for _ in range(20):
        policy.learn([(good, [1.0] * 4)])
    assert policy.probabilities(good[:1], good[1].knob, good[1].allowed)[1] > max(0.9, before)


def test_a_chip_alone_is_searched_for_with_no_network_to_decide_on():
    strategy = NASAIC(phi=3)
    strategy.start(ProductSpace({"hw": Knobs(pes=[1, 2, 4, 8], bw=[1, 2, 3, 4])}), GOALS)
    rng = np.random.default_rng(0)
    for _ in range(3):
        strategy.tell([_record(c, feasible=c.hw["pes"] > 2) for c in strategy.ask(4, rng)])
    assert len(strategy.asked) == 12
    assert strategy.best.ok


def test_a_policy_that_has_decided_is_not_asked_again_before_it_is_told_more():
    """Its one proposal is known from then on: others are drawn, and no redraws are spent on the rest of the batch."""
    strategy, rng = _started(phi=1)
    draws = []

    def draw(given, rng):
        draws.append(given)
        return only, [Decision("net.a/width", (0,), 0)]

    (only,) = strategy.ask(1, rng)
    strategy._walks.draw = draw
    asked = strategy.ask(6, rng)
    assert len({c.id for c in asked} - {only.id}) == 6
    assert len(draws) == 200  # for the networks of the episode, then for others
    strategy.tell([_record(asked[0])])
    strategy.ask(1, rng)
    assert len(draws) == 300


@pytest.mark.parametrize("given", [{}, {"a": 1}])
def test_walks_draw_what_the_policy_draws(given):
    """The same rows of the same random numbers as asking the policy for each decision; forbidden ones are told."""

    class Likes:
        def probabilities(self, before, knob, allowed):
            weights = np.array([1.0 + 3 * (code == len(before)) for code in allowed])
            return weights / weights.sum()

    def decide(choose):
        row = [choose(knob, range(3)) for knob in "abc"]
        return None if row[1:] == [0, 0] else tuple(row)

    policy, walks = Likes(), Walks(decide, Likes())
    rng, again, rows = np.random.default_rng(0), np.random.default_rng(0), []
    for _ in range(200):
        outcome, made = walks.draw(given, rng)
        expected = []
        for n, knob in enumerate("abc"):
            sums = np.cumsum(policy.probabilities([None] * n, knob, range(3)))
            code = given[knob] if knob in given else int(np.searchsorted(sums, again.random() * sums[-1], "right"))
            expected.append(min(code, 2))
        assert [d.code for d in made] == expected
        assert outcome == (None if expected[1:] == [0, 0] else tuple(expected))
        rows.append(outcome)
    assert None in rows
    assert len(set(rows)) > 5

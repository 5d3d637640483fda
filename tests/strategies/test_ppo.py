"""PPO: the clipped surrogate, batches, and what it learns."""

import numpy as np
import pytest

from archip.core.knobs import Choice, KnobSpace
from archip.core.objectives import Goals, Objective
from archip.spaces.product import ProductSpace
from archip.strategies._controller import Decision, Episode
from archip.strategies.ppo import PPO, clipped

torch = pytest.importorskip("torch", reason="controllers with an LSTM need torch")
GOALS = Goals((Objective("quality", +1),))


class Knobs(KnobSpace):
    @property
    def knobs(self):
        return {name: Choice((0, 1, 2), ordered=False) for name in "abcd"}


def started(**options):
    strategy = PPO(**options)
    strategy.start(ProductSpace({"net.t": Knobs()}), GOALS)
    return strategy


def episode(codes, reward):
    return Episode(tuple(Decision(f"net.t/{n}", (0, 1, 2), c) for n, c in zip("abcd", codes, strict=True)), reward)


def test_the_surrogate_is_that_of_the_paper():
    """Figure 1: for A > 0 flat above 1 + epsilon, for A < 0 flat below 1 - epsilon, elsewhere r A."""
    ratios = torch.tensor([0.5, 0.9, 1.0, 1.1, 2.0], dtype=torch.float64)
    gain = lambda advantage: clipped(ratios.log(), torch.tensor(advantage), 0.2).tolist()  # noqa: E731
    assert gain(2.0) == pytest.approx([1.0, 1.8, 2.0, 2.2, 2.4])
    assert gain(-2.0) == pytest.approx([-1.6, -1.8, -2.0, -2.2, -4.0])


def test_the_first_step_is_that_of_reinforce():
    """At ratio 1 the surrogate's gradient is A * grad log p; Adam's first step has the same size and signs."""
    ours, plain = started(steps=1, batch=2, entropy=0.0), started(entropy=0.0)
    good, bad = episode((0, 1, 2, 0), 1.0), episode((1, 1, 0, 2), 0.0)
    ours.learn([good, bad])
    plain._policy.learn([(e.decisions, [a] * 4) for e, a in zip((good, bad), (0.0, -0.95), strict=True)])
    for e in (good, bad):
        for t, d in enumerate(e.decisions):
            one, other = (s.probabilities(e.decisions[:t], d.knob, d.allowed) for s in (ours, plain))
            assert one == pytest.approx(other, rel=1e-4)


def test_batches_are_waited_for():
    strategy = started(batch=4)
    before = strategy.probabilities([], "net.t/a", (0, 1, 2))
    strategy.learn([episode((0, 0, 0, 0), r) for r in (0.1, 0.9, 0.5)])
    assert strategy.probabilities([], "net.t/a", (0, 1, 2)) == pytest.approx(before, abs=0)
    strategy.learn([episode((1, 0, 0, 0), 1.0)] * 6)
    assert len(strategy._waiting) == 1
    assert strategy.probabilities([], "net.t/a", (0, 1, 2)) != pytest.approx(before, abs=1e-6)


def test_it_learns_what_genes_do_together():
    """Worth only if all genes are equal: each gene by itself says nothing, which independent choices cannot learn."""
    strategy, rng = started(batch=20), np.random.default_rng(0)

    def drawn():
        made = []
        for name in "abcd":
            p = strategy.probabilities(made, f"net.t/{name}", (0, 1, 2))
            made.append(Decision(f"net.t/{name}", (0, 1, 2), int(rng.choice(3, p=p))))
        return [d.code for d in made]

    worth = lambda codes: float(len(set(codes)) == 1)  # noqa: E731
    for _ in range(60):
        strategy.learn([episode(c, worth(c)) for c in (drawn() for _ in range(20))])
    assert np.mean([worth(drawn()) for _ in range(100)]) > 0.8  # by chance: 1/27

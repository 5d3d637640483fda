"""Diffusion: the noise, the score of a density that is known, and that guidance leads to better networks."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.rng import generator  # noqa: E402
from archip.strategies._diffusion import Diffusion, Schedule  # noqa: E402
from archip.strategies._diffusion_guide import Guide  # noqa: E402
from archip.strategies.diffusion_nag import DiffusionNAG  # noqa: E402
from archip.testing.toy import TOY_GOALS, ToySpace, toy_record  # noqa: E402


def test_the_rate_is_the_slope_of_the_variance():
    schedule, t = Schedule(), np.linspace(0.1, 0.9, 5)
    slope = (schedule.sigma(t + 1e-6) ** 2 - schedule.sigma(t - 1e-6) ** 2) / 2e-6
    assert schedule.rate(t) ** 2 == pytest.approx(slope, rel=1e-6)
    assert (schedule.sigma(0), schedule.sigma(1)) == pytest.approx((0.1, 5.0))


def test_the_way_back_with_an_exact_score_gives_the_density(monkeypatch):
    """Two genes of three values, of which (0, 1) has probability 0.7 and (2, 2) the rest."""
    model = Diffusion([3, 3], hidden=4, layers=1, seed=0)
    points = model.one_hot(np.array([[0, 1], [2, 2]]))
    weights = torch.tensor([0.7, 0.3])

    def exact(x, t_N):  # the gradient of the log of a mixture of two normal densities
        sigma = model.schedule.sigma(t_N)[:, None]
        apart = points.flatten(1) - x.flatten(1)[:, None]
        share = (weights.log() - (apart**2).sum(2) / (2 * sigma**2)).softmax(1)
        return ((share[..., None] * apart).sum(1) / sigma**2).reshape(x.shape)

    monkeypatch.setattr(model, "score", exact)
    drawn = model.sample(2000, 60)
    is_first = (drawn == [0, 1]).all(1)
    assert (is_first | (drawn == [2, 2]).all(1)).mean() > 0.99
    assert is_first.mean() == pytest.approx(0.7, abs=0.07)


def test_values_that_a_gene_has_not_are_never_drawn():
    model = Diffusion([2, 4], hidden=8, layers=1, seed=0)
    drawn = model.sample(200, 5)
    assert drawn.max(0).tolist() == [1, 3]
    assert model.one_hot(np.array([[-1, 2]])).tolist() == [[[0, 0, 0, 0], [0, 0, 1, 0]]]


def test_it_learns_what_networks_look_like_and_guidance_shifts_them():
    """Shown are rows whose second gene equals the first; the answer is the first gene's value."""
    rng = np.random.default_rng(0)
    first = rng.integers(4, size=800)
    codes_NV = np.stack([first, first], 1)
    model = Diffusion([4, 4], hidden=16, layers=1, seed=0)
    losses = model.train(codes_NV, 250, batch=64, lr=5e-3)
    assert np.mean(losses[-50:]) < 0.5 * np.mean(losses[:10])
    plain = model.sample(300, 30)
    assert (plain[:, 0] == plain[:, 1]).mean() > 0.7  # by chance one of four
    guide = Guide(model, 150)
    guide.train(codes_NV[:80], first[:80].astype(float))
    assert np.corrcoef(guide.expects(codes_NV[80:]), first[80:])[0, 1] > 0.9
    assert model.sample(300, 30, guide.towards(2.0))[:, 0].mean() > plain[:, 0].mean() + 0.5


@pytest.mark.slow
def test_what_it_asks_for_after_the_first_round_is_better_than_at_random():
    better = 0
    for seed in range(2):
        strategy = DiffusionNAG(initial=40, training=150, fitting=100, steps=20)
        strategy.start(ToySpace(), TOY_GOALS)
        rounds = []
        for number in range(4):
            records = [toy_record(c) for c in strategy.ask(40 if number == 0 else 20, generator(seed, number))]
            strategy.tell(records)
            rounds.append(np.mean([TOY_GOALS.feasible(r) for r in records]))
        better += np.mean(rounds[1:]) > rounds[0]
    assert better == 2

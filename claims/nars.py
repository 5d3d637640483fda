"""FBNetV3's NARS (Dai et al. 2021): an encoder pretrained on free statistics ranks better from few labels."""

from __future__ import annotations

import numpy as np
from scipy.stats import kendalltau

from archip.core.objectives import Goals, Objective
from archip.strategies._predictor_guided import normal_scores
from archip.strategies.nars import Nars, _Predictor
from claims._claim import Observed
from claims._size_space import size_space

EXPECTED = """On the size space of NATS-Bench, multiply-accumulates and parameters as statistics, mean of 5 seeds:
Kendall's tau on 1,000 other networks is larger with pretraining than without after 50, 100 and 200 labels, and the
gain is largest after 50."""
SOURCE = "arXiv:2006.02049, section 3.3 and the card's check"

LABELS = (50, 100, 200)


def check() -> Observed:
    _, space, record = size_space()
    taus = {0: np.zeros((5, 3)), 300: np.zeros((5, 3))}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        some = [space.sample(rng) for _ in range(1200)]
        accuracy = np.array([record(c).metrics["quality"] for c in some])
        for pretraining, rows in taus.items():
            strategy = Nars(pretraining=pretraining)
            strategy.start(space, Goals((Objective.of("quality"),)))
            strategy.told = [record(c) for c in some[:20]]  # parents of the pool whose statistics are read
            encoder = strategy._pretrained(np.random.default_rng(seed))
            for i, n in enumerate(LABELS):
                model = _Predictor(encoder, np.random.default_rng(seed))
                model.fit(strategy._genes(some[:n]), normal_scores(accuracy[:n]), strategy.training)
                rows[seed, i] = kendalltau(model.predict(strategy._genes(some[200:])), accuracy[200:])[0]
    scratch, pretrained = taus[0].mean(0), taus[300].mean(0)
    gain = pretrained - scratch
    holds = (gain > 0).all() and gain[0] == gain.max()
    shown = lambda values: " / ".join(f"{v:.3f}" for v in values)  # noqa: E731
    return Observed(bool(holds), f"tau after 50 / 100 / 200 labels: {shown(scratch)} without, {shown(pretrained)} with")

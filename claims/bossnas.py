"""BossNAS (Li et al. 2021): block by block and without labels, networks are ranked much as by training alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr

from archip.spaces.resnet9 import ResNet9
from archip.train.bossnas import BossNAS, Ratings
from archip.train.loop import Recipe, fit
from claims._claim import Observed
from claims._supernets import alone, digits

EXPECTED = """Digits, residual networks of three blocks with 2, 4, 8 or 16 channels each: Spearman's correlation
between the ratings of all 64 networks and their test accuracies after 300 steps of training alone (mean of two seeds)
is above 0.4 in the mean over three seeds of the supernet, and above that of the ratings by the same supernets before
training."""
SOURCE = "arXiv:2103.12424, table 5 (0.73 and 0.76 on the NATS size tables at full scale); small form from the card"

SPACE = ResNet9(stem=(8,), filters=(2, 4, 8, 16), skips=(1,), blocks=3)


def check() -> Observed:
    networks = list(SPACE.enumerate())
    truth = np.mean([[alone(genotype, 300, seed, SPACE) for genotype in networks] for seed in (0, 1)], axis=0)
    widths = [sum(genotype[f"fn{i}"] for i in range(1, 4)) for genotype in networks]
    trained, before = np.array([_correlations(networks, truth, seed) for seed in range(3)]).T
    seeds = ", ".join(f"{r:.2f}" for r in trained)
    text = (
        f"trained {trained.mean():.3f} ({seeds}), before training {before.mean():.3f}; by the sum of channels "
        f"{_spearman(widths, truth):.3f}; accuracies alone {truth.min():.3f} to {truth.max():.3f}"
    )
    return Observed(bool(trained.mean() > 0.4 and trained.mean() > before.mean()), text)


def _correlations(networks: list, truth: np.ndarray, seed: int) -> tuple[float, float]:
    """Of the ratings after training, and before it."""
    torch.set_num_threads(1)
    first: list[Ratings] = []

    class Watched(BossNAS):
        def start(self, scene) -> None:
            super().start(scene)
            first.append(self.ratings)
            for genotype in networks:  # now: a rating is kept
                first[0].distances(genotype)

    rule = Watched(blocks=3)
    net = rule.network(SPACE, digits(), seed)
    fit(net, digits(), Recipe(epochs=30, batch=64, lr=3e-3, keep="last", ema=0.0), seed, rule=rule)
    after, before = ([-sum(r.distances(g)) for g in networks] for r in (rule.ratings, first[0]))
    return _spearman(after, truth), _spearman(before, truth)


def _spearman(a, b) -> float:
    return float(spearmanr(a, b)[0])  # pyright: ignore

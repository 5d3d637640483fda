"""SortedNet (Valipour et al. 2023): nested sub-networks from labels alone, accuracy in the order of their sizes."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from archip.spaces.resnet9 import ResNet9
from archip.testing.elastic import scene_of
from archip.train.rules.sandwich import Sandwich
from archip.train.rules.sorted_net import SortedNet
from claims._claim import Observed
from claims._supernets import accuracy, trained

EXPECTED = """Digits, a chain of 12 nested widths and depths of resnet9, 1,600 passes, 3 seeds: Spearman's rank
correlation of size and mean test accuracy is at least 0.8, and the mean over the 12 is not below that of the sandwich
rule after as many passes."""
SOURCE = "arXiv:2309.00255, section 4; small form from the card"

SPACE = ResNet9(stem=tuple(range(2, 14)), filters=tuple(range(4, 28, 2)), skips=(0, 1, 2), blocks=2)
PASSES = 1600


def check() -> Observed:
    rule = SortedNet(levels=12, chains="one")
    means = []
    for seed in range(3):
        nets = (trained(rule, PASSES, seed, 4, SPACE), trained(Sandwich(), PASSES, seed, 4, SPACE))
        rule.start(scene_of(nets[0]))
        chain = [rule.nested({"depth": level, "width": level}) for level in range(12)]
        means.append([accuracy(net, chain) for net in nets])
    nested, sandwich = np.mean(means, axis=0)
    correlation = float(spearmanr(np.arange(12), nested)[0])  # pyright: ignore
    return Observed(
        correlation >= 0.8 and nested.mean() >= sandwich.mean(),
        f"correlation {correlation:.2f}; mean {nested.mean():.4f} against {sandwich.mean():.4f}, "
        f"smallest {nested[0]:.4f} against {sandwich[0]:.4f}, largest {nested[-1]:.4f} against {sandwich[-1]:.4f}",
    )

"""ShiftNAS (Zhang et al. 2023): networks drawn by cost, more where training is wanting; a generator meets budgets."""

from __future__ import annotations

import numpy as np

from archip.core.rng import generator
from archip.nets.supernet import SuperNet
from archip.spaces.resnet9 import ResNet9
from archip.train.rules.shift_nas import ShiftNas
from archip.train.rules.uniform import Uniform
from claims._claim import Observed
from claims._supernets import accuracy, trained

EXPECTED = """Digits, elastic resnet9 of 432 networks in 8 bins of cost, 1,200 passes, 3 seeds: after training, the
generator's networks are within 3 % of 50 wanted costs in the mean; uniform choices put more than a third of them into
the fullest bin, and the shifted probabilities are flatter (higher entropy); against uniform paths after as many
passes, the mean test accuracy of 10 networks of the first and of the last bin is higher."""
SOURCE = "arXiv:2307.08300, figures 2 and 4, section 3.3; small form from the card"

SPACE = ResNet9(stem=(2, 4, 8), filters=(4, 8, 12, 16), skips=(0, 1, 2), blocks=2)
PASSES = 1200
A_STEP = 1 + 0.75 * 8 / 20  # passes: eight bins are looked at every 20 steps, after a quarter of the training


def check() -> Observed:
    errors, entropies, gains, fullest, own = [], [], [], [], []
    for seed in range(3):
        rule = ShiftNas()
        shifted = trained(rule, PASSES, seed, A_STEP, SPACE)
        plain = trained(Uniform(), PASSES, seed, 1, SPACE)
        rng = generator(seed, "targets")
        low, high = rule.generator.low, rule.generator.high
        targets = rng.uniform(low, high, 50)
        errors += [abs(shifted.cost(rule.generator.draw(t, rng)[0]) / t - 1) for t in targets]
        genotypes = [SPACE.sample(rng) for _ in range(1000)]
        bins = np.searchsorted(rule.bounds[1:-1], [shifted.cost(g) for g in genotypes])
        shares = np.bincount(bins, minlength=8) / 1000
        fullest.append(shares.max())
        entropies.append(_entropy(shares))
        own.append(_entropy(rule.probabilities))
        ends = [_of_bin(shifted, rule.bounds[i : i + 2]) for i in (0, 7)]
        gains.append([accuracy(shifted, some).mean() - accuracy(plain, some).mean() for some in ends])
    first, last = 100 * np.mean(gains, axis=0)
    error = float(np.mean(errors))
    holds = error < 0.03 and min(fullest) > 1 / 3 and np.mean(own) > np.mean(entropies) and min(first, last) > 0
    return Observed(
        bool(holds),
        f"costs {100 * error:.1f} % off; fullest bin {np.mean(fullest):.2f}, entropy {np.mean(entropies):.2f} uniform, "
        f"{np.mean(own):.2f} shifted (at most {np.log(8):.2f}); cheapest bin {first:+.2f} points, dearest {last:+.2f}",
    )


def _entropy(shares: np.ndarray) -> float:
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())


def _of_bin(net: SuperNet, bounds: np.ndarray) -> list[dict[str, int]]:
    """Ten networks, or all, whose costs lie in a bin; always the same ones."""
    inside = [g for g in SPACE.enumerate() if bounds[0] <= net.cost(g) <= bounds[1]]
    order = generator(0, "of bin").permutation(len(inside))[:10]
    return [inside[i] for i in order]

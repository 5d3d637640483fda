"""DepS (Annavajjala et al. 2024): shrinking that begins in the middle of the training, with small steps, is best."""

from __future__ import annotations

import copy

import numpy as np

from archip.train.rules.deps import Deps
from claims._claim import Observed
from claims._supernets import accuracy, random_networks, trained

EXPECTED = """Digits, elastic resnet9, 1,000 passes, 3 seeds: of shrinking at 0, 25, 50, 75 and 95 % of the training
(as many passes in each), the best mean accuracy over 20 random networks is that of 25, 50 or 75 %. In the epoch behind
the beginning at 50 %, the largest network's accuracy falls less with the ramp than with full weight at once."""
SOURCE = "arXiv:2407.06167, figures 3 and 5; small form from the card"

PASSES = 1000


def check() -> Observed:
    judged = random_networks(20)
    means = {}
    for delay in (0.0, 0.25, 0.5, 0.75, 0.95):
        begin = delay - min(0.05, delay)
        a_step = begin + 4 * (1 - begin)
        nets = [trained(Deps(delay, delay - begin), PASSES, seed, a_step) for seed in range(3)]
        means[delay] = float(np.mean([accuracy(net, judged).mean() for net in nets]))
    falls = {ramp: np.mean([_fall(ramp, seed) for seed in range(3)]) for ramp in (0.2, 0.0)}
    best = max(means, key=means.__getitem__)
    text = ", ".join(f"{delay:.0%} {mean:.4f}" for delay, mean in means.items())
    return Observed(
        best in (0.25, 0.5, 0.75) and bool(falls[0.2] < falls[0.0]),
        f"{text}; the largest network falls by {100 * falls[0.2]:.2f} points with the ramp, "
        f"{100 * falls[0.0]:.2f} without",
    )


def _fall(ramp: float, seed: int) -> float:
    """Accuracy on the validation split of the largest network before shrinking, less the lowest in the 20 % behind."""
    seen: dict[float, float] = {}

    class Watched(Deps):
        def epoch_ended(self, number: int, rng: np.random.Generator) -> None:
            done = (number + 1) / self.scene.epochs
            if 0.5 - 1e-9 <= done <= 0.72:
                net = copy.deepcopy(self.scene.module)
                seen[done] = float(accuracy(net, [net.largest], "val")[0])

    delay = 0.5 + ramp
    trained(Watched(delay, ramp), 800, seed, 2.5)
    first, *later = (seen[done] for done in sorted(seen))
    return first - min(later)

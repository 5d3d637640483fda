"""Once-for-All (Cai et al. 2020): progressive shrinking beats training all networks jointly from the start.

A first run, with 1,200 passes and channels that were not sorted, failed: mean 0.681 against 0.906, as the narrowest
networks were trained in the last fifth of 490 steps only.
"""

from __future__ import annotations

import numpy as np

from archip.train.rules.progressive_shrinking import ProgressiveShrinking
from archip.train.rules.uniform import Uniform
from claims._claim import Observed
from claims._supernets import SPACE, accuracy, random_networks, trained

EXPECTED = """Digits, elastic resnet9 of 243 networks, 3,000 passes, 3 seeds: the mean test accuracy over 20 random
networks under progressive shrinking is above that of joint training (four random networks a step, labels only), and
the smallest network gains more than the largest."""
SOURCE = "arXiv:1908.09791, figure 1 and section 4.1; small form from the card"

PASSES = 3000
SHRINKING = (180 + 145 * 2 + 145 * 4 + 290 / 3) / 470  # passes a step; there are no kernels to shrink here


def check() -> Observed:
    judged, rows = random_networks(20), []
    for seed in range(3):
        nets = (trained(ProgressiveShrinking(), PASSES, seed, SHRINKING), trained(Uniform(n_paths=4), PASSES, seed, 4))
        rows.append([[accuracy(n, judged).mean(), *accuracy(n, [n.smallest, n.largest])] for n in nets])
    (mean, smallest, largest), (mean_joint, smallest_joint, largest_joint) = np.mean(rows, axis=0)
    gains = smallest - smallest_joint, largest - largest_joint
    return Observed(
        mean > mean_joint and gains[0] > gains[1],
        f"mean {mean:.4f} against {mean_joint:.4f}; smallest {smallest:.4f} against {smallest_joint:.4f}; "
        f"largest {largest:.4f} against {largest_joint:.4f} ({SPACE.size} networks)",
    )

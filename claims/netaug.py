"""NetAug (Cai et al. 2022): a tiny network gains when it is trained inside wider ones; a wide network does not."""

from __future__ import annotations

import numpy as np

from archip.spaces.resnet9 import ResNet9
from archip.train.rules.net_aug import NetAug
from claims._claim import Observed
from claims._supernets import accuracy, trained

EXPECTED = """Digits, 800 steps, 5 seeds: a resnet9 of some 300 weights has a higher mean accuracy on training and
test images with NetAug than alone (same weights at the start), and gains more on test images than one of 16 times its
widths, which gains less than 0.3 points."""
SOURCE = "arXiv:2110.08890, tables 1 and 3, figure 5; small form from the card"

STEPS = 800


def check() -> Observed:
    gains, texts = {}, []
    for name, factor in (("tiny", 1), ("wide", 16)):
        stem, filters = (tuple(factor * n for n in sizes) for sizes in ((2, 3, 4), (4, 6, 8)))
        space = ResNet9(stem=stem, filters=filters, skips=(0,), blocks=2)
        base = {"fn0": stem[0], "fn1": filters[0], "sk1": 0, "fn2": filters[0], "sk2": 0}
        found = np.array([[_accuracies(space, base, alpha, s) for alpha in (1.0, 0.0)] for s in range(5)]).mean(0)
        gains[name] = found[0] - found[1]
        (train, test), (train_alone, test_alone) = 100 * found
        texts.append(
            f"{name}: train {train:.2f} against {train_alone:.2f} %, test {test:.2f} against {test_alone:.2f} %"
        )
    holds = bool((gains["tiny"] > 0).all() and gains["wide"][1] < min(gains["tiny"][1], 0.003))
    return Observed(holds, "; ".join(texts))


def _accuracies(space: ResNet9, base: dict[str, int], alpha: float, seed: int) -> list[float]:
    """On training and test images, of the network that is kept."""
    net = trained(NetAug(base, alpha), STEPS, seed, space=space)
    return [float(accuracy(net, [base], split)[0]) for split in ("train", "test")]

"""BigNAS (Yu et al. 2020): sub-networks of one training are as good as networks trained alone, with own statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from archip.core.rng import generator
from archip.nets.supernet import SuperNet
from archip.train.calibration import batches, recalibrate
from archip.train.loop import evaluate
from archip.train.rule import Scene, Step
from archip.train.rules.sandwich import Sandwich
from claims._claim import Observed
from claims._supernets import accuracy, alone, digits, random_networks, trained

EXPECTED = """Digits, elastic resnet9, sandwich rule, 400 steps, 3 seeds: the largest network is within 0.5 points of
the same one trained alone for as many steps, the smallest at most 1 point below its own. With the statistics of the
largest network (their leading channels) in the place of their own, 20 random networks lose more than 5 points. Of the
first 60 steps, the largest network's loss jumps less from one to the next if residual blocks begin switched off."""
SOURCE = "arXiv:2003.11142, sections 3.2 and 3.5; small form from the card"

STEPS, EARLY = 400, 60


class Watched(Sandwich):
    """Keeps the losses of the largest network."""

    def start(self, scene: Scene) -> None:
        super().start(scene)
        self.losses: list[float] = []

    def backward(self, step: Step) -> Tensor:
        value = super().backward(step)
        self.losses.append(float(value))
        return value

    def jumps(self) -> float:
        """Root mean square of the difference between neighbours."""
        return float(np.sqrt(np.square(np.diff(self.losses[:EARLY])).mean()))


def check() -> Observed:
    judged, ends, means, jumps = random_networks(20), [], [], []
    for seed in range(3):
        off, on = Watched(), Watched()
        net = trained(off, 4 * STEPS, seed, 4, zero_gamma=True)
        trained(on, 4 * STEPS, seed, 4)
        jumps.append([off.jumps(), on.jumps()])
        shared = accuracy(net, [net.largest, net.smallest])
        own = [alone(genotype, STEPS, seed) for genotype in (net.largest, net.smallest)]
        ends.append(shared - own)
        means.append([accuracy(net, judged).mean(), np.mean([_with_statistics_of_largest(net, g) for g in judged])])
    largest, smallest = 100 * np.mean(ends, axis=0)
    calibrated, borrowed = 100 * np.mean(means, axis=0)
    jumps_off, jumps_on = np.mean(jumps, axis=0)
    return Observed(
        largest >= -0.5 and smallest >= -1 and calibrated - borrowed > 5 and jumps_off < jumps_on,
        f"largest {largest:+.2f} points against its own training, smallest {smallest:+.2f}; "
        f"mean {calibrated:.2f} % with own statistics, {borrowed:.2f} % with those of the largest; "
        f"early jumps of the loss {jumps_off:.3f}, {jumps_on:.3f} with residual blocks switched on",
    )


def _with_statistics_of_largest(net: SuperNet, genotype: dict[str, Any]) -> float:
    largest, module = net.extract(net.largest), net.extract(genotype)
    inputs = torch.from_numpy(digits().splits["train"][0])
    recalibrate(largest, batches(inputs, 128, 4, generator(0, "calibration")))
    whole = dict(largest.named_buffers())
    for name, statistic in module.named_buffers():
        if statistic.ndim:
            statistic.copy_(whole[name][: len(statistic)])
    return evaluate(module.eval(), *digits().splits["test"], "classification")["accuracy"]

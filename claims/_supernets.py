"""Small supernets on digits: trained by a rule with a number of passes, and judged sub-network by sub-network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.data.digits import Digits
from archip.nets.supernet import SuperNet
from archip.nets.zero_gamma import zero_last_gamma
from archip.spaces.resnet9 import ResNet9
from archip.train.calibration import batches, recalibrate
from archip.train.loop import Recipe, evaluate, fit
from archip.train.recipe import steps_per_epoch
from archip.train.rule import Rule

__all__ = ["SPACE", "accuracy", "alone", "digits", "random_networks", "trained"]

SPACE = ResNet9(stem=(2, 4, 8), filters=(4, 8, 16), skips=(0, 1, 2), blocks=2)
_BATCH, _LR = 64, 1e-2


@cache
def digits() -> DataSet:
    return Digits().load()


def trained(
    rule: Rule, passes: float, seed: int, a_step: float = 1.0, space: Any = SPACE, zero_gamma: bool = False
) -> SuperNet:
    """A supernet after so many forward and backward passes of sub-networks, of which a step has `a_step`."""
    torch.set_num_threads(1)
    net = SuperNet(space, digits().input_shape, digits().n_outputs, seed)
    for genotype in space.enumerate() if zero_gamma else ():  # residual blocks begin switched off
        zero_last_gamma(net, space.graph(genotype, digits().input_shape, digits().n_outputs))
    fit(net, digits(), _recipe(passes / a_step), seed, rule=rule)
    return net


def alone(genotype: Any, steps: float, seed: int, space: Any = SPACE) -> float:
    """Test accuracy of a network trained alone."""
    torch.set_num_threads(1)
    module = space.build(genotype, digits().input_shape, digits().n_outputs, seed)
    return fit(module, digits(), _recipe(steps), seed).metrics["test"]["accuracy"]


def _recipe(steps: float) -> Recipe:
    epochs = max(1, round(steps / steps_per_epoch(len(digits().splits["train"][0]), _BATCH)))
    return Recipe(epochs=epochs, batch=_BATCH, lr=_LR, keep="last")


def random_networks(n: int, space: Any = SPACE) -> list[Any]:
    """Always the same ones, all different."""
    rng, found = generator(0, "judged"), []
    while len(found) < n:
        genotype = space.sample(rng)
        found += [] if genotype in found else [genotype]
    return found


def accuracy(net: SuperNet, genotypes: Sequence[Any], split: str = "test") -> np.ndarray:
    """Of sub-networks with statistics of their own."""
    inputs = torch.from_numpy(digits().splits["train"][0])
    found = []
    for genotype in genotypes:
        module = net.extract(genotype)
        recalibrate(module, batches(inputs, 128, 4, generator(0, "calibration")))
        found.append(evaluate(module, *digits().splits[split], "classification")["accuracy"])
    return np.array(found)

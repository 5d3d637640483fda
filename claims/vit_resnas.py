"""ViT-ResNAS (Liao et al. 2021): several architectures a batch are one step at the price of one network's pass."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from archip.nets.elastic import ElasticLayerNorm, ElasticLinear, ElasticNet, Size
from archip.train.rule import Step
from archip.train.rules.multi_architecture import MultiArchitecture
from archip.train.rules.uniform import Uniform
from claims._claim import Observed
from claims._supernets import accuracy, random_networks, trained

EXPECTED = """The gradient of a batch with two architectures, as the rule gives it, equals that of one pass in which
masks zero the channels that a sample's architecture lacks (layer norm over the channels kept), to 1e-6. On digits,
elastic resnet9, 800 steps, 3 seeds: four architectures a batch give a higher mean accuracy over 20 random networks than
one."""
SOURCE = "arXiv:2109.00642, section 3.3 and table 4; small form from the card"

WIDTH = Size("width", (6, 16))


def check() -> Observed:
    difference = _difference()
    judged = random_networks(20)
    means = [
        np.mean([accuracy(trained(rule, 800, seed), judged).mean() for seed in range(3)])
        for rule in (MultiArchitecture(4), Uniform())
    ]
    return Observed(
        difference < 1e-6 and bool(means[0] > means[1]),
        f"largest difference of gradients {difference:.1e}; mean accuracy {means[0]:.4f} against {means[1]:.4f}",
    )


def _difference() -> float:
    """Between the rule's gradients and those of the masked pass, for a wide and a narrow network."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        first, norm, last = nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 3)
        x, y = torch.randn(10, 8), torch.arange(10) % 3
    layers = (ElasticLinear(first, 8, WIDTH), ElasticLayerNorm(norm, WIDTH), nn.ReLU(), ElasticLinear(last, WIDTH, 3))
    net = ElasticNet(nn.Sequential(*layers))
    drawn = iter([{"width": 16}, {"width": 6}])
    rule = MultiArchitecture(2)
    rule.shared = type("Two", (), {"space": type("Space", (), {"sample": lambda self, rng: next(drawn)})()})()  # pyright: ignore
    rule.backward(Step(net, x, y, F.cross_entropy, np.random.default_rng(0)))
    parameters = list(net.parameters())
    found = [p.grad.clone() for p in parameters if p.grad is not None]
    net.zero_grad()
    mask = torch.ones(10, 16)
    mask[5:, 6:] = 0
    n = mask.sum(1, keepdim=True)
    hidden = first(x) * mask
    mean = hidden.sum(1, keepdim=True) / n
    variance = ((hidden - mean).square() * mask).sum(1, keepdim=True) / n
    normed = (norm.weight * (hidden - mean) / (variance + norm.eps).sqrt() + norm.bias) * mask
    F.cross_entropy(last(F.relu(normed)), y).backward()
    expected = [p.grad for p in parameters if p.grad is not None]
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))

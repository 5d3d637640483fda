"""A small elastic network with a gene of every kind, and a training around it, to look at one step of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from archip.nets.elastic import (
    ElasticBatchNorm,
    ElasticConv,
    ElasticDepth,
    ElasticLinear,
    ElasticNet,
    ElasticResolution,
    Size,
)
from archip.train.rule import Scene, Step
from archip.train.schedules import warmup_cosine

__all__ = ["elastic_net", "gradients", "scene_of", "step_of"]

WIDTH, KERNEL, DEPTH, SIDE = (
    Size("width", (4, 8, 12)),
    Size("kernel", (3, 5, 7)),
    Size("depth", (1, 2, 3)),
    Size("side", (6, 8)),
)


def elastic_net(seed: int = 0) -> ElasticNet:
    """Resized images [N, 1, 8, 8], a stem, up to three blocks, two classes; no running statistics."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        layers = [
            ElasticResolution(SIDE),
            ElasticConv(nn.Conv2d(1, 12, 3, padding=1), outputs=WIDTH),
            ElasticDepth([_block() for _ in range(3)], DEPTH),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            ElasticLinear(nn.Linear(12, 2), WIDTH),
        ]
        return ElasticNet(nn.Sequential(*layers))


def _block() -> nn.Sequential:
    norm = nn.BatchNorm2d(12, track_running_stats=False)
    return nn.Sequential(
        ElasticConv(nn.Conv2d(12, 12, 7, padding=3), WIDTH, WIDTH, KERNEL), ElasticBatchNorm(norm, WIDTH), nn.ReLU()
    )


def scene_of(module: Any, sort: Callable[[], None] = lambda: None) -> Scene:
    """A training of 100 steps without data."""
    return Scene(
        module,
        n_steps=10,
        epochs=10,
        validation=lambda rng, n: _batch(n),
        loss=nn.functional.cross_entropy,
        task="classification",
        usual=lambda done: warmup_cosine(round(done * 100), 100, 10),
        sort=sort,
    )


def step_of(module: Any, done: float, seed: int = 0) -> Step:
    """A batch of eight noisy images."""
    x, y = _batch(8)
    return Step(module, x, y, nn.functional.cross_entropy, np.random.default_rng(seed), done)


def gradients(module: nn.Module) -> list[torch.Tensor]:
    """Of all parameters, zeros where there are none; taken from the module."""
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    return found


def _batch(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 2

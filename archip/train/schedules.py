"""Schedules: the learning rate and the weight of the moving average, by optimiser step."""

from __future__ import annotations

import math

__all__ = ["ema_decay", "warmup_cosine"]


def warmup_cosine(step: int, n_steps: int, n_warmup: int) -> float:
    """Factor of the learning rate at `step` (from 0): a linear rise over `n_warmup` steps, then half a cosine.

    The rise starts at 1 / n_warmup, so that the first step counts; the cosine would reach 0 at step `n_steps`.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts; warm-up of Goyal et al. 2017,
    arXiv:1706.02677, section 2.2.
    """
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (n_steps - n_warmup)))


def ema_decay(step: int, decay: float) -> float:
    """Share of the old average that is kept at `step` (from 0): at first small, so that the start is soon forgotten.

    Source: min(decay, (1 + t) / (10 + t)) of TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1 + step) / (10 + step))

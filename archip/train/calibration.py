"""Calibration: the mean and variance that batch normalisation uses, measured anew for given weights.

Averaged weights, and weights that a sub-network shares with others, need statistics of their own.
Source: Yu and Huang 2019, arXiv:1903.05134, section 3.3 (post-statistics); Izmailov et al. 2018, arXiv:1803.05407.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archip.train.device import laid_out

__all__ = ["batches", "recalibrate"]


@torch.no_grad()
def recalibrate(module: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set all batch-norm statistics of `module` to their averages over `batches`; leaves it in evaluation mode."""
    module.eval()
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average over the batches
        norm.train()
    for batch in batches:
        module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def batches(x: Tensor, size: int, n: int, rng: np.random.Generator) -> list[Tensor]:
    """`n` batches of `x`, drawn without replacement; fewer where the samples do not suffice."""
    rows = torch.from_numpy(rng.permutation(len(x))[: n * size])
    return [laid_out(x[part.to(x.device)]) for part in rows.split(size)]

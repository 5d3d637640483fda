"""Views: random changes of inputs of which a network without labels has to find out that they show the same.

N samples, C channels, H x W places; series have one axis of places only.
Source: the views of Li et al. 2021, arXiv:2103.12424, for CIFAR: crops out of 32 + 2 x 4 pixels, and flips.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["random_view"]

_MOST = 8  # a view is moved by at most one part in so many of each side, and by at least one place


def random_view(x: Tensor, rng: torch.Generator, has_flips: bool) -> Tensor:
    """Every sample of x [N, C, …] moved along each axis of places, with zeros where nothing comes in.

    Args:
        rng: on the CPU, so that every device sees the same.
        has_flips: whether half of the samples are mirrored along the last axis.
    """
    n = len(x)
    for axis in range(2, x.ndim):
        side = x.shape[axis]
        reach = max(1, side // _MOST)
        moved_N = torch.randint(2 * reach + 1, (n,), generator=rng).to(x.device) - reach
        from_NS = torch.arange(side, device=x.device) + moved_N[:, None]
        if has_flips and axis == x.ndim - 1:
            flipped_N = torch.randint(2, (n,), generator=rng).bool().to(x.device)
            from_NS = torch.where(flipped_N[:, None], from_NS.flip(1), from_NS)
        shape = [n, *(side if a == axis else 1 for a in range(1, x.ndim))]
        is_inside = ((from_NS >= 0) & (from_NS < side)).view(shape)
        x = torch.take_along_dim(x, from_NS.clamp(0, side - 1).view(shape), axis) * is_inside
    return x

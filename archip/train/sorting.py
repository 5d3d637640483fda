"""Sorting of channels in the middle of a training: averages and the optimiser's moments move along with the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = ["Sortable", "sort_along"]


@runtime_checkable
class Sortable(Protocol):
    """A module that can bring its most important channels to the front, so that its smaller networks keep those."""

    def sort(self, orders: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
        """Sort by importance, or into given orders; gives the orders."""
        ...


@torch.no_grad()
def sort_along(module: Sortable, average: Sortable, optimiser: torch.optim.Optimizer) -> None:
    """Sort `module`, its moving average, and whatever the optimiser keeps for each weight, into one order."""
    orders = module.sort()
    average.sort(orders)
    assert isinstance(module, nn.Module)
    moved = copy.deepcopy(module)
    assert isinstance(moved, nn.Module)
    pairs = list(zip(module.parameters(), moved.parameters(), strict=True))
    names = {name for state in optimiser.state.values() for name, value in state.items() if _is_map(value)}
    for name in sorted(names):
        for parameter, place in pairs:
            kept = optimiser.state[parameter].get(name) if parameter in optimiser.state else None
            place.zero_() if kept is None else place.copy_(kept)
        moved.sort(orders)
        for parameter, place in pairs:
            if parameter in optimiser.state and name in optimiser.state[parameter]:
                optimiser.state[parameter][name].copy_(place)


def _is_map(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0

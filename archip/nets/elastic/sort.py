"""Channel sorting: the most important channels come first, so that smaller networks keep them.

A channel is as important as the weights that read it are large (sum of their absolute values, over all layers that
read it). Weights and statistics are moved alike on both sides, so the largest network computes what it did, but for
the order of its sums. Sort before an optimiser is made: its moments are not moved.
Source: Cai et al. 2020, arXiv:1908.09791, section 3.2, elastic width (L1 norm of a channel's weights).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from archip.nets.elastic.layer import ElasticLayer
from archip.nets.elastic.size import Axis, Size

__all__ = ["sort_channels"]


@torch.no_grad()
def sort_channels(module: nn.Module, orders: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Sort the channels of every elastic width of `module` in place, by importance or into given `orders`.

    Returns:
        Name of a size → its units in their new order; sizes that no layer reads as input keep theirs and are not there.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, ElasticLayer)]
    orders = _orders(layers) if orders is None else dict(orders)
    moved = set()  # tensors that several layers share are moved once
    for layer in layers:
        for name, axes in layer.axes.items():
            tensor = getattr(layer.full, name, None)
            if tensor is not None and id(tensor) not in moved:
                moved.add(id(tensor))
                for i, spans in enumerate(axes):
                    tensor.copy_(tensor.index_select(i, _index(spans, orders, tensor.device)))
    return orders


def _orders(layers: list[ElasticLayer]) -> dict[str, Tensor]:
    importance: dict[Size, Tensor] = {}
    for layer in layers:
        for size, values in _importance(layer):
            importance[size] = importance[size] + values if size in importance else values
    return {size.name: values.argsort(descending=True, stable=True) for size, values in importance.items()}


def _importance(layer: ElasticLayer) -> Iterator[tuple[Size, Tensor]]:
    """The L1 norm of the weights that read each unit, for every span of a layer's inputs."""
    if layer.reads is None:
        return
    name, i = layer.reads
    weight = getattr(layer.full, name)
    norms = weight.abs().sum([a for a in range(weight.dim()) if a != i])
    start = 0
    for span in layer.axes[name][i]:
        stop = start + span.size.largest * span.times
        if len(span.size.values) > 1:
            yield span.size, norms[start:stop].reshape(-1, span.times).sum(1)
        start = stop


def _index(spans: Axis, orders: dict[str, Tensor], device: torch.device) -> Tensor:
    """Old places of the channels along an axis, in their new order."""
    found, start = [], 0
    for span in spans:
        n = span.size.largest
        order = orders.get(span.size.name) if len(span.size.values) > 1 else None
        units = torch.arange(n, device=device) if order is None else order.to(device)
        found.append((start + units[:, None] * span.times + torch.arange(span.times, device=device)).flatten())
        start += n * span.times
    return torch.cat(found)

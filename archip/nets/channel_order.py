"""Channel order of a supernet: the most important channels come first, so that narrower networks keep them.

Channels that any network of the space adds, multiplies or hands on move together. What is concatenated or sliced,
and outputs of the network, stay as they are. A channel is as important as the weights are large that read it.
Source: Cai et al. 2020, arXiv:1908.09791, section 3.2, elastic width (L1 norm of a channel's weights).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from archip.ir.graph import Graph, Node
from archip.ir.ops import UNARY, attributes
from archip.nets.torch_form import attribute_names

__all__ = ["Groups", "sort_store"]

_SAME = {*UNARY, "batch_norm", "clip", "identity", "dropout", "max_pool", "avg_pool", "global_avg_pool", "upsample"}
_JOINED = {"add", "sub", "mul", "div"}
_LAYERS = {"conv", "conv_transpose", "linear"}
_FIXED = ""


@torch.no_grad()
def sort_store(
    store: nn.Module, graphs: Sequence[Graph], orders: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Sort the channels of shared weights in place, by importance or into given orders.

    Args:
        graphs: networks that have, between them, all layers of the store and all ways in which they are joined.

    Returns:
        A layer of each group of channels → old places of the channels in their new order.
    """
    groups = Groups()
    for graph in graphs:
        groups.add(graph)
    uses = list(_uses(store, graphs, groups))
    if orders is None:
        orders = _orders(uses)
    for tensor, axis, group, _ in uses:
        if group in orders:
            tensor.copy_(tensor.index_select(axis, orders[group].to(tensor.device)))
    return dict(orders)


Use = tuple[Tensor, int, str, bool]  # a weight, an axis of it, the group that lies along it, whether it is read there


def _orders(uses: Sequence[Use]) -> dict[str, Tensor]:
    """Of the groups whose members have one width in the store."""
    importance: dict[str, Tensor] = {}
    widths: dict[str, set[int]] = {}
    for tensor, axis, group, is_read in uses:
        widths.setdefault(group, set()).add(tensor.shape[axis])
        if is_read and len(widths[group]) == 1:
            norms = tensor.abs().sum([a for a in range(tensor.dim()) if a != axis])
            importance[group] = importance[group] + norms if group in importance else norms
    kept = {group: norms for group, norms in importance.items() if group != _FIXED and len(widths[group]) == 1}
    return {group: norms.argsort(descending=True, stable=True) for group, norms in kept.items()}


def _uses(store: nn.Module, graphs: Sequence[Graph], groups: Groups) -> Iterator[Use]:
    seen = set()
    for graph in graphs:
        names = attribute_names(graph)
        for node in graph.nodes:
            layer = store._modules.get(names.get(node.name, ""))
            if layer is None or node.name in seen:
                continue
            seen.add(node.name)
            read = groups.of(node.inputs[0]) if node.inputs else _FIXED
            written = groups.of(node.name)
            for name, tensor in layer._parameters.items():
                if tensor is not None and name in ("weight", "bias"):
                    yield from _axes(node, name, tensor, (read, written))


def _axes(node: Node, name: str, tensor: Tensor, groups: tuple[str, str]) -> Iterator[Use]:
    read, written = groups
    is_grouped = attributes(node).get("groups", 1) > 1
    out = 1 if node.op == "conv_transpose" and name == "weight" else 0
    yield tensor, out, written, False
    if name == "weight" and node.op in _LAYERS and not is_grouped:
        yield tensor, 1 - out, read, True


class Groups:
    """Values whose channels are the same, over several graphs; each is named by a layer that writes it."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {_FIXED: _FIXED}

    def of(self, value: str) -> str:
        while self._parent[value] != value:
            value = self._parent[value]
        return value

    def add(self, graph: Graph) -> None:
        for value in graph.inputs:
            self._join(value.name, _FIXED)
        for node in graph.nodes:
            for other in self._same(node, graph):
                self._join(node.name, other)
        for value in graph.outputs:
            self._join(value, _FIXED)

    def _same(self, node: Node, graph: Graph) -> list[str]:
        """Values whose channels are those of the node; it and what it reads are fixed if that is not known."""
        shapes = [graph.shapes[i] for i in (node.name, *node.inputs)]
        is_series = len(shapes[0]) == 3 and node.op == "linear"  # its channels are the last axis
        if node.op in _LAYERS and not is_series and attributes(node).get("groups", 1) == 1:
            return [node.name]
        is_joined = node.op in _JOINED and len({shape[1:2] for shape in shapes}) == 1
        is_depthwise = node.op == "conv" and attributes(node)["groups"] == shapes[0][1] == shapes[1][1]
        is_flat = node.op == "flatten" and math.prod(shapes[1][2:]) == 1
        is_mean = node.op in ("mean", "sum") and all(a % len(shapes[1]) > 1 for a in attributes(node)["axes"])
        is_same = node.op in _SAME or is_joined or is_depthwise or is_flat or is_mean
        return list(node.inputs) if is_same else [*node.inputs, _FIXED]

    def _join(self, a: str, b: str) -> None:
        for value in (a, b):
            self._parent.setdefault(value, value)
        one, other = self.of(a), self.of(b)
        if one == _FIXED:
            one, other = other, one
        self._parent[one] = other

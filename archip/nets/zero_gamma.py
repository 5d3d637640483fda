"""Residual blocks that begin as their skip connection: the scale of their last batch-norm starts at zero.

A block is a sum of two values. Its branch is the one with more layers before it; where it ends in a batch-norm that
nothing else reads, or in one behind which only gates, identities and dropout follow, that norm's scale is set to zero.
A branch that ends in a ReLU is left alone: with zeros before it no gradient would ever reach the norm.
Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1; Yu et al. 2020, arXiv:2003.11142 (BigNAS), section 3.2.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn

from archip.ir.graph import Graph
from archip.nets.torch_form import attribute_names

__all__ = ["last_norms", "zero_last_gamma"]

_PASSES = {"identity", "dropout", "mul"}
_WEIGHTED = {"conv", "conv_transpose", "linear"}


def last_norms(graph: Graph) -> list[str]:
    """The batch-norms that end the branch of a residual sum, in the order of the graph."""
    layers = _layers(graph)
    reads = Counter(value for node in graph.nodes for value in {*node.inputs})
    found = []
    for node in graph.nodes:
        if node.op == "add" and len({layers.get(i, 0) for i in node.inputs}) == 2:
            end = max(node.inputs, key=lambda value: layers.get(value, 0))
            n_reads = reads[end]
            while end in graph.node and graph.node[end].op in _PASSES:
                is_gated = graph.node[end].op == "mul"
                end = min(graph.node[end].inputs, key=lambda value: layers.get(value, 0))
                n_reads = max(n_reads, reads[end] - is_gated)  # squeeze-and-excitation reads what it gates
            if end in graph.node and graph.node[end].op == "batch_norm" and n_reads == 1:
                found.append(end)
    return found


@torch.no_grad()
def zero_last_gamma(module: nn.Module, graph: Graph) -> list[str]:
    """Set the scale of the last norm of every residual block of `graph` to zero.

    Args:
        module: the module of the graph, or a supernet of whose networks it is one.

    Returns:
        The norms; none where branches end otherwise.
    """
    names = attribute_names(graph)
    found = last_norms(graph)
    for norm in found:
        module.get_parameter(f"{names[norm]}.weight").zero_()
    return found


def _layers(graph: Graph) -> dict[str, int]:
    """Value → most layers with weights on a way to it from an input."""
    found = {i.name: 0 for i in graph.inputs}
    for node in graph.nodes:
        before = max((found.get(i, 0) for i in node.inputs), default=0)
        found[node.name] = before + (node.op in _WEIGHTED)
    return found

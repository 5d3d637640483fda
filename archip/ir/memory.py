"""Activation memory of a graph that runs node by node in the given order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from archip.ir.graph import Graph
from archip.ir.ops import OPS

__all__ = ["activation_bytes", "peak_activation_bytes"]

_NOT_VIEWS = frozenset({"constant"})  # free of work, but with values of their own


def peak_activation_bytes(graph: Graph, activation_bits: int | Mapping[str, int] = 8) -> int:
    """The most that inputs and results take at any node: the peak of `activation_bytes`, whose arguments it takes."""
    return max(activation_bytes(graph, activation_bits), default=0)


def activation_bytes(graph: Graph, activation_bits: int | Mapping[str, int] = 8) -> list[int]:
    """What inputs and results take while each node runs, when each lives from its making to its last reader.

    Outputs live to the end, and inputs from the start. Nodes without work (reshape, slice …) are views: their values
    take no memory of their own, and keep what they look at alive. Weights are not counted.

    Args:
        graph: its nodes run in the order they stand in.
        activation_bits: one width for all values, or node or input → width; values that are not named have 8.
    """
    bits = activation_bits if isinstance(activation_bits, Mapping) else {}
    default = 8 if isinstance(activation_bits, Mapping) else activation_bits
    owner = _owners(graph)
    end = len(graph.nodes)
    born = {i.name: 0 for i in graph.inputs} | {n.name: at for at, n in enumerate(graph.nodes)}
    dies: dict[str, int] = {}
    for at, node in enumerate(graph.nodes):
        dies |= {owner[value]: at for value in (node.name, *node.inputs)}
    dies |= {owner[value]: end for value in graph.outputs}

    change = [0] * (end + 2)
    for value, shape in graph.shapes.items():
        name = value.partition(":")[0]
        if owner[value] == value:
            size = math.ceil(math.prod(shape) * bits.get(name, default) / 8)
            change[born[name]] += size
            change[dies.get(value, born[name]) + 1] -= size
    return list(itertools.accumulate(change))[: max(1, end)]


def _owners(graph: Graph) -> dict[str, str]:
    """Value → the value whose memory it lies in."""
    owner = {i.name: i.name for i in graph.inputs}
    for value in graph.shapes:
        node = graph.node.get(value.partition(":")[0])
        if node is not None:
            is_view = OPS[node.op].kind == "free" and node.op not in _NOT_VIEWS
            owner[value] = owner[node.inputs[0]] if is_view else value
    return owner

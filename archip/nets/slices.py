"""Slices: which part of a supernet's shared tensor the layer of the same name uses in a smaller network.

A channel has one place in the whole space: a layer with fewer filters has the leading ones of the largest layer of its
name. The inputs of a concatenation have room for their largest width each, so that a channel of the second input
stays where it is when the first one shrinks (with plain leading channels it would meet the weights of others).
Kernels are cropped to their centre; everything else to its leading part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from archip.ir.graph import Graph, Node
from archip.ir.ops import attributes, weights
from archip.nets.part import Part, Segments, joined, leading

__all__ = ["CHANNELWISE", "Rooms", "concat_rooms", "parts"]

Rooms = Mapping[str, tuple[int, ...]]  # concatenation → room of each of its inputs

# Operators whose output has the channels of an input.
CHANNELWISE = (
    {"batch_norm", "layer_norm", "relu", "relu6", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh"}
    | {"softmax", "add", "sub", "mul", "div", "max_pool", "avg_pool", "global_avg_pool", "upsample", "pad"}
    | {"identity", "dropout"}
)


def parts(graph: Graph, rooms: Rooms) -> dict[tuple[str, str], Part]:
    """(node, name of its tensor) → the part of the shared tensor that it uses, for every weight of the network."""
    channels = _channels(graph, rooms)
    found = {}
    for node in graph.nodes:
        for name, shape in weights(node, [graph.shapes[i] for i in node.inputs]).items():
            found[node.name, name] = _part(node, name, shape, channels[node.inputs[0]], graph)
    return found


def concat_rooms(graphs: Sequence[Graph]) -> dict[str, tuple[int, ...]]:
    """Room of every input of every concatenation of channels: its largest width in any of `graphs`."""
    rooms: dict[str, tuple[int, ...]] = {}
    while True:  # once more for every level of concatenations of concatenations
        before = dict(rooms)
        for graph in graphs:
            channels = _channels(graph, rooms)
            for node in filter(_joins_channels, graph.nodes):
                widths = (channels[i][-1][1] for i in node.inputs)
                rooms[node.name] = _largest(widths, rooms.get(node.name, ()))
        if rooms == before:
            return rooms


def _largest(a: Iterable[int], b: Iterable[int]) -> tuple[int, ...]:
    return tuple(map(max, zip_longest(a, b, fillvalue=0)))


def _joins_channels(node: Node) -> bool:
    return node.op == "concat" and attributes(node)["axis"] == 1


def _channels(graph: Graph, rooms: Rooms) -> dict[str, Segments]:
    """Value → places of its channels (axis 1) among those of the largest value of its name."""
    found = {i.name: leading(i.shape[1]) for i in graph.inputs}
    for node in graph.nodes:
        found[node.name] = _output(node, graph, found, rooms)
    return found


def _output(node: Node, graph: Graph, channels: Mapping[str, Segments], rooms: Rooms) -> Segments:
    shape = graph.shapes[node.name]
    read = [channels[i] for i in node.inputs]
    if _joins_channels(node):
        return joined(read, rooms.get(node.name) or [s[-1][1] for s in read])
    if node.op == "flatten":
        inner = math.prod(graph.shapes[node.inputs[0]][2:])
        return tuple((a * inner, b * inner) for a, b in read[0])
    if node.op in CHANNELWISE or _is_depthwise(node, graph):
        same = [c for i, c in zip(node.inputs, read, strict=True) if graph.shapes[i][1] == shape[1]]
        return same[0]
    return leading(shape[1] if len(shape) > 1 else 1)


def _part(node: Node, name: str, shape: Sequence[int], read: Segments, graph: Graph) -> Part:
    axes: list[Segments | int] = [leading(size) for size in shape]
    if node.op in ("conv", "conv_transpose") and name == "weight":
        axes[2:] = shape[2:]
    if node.op == "batch_norm" or _is_depthwise(node, graph):
        axes[0] = read
    elif name == "weight" and (axis := _input_axis(node, graph)) is not None:
        axes[axis] = read
    return tuple(axes)


def _input_axis(node: Node, graph: Graph) -> int | None:
    """Axis of the weight along which the input's channels lie."""
    if node.op == "linear":
        return 1 if len(graph.shapes[node.inputs[0]]) == 2 else None
    if node.op in ("conv", "conv_transpose") and attributes(node)["groups"] == 1:
        return 1 if node.op == "conv" else 0
    return None


def _is_depthwise(node: Node, graph: Graph) -> bool:
    if node.op != "conv":
        return False
    groups = attributes(node)["groups"]
    return groups > 1 and groups == graph.shapes[node.inputs[0]][1] == graph.shapes[node.name][1]

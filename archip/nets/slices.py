"""Slices: which part of a supernet's shared tensor the layer of the same name uses in a smaller network.

A channel has one place in the whole space: a layer with fewer filters has the leading ones of the largest layer of its
name. The inputs of a concatenation have room for their largest width each, so that a channel of the second input
stays where it is when the first one shrinks (with plain leading channels it would meet the weights of others). In the
same way a convolution whose channels are sliced into parts has the leading filters of each part. Kernels are cropped
to their centre; everything else to its leading part.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from archip.ir.graph import Graph, Node
from archip.ir.ops import UNARY, attributes, weights
from archip.nets.part import Part, Segments, joined, leading

__all__ = ["CHANNELWISE", "Rooms", "concat_rooms", "parts"]

Rooms = Mapping[str, tuple[int, ...]]  # concatenation → room of each of its inputs; sliced layer → room of each part

# Operators whose output has the channels of an input.
CHANNELWISE = {
    *UNARY,
    *("batch_norm", "layer_norm", "softmax", "clip", "add", "sub", "mul", "div", "identity", "dropout"),
    *("max_pool", "avg_pool", "global_avg_pool", "upsample", "resize", "pad"),
}
_REDUCTIONS = {"mean", "sum"}  # the same, along other axes than that of the channels


def parts(graph: Graph, rooms: Rooms) -> dict[tuple[str, str], Part]:
    """(node, name of its tensor) → the part of the shared tensor that it uses, for every weight of the network."""
    channels = _channels(graph, rooms)
    found = {}
    for node in graph.nodes:
        read = channels[node.inputs[0]] if node.inputs else ()
        for name, shape in weights(node, [graph.shapes[i] for i in node.inputs]).items():
            found[node.name, name] = _part(node, name, shape, (read, channels[node.name]), graph)
    return found


def concat_rooms(graphs: Sequence[Graph]) -> dict[str, tuple[int, ...]]:
    """Rooms of the inputs of concatenations and of the parts of sliced layers: the largest in any of `graphs`."""
    rooms: dict[str, tuple[int, ...]] = {}
    for graph in graphs:
        for name, widths in _cuts(graph).items():
            rooms[name] = _largest(widths, rooms.get(name, ()))
    joining = [graph for graph in graphs if any(map(_joins_channels, graph.nodes))]
    while True:  # once more for every level of concatenations of concatenations
        before = dict(rooms)
        for graph in joining:
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


def _cuts(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Convolution → widths of the parts that slices share its channels out to, all of them and none twice."""
    cuts: dict[str, set[tuple[int, int]]] = {}
    for node in graph.nodes:
        if _is_slice_of_channels(node, graph):
            a, origin = attributes(node), node.inputs[0]
            while origin in graph.node and _hands_on(graph.node[origin], graph):
                origin = graph.node[origin].inputs[0]
            if origin in graph.node and graph.node[origin].op == "conv":
                chosen = range(graph.shapes[node.inputs[0]][1])[a["start"] : a["stop"]]
                cuts.setdefault(origin, set()).add((chosen.start, chosen.stop))
    edges = {name: [0, *(b for _, b in sorted(cut))] for name, cut in cuts.items()}
    return {
        name: tuple(b - a for a, b in itertools.pairwise(edges[name]))
        for name, cut in cuts.items()
        if sorted(cut) == list(itertools.pairwise(edges[name])) and edges[name][-1] == graph.shapes[name][1]
    }


def _is_slice_of_channels(node: Node, graph: Graph) -> bool:
    a = attributes(node) if node.op == "slice" else {}
    return bool(a) and a["axis"] % len(graph.shapes[node.name]) == 1 and a["step"] == 1


def _hands_on(node: Node, graph: Graph) -> bool:
    """Whether the channels of the only input stay where they are."""
    return len(node.inputs) == 1 and node.op != "slice" and _keeps_channels(node, graph)


def _channels(graph: Graph, rooms: Rooms) -> dict[str, Segments]:
    """Value → places of its channels (axis 1) among those of the largest value of its name."""
    found = {i.name: leading(i.shape[1]) for i in graph.inputs}
    cuts = _cuts(graph)
    for node in graph.nodes:
        if node.name in cuts:
            widths = cuts[node.name]
            found[node.name] = joined([leading(w) for w in widths], rooms.get(node.name) or widths)
        else:
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
    if _keeps_channels(node, graph):
        same = [c for i, c in zip(node.inputs, read, strict=True) if graph.shapes[i][1:2] == shape[1:2]]
        if same:  # else its second axis is none of channels: tokens that were padded
            return same[0]
    return leading(shape[1] if len(shape) > 1 else 1)


def _keeps_channels(node: Node, graph: Graph) -> bool:
    """Whether channel i of the output is channel i of an input."""
    if node.op in _REDUCTIONS:
        rank = len(graph.shapes[node.inputs[0]])
        return all(axis % rank > 1 for axis in attributes(node)["axes"])
    if node.op == "slice":
        return attributes(node)["axis"] % len(graph.shapes[node.name]) != 1
    return node.op in CHANNELWISE or _is_depthwise(node, graph)


def _part(node: Node, name: str, shape: Sequence[int], places: tuple[Segments, Segments], graph: Graph) -> Part:
    """`places`: those of the channels that the node reads and writes."""
    read, written = places
    axes: list[Segments | int] = [leading(size) for size in shape]
    if node.op in ("conv", "conv_transpose") and name == "weight":
        axes[2:] = shape[2:]
    if node.op == "conv":
        axes[0] = written
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

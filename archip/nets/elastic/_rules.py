"""What operations do to channels: those that work on each channel by itself, sums, concatenations, means.

A rule gives the channels of a step's result; None if they are not known to stay apart.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from archip.nets.elastic._groups import Spans, Value, join
from archip.nets.elastic._trace import shape_of, target

__all__ = ["EACH", "SUMS", "Open", "Rule", "Seen", "axis_of", "cat", "each", "is_broadcast", "mean", "softmax", "total"]


@dataclass
class Open:
    """A method of the first argument that does what a step does, for any width.

    Attributes:
        arguments: numbers, steps, or lists of axes of the source, for the product of their sizes.
        spans: the channels that it leaves open.
    """

    method: str
    arguments: list[Any]
    spans: Spans


@dataclass
class Seen:
    """What is known of the steps so far.

    Attributes:
        values: of steps that give one tensor.
        pieces: of steps that give several.
        open: steps that write a width as a number → what to write in their place.
    """

    modules: dict[str, Any]
    values: dict[fx.Node, Value] = field(default_factory=dict)
    pieces: dict[fx.Node, Sequence[Value]] = field(default_factory=dict)
    open: dict[fx.Node, Open] = field(default_factory=dict)

    def of(self, what: Any) -> Value | None:
        return self.values.get(what) if isinstance(what, fx.Node) else None


Rule = Callable[[Seen, fx.Node], "Value | Sequence[Value] | None"]

_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.ELU),
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
)
_FUNCTIONS: set[Any] = {
    *(F.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.hardswish, F.hardsigmoid, F.dropout, torch.relu, torch.sigmoid),
    *(torch.tanh, F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool1d, F.avg_pool1d, F.interpolate),
    *("relu", "sigmoid", "tanh", "contiguous", "relu_", "clone", "to", "float", "type_as"),
}
EACH = (_MODULES, _FUNCTIONS)
SUMS: set[Any] = {
    *(operator.add, operator.iadd, operator.sub, operator.mul, operator.imul, operator.truediv, torch.add, torch.mul),
    *(torch.sub, torch.div, "add", "sub", "mul", "div", "add_", "mul_", "div_", torch.masked_fill, "masked_fill"),
}


def axis_of(node: fx.Node, place: int, name: str = "dim", default: Any = None) -> Any:
    """An argument of a step, written by place or by name."""
    return node.kwargs.get(name, node.args[place] if len(node.args) > place else default)


def each(seen: Seen, node: fx.Node) -> Value | None:
    """Whatever works on each channel by itself; pooling and resizing do if the channels are on axis 1 of a map."""
    value = seen.of(node.all_input_nodes[0])
    kind = str(type(seen.modules[target(node)]) if node.op == "call_module" else node.target).lower()
    is_map = value is not None and value.axis == 1 and len(shape_of(node)) > 2
    return value if is_map or not any(word in kind for word in ("pool", "interpolate", "upsample")) else None


def softmax(seen: Seen, node: fx.Node) -> Value | None:
    """Sums to 1 along one axis, which is not that of the channels."""
    value = seen.of(node.all_input_nodes[0])
    dim = seen.modules[target(node)].dim if node.op == "call_module" else axis_of(node, 1)
    if value is None or not isinstance(dim, int) or dim % len(shape_of(node)) == value.axis:
        return None
    return value


def is_broadcast(sizes: Sequence[int], axis: int, n: int) -> bool:
    """A tensor of `sizes` says the same to everything along `axis` of one with `n` axes."""
    place = axis - n + len(sizes)
    return place < 0 or sizes[place] == 1


def total(seen: Seen, node: fx.Node) -> Value | None:
    """Sums, products and masks: the channels of both sides are the same, or one side says the same to all."""
    sides = [a for a in node.args if isinstance(a, fx.Node)]
    shape = shape_of(node)
    known = [(side, value) for side in sides if (value := seen.of(side)) is not None]
    if not known or any(len(shape_of(side)) != len(shape) for side, _ in known):
        return None
    (side, value), axis = known[0], known[0][1].axis
    if shape_of(side)[axis] != shape[axis]:
        return None
    for other in sides:
        found = seen.of(other)
        if found is not None and found.axis == axis and shape_of(other)[axis] == shape[axis]:
            join(value.spans, found.spans, f"{node.name} adds or multiplies channels of different origin")
        elif found is not None or not is_broadcast(shape_of(other), axis, len(shape)):
            return None
    return value


def cat(seen: Seen, node: fx.Node) -> Value | None:
    if not node.args or not isinstance(node.args[0], tuple | list):
        return None
    values = [seen.of(part) for part in node.args[0]]
    axis = axis_of(node, 1, default=0)
    spans: Spans = []
    for value in values:
        if not isinstance(axis, int) or value is None or value.axis != axis % len(shape_of(node)):
            return None
        spans += value.spans
    return Value(axis % len(shape_of(node)), spans) if len(set(node.args[0])) == len(values) else None


def mean(seen: Seen, node: fx.Node) -> Value | None:
    """Over axes behind the channels."""
    source = node.all_input_nodes[0]
    value, before, axes = seen.of(source), shape_of(source), axis_of(node, 1)
    gone = [axes] if isinstance(axes, int) else list(axes) if isinstance(axes, tuple | list) else []
    gone = [a % len(before) for a in gone if isinstance(a, int)]
    return value if value is not None and gone and min(gone) > value.axis else None

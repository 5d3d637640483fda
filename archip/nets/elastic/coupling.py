"""Coupled widths of a torch module: which channels have to shrink together, and which have to stay, and why.

The module is traced with `torch.fx`. Every layer with weights gives its output a new width. Sums and products make
the widths of their operands one; concatenations string them together; depthwise layers, norms and whatever works on
each channel by itself pass them on. Anything else is not looked into: the widths that it reads stay as they are.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.fx.proxy import TraceError
from torch.nn import functional as F

from archip.core.errors import UserError
from archip.nets.elastic._trace import OneInput, asks_shape, infers_last, shape_of, target, why_not

__all__ = ["Coupling", "Group", "Spans", "coupling"]

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
_MODULES = (  # each channel by itself
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.ELU),
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
)
_FUNCTIONS: set[Any] = {
    *(F.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.hardswish, F.hardsigmoid, F.dropout, torch.relu, torch.sigmoid),
    *(torch.tanh, F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.max_pool1d, F.avg_pool1d, F.interpolate),
    *("relu", "sigmoid", "tanh", "contiguous", "relu_"),
}
_SUMS: set[Any] = {
    operator.add,
    operator.iadd,
    operator.sub,
    operator.mul,
    operator.imul,
    torch.add,
    torch.mul,
    "add",
    "mul",
}


@dataclass(eq=False)
class Group:
    """Channels that shrink together; `joined` leads to the group that it has become part of."""

    name: str
    size: int
    order: int = -1  # of its layer among all that give widths
    fixed: str = ""  # why it has to stay
    is_read: bool = False  # a layer has them as inputs
    joined: Group | None = None

    def root(self) -> Group:
        return self if self.joined is None else self.joined.root()


Spans = list[tuple[Group, int]]  # a group and how many neighbouring channels each of its units has


@dataclass
class Value:
    """A traced value: the axis along which its channels lie, and the channels."""

    axis: int
    spans: Spans


@dataclass
class Coupling:
    """What was found: layer → channels of its inputs and outputs; groups in the order of the layers."""

    layers: dict[str, tuple[Spans, Spans]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)  # what was not understood → why


def coupling(module: nn.Module, x: Tensor) -> Coupling:
    """Find the coupled widths of `module`, which is called with `x`.

    Raises:
        UserError: the module cannot be traced, e.g. as what it does depends on the values of its inputs.
    """
    try:
        traced = fx.symbolic_trace(OneInput(module))
    except (TraceError, TypeError, RuntimeError, NotImplementedError) as error:
        raise UserError(
            f"{type(module).__name__} cannot be traced: {error}", right="no control flow on values"
        ) from None
    with torch.no_grad():
        ShapeProp(traced).propagate(x)
    walk = _Walk(traced)
    for node in traced.graph.nodes:
        walk.visit(node)
    walk.finish()
    return walk.found


class _Walk:
    def __init__(self, traced: fx.GraphModule) -> None:
        self.modules: dict[str, Any] = {name.removeprefix("module."): m for name, m in traced.named_modules()}
        self.values: dict[fx.Node, Value] = {}
        self.found = Coupling()
        self.direct: set[str] = set()  # layers whose tensors are read without calling them

    def visit(self, node: fx.Node) -> None:
        rule = self._rule(node)
        shape = shape_of(node)
        value = rule(node, shape) if rule and shape else None
        if value is not None:
            self.values[node] = value
        elif node.op == "output":
            self._fix(node, "outputs of the network stay")
        elif node.op == "get_attr":
            self.direct.add(target(node).rpartition(".")[0])
        elif node.op != "placeholder" and not asks_shape(node):
            why = f"{self._named(node)} is not known to keep channels apart"
            if any(i in self.values for i in node.all_input_nodes):
                self.found.left[node.name] = why
            self._fix(node, why)

    def finish(self) -> None:
        """Fix the layers that cannot be wrapped, and widths that no layer reads."""
        owners = Counter(id(p) for m in set(self.modules.values()) for p in m._parameters.values() if p is not None)
        for name, (inputs, outputs) in self.found.layers.items():
            layer = self.modules[name]
            n_owners = max((owners[id(p)] for p in layer._parameters.values() if p is not None), default=1)
            why = "is read by the forward pass itself" if name in self.direct else why_not(layer, n_owners)
            if why:
                _fix([*inputs, *outputs], f"{name} {why}")
        for group in self.found.groups:
            if not group.root().is_read:
                group.root().fixed = group.root().fixed or "no layer reads it"

    def _rule(self, node: fx.Node) -> Callable[[fx.Node, Sequence[int]], Value | None] | None:
        if node.op == "call_module":
            layer = self.modules[target(node)]
            if type(layer) in _WEIGHTED + _NORMS:
                return self._layer if type(layer) in _WEIGHTED else self._norm
            return self._same if isinstance(layer, _MODULES) else self._flat if isinstance(layer, nn.Flatten) else None
        if node.target in _SUMS:
            return self._sum
        if node.target in (torch.cat, torch.concat):
            return self._cat
        if node.target in (torch.flatten, "flatten", "view", "reshape", torch.reshape):
            return self._flat
        if node.target in (torch.mean, "mean"):
            return self._mean
        return self._same if node.target in _FUNCTIONS else None

    def _layer(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        name, layer = target(node), self.modules[target(node)]
        is_linear = isinstance(layer, nn.Linear)
        n_in, n_out = (layer.in_features, layer.out_features) if is_linear else (layer.in_channels, layer.out_channels)
        axis = len(shape) - 1 if is_linear else 1
        if not is_linear and len(shape) != len(layer.kernel_size) + 2:
            return None  # no batch
        read = self._read(node, axis, name, int(n_in))
        groups = 1 if is_linear else int(layer.groups)
        if groups > 1 and groups == n_in == n_out:
            given = read
        else:
            given = self._new(name, int(n_out))
            for group, _ in read:
                group.root().is_read = True
            if groups > 1:
                _fix([*read, *given], f"{name} is a grouped convolution")
        if name in self.found.layers:  # called again with the same weights
            before = self.found.layers[name]
            _join(before[0], read, f"{name} is called with different inputs")
            _join(before[1], given, f"{name} is called with different inputs")
        self.found.layers.setdefault(name, (read, given))
        return Value(axis, given)

    def _norm(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        name, layer = target(node), self.modules[target(node)]
        is_last = isinstance(layer, nn.LayerNorm)
        axis = len(shape) - 1 if is_last else 1
        spans = self._read(node, axis, name, shape[axis])
        if isinstance(layer, nn.GroupNorm) and layer.num_groups > 1:
            _fix(spans, f"{name} has groups of channels")
        if is_last and len(layer.normalized_shape) > 1:
            _fix(spans, f"{name} normalises several axes")
        if name in self.found.layers:
            _join(self.found.layers[name][0], spans, f"{name} is called with different inputs")
        self.found.layers.setdefault(name, (spans, spans))
        return Value(axis, spans)

    def _same(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        """Whatever works on each channel by itself; pooling and resizing do if the channels are on axis 1 of a map."""
        value = self.values.get(node.all_input_nodes[0])
        kind = str(type(self.modules[target(node)]) if node.op == "call_module" else node.target).lower()
        is_map = value is not None and value.axis == 1 and len(shape) > 2
        return value if is_map or not any(word in kind for word in ("pool", "interpolate", "upsample")) else None

    def _sum(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        if len(node.all_input_nodes) < 2:
            return self._same(node, shape)
        a, b = (self.values.get(i) for i in node.all_input_nodes)
        sides = [shape_of(i) for i in node.all_input_nodes]
        if a is None or b is None or len(sides[0]) != len(sides[1]) or a.axis != b.axis:
            return None
        if sides[0][a.axis] != sides[1][b.axis]:
            return None
        _join(a.spans, b.spans, f"{node.name} adds or multiplies channels of different origin")
        return a

    def _cat(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        if not node.args:
            return None
        values = [self.values.get(i) for i in node.all_input_nodes]
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        known = [v for v in values if v is not None]
        if not isinstance(axis, int) or len(known) < len(values) or any(v.axis != axis % len(shape) for v in known):
            return None
        if any(i not in node.all_input_nodes for i in node.args[0]) or len(node.args[0]) != len(values):  # pyright: ignore
            return None  # one value twice
        return Value(known[0].axis, [span for v in known for span in v.spans])

    def _flat(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        """Everything behind the batch becomes one axis."""
        source = node.all_input_nodes[0]
        value, before = self.values.get(source), shape_of(source)
        by_number = node.target in ("view", "reshape", torch.reshape) and not infers_last(node)
        if value is None or by_number or value.axis != 1 or len(shape) != 2 or shape[0] != before[0]:
            return None
        times = shape[1] // before[1]
        return Value(1, [(group, n * times) for group, n in value.spans])

    def _mean(self, node: fx.Node, shape: Sequence[int]) -> Value | None:
        source = node.all_input_nodes[0]
        value, before = self.values.get(source), shape_of(source)
        axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        gone = [axes] if isinstance(axes, int) else list(axes) if isinstance(axes, tuple | list) else []
        gone = [a % len(before) for a in gone if isinstance(a, int)]
        if value is None or not gone or min(gone) <= value.axis:
            return None
        return value

    def _read(self, node: fx.Node, axis: int, name: str, n: int) -> Spans:
        """The channels along `axis` of what a layer reads; fixed ones if it is not known what they are."""
        value = self.values.get(node.all_input_nodes[0])
        if value is not None and value.axis == axis:
            return value.spans
        self._fix(node, f"{name} reads another axis")
        return [(Group(f"inputs of {name}", n, fixed="their origin is not known"), 1)]

    def _new(self, name: str, n: int) -> Spans:
        self.found.groups.append(Group(name, n, len(self.found.groups)))
        return [(self.found.groups[-1], 1)]

    def _fix(self, node: fx.Node, why: str) -> None:
        for read in node.all_input_nodes:
            if read in self.values:
                _fix(self.values[read].spans, why)

    def _named(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return f"{target(node)} ({type(self.modules[target(node)]).__name__})"
        return f"{getattr(node.target, '__name__', node.target)} ({node.name})"


def _fix(spans: Spans, why: str) -> None:
    for group, _ in spans:
        root = group.root()
        root.fixed = root.fixed or why


def _join(a: Spans, b: Spans, why: str) -> None:
    """Make the groups of two axes one, if they are cut in the same way; else they stay."""
    if [(g.size, n) for g, n in a] != [(g.size, n) for g, n in b]:
        _fix([*a, *b], why)
        return
    for (left, _), (right, _) in zip(a, b, strict=True):
        one, other = sorted((left.root(), right.root()), key=lambda group: group.order)  # the first gives the name
        if one is not other:
            other.joined = one
            one.fixed, one.is_read = one.fixed or other.fixed, one.is_read or other.is_read

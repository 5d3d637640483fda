"""Coupled widths of a torch module: which channels have to shrink together, and which have to stay, and why.

The module is traced. Every layer with weights gives its output a new width. Sums and products make the widths of
their operands one; concatenations string them together; depthwise layers, norms and whatever works on each channel by
itself pass them on; reshapes, transpositions and products of matrices show the heads of an attention. Anything else
is not looked into: the widths that it reads stay as they are.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from archip.nets.elastic._groups import Group, Spans, Value, fix, join, resolved
from archip.nets.elastic._heads import AXES
from archip.nets.elastic._rules import EACH, SUMS, Open, Rule, Seen, cat, each, mean, softmax, total
from archip.nets.elastic._trace import Trace, shape_of, target, why_not

__all__ = ["Coupling", "coupling"]

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
_RULES: dict[Any, Rule] = {
    **dict.fromkeys(EACH[1], each),
    **dict.fromkeys(SUMS, total),
    **dict.fromkeys((torch.cat, torch.concat), cat),
    **dict.fromkeys((torch.mean, "mean"), mean),
    **dict.fromkeys((torch.softmax, F.softmax, "softmax"), softmax),
    **AXES,
}


@dataclass
class Coupling:
    """What was found: layer → channels of its inputs and outputs; groups in the order of the layers.

    Attributes:
        open: steps that write a width as a number → what to write in their place.
    """

    layers: dict[str, tuple[Spans, Spans]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    open: dict[fx.Node, Open] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, str]:
        """Layer → why its width stays."""
        reasons = {g.name: [r.fixed for r, _ in resolved([(g, 1)]) if r.fixed] for g in self.groups}
        return {name: found[0] for name, found in reasons.items() if found}


def coupling(trace: Trace) -> Coupling:
    """Find the coupled widths of a traced module."""
    walk = _Walk(trace)
    for node in trace.steps:
        walk.visit(node)
    walk.finish()
    return walk.found


class _Walk:
    def __init__(self, trace: Trace) -> None:
        self.modules = trace.modules
        self.seen = Seen(self.modules)
        self.found = Coupling(open=self.seen.open)
        self.direct: set[str] = set()  # layers whose tensors are read without calling them
        self.needed = _needed(trace.steps)

    def visit(self, node: fx.Node) -> None:
        known = [i for i in node.all_input_nodes if i in self.seen.values or i in self.seen.pieces]
        rule = self._rule(node) if known or node.op == "call_module" else None
        value = rule(self.seen, node) if rule else None
        if isinstance(value, Value):
            self.seen.values[node] = value
        elif value is not None:
            self.seen.pieces[node] = value
        elif node.op == "output":
            self._fix(node, "outputs of the network stay")
        elif node.op == "get_attr":
            self.direct.add(target(node).rpartition(".")[0])
        elif known and node in self.needed and not self._asks_other_sizes(node):
            self._fix(node, self._why(node, rule))

    def finish(self) -> None:
        """Fix the layers that cannot be wrapped, and widths that no layer reads."""
        owners = Counter(id(p) for m in set(self.modules.values()) for p in m._parameters.values() if p is not None)
        for name, (inputs, outputs) in self.found.layers.items():
            layer = self.modules[name]
            n_owners = max((owners[id(p)] for p in layer._parameters.values() if p is not None), default=1)
            why = "is read by the forward pass itself" if name in self.direct else why_not(layer, n_owners)
            if why:
                fix([*inputs, *outputs], f"{name} {why}")
        for group, _ in resolved([(g, 1) for g in self.found.groups]):
            if not group.is_read:
                group.fixed = group.fixed or "no layer reads it"

    def _rule(self, node: fx.Node) -> Rule | None:
        if node.op != "call_module":
            return _RULES.get(node.target)
        layer = self.modules[target(node)]
        if type(layer) in _WEIGHTED + _NORMS:
            return self._layer if type(layer) in _WEIGHTED else self._norm
        if isinstance(layer, nn.Flatten):
            return AXES["flatten"]
        return softmax if isinstance(layer, nn.Softmax) else each if isinstance(layer, EACH[0]) else None

    def _layer(self, seen: Seen, node: fx.Node) -> Value | None:
        name, layer, shape = target(node), self.modules[target(node)], shape_of(node)
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
            for group, _ in resolved(read):
                group.is_read = True
            if groups > 1:
                fix([*read, *given], f"{name} is a grouped convolution")
        if name in self.found.layers:  # called again with the same weights
            before = self.found.layers[name]
            join(before[0], read, f"{name} is called with different inputs")
            join(before[1], given, f"{name} is called with different inputs")
        self.found.layers.setdefault(name, (read, given))
        return Value(axis, given)

    def _norm(self, seen: Seen, node: fx.Node) -> Value | None:
        name, layer, shape = target(node), self.modules[target(node)], shape_of(node)
        is_last = isinstance(layer, nn.LayerNorm)
        value = seen.of(node.all_input_nodes[0])
        if is_last and value is not None and value.axis < len(shape) - len(layer.normalized_shape):
            return value  # each unit by itself
        axis = len(shape) - 1 if is_last else 1
        spans = self._read(node, axis, name, shape[axis])
        if isinstance(layer, nn.GroupNorm) and layer.num_groups > 1:
            fix(spans, f"{name} has groups of channels")
        if is_last and len(layer.normalized_shape) > 1:
            fix(spans, f"{name} normalises several axes")
        if name in self.found.layers:
            join(self.found.layers[name][0], spans, f"{name} is called with different inputs")
        self.found.layers.setdefault(name, (spans, spans))
        return Value(axis, spans)

    def _read(self, node: fx.Node, axis: int, name: str, n: int) -> Spans:
        """The channels along `axis` of what a layer reads; fixed ones if it is not known what they are."""
        value = self.seen.of(node.all_input_nodes[0])
        if value is not None and value.axis == axis:
            return value.spans
        self._fix(node, f"{name} reads another axis")
        return [(Group(f"inputs of {name}", n, fixed="their origin is not known"), 1)]

    def _new(self, name: str, n: int) -> Spans:
        self.found.groups.append(Group(name, n, len(self.found.groups)))
        return [(self.found.groups[-1], 1)]

    def _fix(self, node: fx.Node, why: str) -> None:
        for read in node.all_input_nodes:
            values = [self.seen.values[read]] if read in self.seen.values else self.seen.pieces.get(read, [])
            for value in values:
                fix(value.spans if value is not None else [], why)

    def _asks_other_sizes(self, node: fx.Node) -> bool:
        """It reads sizes, and not that of the channels."""
        value = self.seen.of(node.args[0])
        if value is None or not (node.target == "size" or (node.target is getattr and node.args[1] == "shape")):
            return node.target is getattr and node.args[1] != "shape"  # device, type of numbers
        n = len(shape_of(node.all_input_nodes[0]))
        if node.target == "size" and len(node.args) > 1:
            return isinstance(node.args[1], int) and node.args[1] % n != value.axis
        users = [user for user in node.users if user in self.needed]
        if any(user.target is not operator.getitem for user in users):
            return False
        return all(value.axis not in _picked(user.args[1], n) for user in users)

    def _why(self, node: fx.Node, rule: Rule | None) -> str:
        if node.op == "call_module":
            return f"{target(node)} ({type(self.modules[target(node)]).__name__}) is not known to keep channels apart"
        named = f"{getattr(node.target, '__name__', node.target)} ({node.name})"
        if rule is total:
            return f"{named} adds or multiplies channels of different origin"
        return f"{named} is not known to keep channels apart"


def _picked(index: Any, n: int) -> Sequence[int]:
    """The places among `n` that an index takes."""
    if isinstance(index, int):
        return [index % n]
    known = isinstance(index, slice) and all(i is None or isinstance(i, int) for i in (index.start, index.stop))
    return range(n)[index] if known else range(n)


def _needed(steps: Sequence[fx.Node]) -> set[fx.Node]:
    """Steps that the output depends on, and those that change something in place."""
    found: set[fx.Node] = set()
    for node in reversed(steps):
        in_place = node.op == "call_method" and str(node.target).endswith("_")
        if node.op == "output" or in_place or any(user in found for user in node.users):
            found.add(node)
    return found

"""Draft: a graph while it is read from another format. The readers share it.

A value is either the name of a node's output, or a `Known` tensor: a weight or constant, which becomes part of the
operator that uses it, or a node of its own where an operator takes it as an input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, Input, Node
from archip.ir.ops import OPS, loop_nest, output_shapes, weights

__all__ = ["Draft", "Known", "Unsupported", "Value"]

Shape = tuple[int, ...]
_AXES = {2: "NC", 3: "NCL", 4: "NCHW", 5: "NCDHW"}


class Unsupported(CandidateError):
    """A form of an operator that archip cannot cost; the file itself is right."""


@dataclass(frozen=True, eq=False)
class Known:
    """A tensor that does not depend on the inputs.

    Attributes:
        key: its name where it comes from; the same for all views of one weight.
        is_trained: a weight rather than a constant.
        array: the value, where the reader needs it.
        bits: width, of quantised weights.
    """

    key: str
    shape: Shape
    is_trained: bool = False
    array: np.ndarray | None = None
    bits: int | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


Value = str | Known


class Draft:
    """Collects nodes, their shapes, and which node owns which weight."""

    def __init__(self) -> None:
        self._inputs: list[Input] = []
        self._nodes: dict[str, Node] = {}
        self._taken: set[str] = set()
        self._home: dict[str, str] = {}
        self._made: dict[tuple[str, Shape], str] = {}
        self.shapes: dict[str, Shape] = {}

    def input(self, name: str, shape: Sequence[int]) -> str:
        name = self._free(name)
        self.shapes[name] = tuple(shape)
        self._inputs.append(Input(name, tuple(shape), _AXES.get(len(shape), "N" + "?" * (len(shape) - 1))))
        return name

    def shape(self, value: Value) -> Shape:
        return self.shapes[value] if isinstance(value, str) else value.shape

    def add(self, name: str, op: str, *inputs: Value, tensors: Mapping[str, Known] | None = None, **attrs: Any) -> str:
        """Adds a node, called `name` or that with a number, and returns its first output.

        Args:
            name: the node's.
            op: row of the operator table.
            inputs: what it reads; weights and constants among them become nodes.
            tensors: name of a weight of `op` → where it comes from. A weight that another node has already is tied.
            attrs: attributes of `op`.

        Raises:
            CandidateError: inputs or attributes that do not fit.
        """
        values = [self._node_of(v) if isinstance(v, Known) else v for v in inputs]
        name = self._free(name)
        given = {k: v for k, v in attrs.items() if not _is_default(op, k, v)}
        owners = {k: self._home.setdefault(t.key, f"{name}.{k}") for k, t in (tensors or {}).items()}
        if tied := tuple((k, owner) for k, owner in owners.items() if owner != f"{name}.{k}"):
            given["tied"] = tied
        node = Node.of(name, op, values, given)
        shapes = [self.shapes[v] for v in values]
        made = output_shapes(node, shapes)
        _check_sizes(node, made, loop_nest(node, shapes, made[name]))
        self.shapes |= made
        _check_weights(node, shapes, tensors or {})
        self._nodes[name] = node
        return name

    def reshaped(self, name: str, value: Value, shape: Sequence[int]) -> Value:
        """`value` in another shape; no node where it has that shape, or is a weight."""
        shape = tuple(int(d) for d in shape)
        if isinstance(value, Known):
            array = None if value.array is None else value.array.reshape(shape)
            return Known(value.key, shape, value.is_trained, array, value.bits)
        while value in self._nodes and self._nodes[value].op == "reshape":  # of views in a row, the last one counts
            value = self._nodes[value].inputs[0]
        return value if self.shapes[value] == shape else self.add(name, "reshape", value, shape=shape)

    def finish(self, *outputs: Value) -> Graph:
        """The graph, without nodes that no output needs."""
        names = [self._node_of(v) if isinstance(v, Known) else v for v in outputs]
        needed = {v.partition(":")[0] for v in names}
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed |= {v.partition(":")[0] for v in node.inputs}
        return Graph(tuple(self._inputs), tuple(n for n in self._nodes.values() if n.name in needed), tuple(names))

    def _node_of(self, known: Known) -> str:
        at = (known.key, known.shape)
        if at not in self._made and known.is_trained:
            self._made[at] = self.add(known.key, "parameter", shape=known.shape, tensors={"weight": known})
        elif at not in self._made:
            number = known.array.item() if known.array is not None and known.size == 1 else None
            self._made[at] = self.add(known.key, "constant", shape=known.shape, value=number)
        return self._made[at]

    def _free(self, name: str) -> str:
        """`name`, or that with the first number that makes it new."""
        name = name.replace(":", "_") or "value"
        number, free = 0, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free


def _check_sizes(node: Node, made: Mapping[str, Shape], loops: Sequence[int] | None) -> None:
    """Attributes of a file may have any type and value; what follows from them has to be sizes."""
    for size in [d for shape in made.values() for d in shape] + list(loops or ()):
        if not isinstance(size, int | np.integer) or size < 0:
            raise CandidateError(f"node {node.name!r}: {size!r} is no size")


def _check_weights(node: Node, shapes: Sequence[Shape], tensors: Mapping[str, Known]) -> None:
    """Weights may be transposed or have other axes of size 1, but have the size that the node implies."""
    for k, wanted in weights(node, shapes).items():
        if k in tensors and tensors[k].size != math.prod(wanted):
            raise CandidateError(f"node {node.name!r}: {k} has the shape {tensors[k].shape}, not {wanted}")


def _is_default(op: str, attribute: str, value: Any) -> bool:
    """Whether the table has this value, for all axes if there are several."""
    default = OPS[op].attrs.get(attribute, value is None)
    if value == ():
        return default == ()
    each = value if isinstance(value, tuple) and not isinstance(default, tuple) else (value,)
    return all(v == default for v in each) and attribute in OPS[op].attrs

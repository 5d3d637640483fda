"""Graph: an immutable, hashable operator graph. Spaces produce it, importers read it, everything else consumes it.

A node's name is also the name of its first output; further outputs are ``name:1``, ``name:2`` … Weights are implied
by the operator and its attributes (`ops.py` says which and of what shape). Shapes carry the batch axis first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archip.core.errors import CandidateError

__all__ = ["Graph", "GraphBuilder", "Input", "Node"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    """An input tensor; `axes` names its axes, e.g. ``NCHW``, ``NCL``, or ``NT`` for numbers of tokens."""

    name: str
    shape: Shape
    axes: str

    @property
    def is_tokens(self) -> bool:
        """Whether its values are whole numbers that name tokens (int64), not float32."""
        return self.axes == "NT"


@dataclass(frozen=True)
class Node:
    """One operator. `attributes` are sorted (name, value) pairs; values are int, float, str, bool or tuples of them."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, op: str, inputs: Sequence[str], attrs: Mapping[str, Any]) -> Node:
        """A node with these attributes, put in order; lists among them become tuples."""
        return cls(name, op, tuple(inputs), tuple(sorted((k, _frozen(v)) for k, v in attrs.items())))

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attribute name → value."""
        return dict(self.attributes)


@dataclass(frozen=True)
class Graph:
    """Inputs, nodes in topological order, and the names of the output values."""

    inputs: tuple[Input, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Value name → shape, inferred by the operator table.

        Raises:
            CandidateError: an operator that the table lacks, or shapes that do not fit; names the node.
        """
        from archip.ir.ops import infer_shapes

        return infer_shapes(self)

    @cached_property
    def node(self) -> Mapping[str, Node]:
        """Node name → node."""
        return {n.name: n for n in self.nodes}

    @cached_property
    def id(self) -> str:
        """16 hex digits of structure, attributes and names."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [[i.name, list(i.shape), i.axes] for i in self.inputs],
            "nodes": [[n.name, n.op, list(n.inputs), [list(a) for a in n.attributes]] for n in self.nodes],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Graph:
        return cls(
            tuple(Input(n, tuple(s), a) for n, s, a in value["inputs"]),
            tuple(Node.of(n, op, i, dict(a)) for n, op, i, a in value["nodes"]),
            tuple(value["outputs"]),
        )


class GraphBuilder:
    """Writes a graph node by node; `add` returns the value's name.

    >>> g = GraphBuilder()
    >>> x = g.input("image", (1, 3, 32, 32), "NCHW")
    >>> x = g.add("conv", x, name="stem", out_channels=64, kernel=(3, 3), padding=(1, 1))
    >>> g.finish(g.add("relu", x, name="stem.relu")).shapes["stem.relu"]
    (1, 64, 32, 32)
    """

    def __init__(self) -> None:
        self._inputs: list[Input] = []
        self._nodes: list[Node] = []
        self._names: set[str] = set()

    def input(self, name: str, shape: Sequence[int], axes: str) -> str:
        self._claim(name)
        self._inputs.append(Input(name, tuple(shape), axes))
        return name

    def add(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        self._claim(name)
        for value in inputs:
            if value.partition(":")[0] not in self._names - {name}:
                raise CandidateError(f"node {name!r} reads {value!r}, which no earlier node makes")
        self._nodes.append(Node.of(name, op, inputs, attributes))
        return name

    def finish(self, *outputs: str) -> Graph:
        return Graph(tuple(self._inputs), tuple(self._nodes), outputs)

    def _claim(self, name: str) -> None:
        if name in self._names:
            raise CandidateError(f"two nodes are called {name!r}")
        self._names.add(name)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value

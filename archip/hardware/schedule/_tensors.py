"""Operators and the tensors between them: what memory-aware schedules are made of, and where such a graph can be cut.

Axes: O operators, E tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from archip.ir.graph import Graph
from archip.ir.ops import OPS, UNARY, weights

__all__ = ["TensorGraph", "cut", "tensor_graph"]

_FUSED = frozenset({*UNARY, "batch_norm", "clip", "elu", "leaky_relu", "prelu"})


@dataclass(frozen=True)
class TensorGraph:
    """A graph of operators; the numbers of operators and tensors are their places.

    Attributes:
        size_E: bytes.
        producer_E: the operator that writes it; -1 for inputs and weights, which lie in DRAM at the start.
        readers_E: the operators that read it.
        is_output_E: whether it has to lie in DRAM at the end.
        name_O: for messages and pictures.
    """

    size_E: tuple[int, ...]
    producer_E: tuple[int, ...]
    readers_E: tuple[tuple[int, ...], ...]
    is_output_E: tuple[bool, ...]
    name_O: tuple[str, ...]

    @property
    def n_operators(self) -> int:
        return len(self.name_O)

    @cached_property
    def tensors_O(self) -> tuple[tuple[int, ...], ...]:
        """The tensors that each operator reads or writes."""
        touched: list[list[int]] = [[] for _ in self.name_O]
        for e, (producer, readers) in enumerate(zip(self.producer_E, self.readers_E, strict=True)):
            for o in {producer, *readers} - {-1}:
                touched[o].append(e)
        return tuple(tuple(tensors) for tensors in touched)

    @cached_property
    def before_O(self) -> tuple[frozenset[int], ...]:
        """All operators that have to run before each one."""
        direct: list[set[int]] = [set() for _ in self.name_O]
        for producer, readers in zip(self.producer_E, self.readers_E, strict=True):
            for o in readers if producer >= 0 else ():
                direct[o].add(producer)
        closed: dict[int, frozenset[int]] = {}
        while len(closed) < self.n_operators:
            for o in [o for o in range(self.n_operators) if o not in closed and direct[o] <= closed.keys()]:
                closed[o] = frozenset(direct[o].union(*(closed[p] for p in direct[o])))
        return tuple(closed[o] for o in range(self.n_operators))

    @property
    def compulsory_bytes(self) -> int:
        """What crosses the off-chip link in any case: every input that is read once, every output once."""
        reads = sum(s for s, p, r in zip(self.size_E, self.producer_E, self.readers_E, strict=True) if p < 0 and r)
        return reads + sum(s for s, is_output in zip(self.size_E, self.is_output_E, strict=True) if is_output)


def cut(graph: TensorGraph) -> list[list[int]]:
    """Operators in pieces, each of which has to end before the next begins and hands on one tensor alone.

    A piece ends with an operator that all others before it lead to, all others after it depend on, and whose one
    result is all that the later ones need of what was there before. Within a piece, operators are in an order in
    which producers come first and little is alive.
    """
    order = list(_thrifty_order(graph))
    place = {o: i for i, o in enumerate(order)}
    pieces, begin = [], 0
    for i, o in enumerate(order):
        is_narrow = len(graph.before_O[o]) == i and all(o in graph.before_O[later] for later in order[i + 1 :])
        crossing = [
            e
            for e, (producer, readers) in enumerate(zip(graph.producer_E, graph.readers_E, strict=True))
            if any(place[r] > i for r in readers)
            and (0 <= place.get(producer, -1) <= i or (producer < 0 and any(place[r] <= i for r in readers)))
        ]
        if (is_narrow and len(crossing) <= 1) or i == len(order) - 1:
            pieces.append(order[begin : i + 1])
            begin = i + 1
    return pieces


def _thrifty_order(graph: TensorGraph) -> Iterator[int]:
    """Always the operator that is ready and after which the fewest bytes are alive; of equals the first."""
    done: set[int] = set()
    left = [set(readers) for readers in graph.readers_E]

    def growth(o: int) -> int:
        sizes = [(graph.size_E[e], graph.producer_E[e] == o, left[e] - {o}) for e in graph.tensors_O[o]]
        return sum(size * ((is_new and bool(rest)) - (not is_new and not rest)) for size, is_new, rest in sizes)

    while len(done) < graph.n_operators:
        ready = [o for o in range(graph.n_operators) if o not in done and graph.before_O[o] <= done]
        o = min(ready, key=lambda o: (growth(o), o))
        done.add(o)
        for readers in left:
            readers.discard(o)
        yield o


def tensor_graph(graph: Graph, activation_bits: int = 8, weight_bits: int | None = None) -> TensorGraph:
    """The operators of a network that take time; views and element-wise operators work in the tensor that they read.

    Args:
        weight_bits: None where weights stream through a buffer of their own and take no room.
    """
    home: dict[str, str] = {i.name: i.name for i in graph.inputs}  # value → the tensor in which it lies
    operators: list[str] = []
    reads: dict[str, list[int]] = {i.name: [] for i in graph.inputs}
    producer: dict[str, int] = dict.fromkeys(home, -1)
    size = {i.name: math.prod(i.shape) for i in graph.inputs}
    n_readers = {value: sum(value in node.inputs for node in graph.nodes) for value in graph.shapes}
    for node in graph.nodes:
        outputs = [value for value in graph.shapes if value.partition(":")[0] == node.name]
        sole = bool(node.inputs) and n_readers[node.inputs[0]] == 1 and producer[home[node.inputs[0]]] >= 0
        if (OPS[node.op].kind == "free" and node.inputs) or (node.op in _FUSED and sole):
            home |= dict.fromkeys(outputs, home[node.inputs[0]])
            continue
        for value in dict.fromkeys(home[v] for v in node.inputs):
            reads[value].append(len(operators))
        if weight_bits is not None:
            held = weights(node, [graph.shapes[v] for v in node.inputs])
            size[f"{node.name} weights"] = math.ceil(sum(map(math.prod, held.values())) * weight_bits / activation_bits)
            reads[f"{node.name} weights"], producer[f"{node.name} weights"] = [len(operators)], -1
        for value in outputs:
            home[value], reads[value], producer[value] = value, [], len(operators)
            size[value] = math.prod(graph.shapes[value])
        operators.append(node.name)
    finals = {home[value] for value in graph.outputs}
    names = [name for name in size if size[name]]
    return TensorGraph(
        size_E=tuple(math.ceil(size[name] * activation_bits / 8) for name in names),
        producer_E=tuple(producer[name] for name in names),
        readers_E=tuple(tuple(reads[name]) for name in names),
        is_output_E=tuple(name in finals for name in names),
        name_O=tuple(operators),
    )

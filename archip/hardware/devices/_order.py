"""Order: in which order the operators of a graph run with the least memory for activations.

A buffer lives from the operator that writes it to its last reader; the network's inputs from the start, its outputs to
the end. Views take no memory of their own. An element-wise operator that is the only reader of its input writes over
it (as fused activations do); no other operator does.

The search goes through sets of operators that have run, the one with the smallest peak first, so that the first
complete set has the smallest peak of all. An operator that leaves no more alive than before and does not raise the
peak is run at once: to run it later never helps, since whatever it frees then it frees now.
Source: Liberis and Lane 2019, arXiv:1910.05110, section 3 (the same states, all of them by dynamic programming).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archip.ir.graph import Graph
from archip.ir.ops import OPS, UNARY

__all__ = ["Order", "best_order"]

_IN_PLACE = frozenset({*UNARY, "batch_norm", "clip", "elu", "leaky_relu", "prelu"})
_VALUES = frozenset({"constant"})  # free of work, but no views
_STATES = 20_000


@dataclass(frozen=True)
class Order:
    """An order of all nodes and what it needs.

    Attributes:
        peak_bytes: of activations, in this order.
        least_bytes: no order needs less; equal to `peak_bytes` where the order is optimal.
    """

    nodes: tuple[str, ...]
    peak_bytes: int
    least_bytes: int

    @property
    def is_optimal(self) -> bool:
        return self.peak_bytes == self.least_bytes


class _Step(NamedTuple):
    """Nodes that run together: one that writes buffers, and views and in-place operators on them."""

    nodes: list[str]
    before: int  # mask of the steps that have to run first


@dataclass(frozen=True)
class _Plan:
    """Steps, and buffers as (bytes, step that writes it or -1, mask of the readers; an output's readers never run)."""

    steps: tuple[_Step, ...]
    buffers: tuple[tuple[int, int, int], ...]

    def live(self, done: int) -> int:
        """Bytes alive when the steps of the mask have run."""
        return sum(size for size, by, readers in self.buffers if (by < 0 or done >> by & 1) and readers & ~done)

    def written(self, step: int) -> int:
        return sum(size for size, by, _ in self.buffers if by == step)

    def ready(self, done: int) -> list[int]:
        return [i for i, s in enumerate(self.steps) if not done >> i & 1 and not s.before & ~done]


def best_order(graph: Graph, activation_bits: int | Mapping[str, int] = 8, states: int = _STATES) -> Order:
    """The order with the smallest peak; a good one, and how much less could be possible, beyond `states` states.

    Args:
        activation_bits: one width for all values, or node or input → width; values that are not named have 8.
    """
    plan = _plan(graph, activation_bits)
    written = [plan.written(i) for i in range(len(plan.steps))]
    everything = (1 << len(plan.steps)) - 1
    start = plan.live(0)
    queue: list[tuple[int, int, int, tuple[int, ...]]] = [(start, 0, 0, ())]
    reached = {0: start}  # set of steps → the smallest peak with which it was reached
    least = start
    while queue:
        least, _, done, path = heapq.heappop(queue)
        if done == everything:
            return Order(_names(plan, path), least, least)
        if len(reached) > states:
            break
        live = plan.live(done)
        ready = plan.ready(done)
        safe = next((i for i in ready if live + written[i] <= least and plan.live(done | 1 << i) <= live), None)
        for step in ready if safe is None else [safe]:
            after = done | 1 << step
            peak = max(least, live + written[step])
            if peak < reached.get(after, peak + 1):
                reached[after] = peak
                heapq.heappush(queue, (peak, -len(path), after, (*path, step)))
    given = tuple(range(len(plan.steps)))
    peak, path = min((_peak(plan, path), path) for path in (given, _greedy(plan)))
    return Order(_names(plan, path), peak, least)


def _greedy(plan: _Plan) -> tuple[int, ...]:
    """Always the step after which the least is alive; of equals, the one that needs the least while it runs."""
    done, path = 0, []
    while len(path) < len(plan.steps):
        step = min(plan.ready(done), key=lambda i: (plan.live(done | 1 << i), plan.written(i)))
        done |= 1 << step
        path.append(step)
    return tuple(path)


def _peak(plan: _Plan, path: Sequence[int]) -> int:
    done, peak = 0, plan.live(0)
    for step in path:
        peak = max(peak, plan.live(done) + plan.written(step))
        done |= 1 << step
    return peak


def _names(plan: _Plan, path: Sequence[int]) -> tuple[str, ...]:
    return tuple(name for step in path for name in plan.steps[step].nodes)


def _plan(graph: Graph, activation_bits: int | Mapping[str, int]) -> _Plan:
    owner = _owners(graph)
    steps: list[_Step] = []
    step_of: dict[str, int] = {}  # node, or buffer → the step that makes it
    for node in graph.nodes:
        if owner[node.name] != node.name and owner[node.name] in step_of:
            step_of[node.name] = step_of[owner[node.name]]
            steps[step_of[node.name]].nodes.append(node.name)
            continue
        makers = {v.partition(":")[0] for v in node.inputs} & step_of.keys()
        before = sum({1 << step_of[name] for name in makers})
        step_of[node.name] = len(steps)
        steps.append(_Step([node.name], before))
    never = 1 << len(steps)
    readers: dict[str, int] = dict.fromkeys(owner.values(), 0)
    for node in graph.nodes:
        for value in node.inputs:
            if owner[node.name] != owner[value] or owner[value] not in step_of:
                readers[owner[value]] |= 1 << step_of[node.name]
    for value in graph.outputs:
        readers[owner[value]] |= never
    sizes = _sizes(graph, owner, activation_bits)
    buffers = [(sizes[value], step_of.get(value.partition(":")[0], -1), mask) for value, mask in readers.items()]
    return _Plan(tuple(steps), tuple(buffers))


def _owners(graph: Graph) -> dict[str, str]:
    """Value → the value in whose buffer it lies."""
    n_readers: dict[str, int] = dict.fromkeys(graph.shapes, 0)
    for node in graph.nodes:
        for value in node.inputs:
            n_readers[value] += 1
    owner = {i.name: i.name for i in graph.inputs}
    may_write = dict.fromkeys(owner, False)  # whether the value's only reader may write over it
    for value in graph.shapes:
        node = graph.node.get(value.partition(":")[0])
        if node is None:
            continue
        source = node.inputs[0] if node.inputs else ""
        is_view = OPS[node.op].kind == "free" and node.op not in _VALUES
        alone = bool(source) and may_write[source] and n_readers[source] == 1 and source not in graph.outputs
        shares = is_view or (node.op in _IN_PLACE and alone)
        owner[value] = owner[source] if shares else value
        may_write[value] = alone or not shares
    return owner


def _sizes(graph: Graph, owner: Mapping[str, str], bits: int | Mapping[str, int]) -> dict[str, int]:
    """Bytes of each buffer: those of the largest value that lies in it."""
    sizes: dict[str, int] = {}
    for value, shape in graph.shapes.items():
        width = bits.get(value.partition(":")[0], 8) if isinstance(bits, Mapping) else bits
        sizes[owner[value]] = max(sizes.get(owner[value], 0), math.ceil(math.prod(shape) * width / 8))
    return sizes

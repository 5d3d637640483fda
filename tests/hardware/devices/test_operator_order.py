"""The operator order: against every order there is, step by step execution, and networks with a known answer."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.hardware.devices._order import best_order
from archip.ir.graph import Graph, GraphBuilder
from archip.ir.memory import peak_activation_bytes


def two_branches() -> Graph:
    """A wide and a narrow branch from one input: it matters which runs first."""
    g = GraphBuilder()
    x = g.input("x", (1, 10), "NC")
    left = g.add("linear", x, name="left", out_features=100)
    left2 = g.add("linear", left, name="left2", out_features=10)
    right = g.add("linear", x, name="right", out_features=90)
    right2 = g.add("linear", right, name="right2", out_features=10)
    return g.finish(g.add("add", left2, right2, name="sum"))


def test_one_branch_after_the_other_by_hand():
    order = best_order(two_branches())
    assert order.is_optimal
    # x, left, left2 | x, left2, right | left2, right, right2: 120 for the wide branch first, and nothing does better
    assert order.peak_bytes == 120
    by_layers = Graph(two_branches().inputs, tuple(two_branches().nodes[i] for i in (0, 2, 1, 3, 4)), ("sum",))
    assert peak_activation_bytes(by_layers) == 200  # both wide values and x at once
    assert best_order(by_layers).peak_bytes == 120


def test_an_activation_writes_over_its_input_where_nobody_else_reads_it():
    g = GraphBuilder()
    x = g.input("x", (1, 10), "NC")
    a = g.add("linear", x, name="a", out_features=40)
    b = g.add("relu", g.add("batch_norm", a, name="norm"), name="b")
    assert best_order(g.finish(g.add("linear", b, name="c", out_features=5))).peak_bytes == 50
    g2 = GraphBuilder()
    x = g2.input("x", (1, 10), "NC")
    a = g2.add("linear", x, name="a", out_features=40)
    b = g2.add("relu", a, name="b")
    assert best_order(g2.finish(g2.add("add", a, b, name="c"))).peak_bytes == 120  # a, b, c


def test_views_share_the_memory_of_what_they_look_at():
    g = GraphBuilder()
    x = g.input("x", (1, 4, 10), "NCL")
    v = g.add("reshape", x, name="v", shape=(1, 40))
    a = g.add("linear", x, name="a", out_features=2)
    b = g.add("linear", v, name="b", out_features=3)
    order = best_order(g.finish(a, b))
    assert order.peak_bytes == 40 + 8 + 3
    assert order.nodes.index("v") < order.nodes.index("b")


@st.composite
def graphs(draw) -> Graph:
    """Linear layers, activations and concatenations of any earlier values."""
    g = GraphBuilder()
    values = [g.input("x", (1, draw(st.integers(1, 9))), "NC")]
    for i in range(draw(st.integers(1, 6))):
        read = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        op = draw(st.sampled_from(["linear", "relu", "flatten"]))
        if len(read) > 1:
            values.append(g.add("concat", *read, name=f"n{i}"))
        elif op == "linear":
            values.append(g.add("linear", *read, name=f"n{i}", out_features=draw(st.integers(1, 30))))
        else:
            values.append(g.add(op, *read, name=f"n{i}"))
    return g.finish(*draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)))


def executed(graph: Graph, nodes) -> float:
    """Peak when the nodes run one by one in this order; infinite if one runs too early.

    A relu takes over the buffer of its input if nothing else will ever read it; a flatten looks at its input's.
    """
    readers = {v: [n.name for n in graph.nodes for i in n.inputs if i == v] for v in graph.shapes}
    buffer = {i.name: i.name for i in graph.inputs}
    size = {i.name: math.prod(i.shape) for i in graph.inputs}
    done, peak = set(), sum(size.values())

    def is_needed(b):
        return any(v in graph.outputs or set(readers[v]) - done for v, owner in buffer.items() if owner == b)

    for node in (graph.node[name] for name in nodes):
        if any(v not in buffer for v in node.inputs):
            return math.inf
        source = node.inputs[0]
        lies_there = [v for v, owner in buffer.items() if owner == buffer[source]]
        later = {v: [r for r in readers[v] if r not in done] for v in lies_there}
        writes_over = (
            node.op == "relu"
            and buffer[source] not in {i.name for i in graph.inputs}
            and not any(v in graph.outputs for v in lies_there)
            and [r for rs in later.values() for r in rs] == [node.name]
            and all(len(readers[v]) == 1 for v in lies_there)
        )
        if node.op == "flatten" or writes_over:
            buffer[node.name] = buffer[source]
        else:
            buffer[node.name] = node.name
            size[node.name] = math.prod(graph.shapes[node.name])
        held = {b for b in {*buffer.values()} if is_needed(b)} | {buffer[v] for v in (node.name, *node.inputs)}
        peak = max(peak, sum(size[b] for b in held))
        done.add(node.name)
    return peak


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_no_order_of_all_does_better(graph):
    order = best_order(graph)
    assert order.is_optimal
    assert executed(graph, order.nodes) == order.peak_bytes
    assert order.peak_bytes == min(executed(graph, p) for p in itertools.permutations([n.name for n in graph.nodes]))


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_with_too_few_states_the_bound_and_the_peak_hold_the_best_between_them(graph, states):
    best, hurried = best_order(graph).peak_bytes, best_order(graph, states=states)
    assert hurried.least_bytes <= best <= hurried.peak_bytes == executed(graph, hurried.nodes)


def test_networks_of_every_space_are_ordered_optimally():
    for name in registry.names("spaces"):
        cls = registry.find("spaces", name)
        if hasattr(cls, "graph"):
            space = registry.create("spaces", name)
            shape = {"NCHW": (3, 32, 32), "NCL": (6, 64), "NT": (12,)}[space.axes]
            for seed in range(3):
                graph = space.graph(space.sample(np.random.default_rng(seed)), shape, 4)
                order = best_order(graph)
                assert order.is_optimal, name
                assert order.peak_bytes <= peak_activation_bytes(graph)

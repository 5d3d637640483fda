import math

from hypothesis import given
from hypothesis import strategies as st

from archip.ir.graph import Graph, GraphBuilder
from archip.ir.memory import peak_activation_bytes


def test_a_chain_needs_its_two_largest_neighbours():
    g = GraphBuilder()
    x = g.input("x", (1, 10), "NC")
    for i, width in enumerate((30, 20, 5)):
        x = g.add("linear", x, name=f"l{i}", out_features=width)
    graph = g.finish(x)
    assert peak_activation_bytes(graph) == 50
    assert peak_activation_bytes(graph, 4) == 25
    assert peak_activation_bytes(graph, {"l0": 16}) == 80


def test_a_shortcut_stays_until_it_is_added():
    g = GraphBuilder()
    x = g.input("x", (1, 10), "NC")
    a = g.add("linear", x, name="a", out_features=10)
    b = g.add("linear", a, name="b", out_features=40)
    c = g.add("linear", b, name="c", out_features=10)
    assert peak_activation_bytes(g.finish(g.add("add", a, c, name="d"))) == 60  # a, b, c


def test_views_take_nothing_and_keep_what_they_look_at():
    g = GraphBuilder()
    x = g.input("x", (1, 4, 10), "NCL")
    v = g.add("reshape", x, name="v", shape=(1, 40))
    a = g.add("linear", x, name="a", out_features=2)
    b = g.add("linear", v, name="b", out_features=3)
    g2 = g.finish(a, b)
    assert peak_activation_bytes(g2) == 40 + 8 + 3


@st.composite
def graphs(draw) -> Graph:
    """Rows of linear layers and concatenations with any earlier values."""
    g = GraphBuilder()
    values = [g.input("x", (1, draw(st.integers(1, 9))), "NC")]
    for i in range(draw(st.integers(1, 8))):
        read = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        if len(read) == 1:
            values.append(g.add("linear", *read, name=f"n{i}", out_features=draw(st.integers(1, 9))))
        else:
            values.append(g.add("concat", *read, name=f"n{i}"))
    return g.finish(*draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)))


@given(graphs())
def test_against_step_by_step_execution(graph):
    held = {i.name for i in graph.inputs}
    peak = 0
    for at, node in enumerate(graph.nodes):
        held.add(node.name)
        peak = max(peak, sum(math.prod(graph.shapes[v]) for v in held))
        later = {v for n in graph.nodes[at + 1 :] for v in n.inputs} | set(graph.outputs)
        held &= later
    assert peak_activation_bytes(graph) == peak

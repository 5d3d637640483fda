import pytest

from archip.core.errors import CandidateError
from archip.ir.graph import Graph, GraphBuilder, Node


def _graph(channels: int = 4) -> Graph:
    g = GraphBuilder()
    x = g.input("x", (1, 3, 8, 8), "NCHW")
    y = g.add("conv", x, name="a", out_channels=channels, kernel=[3, 3], padding=1)
    return g.finish(g.add("add", y, y, name="b"))


def test_json_round_trip_keeps_everything():
    graph = _graph()
    again = Graph.from_json(graph.to_json())
    assert again == graph
    assert again.id == graph.id
    assert again.node["a"].attrs == {"out_channels": 4, "kernel": (3, 3), "padding": 1}


def test_the_id_tells_graphs_apart():
    assert _graph().id == _graph().id != _graph(5).id


def test_shapes_of_all_values():
    assert _graph().shapes == {"x": (1, 3, 8, 8), "a": (1, 4, 8, 8), "b": (1, 4, 8, 8)}


def test_a_builder_refuses_a_second_node_of_a_name_and_values_that_nobody_makes():
    g = GraphBuilder()
    x = g.input("x", (1, 3), "NC")
    with pytest.raises(CandidateError, match="'x'"):
        g.add("relu", x, name="x")
    with pytest.raises(CandidateError, match="reads 'y'"):
        g.add("relu", "y", name="z")


def test_attributes_are_in_order_whatever_the_order_given():
    assert Node.of("a", "clip", ["x"], {"most": 1, "least": 0}) == Node.of("a", "clip", ["x"], {"least": 0, "most": 1})

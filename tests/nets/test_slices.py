"""Slices: where the channels of a small network lie in the largest one, on graphs small enough to see it."""

from __future__ import annotations

import pytest

from archip.ir.graph import Graph, GraphBuilder
from archip.nets.part import extent
from archip.nets.slices import concat_rooms, parts


def two_branches(a: int, b: int, c: int = 4, kernel: int = 3) -> Graph:
    """Two convolutions of `a` and `b` filters, joined, normalised, and a convolution of `c` filters over both."""
    g = GraphBuilder()
    x = g.input("image", (1, 3, 4, 4), "NCHW")
    left = g.add("conv", x, name="left", out_channels=a, kernel=(kernel, kernel), padding=kernel // 2, bias=False)
    right = g.add("conv", x, name="right", out_channels=b, kernel=(1, 1))
    x = g.add("batch_norm", g.add("concat", left, right, name="both", axis=1), name="norm")
    x = g.add("conv", g.add("relu", x, name="relu"), name="last", out_channels=c, kernel=(1, 1))
    return g.finish(x)


LARGE, SMALL = two_branches(8, 6), two_branches(4, 2, 3)


def test_layers_have_leading_filters():
    found = parts(SMALL, concat_rooms([LARGE, SMALL]))
    assert found["left", "weight"] == (((0, 4),), ((0, 3),), 3, 3)
    assert found["right", "bias"] == (((0, 2),),)
    assert ("left", "bias") not in found
    assert ("relu", "weight") not in found


def test_the_second_input_of_a_concatenation_keeps_its_place():
    rooms = concat_rooms([LARGE, SMALL])
    assert rooms == {"both": (8, 6)}
    found = parts(SMALL, rooms)
    places = ((0, 4), (8, 10))
    assert found["norm", "weight"] == (places,)
    assert found["last", "weight"] == (((0, 3),), places, 1, 1)
    assert parts(LARGE, rooms)["last", "weight"] == (((0, 4),), ((0, 14),), 1, 1)


def test_concatenations_of_concatenations():
    def graph(a: int, b: int, c: int) -> Graph:
        g = GraphBuilder()
        x = g.input("x", (1, 1, 4, 4), "NCHW")
        a_, b_, c_ = (
            g.add("conv", x, name=n, out_channels=w, kernel=(1, 1)) for n, w in zip("abc", (a, b, c), strict=True)
        )
        inner = g.add("concat", a_, b_, name="inner", axis=1)
        outer = g.add("concat", inner, c_, name="outer", axis=1)
        return g.finish(g.add("conv", outer, name="last", out_channels=1, kernel=(1, 1)))

    graphs = [graph(4, 1, 1), graph(1, 5, 2), graph(1, 2, 2)]
    rooms = concat_rooms(graphs)
    assert rooms == {"inner": (4, 5), "outer": (9, 2)}
    assert parts(graphs[2], rooms)["last", "weight"][1] == ((0, 1), (4, 6), (9, 11))


def test_flattened_channels_take_all_their_pixels_along():
    g = GraphBuilder()
    x = g.input("x", (1, 2, 4, 4), "NCHW")
    a, b = (g.add("conv", x, name=n, out_channels=1, kernel=(1, 1)) for n in "ab")
    x = g.add("concat", a, b, name="both", axis=1)
    graph = g.finish(g.add("linear", g.add("flatten", x, name="flat"), name="last", out_features=5))
    assert parts(graph, {"both": (3, 3)})["last", "weight"] == (((0, 5),), ((0, 16), (48, 64)))


def test_a_depthwise_convolution_has_the_channels_of_its_input():
    g = GraphBuilder()
    x = g.input("x", (1, 2, 4, 4), "NCHW")
    a, b = (g.add("conv", x, name=n, out_channels=2, kernel=(1, 1)) for n in "ab")
    x = g.add("concat", a, b, name="both", axis=1)
    graph = g.finish(g.add("conv", x, name="deep", out_channels=4, kernel=(3, 3), groups=4))
    found = parts(graph, {"both": (6, 6)})
    assert found["deep", "weight"] == (((0, 2), (6, 8)), ((0, 1),), 3, 3)
    assert found["deep", "bias"] == (((0, 2), (6, 8)),)


def in_halves(width: int, kernel: int = 3) -> Graph:
    """A normalised convolution whose halves go different ways, then together through another one."""
    g = GraphBuilder()
    x = g.input("x", (1, 2, 4, 4), "NCHW")
    x = g.add("conv", x, name="first", out_channels=2 * width, kernel=(1, 1))
    x = g.add("relu", g.add("batch_norm", x, name="norm"), name="relu")
    a, b = (g.add("slice", x, name=f"half{i}", axis=1, start=i * width, stop=(i + 1) * width) for i in (0, 1))
    a = g.add("conv", a, name="own", out_channels=width, kernel=(kernel, kernel), padding=kernel // 2)
    return g.finish(g.add("conv", g.add("concat", a, b, name="both"), name="last", out_channels=5, kernel=(1, 1)))


def test_a_convolution_that_is_sliced_has_the_leading_filters_of_each_part():
    rooms = concat_rooms([in_halves(2), in_halves(5)])
    assert rooms == {"first": (5, 5), "both": (5, 5)}
    found = parts(in_halves(2), rooms)
    places = ((0, 2), (5, 7))
    assert found["first", "weight"] == (places, ((0, 2),), 1, 1)
    assert found["first", "bias"] == found["norm", "weight"] == (places,)
    assert found["own", "weight"] == (((0, 2),), ((0, 2),), 3, 3)
    assert found["last", "weight"] == (((0, 5),), places, 1, 1)


def test_a_slice_that_leaves_channels_out_moves_nothing():
    g = GraphBuilder()
    x = g.add("conv", g.input("x", (1, 2, 4, 4), "NCHW"), name="first", out_channels=6, kernel=(1, 1))
    graph = g.finish(g.add("slice", x, name="cut", axis=1, stop=4))
    assert concat_rooms([graph]) == {}
    assert parts(graph, {})["first", "weight"][0] == ((0, 6),)


def test_means_over_pixels_keep_the_channels_and_means_over_channels_do_not():
    g = GraphBuilder()
    x = g.input("x", (1, 2, 4, 4), "NCHW")
    a, b = (g.add("conv", x, name=n, out_channels=2, kernel=(1, 1)) for n in "ab")
    x = g.add("concat", a, b, name="both")
    y = g.add(
        "conv", g.add("mean", x, name="mean", axes=(2, 3), keepdims=True), name="gate", out_channels=4, kernel=(1, 1)
    )
    z = g.add(
        "conv", g.add("mean", x, name="grey", axes=(1,), keepdims=True), name="map", out_channels=1, kernel=(1, 1)
    )
    found = parts(g.finish(g.add("mul", x, y, name="gated"), z), {"both": (6, 6)})
    assert found["gate", "weight"][1] == ((0, 2), (6, 8))
    assert found["map", "weight"][1] == ((0, 1),)


def test_a_transposed_convolution_has_its_input_on_the_first_axis():
    g = GraphBuilder()
    x = g.input("x", (1, 3, 4, 4), "NCHW")
    graph = g.finish(g.add("conv_transpose", x, name="up", out_channels=5, kernel=(2, 2), stride=2))
    assert parts(graph, {})["up", "weight"] == (((0, 3),), ((0, 5),), 2, 2)


@pytest.mark.parametrize(("part", "shape"), [(((0, 4),), (4,)), (((0, 1), (6, 8)), (8,))])
def test_the_extent_reaches_to_the_last_channel(part, shape):
    assert extent((part, 3)) == (*shape, 3)

"""What pages show, without a server: drawings of networks, and quantities as people read them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from _runs import HOSTILE

from archip.dashboard.views.drawing import drawing
from archip.dashboard.views.quantities import Scale, text, title
from archip.ir.graph import GraphBuilder
from archip.ir.memory import activation_bytes, peak_activation_bytes


def residual(name: str = "sum"):
    g = GraphBuilder()
    x = g.input("image", (1, 3, 8, 8), "NCHW")
    stem = g.add("conv", x, name="stem", out_channels=4, kernel=(3, 3), padding=(1, 1))
    y = g.add("relu", stem, name="stem.relu")
    z = g.add("conv", y, name="inner", out_channels=4, kernel=(3, 3), padding=(1, 1))
    return g.finish(g.add("add", y, z, name=name))


def test_a_drawing_has_a_box_a_layer_shapes_and_the_skip():
    svg = ElementTree.fromstring(drawing(residual()))
    titles = [e.findtext("title") for e in svg.iter("g")]
    assert titles == [
        "input NCHW: image gives 3 × 8 × 8",
        "conv 3×3: stem, relu gives 4 × 8 × 8",
        "conv 3×3: inner gives 4 × 8 × 8",
        "add: sum gives 4 × 8 × 8",
    ]
    paths = [e.get("d") for e in svg.iter("path")]
    assert len(paths) == 4  # three in line, and one that skips a row, at the side
    assert sum("H" in path for path in paths) == 1
    boxes = {(r.get("x"), r.get("y")) for r in svg.iter("rect")}
    assert len(boxes) == 4


def test_a_drawing_keeps_hostile_names_as_text():
    svg = drawing(residual(HOSTILE))
    ElementTree.fromstring(svg)  # well-formed
    assert not re.search(r"<(script|img)", svg)


def test_a_huge_network_is_not_drawn():
    g = GraphBuilder()
    x = g.input("x", (1, 4), "NC")
    for i in range(500):
        x = g.add("linear", x, name=f"l{i}", out_features=4)
    assert drawing(g.finish(x)).startswith("<p")


def test_memory_node_by_node_of_a_residual_network():
    graph = residual()
    image, maps = 3 * 64, 4 * 64
    assert activation_bytes(graph) == [image + maps, maps + maps, maps + maps, 3 * maps]
    assert peak_activation_bytes(graph, 16) == 2 * 3 * maps


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("latency_s", 3.647e-6, "3.647 µs"),
        ("area_mm2", 0.889, "0.889 mm²"),
        ("latency_cycles", 3647, "3,647 cycles"),
        ("params", 50086, "50,086"),
        ("digits.accuracy", 0.99651, "0.9965"),
        ("quality", None, "–"),
    ],
)
def test_quantities_read_well(metric, value, shown):
    assert text(metric, value) == shown


def test_a_column_has_one_unit():
    scale = Scale.of("latency_s", [9e-5, 1.2e-3, 3e-3])
    assert [scale.text(v) for v in (9e-5, 1.2e-3, 3e-3)] == ["0.090", "1.200", "3.000"]
    assert scale.axis("latency_s") == "latency [ms]"
    assert title("digits.accuracy") == "digits accuracy"

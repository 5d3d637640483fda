"""The floor sketch: areas to scale, measured on the SVG itself."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest

from archip.core import registry
from archip.core.units import parse_quantity
from archip.export._floor import _is_buffer, floor_sketch

SVG = "{http://www.w3.org/2000/svg}"


def core(area_parts, buffers=(), pes=16, array=None, bandwidth=8e9):
    return {
        "dataflow": "a & b",
        "pes": pes,
        "bandwidth_bytes_per_s": bandwidth,
        "array": array or {},
        "area_mm2": sum(area_parts.values()),
        "area_parts_mm2": area_parts,
        "buffers": list(buffers),
    }


def memory(name, n_bytes, instances=1):
    return {"name": name, "bytes": n_bytes, "instances": instances}


def drawn(text):
    """(title, area in the drawing) of every part."""
    parts = []
    for rect in ElementTree.fromstring(text).iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None and "DRAM" not in (title.text or ""):
            parts.append((title.text, float(rect.get("width", 0)) * float(rect.get("height", 0))))
    return parts


TEMPLATE = core(
    {"multipliers": 0.2, "registers": 0.3, "buffers": 0.8, "wires": 0.1},
    [memory("weight", 2), memory("weight buffer", 3 * 2**16), memory("activation buffer", 2**14, 4)],
    array={"C": 4, "K": 4},
)
MAESTRO = core(
    {"PEs": 0.5, "L1": 0.1, "L2": 0.4, "bus": 1.0, "arbiter": 2.0}, [memory("L1", 4096, 16), memory("L2", 2**18)]
)


def test_every_part_is_drawn_to_the_scale_of_the_largest_core():
    parts = drawn(floor_sketch({"cores": [TEMPLATE, MAESTRO]}))
    for title, pixels in parts:
        mm2 = parse_quantity(title.rpartition(": ")[2], "area").value
        assert pixels / 300**2 == pytest.approx(mm2 / 4.0, rel=5e-3), title


def test_parts_of_a_template_by_hand():
    """1.4 mm2 in all: array 0.2 + 0.3; buffers 0.8 by bytes, 3/4 and 1/4; the 2-byte registers are in the array."""
    titles = [title for title, _ in drawn(floor_sketch({"cores": [TEMPLATE]}))]
    assert titles == [
        "16 PEs with registers: 0.5 mm2",
        "weight buffer, 192 KB: 0.6 mm2",
        "activation buffer, 4 x 16 KB: 0.2 mm2",
        "wires: 0.1 mm2",
    ]


def test_maestros_l1_is_in_its_array_and_l2_is_the_buffer():
    titles = [title for title, _ in drawn(floor_sketch({"cores": [MAESTRO]}))]
    assert titles == [
        "16 PEs with registers: 0.6 mm2",
        "L2, 256 KB: 0.4 mm2",
        "bus: 1 mm2",
        "arbiter: 2 mm2",
    ]


@pytest.mark.parametrize(("pes", "array", "rows", "columns"), [
    (16, {"C": 2, "K": 8}, 2, 8),
    (12, {}, 3, 4),
    (64, {"K": 4, "C": 4, "X": 2, "Y": 2}, 8, 8),
    (4096, {"C": 16, "K": 256}, 16, 32),
])  # fmt: skip
def test_the_array_has_its_rows_and_columns(pes, array, rows, columns):
    text = floor_sketch({"cores": [core({"PEs": 1.0}, pes=pes, array=array)]})
    (path,) = ElementTree.fromstring(text).iter(f"{SVG}path")
    lines = path.get("d", "")
    assert (lines.count("h"), lines.count("v")) == (rows - 1, columns - 1)


def test_links_are_as_wide_as_their_bandwidth():
    chip = {"cores": [core({"PEs": 1.0}, bandwidth=b) for b in (8e9, 32e9)]}
    links = ElementTree.fromstring(floor_sketch(chip)).iter(f"{SVG}line")
    assert [float(link.get("stroke-width", 0)) for link in links] == [4.0, 16.0]


@pytest.mark.parametrize("pes", [64, 160, 1024, 4096])
@pytest.mark.parametrize("name", registry.names("hardware/templates"))
def test_buffers_are_the_srams_of_every_template(name, pes):
    template = registry.find("hardware/templates", name)(pes=pes, bandwidth=8e9)
    for part in template.parts:
        instances = math.prod(n for dimension, n in template.array.items() if dimension not in part.memory.serves)
        described = memory(part.memory.name, part.memory.bits / 8, instances)
        assert _is_buffer(described, pes) == (part.sram_bytes > 0), part.memory.name

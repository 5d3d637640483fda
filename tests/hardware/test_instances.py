"""Accelerators by name and from files: what ships, what a file may say, and how mistakes are told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from _layers import workload

import archip.hardware.instances
from archip.core import registry
from archip.core.errors import UserError
from archip.core.yaml_file import read_yaml
from archip.hardware.accelerator import Accelerator, Skipping
from archip.hardware.cost import layer_costs
from archip.hardware.instances import describe_instance, instance_names, load_accelerator
from archip.hardware.mapping import LOOPS
from archip.hardware.technology.nm45 import NM45
from archip.hardware.templates.nvdla import NVDLA

FOLDER = Path(archip.hardware.instances.__file__).parent / "accelerators"
EXAMPLE = Path(__file__).parents[2] / "examples" / "my_accelerator.yaml"
FILES = [*sorted(FOLDER.glob("*.yaml")), EXAMPLE]

GOOD = """
node: nm45
clock: 500 MHz
array: {K: 8, C: 4}
memories:
  weights: {holds: W, capacity: 16 B, kind: register, width: 8, serves: none}
  sums: {holds: O, capacity: 128 B, kind: register, width: 32, serves: [C]}
  buffer: {holds: WIO, capacity: 64 KiB, width: [64, 128]}
  dram: {holds: WIO, kind: lpddr4, bandwidth: 4 GB/s, ports: RW}
dataflow:
  unroll: [{K: [K, G], C: C}]
  orders: ["OX' OY' FX FY C K OX OY G B"]
"""
TEXTS = ("about", "sources")
# A convolution, a depthwise one, a strided one, a matrix product and one with padding at the end of a network.
LAYERS = (
    {"K": 64, "C": 32, "OY": 28, "OX": 28, "FY": 3, "FX": 3, "padding": 1},
    {"G": 96, "OY": 14, "OX": 14, "FY": 3, "FX": 3, "padding": 1},
    {"K": 32, "C": 3, "OY": 56, "OX": 56, "FY": 7, "FX": 7, "stride": 2, "padding": 3},
    {"K": 1000, "C": 512},
    {"OY": 128, "K": 64, "C": 64},
    {"moved": (0, 1000, 1000), "op": "add"},
)


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", instance_names())
def test_every_shipped_accelerator_runs_every_kind_of_layer(name):
    accelerator = load_accelerator(name)
    costs = layer_costs(workload(*LAYERS), [accelerator])
    assert costs.feasible_AL.all(), [costs.reason(0, i) for i in range(len(LAYERS))]
    assert (costs.energy_AL[0] > 0).all()
    assert (costs.utilisation_AL <= 1).all()
    assert accelerator.area_mm2 > 0
    assert describe_instance(name)


def test_instances_and_templates_have_names_of_their_own():
    assert not set(instance_names()) & set(registry.names("hardware/templates"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_number_has_a_source(path):
    value = read_yaml(path)
    numbers = [key for key, leaf in leaves(value) if re.match(r"\s*[-+.]?\d", str(leaf)) and key[0] not in TEXTS]
    sourced = [tuple(key.split(".")) for key in value["sources"]]
    assert numbers
    assert [key for key in numbers if not any(key[: len(s)] == s for s in sourced)] == []
    assert all(len(text) >= 10 for text in value["sources"].values())


def leaves(value, key=()):
    """(key, leaf) of everything; the entries of a list have the list's key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*key, name))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    elif not isinstance(value, bool):
        yield key, value


def test_a_number_without_a_source_would_be_found():
    value = {"array": {"K": 4}, "clock": "1 GHz", "about": "text", "memories": {"a": {"width": [8, 64]}}}
    assert dict(leaves(value))["memories", "a", "width"] == 64


def test_a_file_by_hand(tmp_path):
    found = load_accelerator(written(tmp_path, GOOD))
    assert (found.name, found.clock_hz, dict(found.array), found.partial_bits) == ("mine", 5e8, {"K": 8, "C": 4}, 32)
    weights, sums, buffer, dram = found.memories
    assert (weights.bits, weights.serves, sums.serves, buffer.serves) == (128, (), ("C",), ("K", "C"))
    assert buffer.read_j == pytest.approx(2 * NM45.sram_j(65536)[0])  # 128 bits are two times 64
    assert sums.write_j == pytest.approx(2 * NM45.register_j(128)[1])  # 32 bits are two times 16
    assert dram.width_bits == (64, 64)  # 4 GB/s at 500 MHz
    assert dram.read_j == pytest.approx(64 * 8e-12)
    assert (found.multiply_j, found.add_j) == (0.2e-12, 0.1e-12)
    assert found.dataflow.unrollings == ((("K", "G"), ("C",)),)
    registers = (32 * 16 + 8 * 128) * NM45.register_um2_per_byte
    assert found.area_parts["registers"] == pytest.approx(registers * 1e-6)
    assert found.area_parts["multipliers"] == pytest.approx(32 * 419e-6)


def test_keys_can_be_replaced(tmp_path):
    path = written(tmp_path, GOOD)
    changed = load_accelerator(path, clock="1 GHz", **{"memories.buffer.capacity": "1 MiB"})
    assert (changed.clock_hz, changed.memories[2].bits) == (1e9, 8 * 2**20)
    with pytest.raises(UserError, match=r"mine\.yaml: memories\.bufer\.capacity.*'buffer'"):
        load_accelerator(path, **{"memories.bufer.capacity": "1 MiB"})


def test_a_file_says_which_zeros_are_skipped(tmp_path):
    assert load_accelerator(written(tmp_path, GOOD)).skipping is None
    found = load_accelerator(written(tmp_path, GOOD + "skipping: '2:4'\n"))
    assert found.skipping == Skipping(2, 4)
    assert load_accelerator(EXAMPLE, skipping="1:4").skipping == Skipping(1, 4)


def test_templates_by_name_and_in_a_file(tmp_path):
    expected = NVDLA(pes=256, bandwidth=16e9, clock_hz=5e8, node="nm28").accelerator()
    knobs = {"pes": 256, "bandwidth": "16 GB/s", "clock_hz": "500 MHz", "node": "nm28"}
    assert load_accelerator("nvdla", **knobs).digest == expected.digest
    path = written(tmp_path, "template: {nvdla: {pes: 256, bandwidth: 16 GB/s, clock_hz: 500 MHz, node: nm28}}\n")
    assert load_accelerator(path).digest == expected.digest
    assert isinstance(load_accelerator(str(path)), Accelerator)


WRONG = [
    ("array: {K: 8", "array: {K: 0", "mine.yaml: array.K: 0 units along K (at least 1)"),
    ("4 GB/s", "-4 GB/s", "mine.yaml: memories.dram.bandwidth: -4 GB/s (more than 0)"),
    ("64 KiB", "0 KiB", "mine.yaml: memories.buffer.capacity: 0 KiB (more than 0)"),
    ("capacity: 16 B", "capacity: 0.5 B", "mine.yaml: memories.weights.capacity: capacity of 4 bits (at least 8 bits"),
    ("64 KiB", "64 kib", "mine.yaml: memories.buffer.capacity: unknown unit 'kib' in '64 kib' (one of: B, GB"),
    ("holds: WIO, kind", "holds: WI, kind", "mine.yaml: memories: operand O has no path to dram"),
    ("buffer: {holds: WIO", "buffer: {holds: WO", "mine.yaml: memories: operand I has no on-chip memory"),
    ("serves: [C]", "serves: [D]", "mine.yaml: memories.sums.serves: unknown array dimension 'D'"),
    ("C: C}", "X: C}", "mine.yaml: dataflow.unroll[0].X: unknown array dimension 'X'"),
    ("C: C}", "C: Q}", "mine.yaml: dataflow.unroll[0]: unknown loop 'Q'"),
    ("FY C K", "FY C", "mine.yaml: dataflow.orders[0]: order"),
    ("width: 32", "width: [32, 8]", "mine.yaml: memories.sums.width: width 32.0 to 8.0 bits (0 < minimum <= maximum)"),
    ("width: 32", "width: 32, bandwidth: 1 GB/s", "mine.yaml: memories.sums: width or bandwidth"),
    ("width: 32", "wdth: 32", "mine.yaml: memories.sums.wdth: unknown option 'wdth' (did you mean 'width'?)"),
    ("width: 32", "width: .inf", "mine.yaml: memories.sums.width: width inf to inf bits"),
    ("width: 32", "width: 32, wire_mm: -1", "mine.yaml: memories.sums.wire_mm: Input should be greater"),
    ("kind: lpddr4", "kind: lpddr", "mine.yaml: memories.dram.kind: unknown kind 'lpddr' (did you mean 'lpddr4'?)"),
    ("capacity: 64 KiB, ", "", "mine.yaml: memories.buffer.capacity: no capacity"),
    ("node: nm45", "", "mine.yaml: memories.weights.read: no energy"),
    ("node: nm45", "nod: nm45", "mine.yaml: nod: unknown option 'nod' (did you mean 'node'?)"),
    ("node: nm45", "node: nm44", "mine.yaml: node: Input should be 'nm65'"),
    ("clock: 500 MHz", "clock: 0 MHz", "mine.yaml: clock: 0 MHz (more than 0)"),
    ("clock: 500 MHz", "clock: 500", "mine.yaml: clock: 500.0 has no unit, not of frequency"),
    ("clock: 500 MHz", "clock: 1 GHz\nclock: 1 GHz", "mine.yaml: line 4: key 'clock' is given twice"),
    ("node: nm45", "node: nm45\nsources: {clok: x}", "mine.yaml: sources.clok: a source of nothing"),
    ("node: nm45", "node: nm45\nskipping: 2:4", "mine.yaml: skipping: 124.0 is not n:m ('2:4', in quotes"),
    ("node: nm45", "node: nm45\nskipping: 2 of 4", "mine.yaml: skipping: '2 of 4' is not n:m"),
    ("node: nm45", "node: nm45\nskipping: '5:4'", "mine.yaml: skipping: 5 of 4 weights (0 < n <= m <= 256)"),
    ("node: nm45", "node: nm45\nskipping: '0:4'", "mine.yaml: skipping: 0 of 4 weights"),
    ("node: nm45", "node: nm45\nskipping: {n: 2}", "mine.yaml: skipping"),
    ("node: nm45", "template: {nvdla: {}}", "mine.yaml: clock: key 'clock' beside a template"),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=[new[:24] or old[:24] for old, new, _ in WRONG])
def test_mistakes_name_file_key_and_reason(tmp_path, old, new, told):
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load_accelerator(written(tmp_path, GOOD.replace(old, new, 1)))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- 1\n", "mine.yaml: an accelerator is a mapping of keys"),
        ("template: {nvdla: {pes: 0, bandwidth: 1 GB/s}}\n", "mine.yaml: template.nvdla.pes: "),
        ("template: {nvdla: {pes: 8, bandwidth: 1 GHz}}\n", "mine.yaml: template.nvdla.bandwidth: "),
        ("template: {nvdla: {pes: 8}}\n", "mine.yaml: template.nvdla.bandwidth: Field required"),
        ("template: {nvdia: {pes: 8}}\n", "did you mean 'nvdla'?"),
        ("template: {nvdla: 3}\n", "mine.yaml: template: one template with its knobs"),
        ("template: nvdla\n", "mine.yaml: template: one template with its knobs"),
        ("array: {K: 1}\n", "mine.yaml: memories: Field required"),
        ("node: nm45\narray: {K: 1}\nmemories: {}\n", "mine.yaml: memories: there is no memory"),
        ("array: {K: 1}\nmemories: {a: 1}\n", "mine.yaml: memories.a: Input should be a valid dictionary, got 1"),
    ],
)
def test_files_that_are_something_else(tmp_path, text, told):
    with pytest.raises(UserError) as caught:
        load_accelerator(written(tmp_path, text))
    assert told in str(caught.value)


def test_unknown_names_have_the_nearest():
    with pytest.raises(UserError, match="did you mean 'tpu_like'"):
        load_accelerator("tpu_lik")
    with pytest.raises(UserError, match="no such file"):
        load_accelerator("nowhere/mine.yaml")


@pytest.mark.golden
def test_active_pes_of_the_chip_follow_from_the_mappings():
    """AlexNet: 154, 135, 156, 156, 156 (Chen et al., JSSC 2017), the units in use in the fullest round."""
    rows = [
        {"B": 4, "K": 96, "C": 3, "OY": 55, "OX": 55, "FY": 11, "FX": 11, "stride": 4},
        {"B": 4, "G": 2, "K": 128, "C": 48, "OY": 27, "OX": 27, "FY": 5, "FX": 5, "padding": 2},
        {"B": 4, "K": 384, "C": 256, "OY": 13, "OX": 13, "FY": 3, "FX": 3, "padding": 1},
        {"B": 4, "G": 2, "K": 192, "C": 192, "OY": 13, "OX": 13, "FY": 3, "FX": 3, "padding": 1},
        {"B": 4, "G": 2, "K": 128, "C": 192, "OY": 13, "OX": 13, "FY": 3, "FX": 3, "padding": 1},
    ]
    work = workload(*rows, bits=16)
    costs = layer_costs(work, [load_accelerator("eyeriss_168")])
    assert [active(costs.mapping(0, i), work.dims_LD[i]) for i in range(5)] == [154, 135, 156, 156, 156]
    # The chip's PEs add sums for a cycle in nine to twelve, which the model does not know: it is faster than 103.5 ms.
    assert 0.85 < costs.cycles_AL.sum() / 200e6 / 0.1035 < 1


def active(mapping, dims_D):
    """Units in use in the fullest round: of each loop, its size over its rounds."""
    unrolled_D = np.ones(len(LOOPS), dtype=int)
    for loops in mapping.spatial:
        for loop, times in loops:
            unrolled_D[LOOPS.index(loop)] *= times
    rounds_D = -(-dims_D // unrolled_D)
    return int(np.prod(-(-dims_D // rounds_D)))


def test_the_gpu_reaches_its_peak_and_its_bandwidth():
    """A product of 4096 x 4096 x 4096 near 312 TFLOP/s; one of a single row as fast as its weights come, 2039 GB/s."""
    gpu = load_accelerator("gpu_roofline")
    costs = layer_costs(workload({"OY": 4096, "K": 4096, "C": 4096}, {"K": 8192, "C": 8192}, bits=16), [gpu])
    assert costs.utilisation_AL[0, 0] > 0.85
    seconds = costs.cycles_AL[0, 1] / gpu.clock_hz
    assert seconds == pytest.approx(8192 * 8192 * 2 / 2039e9, rel=0.05)
    assert costs.bottleneck_AL[0, 1] == "hbm"


def test_the_microcontroller_does_one_product_a_cycle():
    costs = layer_costs(workload(LAYERS[0]), [load_accelerator("scalar_mcu")])
    assert costs.cycles_AL[0, 0] >= 64 * 32 * 28 * 28 * 9
    assert costs.energy_AL[0, 0] > 70e-12 * 64 * 32 * 28 * 28 * 9


def test_a_source_below_a_number(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD + "partial_bits: 32\nsources: {partial_bits.x: nobody}\n")
    with pytest.raises(UserError, match=r"sources\.partial_bits\.x: a source of nothing"):
        load_accelerator(tmp_path / "a.yaml")

"""Each template on layers whose costs are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.cost import layer_costs
from archip.hardware.models.loopnest import Loopnest, pack_layers
from archip.hardware.templates._spatial import grid
from archip.hardware.templates.edge_tpu import EdgeTPU
from archip.hardware.templates.eyeriss import Eyeriss
from archip.hardware.templates.nvdla import NVDLA
from archip.hardware.templates.shidiannao import ShiDianNao
from archip.hardware.templates.simba import Simba
from archip.hardware.templates.tpu import TPU

TEMPLATES = [NVDLA, ShiDianNao, Eyeriss, TPU, EdgeTPU, Simba]


def best(template, row, pes=32, bandwidth=8e9):
    """(mapping, its costs, the template's costs) of one layer; 8 GB/s at 1 GHz are 64 bits a cycle."""
    accelerator = template(pes=pes, bandwidth=bandwidth).accelerator()
    work = workload(row)
    costs = layer_costs(work, [accelerator])
    mapping = costs.mapping(0, 0)
    layers = pack_layers(work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO)
    return mapping, Loopnest().costs([accelerator], layers, np.array([[0, 0]]), [mapping]), costs


def unrolled(mapping):
    return [dict(loops) for loops in mapping.spatial]


CASES = [
    # 4 x 8 PEs: K 8 and C 4 in space leave 3 * 3 filter taps x 4 * 4 outputs
    (NVDLA, {"K": 8, "C": 4, "OY": 4, "OX": 4, "FY": 3, "FX": 3, "padding": 1}, [{"K": 8}, {"C": 4}], 144),
    # C = 3 on 4 columns: one idles; K = 20 on 8 rows: ceil(20 / 8) = 3 rounds of 25 outputs
    (NVDLA, {"K": 20, "C": 3, "OY": 5, "OX": 5}, [{"K": 8}, {"C": 3}], 75),
    # depthwise: 16 groups on 8 lanes, 9 taps, 6 * 6 outputs
    (NVDLA, {"G": 16, "OY": 6, "OX": 6, "FY": 3, "FX": 3, "padding": 1}, [{"G": 8}, {}], 2 * 9 * 36),
    # 4 x 8 outputs at once leave 3 * 3 taps x 2 x 3 channels
    (ShiDianNao, {"K": 2, "C": 3, "OY": 4, "OX": 8, "FY": 3, "FX": 3, "padding": 1}, [{"OY": 4}, {"OX": 8}], 54),
    # a vector-matrix product: output channels take both places, 64 / 32 rounds of 10 products
    (ShiDianNao, {"K": 64, "C": 10}, [{"K": 4}, {"K": 8}], 20),
    # 7 x 7 outputs need 2 rows of tiles
    (ShiDianNao, {"K": 4, "C": 4, "OY": 7, "OX": 7}, [{"OY": 4}, {"OX": 7}], 2 * 16),
    # 3 filter rows x 8 output rows; 1 row of PEs is left over
    (Eyeriss, {"K": 4, "C": 2, "OY": 8, "OX": 8, "FY": 3, "FX": 3, "padding": 1}, [{"FY": 3}, {"OY": 8}], 3 * 8 * 8),
    # 8 columns x 4 rows: 3 * 3 taps x 4 * 4 outputs x 2 rounds of output channels
    (TPU, {"K": 16, "C": 4, "OY": 4, "OX": 4, "FY": 3, "FX": 3, "padding": 1}, [{"K": 8}, {"C": 4}], 2 * 9 * 16),
    # 4 x 2 channels and a 2 x 2 patch: C 4 / 2 x 9 taps x 2 * 2 patches
    (
        EdgeTPU,
        {"K": 4, "C": 4, "OY": 4, "OX": 4, "FY": 3, "FX": 3, "padding": 1},
        [{"K": 4}, {"C": 2}, {"OX": 2}, {"OY": 2}],
        2 * 9 * 4,
    ),
    # PEs of 4 x 4 on 2 columns x 1 row: K 16 / 8 x C 4 / 4 x 9 taps x 16 outputs
    (
        Simba,
        {"K": 16, "C": 4, "OY": 4, "OX": 4, "FY": 3, "FX": 3, "padding": 1},
        [{"K": 2}, {}, {"K": 4}, {"C": 4}],
        2 * 9 * 16,
    ),
]


@pytest.mark.parametrize(("template", "row", "space", "cycles"), CASES)
def test_unrolling_and_compute_cycles(template, row, space, cycles):
    mapping, found, _ = best(template, row)
    assert unrolled(mapping) == space
    assert found.compute_M[0] == cycles


@pytest.mark.parametrize("template", TEMPLATES)
def test_off_chip_accesses_of_a_layer_that_fits(template):
    """Words of 64 bits: weights 8 * 4 * 9 = 288 bytes = 36, inputs 4 * 16 = 64 bytes = 8, outputs 8 * 16 = 128 = 16."""
    _, found, costs = best(template, CASES[0][1])
    outside = [
        found.words_MOE4[0, o, len(costs.accelerators[0].levels(operand)) - 1] for o, operand in enumerate("WIO")
    ]
    np.testing.assert_array_equal(outside, [[0, 0, 36, 0], [0, 0, 8, 0], [0, 0, 0, 16]])


def test_nvdla_by_hand():
    """The first case: 16 outputs stay in the accumulators while 9 taps pass, so each weight is loaded once.

    W: 32 registers take 9 weights each (288 words of 8 bits) and give each to the array once, standing still for 16
    outputs. O: 8 x 4 x 4 sums in the accumulators, written and read in each of 144 cycles by 8 lanes (1152 words of 32
    bits), read once to leave: 128 results of 8 bits, a quarter of a word each... as pieces of at least 32 bits.
    I: the buffer gives 4 bytes in each of 144 cycles, pieces of 64 bits, every one a full access.
    """
    _, found, _ = best(NVDLA, CASES[0][1])
    w, i, o = found.words_MOE4[0]
    np.testing.assert_array_equal(w[0], [0, 288, 288, 0])
    np.testing.assert_array_equal(i[0], [0, 8, 144, 0])
    assert list(o[0][2:]) == [1152, 1152]
    registers = 288 * (0.0520 + 0.0381)  # 2 bytes: read 0.251 - 30 * 1.726 / 352 = 0.1039 pJ per 16 bits; write 0.0773
    assert registers < found.energy_j_M[0] * 1e12
    macs = 1152 * 4 * (0.208 * 0.8 + 0.208 * 0.4)
    assert found.mac_energy_j_M[0] * 1e12 == pytest.approx(macs)


def test_area_by_hand():
    """32 PEs of 192 * 419 / 349 um²; registers 64 + 8 * 128 bytes of 15.15 um²; 64 KiB of 1.658 um²; 192 wires."""
    multipliers = 32 * 192 * 419 / 349
    registers = (64 + 1024) * 5816 / 384
    buffers = 65536 * 217363 / 131072
    wires = (64 + 64 + 64) * 0.2 * 2 * (multipliers + registers) ** 0.5
    accelerator = NVDLA(pes=32, bandwidth=8e9).accelerator()
    assert accelerator.area_mm2 == pytest.approx((multipliers + registers + buffers + wires) * 1e-6)
    assert accelerator.area_mm2 == pytest.approx(0.1444, abs=0.0001)


def test_the_systolic_array_pays_its_skew():
    """8 columns and 4 rows: 7 + 3 cycles until the last sum has left."""
    _, found, _ = best(TPU, {"K": 16, "C": 4, "OY": 4, "OX": 4})
    assert found.drain_M[0] == 7 + 3


def test_simba_counts_the_buffers_of_every_pe():
    """1024 multipliers are 16 PEs with 32 + 8 + 3 KiB each and one buffer of 64 KiB: Simba's chiplet."""
    accelerator = Simba(pes=1024, bandwidth=8e9).accelerator()
    assert dict(accelerator.array) == {"column": 4, "row": 4, "vector": 8, "lane": 8}
    assert accelerator.area_parts["buffers"] == pytest.approx((16 * 43 + 64) * 1024 * 217363 / 131072 * 1e-6)


@pytest.mark.parametrize(("pes", "sides"), [(1024, (8, 8, 4, 4)), (64, (4, 4, 2, 2)), (8, (4, 2, 1, 1))])
def test_patch_of_edge_tpu(pes, sides):
    assert tuple(EdgeTPU(pes=pes, bandwidth=1e9).array.values()) == sides


def test_eyeriss_of_168_pes_is_12_by_14():
    assert Eyeriss(pes=168, bandwidth=1e9).array == {"row": 12, "column": 14}


@pytest.mark.parametrize(("n", "sides"), [(1, (1, 1)), (32, (4, 8)), (992, (31, 32)), (4064, (32, 127)), (13, (1, 13))])
def test_grid(n, sides):
    assert grid(n) == sides


@pytest.mark.parametrize("name", registry.names("hardware/templates"))
def test_every_template_scales(name):
    """More PEs and more bandwidth take more area, and every size makes an accelerator."""
    template = registry.find("hardware/templates", name)
    areas = [template(pes=pes, bandwidth=1e10).accelerator().area_mm2 for pes in range(32, 4097, 32)]
    assert areas[-1] > 10 * areas[0] > 0
    assert (
        template(pes=512, bandwidth=64e9).accelerator().area_mm2
        > template(pes=512, bandwidth=8e9).accelerator().area_mm2
    )
    assert template(pes=512, bandwidth=8e9, node="nm45").accelerator().area_mm2 > 0


@pytest.mark.parametrize("options", [{"pes": 0, "bandwidth": 1e9}, {"pes": 32, "bandwidth": -1.0}])
def test_impossible_knobs_are_refused(options):
    with pytest.raises(UserError, match="a positive number"):
        NVDLA(**options)
    with pytest.raises(UserError, match="greater"):
        registry.create("hardware/templates", "nvdla", options)

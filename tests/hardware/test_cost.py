"""Costs of workloads: vector operators, reasons, memory of earlier answers, bounds that every answer keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _layers import random_row, workload

from archip.core.errors import UserError
from archip.hardware import cost as module
from archip.hardware.accelerator import Skipping
from archip.hardware.cost import layer_costs
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.models.loopnest import Loopnest, pack_layers
from archip.hardware.templates.eyeriss import Eyeriss
from archip.hardware.templates.nvdla import NVDLA
from archip.hardware.templates.shidiannao import ShiDianNao

TEMPLATES = [NVDLA, ShiDianNao, Eyeriss]
CONV = {"K": 8, "C": 4, "OY": 4, "OX": 4, "FY": 3, "FX": 3, "padding": 1}
ALEXNET = [
    {"K": 64, "C": 3, "OY": 55, "OX": 55, "FY": 11, "FX": 11, "stride": 4, "padding": 2},
    {"K": 192, "C": 64, "OY": 27, "OX": 27, "FY": 5, "FX": 5, "padding": 2},
    {"K": 384, "C": 192, "OY": 13, "OX": 13, "FY": 3, "FX": 3, "padding": 1},
    {"K": 1000, "C": 4096},
]


def chips(pes=(32, 160, 512), bandwidths=(1e9, 8e9, 64e9)):
    return [t(pes=p, bandwidth=b).accelerator() for t in TEMPLATES for p in pes for b in bandwidths]


@pytest.fixture(scope="module")
def random_work():
    rng = np.random.default_rng(0)
    return workload(*(random_row(rng) for _ in range(60)))


def test_vector_operator_by_hand():
    """64 + 16 bytes over 64 bits a cycle: 10 cycles.

    640 bits at 8 pJ off chip; 10 words of 64 bits into and out of a buffer of 32 KiB, a quarter of 128 KiB: (18.18 +
    14.14) / 2 pJ each.
    """
    found = layer_costs(
        workload({"op": "max_pool", "moved": (0, 64, 16)}), [NVDLA(pes=32, bandwidth=8e9).accelerator()]
    )
    assert (found.cycles_AL[0, 0], found.bottleneck_AL[0, 0]) == (10, "dram")
    assert found.energy_AL[0, 0] * 1e12 == pytest.approx(5120 + 10 * 32.32 / 2)


def test_activations_behind_a_layer_are_free_unless_others_read_it():
    relu = {"op": "relu", "moved": (0, 128, 128)}
    add = {"op": "add", "moved": (0, 256, 128)}
    norm = {"op": "batch_norm", "moved": (8, 128, 128)}
    accelerator = [NVDLA(pes=32, bandwidth=8e9).accelerator()]
    alone = layer_costs(workload(CONV, norm, relu, add | {"after": (2,)}), accelerator).cycles_AL[0]
    assert list(alone[1:3]) == [0, 0]
    assert alone[3] == 48
    shared = layer_costs(workload(CONV, norm, relu, add | {"after": (0, 2)}), accelerator)
    assert shared.cycles_AL[0, 1] == 33  # the convolution's own output is read again: 264 bytes
    assert shared.cycles_AL[0, 2] == 32
    assert layer_costs(workload(relu), accelerator).cycles_AL[0, 0] == 32  # nothing before it


def test_reason_says_what_is_missing():
    accelerator = Eyeriss(pes=32, bandwidth=8e9).accelerator()
    found = layer_costs(workload(CONV | {"bits": 16}, CONV), [accelerator])
    assert list(found.feasible_AL[0]) == [False, True]
    assert found.reason(0, 0) == "operands of 16 bits, multipliers take 8"
    assert found.reason(0, 1) == ""
    assert (found.cycles_AL[0, 0], found.mapping(0, 0)) == (-1, None)
    tiny = replace(accelerator.memories[3], bits=256)  # 8 sums of 32 bits do not fit beside 8 inputs
    small = replace(accelerator, memories=(*accelerator.memories[:3], tiny, accelerator.memories[4]))
    found = layer_costs(workload(CONV | {"OY": 8, "C": 4, "K": 4}), [small])
    assert not found.feasible_AL[0, 0]
    assert found.reason(0, 0).startswith("global buffer is ")
    assert found.reason(0, 0).endswith(" bytes short of one element of each operand")


def test_remembered_answers_are_the_same(random_work):
    accelerators = chips(pes=(32,), bandwidths=(8e9,))
    module._remembered.clear()
    alone = [layer_costs(random_work.select([i]), [a]).cycles_AL[0, 0] for a in accelerators for i in range(60)]
    again = layer_costs(random_work, accelerators).cycles_AL  # from memory
    module._remembered.clear()
    batch = layer_costs(random_work, accelerators).cycles_AL
    np.testing.assert_array_equal(again, batch)
    np.testing.assert_array_equal(np.reshape(alone, again.shape), batch)


def test_bounds(random_work):
    """No layer beats the multipliers or the off-chip link."""
    accelerators = chips()
    found = layer_costs(random_work, accelerators)
    assert found.feasible_AL.all()
    dims, stride = random_work.dims_LD, random_work.stride_L2
    weights = dims[:, [1, 2, 3, 6, 7]].prod(1)
    outputs = dims[:, [0, 1, 2, 4, 5]].prod(1)
    taps = dims[:, 6:8]
    # rows and columns that are read: all of them where the filter covers the stride, else one per tap and output
    read = np.where(taps < stride, dims[:, 4:6] * taps, (dims[:, 4:6] - 1) * stride + taps)
    whole = (dims[:, 4:6] - 1) * stride + taps - 2 * random_work.padding_L2
    inputs = dims[:, [0, 1, 3]].prod(1) * np.minimum(read, whole).prod(1)
    bits = 8 * (weights + inputs + outputs)
    for a, accelerator in enumerate(accelerators):
        assert (found.cycles_AL[a] >= np.ceil(random_work.macs_L / accelerator.n_units)).all()
        assert (found.cycles_AL[a] >= bits / accelerator.off_chip.width_bits[1] - 1).all()
        least_j = bits * accelerator.off_chip.read_j / accelerator.off_chip.width_bits[1]
        words = (
            accelerator.off_chip.width_bits[1] * 3 * accelerator.off_chip.read_j / accelerator.off_chip.width_bits[1]
        )
        assert (found.energy_AL[a] >= least_j - words).all()  # accesses are whole words, rounded down
    assert (found.utilisation_AL <= 1).all()
    assert (found.utilisation_AL > 0).all()


def test_more_bandwidth_is_never_slower(random_work):
    """Neither at least latency, nor, but for the slack, at least energy near it."""
    for slack in (0.01, 0.0):
        for template in TEMPLATES:
            accelerators = [template(pes=160, bandwidth=8e9 * n).accelerator() for n in range(1, 9)]
            cycles = layer_costs(random_work, accelerators, Exhaustive(slack)).cycles_AL
            assert (cycles[1:] <= cycles[:-1] * (1 + slack)).all()


@pytest.mark.parametrize("template", TEMPLATES)
def test_energy_grows_with_bits(template):
    """Of the multipliers always; of the whole layer too, at the best mapping of each width."""
    accelerator = template(pes=160, bandwidth=8e9).accelerator()
    energies = [layer_costs(workload(*ALEXNET, bits=bits), [accelerator]).energy_AL[0] for bits in (2, 4, 6, 8)]
    assert (np.diff(energies, axis=0) > 0).all()


def test_zeros_save_multiplications_only():
    accelerator = NVDLA(pes=32, bandwidth=8e9).accelerator()
    dense, sparse = (layer_costs(workload(CONV | {"density": (d, 1.0, 1.0)}), [accelerator]) for d in (1.0, 0.25))
    np.testing.assert_array_equal(dense.cycles_AL, sparse.cycles_AL)
    multiplications_j = 4608 * (accelerator.multiply_j + accelerator.add_j)
    assert dense.energy_AL[0, 0] - sparse.energy_AL[0, 0] == pytest.approx(0.75 * multiplications_j)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (1, 3)])
def test_structured_zeros_are_skipped(n, m):
    """C 12, K 256, 5 outputs on one multiplier: n / m of the products; weights of 8 + ceil(log2 m) bits."""
    dense = NVDLA(pes=1, bandwidth=8e9).accelerator()
    sparse = replace(dense, skipping=Skipping(n, m))
    full = {"C": 12, "K": 256, "OY": 5, "density": (1.0, 1.0, 1.0)}
    thin = full | {"density": (n / m, 1.0, 1.0)}
    found = layer_costs(workload(full, thin, thin | {"C": m - 1}), [dense, sparse])
    np.testing.assert_array_equal(found.cycles_AL[1, ::2], found.cycles_AL[0, ::2])  # dense, or fewer channels than m
    assert found.cycles_AL[1, 1] < found.cycles_AL[0, 1]
    assert (found.utilisation_AL <= 1).all()
    mapping = found.mapping(1, 1)
    assert mapping is not None
    assert np.prod([times for _, times in mapping.temporal]) == 256 * 60 * n // m
    geometry = [[1, 1, 256, 12, 5, 1, 1, 1]], [[1, 1]], [[0, 0]], [[1, 1]], [[8, 8, 8]]
    layers = pack_layers(*(np.array(x) for x in geometry), np.array([[n / m, 1.0, 1.0]]))
    costs = Loopnest().costs([sparse], layers, np.zeros((1, 2), int), [mapping])
    dram = {row["operand"]: row for row in costs.breakdown(0) if row["memory"] == "dram"}
    stored_bits = 256 * 12 * n // m * (8 + (m - 1).bit_length())
    assert dram["W"]["read_bytes"] * 8 == pytest.approx(stored_bits, rel=0.01)
    assert dram["I"]["read_bytes"] == pytest.approx(60, abs=8)  # all inputs, skipped or not
    assert costs.mac_energy_j_M[0] == pytest.approx(256 * 60 * n / m * (dense.multiply_j + dense.add_j))


def test_breakdown_adds_up(random_work):
    accelerator = Eyeriss(pes=32, bandwidth=8e9).accelerator()
    work = random_work.select(range(5))
    layers = pack_layers(work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO)
    which = np.array([(0, i) for i in range(5)])
    found = Exhaustive().search([accelerator], layers, which)
    costs = Loopnest().costs([accelerator], layers, which, [found.mapping(p) for p in range(5)])
    for m in range(5):
        rows = costs.breakdown(m)
        energy_j = sum(float(row["energy_j"]) for row in rows) + costs.mac_energy_j_M[m]
        assert energy_j == pytest.approx(costs.energy_j_M[m])
        assert {row["memory"] for row in rows} == {memory.name for memory in accelerator.memories}
        assert costs.bottleneck(m) in {"compute", *(memory.name for memory in accelerator.memories)}
        dram = next(row for row in rows if row["memory"] == "dram" and row["operand"] == "W")
        assert dram["read_bytes"] >= work.dims_LD[m, [1, 2, 3, 6, 7]].prod() - 8
        assert dram["written_bytes"] == 0


def test_objectives_and_mappers(random_work):
    accelerators = chips(pes=(160,), bandwidths=(8e9,))
    fast, frugal = (layer_costs(random_work, accelerators, objective=o) for o in ("cycles", "energy"))
    assert (frugal.energy_AL <= fast.energy_AL).all()
    assert frugal.energy_AL.sum() < fast.energy_AL.sum()
    assert frugal.cycles_AL.sum() > fast.cycles_AL.sum()
    limited = layer_costs(random_work, accelerators, Exhaustive(limit_cycles=1000))
    assert (limited.cycles_AL <= 1000).all()
    a, layer = np.argwhere(~limited.feasible_AL)[0]
    assert limited.reason(a, layer).startswith("no mapping within the limit: at least ")
    with pytest.raises(UserError, match="objective 'edp' beside a mapper"):
        layer_costs(random_work, accelerators, Exhaustive(), objective="edp")


def test_pieces_change_nothing(random_work, monkeypatch):
    accelerators = chips(pes=(32,), bandwidths=(8e9,))
    module._remembered.clear()
    whole = layer_costs(random_work, accelerators).cycles_AL
    module._remembered.clear()
    monkeypatch.setattr(module, "_PIECE", 7)
    np.testing.assert_array_equal(layer_costs(random_work, accelerators).cycles_AL, whole)


def test_what_is_remembered_stays_bounded_in_one_large_call(random_work, monkeypatch):
    accelerators = chips(pes=(32, 64), bandwidths=(4e9, 8e9))
    whole = layer_costs(random_work, accelerators)
    module._remembered.clear()
    monkeypatch.setattr(module, "_REMEMBERED", 100)
    parts = layer_costs(random_work, accelerators)
    for name in ("cycles_AL", "energy_AL", "bottleneck_AL", "reason_AL"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert whole.cycles_AL.size > 400
    assert sum(map(len, module._remembered.values())) <= 200


def test_attention_moves_both_operands_of_a_batched_product():
    """Q K^T of 4 heads, 16 tokens, 8 channels: G 4, K 16, C 8, OY 16. Both operands differ by head and come once."""
    accelerator = NVDLA(pes=32, bandwidth=8e9).accelerator()
    geometry = [[1, 4, 16, 8, 16, 1, 1, 1]], [[1, 1]], [[0, 0]], [[1, 1]], [[8, 8, 8]]
    layers = pack_layers(*(np.array(x) for x in geometry))
    mapping = layer_costs(workload({"G": 4, "K": 16, "C": 8, "OY": 16}), [accelerator]).mapping(0, 0)
    assert mapping is not None
    rows = Loopnest().costs([accelerator], layers, np.zeros((1, 2), int), [mapping]).breakdown(0)
    dram = {row["operand"]: row for row in rows if row["memory"] == "dram"}
    assert dram["W"]["read_bytes"] == dram["I"]["read_bytes"] == 4 * 16 * 8
    assert dram["O"]["written_bytes"] == 4 * 16 * 16


@pytest.mark.parametrize("op", ["softmax", "layer_norm", "add", "avg_pool"])
def test_vector_operators_are_traffic(op):
    found = layer_costs(workload({"op": op, "moved": (0, 800, 800)}), [NVDLA(pes=32, bandwidth=8e9).accelerator()])
    assert (found.cycles_AL[0, 0], found.bottleneck_AL[0, 0]) == (200, "dram")


def test_no_accelerator_is_refused():
    with pytest.raises(UserError, match="no accelerator"):
        layer_costs(workload(CONV), [])

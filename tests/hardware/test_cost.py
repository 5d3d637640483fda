"""Costs of workloads: vector operators, reasons, memory of earlier answers, bounds that every answer keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _layers import random_row, workload

from archip.core.errors import UserError
from archip.hardware import cost as module
from archip.hardware.cost import layer_costs
from archip.hardware.mappers.exhaustive import Exhaustive
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


def test_more_bandwidth_is_never_slower(random_work, monkeypatch):
    """Neither at least latency, nor, but for the slack, at least energy near it."""
    for slack in (0.01, 0.0):
        module._remembered.clear()
        monkeypatch.setattr(module, "Exhaustive", lambda slack=slack: Exhaustive(slack))
        for template in TEMPLATES:
            accelerators = [template(pes=160, bandwidth=8e9 * n).accelerator() for n in range(1, 9)]
            cycles = layer_costs(random_work, accelerators).cycles_AL
            assert (cycles[1:] <= cycles[:-1] * (1 + slack)).all()
    module._remembered.clear()


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


def test_no_accelerator_is_refused():
    with pytest.raises(UserError, match="no accelerator"):
        layer_costs(workload(CONV), [])

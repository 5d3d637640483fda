"""The folding rule on planes that can be drawn, and the chip's DRAM traffic."""

from dataclasses import replace

import numpy as np
import pytest
from _layers import workload

from archip.hardware.models.eyeriss_folding import EyerissFolding
from claims._convnets import alexnet, convolutions, vgg16

CHIP = EyerissFolding()


def active(**row):
    return CHIP.active_pes(workload(row))[0]


@pytest.mark.golden
def test_active_pes_of_the_chip():
    assert CHIP.active_pes(convolutions(alexnet(), 4)).tolist() == [154, 135, 156, 156, 156]
    assert set(CHIP.active_pes(convolutions(vgg16(), 3)).tolist()) == {168}  # the chip: 156 in the first seven


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"FY": 3, "OY": 14, "K": 64, "C": 64}, 3 * 14 * 4),  # four planes on top of each other
        ({"FY": 3, "OY": 7, "K": 64, "C": 64}, 3 * 7 * 8),  # and two side by side
        ({"FY": 3, "OY": 14, "K": 2, "C": 1}, 3 * 14 * 2),  # but the layer has only two
        ({"FY": 3, "OY": 56, "K": 1, "C": 1}, 3 * 14 * 4),  # one plane, all four strips at once
        ({"FY": 3, "OY": 70, "K": 1, "C": 1}, 3 * 14 * 4),  # four of five strips
        ({"FY": 7, "OY": 15, "K": 9, "C": 9}, 7 * 8),  # two strips of 8, one fits
        ({"FY": 13, "OY": 14, "K": 1, "C": 1}, 7 * 14),  # a filter cut into 7 + 6 rows
        ({"FY": 1, "OY": 1, "K": 1000, "C": 64}, 168),  # a dense layer: one product a PE
        ({"moved": (0, 5, 5)}, 0),
    ],
)
def test_planes_in_the_array(row, expected):
    assert active(**row) == expected


def test_dram_traffic_is_compulsory_where_everything_fits():
    work = replace(workload({"K": 4, "C": 3, "OY": 8, "OX": 8, "FY": 3, "FX": 3}), moved_LO=np.array([[108, 300, 256]]))
    costs = CHIP.evaluate(work)
    assert costs["dram_words"][0] == 108 + 300 + 256


def test_dram_traffic_by_trying_all_tiles():
    """Every m, n and e in a small buffer, one by one."""
    row = {"B": 3, "K": 10, "C": 2, "OY": 9, "OX": 9, "FY": 3, "FX": 3}
    work = replace(workload(row), moved_LO=np.array([[180, 3 * 2 * 121, 3 * 10 * 81]]))
    best = np.inf
    for m in range(1, 11):
        for n in range(1, 4):
            for e in range(1, 10):
                if m * n * e * 9 + n * (e + 2) * 11 > 400:
                    continue
                strips = -(-9 // e)
                read = 3 * 2 * 11 * (9 + 2 * strips) * -(-10 // m)
                best = min(best, read + 180 * -(-3 // n) * strips)
    found = EyerissFolding(buffer_words=400).evaluate(work)["dram_words"][0]
    assert found == pytest.approx(best + 2430)


def test_zeros_make_the_code_shorter_and_never_longer():
    row = {"K": 4, "C": 3, "OY": 8, "OX": 8, "FY": 3, "FX": 3}
    moved = np.array([[108, 300, 256]])
    half = replace(workload(row | {"density": (1.0, 0.5, 0.9)}), moved_LO=moved)
    assert CHIP.evaluate(half)["dram_words"][0] == pytest.approx(108 + 300 * 0.5 * 4 / 3 + 256)


def test_a_buffer_without_room_is_no_number():
    costs = EyerissFolding(buffer_words=5).evaluate(workload({"K": 1, "C": 1, "OY": 8, "OX": 8}))
    assert np.isnan(costs["dram_words"][0])
    assert np.isnan(costs["energy_j"][0])


def test_a_layer_without_products_costs_nothing_here():
    costs = CHIP.evaluate(workload({"moved": (0, 5, 5)}))
    assert {name: column[0] for name, column in costs.items()} == dict.fromkeys(costs, 0)

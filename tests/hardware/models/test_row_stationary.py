"""Row-stationary passes: one by hand, all against plain loops, and the Eyeriss chip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from _layers import workload

from archip.hardware.models.row_stationary import RowStationary
from claims._convnets import alexnet, convolutions, vgg16, with_zeros

CHIP = RowStationary()
# Chen et al., JSSC 52(1), 2017, as recalled: share of zeros in the inputs; totals that the abstract confirms.
ZEROS = [0.0001, 0.387, 0.725, 0.793, 0.776]
ZEROS_VGG = [0.016, 0.477, 0.248, 0.387, 0.397, 0.581, 0.587, 0.643, 0.747, 0.854, 0.794, 0.874, 0.885]


def test_conv2_of_alexnet_by_hand():
    """Eight filters x 2 channels in a PE, 27 rows of PEs in two strips, four images:

    8 * 27 * (2 * 5 + 1) = 2376 cycles an image, more than its 8 * 27 * 27 / 4 = 1458 of sums and 2 * 27 * 27 = 1458 of
    inputs; 8 * 2 * 25 / 4 = 100 for the weights. 2 groups x 128 / 8 x 48 / 2 = 768 passes of 4 * 2376 + 100.
    """
    found = CHIP.best_pass(convolutions(alexnet(), 4), 1)
    assert found.sizes == (8, 2, 1, 1, 4)
    assert found.cycles == 768 * 9604


@pytest.mark.parametrize(
    "row",
    [
        {"B": 2, "K": 7, "C": 5, "OY": 9, "OX": 9, "FY": 3, "FX": 3, "padding": 1},
        {"B": 3, "K": 6, "C": 4, "OY": 30, "OX": 20, "FY": 5, "FX": 5, "stride": 2},
        {"K": 10, "C": 3, "OY": 60, "OX": 40, "FY": 13, "FX": 3},
        {"G": 4, "K": 2, "C": 2, "OY": 7, "OX": 7, "FY": 3, "FX": 3},
    ],
)
def test_the_best_pass_by_trying_all(row):
    """Every p, q, r, n, one by one, with the folding drawn by hand for each row."""
    pieces, rows_in_array, sets = {9: (1, 9, 4), 30: (1, 20, 1), 60: (2, 12, 1), 7: (1, 7, 8)}[row["OY"]]
    size = {"B": 1, "G": 1, "stride": 1, "padding": 0} | row
    filter_rows = -(-row["FY"] // pieces)
    best = np.inf
    for p, q, r, n in itertools.product(range(1, 25), range(1, 13), range(1, sets + 1), range(1, size["B"] + 1)):
        if p > row["K"] or q > row["C"] or q * row["FX"] > 12 or p * q * row["FX"] > 224:
            continue
        t = sets // r
        read = min(
            (rows_in_array - 1) * size["stride"] + filter_rows,
            (row["OY"] - 1) * size["stride"] + row["FY"] - 2 * size["padding"],
        )
        inputs = q * r * read * ((row["OX"] - 1) * size["stride"] + row["FX"] - 2 * size["padding"])
        sums = p * t * rows_in_array * row["OX"]
        if n * (sums + 2 * inputs) > 51200:
            continue
        image = max(p * row["OX"] * (q * row["FX"] + 1), sums / 4, inputs)
        one = n * image + p * q * r * t * filter_rows * row["FX"] / 4
        n_passes = size["G"] * pieces * -(-row["OY"] // rows_in_array)
        n_passes *= -(-size["B"] // n) * -(-row["K"] // (p * t)) * -(-row["C"] // (q * r))
        best = min(best, one * n_passes)
    assert CHIP.best_pass(workload(row), 0).cycles == pytest.approx(best)


def test_what_the_buffer_cannot_hold_is_no_number():
    costs = CHIP.evaluate(workload({"K": 1, "C": 1, "OY": 300, "OX": 3000}, {"moved": (0, 5, 5)}))
    assert np.isnan([costs["processing_s"][0], costs["power_w"][0]]).all()
    assert costs["processing_s"][1] == costs["power_w"][1] == 0


@pytest.fixture(scope="module")
def on_alexnet():
    work = with_zeros(convolutions(alexnet(), 4), ZEROS)
    return work, CHIP.evaluate(work)


@pytest.mark.golden
def test_the_chip_on_alexnet(on_alexnet):
    """103.5 ms of processing within 5 %, each layer within 10 %; 0.0029 DRAM accesses a MAC within a factor of 2."""
    work, costs = on_alexnet
    assert costs["active_pes"].tolist() == [154, 135, 156, 156, 156]
    assert costs["processing_s"].sum() * 1e3 == pytest.approx(103.5, rel=0.05)
    np.testing.assert_allclose(costs["processing_s"] * 1e3, [16.5, 39.2, 21.8, 16.0, 10.0], rtol=0.10)
    assert costs["latency_s"].sum() * 1e3 == pytest.approx(115.3, rel=0.10)
    assert 0.5 < costs["dram_words"].sum() / work.macs_L.sum() / 0.0029 < 2


@pytest.mark.golden
def test_the_power_of_the_dense_layer(on_alexnet):
    """332 mW, one of the two figures from which the model's two powers are solved."""
    assert on_alexnet[1]["power_w"][0] == pytest.approx(0.332, rel=0.01)


@pytest.mark.golden
def test_the_chips_power_on_alexnet(on_alexnet):
    """278 mW within 5 %; the layers that the model has not seen within 10 %."""
    _, costs = on_alexnet
    energy_j = (costs["power_w"] * costs["latency_s"]).sum()
    assert energy_j / costs["latency_s"].sum() == pytest.approx(0.278, rel=0.05)
    np.testing.assert_allclose(costs["power_w"][1:] * 1e3, [288, 266, 235, 236], rtol=0.10)


def _energy(work):
    """Energy of each layer but for products and idling, of its products at scale 1, in J; its modelled time."""
    nothing = RowStationary(idle_w=1e-12, product_scale=1e-12).evaluate(work)
    products = RowStationary(idle_w=1e-12, product_scale=1.0).evaluate(work)
    time_L = nothing["latency_s"]
    return nothing["power_w"] * time_L, (products["power_w"] - nothing["power_w"]) * time_L, time_L


@pytest.mark.golden
@pytest.mark.parametrize("wrong", [0.95, 1.0, 1.05])
def test_the_chips_power_does_not_hang_on_one_figure(on_alexnet, wrong):
    """The two powers, solved here again, are the defaults; the total stays within 5 % if the layer's is 5 % off."""
    rest_L, products_L, time_L = _energy(on_alexnet[0])
    vgg_rest_L, vgg_products_L, _ = _energy(with_zeros(convolutions(vgg16(), 3), ZEROS_VGG))
    first_s, vgg_s = 20.9e-3, 4309.5e-3
    equations = [[products_L[0], first_s], [vgg_products_L.sum(), vgg_s]]
    given = [wrong * 0.332 * first_s - rest_L[0], 0.236 * vgg_s - vgg_rest_L.sum()]
    scale, idle_w = np.linalg.solve(equations, given)
    if wrong == 1:
        assert (scale, idle_w) == pytest.approx((CHIP.product_scale, CHIP.idle_w), rel=0.001)
    total = (rest_L + scale * products_L).sum() / time_L.sum() + idle_w
    assert total == pytest.approx(0.278, rel=0.05)


@pytest.mark.golden
def test_the_chip_on_vgg16():
    """Not used to build the model. conv2 to conv5 within 25 % each; conv1 comes out twice as slow as it was."""
    work = with_zeros(convolutions(vgg16(), 3), ZEROS_VGG)
    costs = CHIP.evaluate(work)
    chip = np.array([405.3, 810.8, 204.0, 408.1, 408.1, 105.1, 210.0, 210.0, 48.3, 48.5, 48.5])
    np.testing.assert_allclose(costs["processing_s"][2:] * 1e3, chip, rtol=0.25)
    assert 0.5 < costs["dram_words"].sum() / work.macs_L.sum() / 0.0035 < 2

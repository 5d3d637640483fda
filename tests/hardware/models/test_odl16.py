"""Products counted tile by tile, and which products a layer needs."""

import math

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.odl16 import Odl16
from claims._convnets import ds_cnn, resnet8


def walk(groups, rows, columns, depth, cores, lanes, registers, overhead):
    """Cycles of the busiest core at the best unrolling: tiles dealt out one by one, rows of tiles to the cores."""
    best = math.inf
    for u in range(1, 9):
        for v in range(1, 9):
            if u * v + u + v > registers:
                continue
            busy = [0.0] * cores
            strips = [(g, r) for g in range(groups) for r in range(0, rows, u)]
            for i, _ in enumerate(strips):
                for _ in range(0, columns, v):
                    inner = sum(u * v + u + v for _ in range(0, depth, lanes))
                    busy[i % cores] += overhead + inner + u * v * (math.log2(lanes) + 1)
            best = min(best, max(busy))
    return best


@pytest.mark.parametrize(
    ("groups", "rows", "columns", "depth", "lanes"),
    [(1, 10, 20, 27, 2), (1, 16, 33, 9, 1), (5, 1, 25, 9, 2), (1, 1, 1, 7, 4)],
)
def test_a_product_tile_by_tile(groups, rows, columns, depth, lanes):
    model = Odl16(cores=3, lanes=lanes, registers=20, overhead_cycles=5)
    row = {"G": groups, "K": rows, "OY": columns, "C": depth}
    found = model.evaluate(workload(row))
    assert found["forward"][0] == walk(groups, rows, columns, depth, 3, lanes, 20, 5)
    assert found["input_gradient"][0] == 0  # the only layer is the first
    assert found["weight_gradient"][0] == walk(groups, rows, depth, columns, 3, lanes, 20, 5)


def test_a_later_layer_has_three_products():
    row = {"K": 8, "C": 6, "OY": 5, "OX": 5, "FY": 3, "FX": 3}
    found = Odl16().evaluate(workload(row, row))
    assert found["macs"].tolist() == [2 * 8 * 6 * 225, 3 * 8 * 6 * 225]
    assert found["input_gradient"][1] == walk(1, 54, 25, 8, 8, 2, 32, 10)
    # Six input channels, nine positions of the filter, 25 outputs, two bytes, eight bytes a cycle; two or three times.
    assert found["transform"].tolist() == [2 * 6 * 9 * 25 * 2 / 8, 3 * 6 * 9 * 25 * 2 / 8]


def test_pointwise_layers_need_no_transform():
    assert Odl16().evaluate(workload({"K": 8, "C": 8, "OY": 5}))["transform"][0] == 0
    assert Odl16().evaluate(workload({"K": 8, "C": 8, "OY": 5, "stride": 2}))["transform"][0] > 0


def test_other_operators_move_forth_and_back():
    found = Odl16().evaluate(workload({"op": "relu", "moved": (0, 40, 40)}))
    assert found["cycles"][0] == 2 * 80 * 2 / 8
    assert found["macs"][0] == 0


def test_half_precision_is_at_most_twice_as_fast():
    for network in (resnet8(), ds_cnn()):
        half, single = (Odl16(lanes=lanes).evaluate(network)["cycles"] for lanes in (2, 1))
        assert (single <= 2 * half).all()
        assert (single > half).all()


def test_options_are_checked():
    with pytest.raises(UserError, match="less than or equal to 4"):
        registry.create("hardware/models", "odl16", {"lanes": 8})
    assert np.isfinite(registry.create("hardware/models", "odl16", {"cores": 1}).evaluate(resnet8())["cycles"]).all()

"""The closed form of the paper's array, and the choice against all combinations."""

from itertools import product

import numpy as np
import pytest

from archip.hardware.models.draco import Draco, _widened
from claims._convnets import Conv, convolutions, mobilenet_v1

GROUPS = [1, 2, 4, 8, 16, 32, 64, 128]
WIDE = {"mac_budget": 1e9, "param_budget": 1e9}


def grouped(channels=128, size=8):
    """The same 3 x 3 layer with g channels a group, for every g."""
    return convolutions([Conv(f"g{g}", channels, channels, size, 3, groups=channels // g) for g in GROUPS])


def test_closed_form_of_a_64_x_64_array():
    found = Draco(bytes_per_cycle=1e9).evaluate(grouped())
    utilisation = dict(zip(GROUPS, found["utilisation"], strict=True))
    assert [round(100 * utilisation[g], 2) for g in (1, 8, 16, 64)] == [0.22, 7.03, 18.75, 100.0]
    relative = found["compute_cycles"] / (128 * 8 * 8)
    assert relative.tolist() == pytest.approx([1, 0.5, 0.25, 0.25, 0.1875, 0.15625, 0.140625, 0.28125])


def test_widening_equals_the_group_convolution():
    base = convolutions([Conv("dw", 128, 128, 8, 3, groups=128)])
    direct = grouped()
    wide = _widened(base.select([0] * len(GROUPS)), np.array(GROUPS))
    assert (wide.dims_LD == direct.dims_LD).all()
    assert (wide.moved_LO == direct.moved_LO).all()
    assert (wide.params_L == direct.params_L).all()


def test_memory_can_be_the_limit():
    found = Draco(bytes_per_cycle=0.5).evaluate(grouped())
    n_bytes = 9 * 128 * np.array(GROUPS) + 2 * 128 * 64
    assert found["memory_cycles"] == pytest.approx(n_bytes / 0.5)
    assert (found["cycles"] == np.maximum(found["compute_cycles"], found["memory_cycles"])).all()


def test_without_limits_the_layer_gets_the_fastest_group():
    wide, table = Draco(bytes_per_cycle=1e9, **WIDE).choose(convolutions([Conv("dw", 128, 128, 8, 3, groups=128)]))
    assert table["group"].tolist() == [64]
    assert wide.macs == 128 * 64 * 9 * 64


def test_equal_latencies_take_the_smaller_group():
    """Of 4 and 8 on the plateau; 16 and more are over the budget."""
    model = Draco(bytes_per_cycle=1e9, mac_budget=8, param_budget=1e9)
    _, table = model.choose(convolutions([Conv("dw", 128, 128, 8, 3, groups=128)]))
    assert table["group"].tolist() == [4]


@pytest.mark.parametrize("budget", [1.0, 1.5, 3.0, 10.0])
@pytest.mark.parametrize("array", ["weight_stationary", "row_stationary"])
def test_the_choice_is_the_best_of_all(budget, array):
    rows = [
        Conv("a", 16, 16, 30, 3, groups=16),
        Conv("b", 16, 24, 30, 1),
        Conv("c", 24, 24, 15, 5, groups=24),
        Conv("d", 64, 64, 7, 3, groups=64),
    ]
    work = convolutions(rows)
    model = Draco(rows=16, columns=16, array=array, bytes_per_cycle=50, mac_budget=budget, param_budget=4)
    wide, table = model.choose(work)
    best = np.inf
    for a, c, d in product([1, 2, 4, 8, 16], [1, 2, 4, 8, 24], [1, 2, 4, 8, 16, 32, 64]):
        other = _widened(work, np.array([a, 1, c, d]))
        if other.macs <= budget * work.macs and other.params <= 4 * work.params:
            best = min(best, model.evaluate(other)["cycles"].sum())
    assert table["cycles"].sum() == pytest.approx(best)
    assert wide.macs <= budget * work.macs
    assert (table["group"] == 0).tolist() == [False, True, False, False]


def test_never_slower_than_depthwise():
    for array in ("weight_stationary", "row_stationary"):
        for bandwidth in (1.0, 16.0, 256.0):
            _, table = Draco(array=array, bytes_per_cycle=bandwidth).choose(convolutions(mobilenet_v1()))
            assert (table["cycles"] <= table["cycles_before"]).all()


def test_a_uniform_choice_is_among_the_free_ones():
    work = convolutions(mobilenet_v1())
    _, free = Draco().choose(work)
    _, same = Draco(uniform=True).choose(work)
    assert len(set(same["group"][same["group"] > 0])) == 1
    assert free["cycles"].sum() <= same["cycles"].sum() < free["cycles_before"].sum()


def test_a_network_without_depthwise_layers_stays():
    work = convolutions([Conv("a", 3, 8, 9, 3)])
    wide, table = Draco().choose(work)
    assert wide.macs == work.macs
    assert table["group"].tolist() == [0]

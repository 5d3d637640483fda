"""Roofline against numbers worked out by hand."""

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.roofline import Roofline

# 1000 operations a second on 8 bits, 500 on 16; 100 bytes a second: ridge at 10 operations a byte.
DEVICE = Roofline(ops_per_s={8: 1000.0, 16: 500.0}, bytes_per_s=100.0, power_w=9.0)


def one(**row):
    costs = DEVICE.evaluate(workload(row))
    return {name: column[0] for name, column in costs.items()}


def test_a_layer_above_the_ridge_is_bound_by_arithmetic():
    # The fixture's rows count no tensors of convolutions, so they are stated; 20 x 50 x 1 MACs are 2000 operations.
    work = workload({"K": 20, "C": 50})
    work.moved_LO[:] = [60, 20, 20]
    costs = DEVICE.evaluate(work)
    assert costs["latency_s"][0] == 2.0  # 2000 / 1000, against 100 bytes / 100
    assert costs["intensity"][0] == 20.0
    assert costs["bottleneck"][0] == "compute"
    # A third of 9 W all the time, 4 W while it computes, 2 W while it moves.
    assert costs["energy_j"][0] == pytest.approx(3 * 2 + 4 * 2 + 2 * 1)


def test_a_vector_operator_only_moves():
    found = one(moved=(0, 300, 100))
    assert (found["latency_s"], found["intensity"], found["bottleneck"]) == (4.0, 0.0, "memory")
    assert found["ops_per_s"] == 0.0


@pytest.mark.parametrize(("bits", "peak"), [(4, 1000), (8, 1000), (9, 500), (16, 500), (32, 250)])
def test_operands_run_at_the_narrowest_width_that_holds_them(bits, peak):
    assert DEVICE.peak(bits) == peak


def test_the_ridge_is_where_both_take_as_long():
    half = Roofline(ops_per_s={8: 1000.0}, bytes_per_s=100.0, compute_efficiency=0.5, memory_efficiency=0.25)
    compute_s, memory_s = half.seconds(np.array([half.ridge(8) * 7]), np.array([7]), 8)
    assert compute_s == pytest.approx(memory_s)


def test_options_are_checked():
    assert registry.create("hardware/models", "roofline", {"ops_per_s": {8: 4e12}}).peak(8) == 4e12
    with pytest.raises(UserError, match="greater than 0"):
        registry.create("hardware/models", "roofline", {"bytes_per_s": -1})

"""Operation ratios of the card, and cycles of a small array by hand."""

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.nm_sat import NmSat

GEMM = {"K": 16, "C": 32, "OY": 10}


@pytest.mark.parametrize(("n", "m", "ratio"), [(2, 4, 0.667), (2, 8, 0.500), (1, 8, 0.417), (4, 4, 1.0)])
def test_operations_of_a_step(n, m, ratio):
    assert NmSat(n=n, m=m).op_ratio == pytest.approx(ratio, abs=5e-4)


def folds(rows, columns, depth, R=4, C=4):
    """Cycles of the better dataflow: weights stand still, or outputs do and leave through the array."""
    up = lambda a, b: -(-a // b)  # noqa: E731
    ws = up(depth, R) * up(rows, C) * (2 * R + C + columns - 2)
    os = up(columns, R) * up(rows, C) * (2 * R + C + depth - 2)
    return min(ws, os)


def test_products_of_a_middle_layer():
    """Forward sums over 32 inputs: 8 of them remain of 2:8. Backward over 16 outputs: 4 remain. The third is dense."""
    found = NmSat(rows=4, cols=4).evaluate(workload(GEMM, GEMM | {"C": 16}, GEMM))
    found = {name: column[1] for name, column in found.items()}
    assert found["forward"] == folds(16, 10, 4)  # of 16 inputs
    assert found["input_gradient"] == folds(16, 10, 4)
    assert found["weight_gradient"] == folds(16, 16, 10)
    assert found["dense_cycles"] == folds(16, 10, 16) * 2 + folds(16, 16, 10)
    assert found["cycles"] == sum(found[name] for name in ("forward", "input_gradient", "weight_gradient"))


def test_first_and_last_layer_are_dense():
    found = NmSat(rows=4, cols=4).evaluate(workload(GEMM, GEMM, {"moved": (0, 9, 9)}, GEMM))
    assert (found["cycles"] == found["dense_cycles"]).tolist() == [True, False, True, True]
    assert found["cycles"][2] == 0


def test_few_channels_stay_dense():
    thin = {"K": 64, "C": 4, "OY": 10, "FY": 3}
    found = NmSat(rows=4, cols=4).evaluate(workload(GEMM, thin, GEMM))
    assert found["forward"][1] == folds(64, 10, 12)
    assert found["input_gradient"][1] == folds(12, 10, 16)


def test_compressed_weights_carry_their_indices():
    work = workload(GEMM, GEMM, GEMM)
    work.moved_LO[:, 0] = 512
    found = NmSat(n=2, m=8, weight_bits=16).evaluate(work)["weight_bytes"]
    assert found.tolist() == [1024, 512 / 4 * (16 + 3) / 8, 1024]


def test_all_of_m_is_dense():
    found = NmSat(n=4, m=4).evaluate(workload(GEMM, GEMM, GEMM))
    assert (found["cycles"] == found["dense_cycles"]).all()
    assert np.isin(found["forward_flow"], ["ws", "os"]).all()


def test_options_are_checked():
    with pytest.raises(UserError, match="at most 4"):
        registry.create("hardware/models", "nm_sat", {"n": 5, "m": 4})

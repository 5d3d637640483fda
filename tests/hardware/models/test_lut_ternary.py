"""The core's arithmetic against integers, its areas against the card's."""

from dataclasses import replace

import numpy as np
import pytest
from _layers import workload
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.lut_ternary import LutTernary

FP16, INT8 = LutTernary(add_area=45.0), LutTernary(add_area=4.0)


@settings(max_examples=50, deadline=None)
@given(
    mu=st.integers(1, 5), m=st.integers(1, 4), depth=st.integers(1, 17), n=st.integers(1, 6), seed=st.integers(0, 99)
)
def test_the_core_computes_the_product(mu, m, depth, n, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-128, 128, (m, depth)), rng.integers(-1, 2, (depth, n))
    assert (LutTernary(mu=mu).matmul(x, w) == x @ w).all()


@pytest.mark.parametrize(("mu", "entries", "bits"), [(1, 1, 2), (2, 4, 4), (3, 13, 5), (4, 40, 7), (5, 121, 8)])
def test_tables_and_codes(mu, entries, bits):
    core = LutTernary(mu=mu)
    assert (core.entries, core.code_bits) == (entries, bits)
    codes, _ = core.encode(np.random.default_rng(0).integers(-1, 2, (mu * 50, 20)))
    assert codes.min() >= -1
    assert codes.max() < entries


def test_area_of_one_core_by_hand():
    # Thirteen entries, ten of them sums, shared by 32 columns; 13 inputs, a negation, an accumulator; three weights.
    assert replace(FP16, mu=3, columns=32).area == pytest.approx((10 * 45 / 32 + 13 + 1 + 45) / 3)


def test_wide_sums_want_larger_tables():
    """Card: FP16-like best mu 3 from 32 columns on (0.52 at 32, 0.44 at 128), best mu 2 at 8."""
    found = FP16.explore([8, 32, 64, 128])
    assert found["mu"].tolist() == [2, 3, 3, 3]
    assert found["relative"][[1, 3]] == pytest.approx([0.52, 0.44], abs=0.005)


def test_narrow_sums_gain_little():
    """Card: INT8-like best mu 2 at about 0.76, never below 0.7."""
    found = INT8.explore([32, 128, 1024])
    assert found["mu"].tolist() == [2, 2, 2]
    assert found["relative"] == pytest.approx([0.76] * 3, abs=0.015)
    assert INT8.explore(np.arange(1, 5000, 37))["relative"].min() > 0.7


def test_cycles_of_a_product():
    core = LutTernary(mu=3, rows=4, columns=10)
    found = core.evaluate(workload({"K": 25, "C": 100, "OY": 7}, {"moved": (0, 5, 5)}))
    assert found["cycles"].tolist() == [7 * 9 * 3, 0]  # 100 / 12 and 25 / 10, rounded up
    assert found["weight_bytes"].tolist() == [25 * 34 * 5 / 8, 0]
    assert found["utilisation"][0] == pytest.approx(7 * 25 * 100 / (189 * 120))


def test_options_are_checked():
    with pytest.raises(UserError, match="less than or equal to 8"):
        registry.create("hardware/models", "lut_ternary", {"mu": 9})

"""Technology tables against their sources."""

from __future__ import annotations

import pytest

from archip.hardware.technology.nm45 import NM45
from archip.hardware.technology.nm65 import NM65


def test_65_nm_gives_back_the_component_estimates():
    assert NM65.sram_j(128 * 1024) == pytest.approx((18.18e-12, 14.14e-12))
    assert NM65.register_j(384) == pytest.approx((1.977e-12, 1.882e-12))
    assert NM65.register_j(24) == pytest.approx((0.202e-12, 0.177e-12), rel=0.05)  # the point that is left out
    assert NM65.dram_j_per_bit == pytest.approx(8e-12)
    # an 8-bit multiplication with a 16-bit addition is 0.208 pJ; the addition here has 32 bits
    assert NM65.multiply_j + NM65.accumulate_j / 2 == pytest.approx(0.208e-12)


def test_45_nm_follows_the_capacity_law():
    assert NM45.sram_j(8 * 1024)[0] == pytest.approx(10e-12)
    assert NM45.sram_j(32 * 1024)[0] == pytest.approx(20e-12)
    assert NM45.sram_j(1024 * 1024)[0] == pytest.approx(100e-12, rel=0.14)  # the law is 13 % high at 1 MB
    assert NM45.dram_j_per_bit * 64 == pytest.approx(1300e-12)
    assert NM45.mac_um2 == 419

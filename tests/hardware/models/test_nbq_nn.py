"""Every code against the float product, and rounding against the nearest exponent."""

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.nbq_nn import NbqNn


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_shifts_equal_the_float_product_for_all_codes(bits):
    model = NbqNn(bits=bits)
    sign, k = (a.ravel() for a in np.meshgrid([-1, 0, 1], np.arange(model.k_max + 1)))
    x = np.array([-32768, -1000, -1, 0, 1, 77, 32767])
    each = np.array([model.product(x[:, None], sign[None, i : i + 1], k[None, i : i + 1])[:, 0] for i in range(len(k))])
    # Powers of two times 16-bit integers are exact in float.
    exact = x[None, :] * model.decode(sign, k, 1.0)[:, None]
    assert (each * 2.0**-model.k_max == exact).all()


def test_sums_of_a_layer():
    rng = np.random.default_rng(0)
    model = NbqNn(bits=4, scale="power")
    sign, k, scale = model.encode(rng.normal(0, 0.1, (50, 8)))
    x = rng.integers(-128, 128, (6, 50))
    assert (model.product(x, sign, k) * scale * 2.0**-model.k_max == x @ model.decode(sign, k, scale)).all()


@pytest.mark.parametrize(("bits", "n_levels"), [(2, 3), (3, 7), (4, 15), (5, 31)])
def test_levels(bits, n_levels):
    levels = NbqNn(bits=bits).levels(0.5)
    assert len(levels) == n_levels
    assert (np.diff(levels) > 0).all()
    assert (levels[-1], levels[n_levels // 2]) == (0.5, 0.0)


def test_rounding_by_the_logarithm():
    """With s = 1 and k up to 2: 0.71 is nearer to 1 than to 0.5 in the logarithm, 0.70 is not; below 2^-2.5 is zero."""
    sign, k, scale = NbqNn(bits=3).encode([1.0, 0.71, 0.70, -0.30, 0.177, 0.176, 0.0])
    assert scale == 1.0
    assert NbqNn(bits=3).decode(sign, k, scale).tolist() == [1.0, 1.0, 0.5, -0.25, 0.25, 0.0, 0.0]


def test_a_decoded_weight_is_its_own_code():
    model = NbqNn(bits=5)
    levels = model.levels(0.37)
    assert model.decode(*model.encode(levels)) == pytest.approx(levels)


def test_scale_next_to_a_power_of_two():
    assert NbqNn(scale="power").encode([0.3, 0.1])[2] == 0.25
    assert NbqNn().encode([0.3, 0.1])[2] == 0.3
    assert NbqNn().encode([0.0, 0.0])[0].tolist() == [0, 0]


def test_energy_by_hand():
    """16 bits: 0.788 pJ a multiplication, 0.109 pJ an addition; three stages of a shifter 0.082 pJ."""
    work = workload({"K": 10, "C": 10})
    work.moved_LO[:] = [100, 10, 10]
    found = NbqNn(bits=4).evaluate(work)
    assert found["multiply_energy_j"][0] == pytest.approx(100 * 0.897e-12, rel=1e-3)
    assert found["energy_j"][0] == pytest.approx(100 * 0.190e-12, rel=3e-3)
    assert found["weight_bytes"][0] == 50


def test_options_are_checked():
    with pytest.raises(UserError, match="largest"):
        registry.create("hardware/models", "nbq_nn", {"scale": "mean"})

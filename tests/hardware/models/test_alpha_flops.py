"""Limits of the formula, and parameters found again from times with noise."""

import numpy as np
import pytest
from _layers import workload

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.alpha_flops import AlphaFlops, Curve

SWEEP = np.geomspace(1, 2**16, 40).round()


def test_alpha_is_one_at_the_reference_and_falls():
    alpha = Curve(0.02, 0.9, reference=49).alpha([1, 49, 50, 100, 10_000])
    assert alpha[:2].tolist() == [1, 1]
    assert (np.diff(alpha[1:]) < 0).all()
    assert alpha[3] == pytest.approx(((49 + 0.02 * 51) / 100) ** 0.9)


@pytest.mark.parametrize("curve", [Curve(beta=1.0), Curve(gamma=0.0)])
def test_plain_flops(curve):
    work = workload({"K": 8, "C": 4, "OY": 7, "OX": 7, "FY": 3, "FX": 3}, {"K": 10, "C": 20})
    found = AlphaFlops({3: curve}).evaluate(work)["alpha_flops"]
    assert found.tolist() == [2 * 8 * 4 * 49 * 9, 2 * 200]


def test_a_layer_takes_the_curve_of_the_nearest_kernel():
    model = AlphaFlops({1: Curve(beta=1.0), 5: Curve(beta=0.1, gamma=1.0)})
    work = workload({"OY": 10, "FY": 2, "FX": 2}, {"OY": 10, "FY": 3, "FX": 3})
    assert model.evaluate(work)["alpha"].tolist() == pytest.approx([1.0, 1.9 / 10])


def test_parameters_are_found_again():
    """Card: beta 0.02 and gamma 0.9 from 40 times with 5 % noise, within 10 %; here in the median of 25 draws."""
    truth, errors = Curve(0.02, 0.9, s_per_flop=3e-12), []
    for seed in range(25):
        noise = np.random.default_rng(seed).normal(0, 0.05, 40)
        seconds = 1e8 * truth.s_per_flop * truth.alpha(SWEEP) * np.exp(noise)
        found = AlphaFlops.fit(np.full(40, 3), SWEEP, np.full(40, 1e8), seconds).curves[3]
        errors.append([abs(found.beta / 0.02 - 1), abs(found.gamma / 0.9 - 1), abs(found.s_per_flop / 3e-12 - 1)])
    assert (np.median(errors, 0) < 0.1).all()


def test_times_proportional_to_flops_give_plain_flops():
    found = AlphaFlops.fit(np.ones(40), SWEEP, SWEEP * 7, SWEEP * 7e-9)
    assert found.curves[1].alpha(SWEEP) == pytest.approx(np.ones(40))


def test_too_few_times_are_refused():
    with pytest.raises(UserError, match="kernel 3: too few sizes"):
        AlphaFlops.fit([3, 3, 3, 3], [1, 1, 2, 4], np.ones(4), np.ones(4))


def test_options_are_checked():
    model = registry.create("hardware/models", "alpha_flops", {"curves": {3: {"beta": 0.1}}})
    assert model.curves[3] == Curve(beta=0.1)
    with pytest.raises(UserError, match="less than or equal to 1"):
        registry.create("hardware/models", "alpha_flops", {"curves": {3: {"gamma": 1.5}}})

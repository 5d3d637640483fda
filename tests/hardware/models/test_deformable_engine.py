"""The engine's arithmetic against plain convolution and torch-like sampling, and its address trace."""

import numpy as np
import pytest
from _layers import workload
from scipy.signal import correlate

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.deformable_engine import DeformableEngine

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(-128, 128, (3, 12, 10)).astype(float)
WEIGHTS = RNG.integers(-8, 8, (4, 3, 3, 3)).astype(float)
SWITCHES = [
    DeformableEngine(bound=b, shape=s, integer=i) for b in (None, 3) for s in ("free", "square") for i in (True, False)
]


def plain(image, weights, padding=0):
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    return np.stack([correlate(padded, w, "valid", "direct")[0] for w in weights])


@pytest.mark.parametrize("engine", SWITCHES)
def test_zero_offsets_are_plain_convolution(engine):
    found = engine.convolve(IMAGE, WEIGHTS, np.zeros((2, 9, 12, 10)), padding=1)
    assert (found == plain(IMAGE, WEIGHTS, 1)).all()


def test_integer_offsets_read_the_moved_pixel():
    """All taps of all pixels two rows down and one column left: the convolution of the moved image."""
    offsets = np.zeros((2, 9, 8, 8))
    offsets[0], offsets[1] = 2, -1
    moved = np.pad(IMAGE, ((0, 0), (0, 2), (1, 0)))[:, 2:, :-1]
    assert (DeformableEngine(integer=True).convolve(IMAGE, WEIGHTS, offsets) == plain(moved, WEIGHTS)[:, :8]).all()


def test_fractions_interpolate():
    """On a plane a + b y + c x bilinear sampling is exact."""
    y, x = np.mgrid[:12, :10].astype(float)
    image = (5 + 2 * y - 3 * x)[None]
    offsets = RNG.uniform(-0.9, 0.9, (2, 9, 4, 4))
    w = np.ones((1, 1, 3, 3))
    engine = DeformableEngine()
    # Filters at rows and columns 2 to 5, so that no tap leaves the map.
    base = np.zeros((2, 9, 8, 8))
    base[:, :, 2:6, 2:6] = offsets
    found = engine.convolve(image, w, base)[0, 2:6, 2:6]
    taps = np.mgrid[:3, :3].reshape(2, 9)
    for i in range(4):
        for j in range(4):
            at_y, at_x = (2 + i + taps[0] + offsets[0, :, i, j]), (2 + j + taps[1] + offsets[1, :, i, j])
            assert found[i, j] == pytest.approx((5 + 2 * at_y - 3 * at_x).sum())


@pytest.mark.parametrize("shape", ["free", "square"])
@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("kernel", [3, 5])
def test_bounded_reads_stay_in_the_line_buffer(shape, integer, kernel):
    """Card: with B = 3 and K = 3 an output row never reads beyond nine rows."""
    offsets = RNG.normal(0, 40, (2, kernel**2, 6, 6))
    engine = DeformableEngine(bound=3, shape=shape, integer=integer)
    (rows, columns), weight = engine.addresses(offsets, kernel)
    for row in range(6):
        assert rows[:, :, row].min() >= row - 3
        assert rows[:, :, row].max() <= row + kernel - 1 + 3
        assert columns[:, :, :, row].max() - columns[:, :, :, row].min() + 1 <= kernel + 6
    assert weight.sum(0) == pytest.approx(np.ones(weight.shape[1:]))
    free = DeformableEngine(bound=None, shape=shape, integer=integer).addresses(offsets, kernel)[0]
    assert np.ptp(free[0][:, :, 0]) > kernel + 6


def test_square_offsets_are_one_dilation():
    offsets = RNG.normal(0, 1, (2, 9, 5, 5))
    found = DeformableEngine(shape="square").limited(offsets, 3)
    assert (found[:, 4] == 0).all()  # the centre stays
    assert found[0, 0] == pytest.approx(found[1, 0])
    assert found[:, 0] == pytest.approx(-found[:, 8])
    # The dilation that least squares finds for offsets that are one already is that one.
    assert DeformableEngine(shape="square").limited(found, 3) == pytest.approx(found)


def test_buffers_and_reads_by_hand():
    row = {"K": 8, "C": 16, "OY": 32, "OX": 32, "FY": 3, "FX": 3, "padding": 1}
    bounded, anywhere = DeformableEngine(), DeformableEngine(bound=None)
    found = bounded.evaluate(workload(row, {"moved": (0, 5, 5)}))
    assert found["buffer_rows"].tolist() == [9, 0]
    assert found["buffer_bytes"].tolist() == [9 * 32 * 16, 0]
    assert anywhere.evaluate(workload(row))["buffer_bytes"][0] == 32 * 32 * 16
    assert found["reads"].tolist() == [32 * 32 * 9 * (16 * 4 + 2), 0]
    assert DeformableEngine(shape="square").evaluate(workload(row))["reads"][0] == 32 * 32 * (9 * 16 * 4 + 1)
    assert DeformableEngine(depthwise=False).evaluate(workload(row))["reads"][0] == 32 * 32 * 9 * 16 * 6
    assert found["cycles"][0] == max(32 * 32 * 9 * 16 * 8, found["reads"][0]) / 256


def test_integer_offsets_read_a_quarter():
    row = {"K": 8, "C": 16, "OY": 32, "OX": 32, "FY": 3, "FX": 3, "padding": 1}
    whole, part = (DeformableEngine(integer=i).evaluate(workload(row))["reads"][0] for i in (True, False))
    offsets = 32 * 32 * 9 * 2
    assert (part - offsets) == 4 * (whole - offsets)


def test_options_are_checked():
    assert registry.create("hardware/models", "deformable_engine", {"bound": None}).bound is None
    with pytest.raises(UserError, match="greater than or equal to 0"):
        registry.create("hardware/models", "deformable_engine", {"bound": -1})

"""Error distributions of populations."""

import numpy as np
import pytest

from archip.core.populations import best_range, edf


def test_edf_is_the_share_below_each_level():
    assert edf([0.3, 0.1, 0.2, 0.2], [0.0, 0.1, 0.15, 0.2, 0.25, 1.0]).tolist() == [0, 0, 0.25, 0.25, 0.75, 1]


def test_the_range_of_the_best_is_where_errors_are_low():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0, 10, 500)
    errors = (depth - 7) ** 2 + rng.normal(0, 0.1, 500)
    low, middle, high = best_range(depth, errors, rng)
    assert low < 7 < high
    assert middle == pytest.approx(7, abs=0.3)
    assert high - low < 2
    unrelated = best_range(depth, rng.normal(size=500), rng)
    assert unrelated[2] - unrelated[0] > 5

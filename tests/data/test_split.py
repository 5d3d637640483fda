from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archip.data._split import draw, share_of, stratified_counts


@pytest.mark.parametrize(
    ("sizes", "total", "keep_one", "expected"),
    [
        ([10, 10, 10, 10], 8, True, [2, 2, 2, 2]),
        ([50, 30, 20], 10, True, [5, 3, 2]),
        ([7, 7, 6], 3, True, [1, 1, 1]),
        ([97, 2, 1], 10, True, [9, 1, 0]),  # one of each that can spare it; the only sample of its class stays
        ([97, 2, 1], 10, False, [8, 1, 1]),
        ([4, 3], 5, False, [3, 2]),  # quotas 2.86 and 2.14
        ([5, 5], 10, False, [5, 5]),
        ([1, 1], 1, True, [0, 0]),
    ],
)
def test_counts_by_hand(sizes: list[int], total: int, keep_one: bool, expected: list[int]):
    assert stratified_counts(np.array(sizes), total, keep_one).tolist() == expected


@given(st.lists(st.integers(2, 60), min_size=1, max_size=8), st.floats(0.05, 0.95))
def test_total_is_exact_and_groups_stay_in_proportion(sizes: list[int], share: float):
    sizes_G = np.array(sizes)
    total = share_of(share, np.arange(sizes_G.sum()))
    take = stratified_counts(sizes_G, total, keep_one=True)
    assert take.sum() == np.clip(total, len(sizes), sizes_G.sum() - len(sizes))
    assert (take >= 1).all()
    assert (take < sizes_G).all()
    if (np.floor(sizes_G * total / sizes_G.sum()) >= 1).all() and (sizes_G * (1 - total / sizes_G.sum()) >= 1).all():
        assert (np.abs(take - sizes_G * total / sizes_G.sum()) < 1).all()


def test_draw_depends_on_the_seed_only():
    strata = np.repeat([0, 1, 2], [50, 30, 20])
    pool = np.arange(100)
    first = draw(strata, pool, 20, np.random.default_rng(1))
    assert first.tolist() == draw(strata, pool, 20, np.random.default_rng(1)).tolist()
    assert first.tolist() != draw(strata, pool, 20, np.random.default_rng(2)).tolist()
    assert np.bincount(strata[first]).tolist() == [10, 6, 4]
    assert (np.diff(first) > 0).all()


def test_draw_keeps_to_the_pool():
    strata = np.arange(100) % 2
    pool = np.arange(10, 30)
    assert set(draw(strata, pool, 6, np.random.default_rng(0))) <= set(pool)

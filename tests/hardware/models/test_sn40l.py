"""Fused traffic of small graphs by hand and at random, and hits of the cache against its formula."""

from dataclasses import replace

import numpy as np
import pytest
from _layers import workload
from hypothesis import given, settings
from hypothesis import strategies as st

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.models.sn40l import Sn40l

NODE = Sn40l(hbm_bytes=100, expert_bytes=10, expert_share=1.0, switch_bytes_per_s=5, router_s=0.5)


def rows(*moved, after=None):
    return workload(*({"moved": m, **({"after": after[i]} if after else {})} for i, m in enumerate(moved)))


def test_a_chain_keeps_what_is_between():
    """Weights 10, 20; tensors 100 → 40 → 60 and out: 30 + 160 bytes instead of 30 + 240."""
    work = rows((10, 100, 40), (20, 40, 60))
    assert NODE.evaluate(work, [0, 0])["n_bytes"].tolist() == [30 + 100 + 60]
    assert NODE.evaluate(work, [0, 1])["n_bytes"].tolist() == [150, 120]


def test_a_tensor_that_is_also_read_elsewhere_goes_out_once():
    """Row 0 is read by 1 (same group) and 2 (another): it is written, 1 saves its reading, 2 does not."""
    work = rows((0, 10, 40), (0, 40, 5), (0, 40, 7), after=[(), (0,), (0,)])
    assert NODE.evaluate(work, [0, 0, 1])["n_bytes"].tolist() == [10 + 40 + 5, 47]


def test_two_inputs_of_which_one_is_inside():
    work = rows((0, 10, 40), (0, 90, 50))  # the second reads 40 of the first, and 50 from outside
    assert NODE.evaluate(work, [0, 0])["n_bytes"].tolist() == [10 + 50 + 50]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8))
def test_fused_intensity_is_never_lower(seed, n):
    rng = np.random.default_rng(seed)
    after = [tuple(sorted(rng.choice(i, rng.integers(0, min(i, 3) + 1), replace=False).tolist())) for i in range(n)]
    out = rng.integers(1, 100, n)
    read = [int(sum(out[list(before)])) + int(rng.integers(0, 20)) * (not before) + 1 for before in after]
    work = rows(*((int(rng.integers(0, 50)), read[i], int(out[i])) for i in range(n)), after=after)
    work.dims_LD[:, 2] = rng.integers(1, 1000, n)
    groups = np.cumsum(np.append(0, rng.integers(0, 2, n - 1)))
    fused, single = NODE.evaluate(work, groups), NODE.evaluate(work, np.arange(n))
    assert fused["n_bytes"].min() > 0
    assert fused["ops"].sum() == single["ops"].sum()
    assert fused["ops"].sum() / fused["n_bytes"].sum() >= single["ops"].sum() / single["n_bytes"].sum()


def test_groups_end_where_the_sram_is_full():
    node = replace(NODE, sram_bytes=100)
    assert node.fuse(rows((30, 1, 20), (0, 1, 50), (1, 1, 0), (0, 1, 99), (500, 1, 1))).tolist() == [0, 0, 1, 1, 2]


def test_the_least_recently_used_expert_leaves():
    node = replace(NODE, hbm_bytes=20)
    found = node.serve([1, 2, 1, 3, 1, 2], execution_s=0.1)
    assert found["hit"].tolist() == [False, False, True, False, True, False]
    assert found["request_s"] == pytest.approx([2.6, 2.6, 0.6, 2.6, 0.6, 2.6])


def test_uniform_requests_hit_by_capacity():
    """Card: 150 experts and room for c: c / 150."""
    for capacity in (10, 75, 150):
        node = replace(NODE, hbm_bytes=10 * capacity)
        hit = node.serve(np.random.default_rng(0).integers(0, 150, 60_000))["hit"][2000:]
        assert hit.mean() == pytest.approx(capacity / 150, abs=0.01)


def test_an_expert_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match="a larger HBM"):
        replace(NODE, hbm_bytes=5).serve([1])
    with pytest.raises(UserError, match="less than or equal to 1"):
        registry.create("hardware/models", "sn40l", {"expert_share": 2})

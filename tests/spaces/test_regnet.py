"""RegNet's generator against published networks."""

import numpy as np
import pytest

from archip.ir.workload import workload
from archip.spaces.regnet import RegNet, grouped, stages_of


@pytest.mark.golden
@pytest.mark.parametrize(
    ("numbers", "group", "widths", "depths"),
    [  # arXiv:2003.13678, table 8: RegNetX-200MF and RegNetX-400MF
        ((13, 24, 36.44, 2.49), 8, [24, 56, 152, 368], [1, 1, 4, 7]),
        ((22, 24, 24.48, 2.54), 16, [32, 64, 160, 384], [1, 2, 7, 12]),
    ],
)
def test_published_networks(numbers, group, widths, depths):
    assert grouped(*stages_of(*numbers), group) == (widths, depths)


@pytest.mark.golden
def test_regnetx_200mf_has_its_published_cost():
    """2.7 million parameters and 0.2 GFLOPs at 224 x 224 (table 8), classifier of 1,000 included."""
    space = RegNet(depth=13, w0=24, wa=256, wm=(2.49,), group=(8,), stem=32, stem_stride=2)
    genes = {"depth": 13, "w0": 24, "wa": 36, "wm": 2.49, "group": 8}  # 36 gives the stages of 36.44
    assert space.widths(genes) == ([24, 56, 152, 368], [1, 1, 4, 7])
    work = workload(space.graph(genes, (3, 224, 224), 1000))
    assert work.macs == pytest.approx(0.2e9, rel=0.03)
    assert work.params == pytest.approx(2.7e6, rel=0.02)


def test_more_stages_than_permitted_are_not_sampled():
    space, rng = RegNet(stages=2), np.random.default_rng(0)
    assert all(len(space.widths(space.sample(rng))[0]) <= 2 for _ in range(50))

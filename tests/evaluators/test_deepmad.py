"""DeepMAD's entropy and effectiveness, by hand."""

import math

import numpy as np
import pytest

from archip.core.errors import CandidateError
from archip.evaluators.proxies._probe import Probe
from archip.evaluators.proxies.deepmad import DeepMAD, effectiveness, entropy, stages_of
from archip.ir.graph import GraphBuilder
from archip.spaces.bottleneck import Bottleneck


def _two_stages(depth: int = 2):
    """`depth` convolutions 3x3 of 8 channels on 8 x 8, then a grouped one of 16 with stride 2 and a shortcut."""
    g = GraphBuilder()
    x = g.input("image", (1, 4, 8, 8), "NCHW")
    for i in range(depth):
        x = g.add("conv", x, name=f"a{i}", out_channels=8, kernel=(3, 3), padding=(1, 1))
    y = g.add("conv", x, name="b", out_channels=16, kernel=(3, 3), padding=(1, 1), stride=2, groups=2)
    y = g.add("conv", y, name="c", out_channels=16, kernel=(1, 1))
    s = g.add("conv", x, name="shortcut", out_channels=16, kernel=(1, 1), stride=2)
    return g.finish(g.add("add", y, s, name="sum"))


def _probe(graph):
    return Probe(graph, np.zeros((1, 4, 8, 8), np.float32), np.zeros(1, np.int64), "classification", 0)


def test_entropy_by_hand():
    widths = [4 * 9, 8 * 9, 8 * 9 / 2, 16]  # the shortcut is not on the longest path
    first = math.log(8 * 64) * sum(math.log(w) for w in widths[:2]) / 2
    second = math.log(16 * 16) * sum(math.log(w) for w in widths) / 2
    stages = stages_of(_two_stages())
    assert entropy(stages) == pytest.approx(first + 8 * second)
    assert effectiveness(stages[0]) == pytest.approx(2 / math.sqrt(36 * 72))
    assert effectiveness(stages[1]) == pytest.approx(2 / math.sqrt(36 * 16))
    assert DeepMAD().score(_probe(_two_stages())) == pytest.approx(first + 8 * second - 10)  # both have depth 2


def test_deeper_at_the_same_width_is_less_effective_and_refused_beyond_the_bound():
    ratios = [effectiveness(stages_of(_two_stages(depth))[0]) for depth in (1, 2, 4, 8, 16)]
    assert ratios == sorted(ratios)
    with pytest.raises(CandidateError, match=r"effectiveness 0\.2\d+ exceeds 0\.1"):
        DeepMAD(rho=0.1).score(_probe(_two_stages(16)))


def test_stages_of_unequal_depth_are_punished():
    for depth in (2, 3, 5):
        score = DeepMAD().score(_probe(_two_stages(depth)))
        mean = (depth + 2) / 2
        variance = ((depth - mean) ** 2 + (2 - mean) ** 2) / 2 / mean**2
        assert score == pytest.approx(entropy(stages_of(_two_stages(depth))) - 10 * math.exp(variance))


def test_a_bottleneck_network_has_one_stage_for_each_resolution():
    space = Bottleneck(stages=3)
    graph = space.graph(space.sample(np.random.default_rng(0)), (3, 32, 32), 10)
    sides = [stage[0].side for stage in stages_of(graph)]
    assert sides == [(32, 32), (16, 16), (8, 8), (4, 4)]


def test_a_network_without_convolutions_has_no_entropy():
    g = GraphBuilder()
    x = g.input("x", (1, 8), "NC")
    with pytest.raises(CandidateError, match="without convolutions"):
        DeepMAD().score(_probe(g.finish(g.add("relu", x, name="r"))))

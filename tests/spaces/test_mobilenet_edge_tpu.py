"""MobileNet for edge accelerators: blocks by hand, what is fused, what is shared, and what is the same network."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core import registry
from archip.core.errors import UserError
from archip.ir.workload import workload
from archip.spaces.mobilenet_edge_tpu import MobileNetEdgeTPU

ONE = {"filters": [16], "layers": 2, "stem": 8, "head": 32}


def one(**options) -> MobileNetEdgeTPU:
    return registry.create("spaces", "mobilenet_edge_tpu", {**ONE, **options})


def genes(fused: bool, n: int = 1, kernel: int = 3, expansion: int = 4, width: float = 1.0):
    layer = {"fused": fused, "kernel": kernel, "expansion": expansion}
    return {"width1": width, "layers1": n} | {f"{k}1.{b}": v for b in range(1, n + 1) for k, v in layer.items()}


@pytest.mark.parametrize("kernel", [3, 5])
def test_macs_of_both_kinds_by_hand(kernel):
    """Stem 3 -> 8 on 16 x 16; the layer halves the map: 8 -> 32 -> 16; head 16 -> 32 and 32 -> 10."""
    space, k2 = one(), kernel**2
    common = 9 * 3 * 8 * 256 + 32 * 16 * 64 + 16 * 32 * 64 + 32 * 10
    plain = common + 8 * 32 * 256 + k2 * 32 * 64
    fused = common + k2 * 8 * 32 * 64
    for is_fused, macs in ((False, plain), (True, fused)):
        assert workload(space.graph(genes(is_fused, kernel=kernel), (3, 16, 16), 10)).macs == macs


def test_a_sum_only_where_size_and_channels_stay():
    names = [{n.name for n in one().graph(genes(f, n=2), (3, 16, 16), 10).nodes} for f in (False, True)]
    for found, prefix in zip(names, ("stage1.layer{}", "stage1.layer{}.fused"), strict=True):
        assert f"{prefix.format(2)}.add" in found
        assert f"{prefix.format(1)}.add" not in found


def test_relu_is_the_only_activation_and_the_projection_has_none():
    space = MobileNetEdgeTPU()
    graph = space.graph(space.sample(np.random.default_rng(0)), (3, 64, 64), 10)
    ops = {node.op for node in graph.nodes}
    assert ops == {"conv", "batch_norm", "relu", "add", "global_avg_pool", "linear"}
    norms = {n.name for n in graph.nodes if n.name.endswith("project.norm")}
    assert norms
    assert not any(set(n.inputs) & norms for n in graph.nodes if n.op == "relu")


def test_computes_what_the_docstring_says():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    m = one().build({**genes(False, n=2), "fused1.2": True}, (3, 8, 8), 4, seed=1).eval()
    x = torch.randn(2, 3, 8, 8)

    def conv(x, name, relu=True, **options):
        n = getattr(m, f"{name}_norm")
        y = F.conv2d(x, getattr(m, f"{name}_conv").weight, **options)
        y = F.batch_norm(y, n.running_mean, n.running_var, n.weight, n.bias)
        return F.relu(y) if relu else y

    y = conv(conv(x, "stem", padding=1), "stage1_layer1_expand")
    y = conv(y, "stage1_layer1_depth", padding=1, stride=2, groups=32)
    y = conv(y, "stage1_layer1_project", relu=False)
    y = y + conv(conv(y, "stage1_layer2_fused", padding=1), "stage1_layer2_fused_project", relu=False)
    y = conv(y, "head").mean((2, 3))
    torch.testing.assert_close(m(x), y @ m.classifier.weight.T + m.classifier.bias)


def test_widths_that_round_to_the_same_filters_are_one_network():
    space = one(widths=[1.0, 1.1, 1.5])
    assert space.canonical(genes(True, width=1.1)) == genes(True, width=1.0)
    assert space.canonical(genes(True, width=1.5)) == genes(True, width=1.5)


def test_number_of_networks_by_hand():
    """Two kinds, kernels and expansions of one or two layers: 8 + 64, times the widths 12 -> 16, 16 and 20 -> 24."""
    assert len(list(one().enumerate())) == 2 * (8 + 64)


def test_one_kind_alone():
    space = one(fused=[True])
    assert all(g["fused1.1"] for g in space.enumerate())
    with pytest.raises(UserError, match="growing"):
        one(fused=[True, False])

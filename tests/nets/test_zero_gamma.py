"""Residual blocks that begin as their skip connection: what is zeroed, what blocks then compute, that they learn."""

from __future__ import annotations

import pytest
import torch

from archip.core import registry
from archip.ir.graph import GraphBuilder
from archip.nets.build import build_module
from archip.nets.supernet import SuperNet
from archip.nets.zero_gamma import last_norms, zero_last_gamma

# space, options, input; for a block, the value of its sum and what the sum then is
CASES = [
    ("ofa_mobilenet", {"width": 0.25, "layers": [2], "head": [16, 24]}, (3, 16, 16),
     lambda v: (v["stage2.layer2.add"], v["stage2.layer1.project.norm"])),
    ("ofa_resnet", {"width": 0.125, "extra": [0]}, (3, 16, 16),
     lambda v: (v["stage3.block2.relu"], v["stage3.block1.relu"])),
    ("ofa_resnet", {"width": 0.125, "extra": [0]}, (3, 16, 16),
     lambda v: (v["stage3.block1.add"], v["stage3.block1.skip.norm"])),
    ("pooling_resnet", {}, (3, 16, 16), lambda v: (v["block3.relu"], v["block2.relu"])),
    ("tdnn", {"channels": 16, "aggregate": 16}, (3, 20), lambda v: (v["block2.add"], v["block2.total"])),
    ("regnet", {}, (3, 16, 16), lambda v: (v["stage1.block2.relu"], v["stage1.block1.relu"])),
]  # fmt: skip


def whole(space):
    return space.canonical({name: knob.values[-1] for name, knob in space.knobs.items()})


def regnet(space):
    return {"depth": 4, "w0": 16, "wa": 4, "wm": 2.5, "group": 1}


def network(name, options):
    space = registry.create("spaces", name, options)
    genotype = {"regnet": regnet, "pooling_resnet": lambda s: {"blocks1": 4, "blocks2": 3}}.get(name, whole)(space)
    return space, genotype


@pytest.mark.parametrize(("name", "options", "shape", "sums"), CASES)
def test_blocks_begin_as_their_skip_connection_and_learn(name, options, shape, sums):
    space, genotype = network(name, options)
    graph = space.graph(genotype, shape, 5)
    module = build_module(graph)
    x = torch.randn(4, *shape)
    found, skip = sums(module.values(x))
    assert not torch.equal(found, skip)
    norms = zero_last_gamma(module, graph)
    found, skip = sums(module.values(x))
    assert torch.equal(found, skip)
    module(x).square().sum().backward()
    names = [f"{norm.replace('.', '_')}.weight" for norm in norms]
    assert all(module.get_parameter(n).grad.abs().sum() > 0 for n in names)


def test_branches_that_end_in_a_relu_are_left_alone():
    """Behind zeros no gradient would pass a ReLU."""
    space, genotype = network("resnet9", {})
    assert last_norms(space.graph(genotype, (3, 16, 16), 5)) == []


def test_sums_of_equals_have_no_branch():
    g = GraphBuilder()
    x = g.input("x", (1, 3, 4, 4), "NCHW")
    a, b = (
        g.add("batch_norm", g.add("conv", x, name=n, out_channels=2, kernel=(1, 1)), name=f"{n}.norm") for n in "ab"
    )
    assert last_norms(g.finish(g.add("add", a, b, name="sum"))) == []


def test_a_supernet_of_which_all_networks_begin_so():
    space, _ = network("ofa_resnet", {"width": 0.125, "extra": [0, 1]})
    net = SuperNet(space, (3, 16, 16), 5, seed=0)
    norms = net.zero_gamma()
    plain = SuperNet(space, (3, 16, 16), 5, seed=0)
    x = torch.randn(4, 3, 16, 16)
    for end in (0, -1):
        genotype = space.canonical({name: knob.values[end] for name, knob in space.knobs.items()})
        values = net.extract(genotype).train().values(x)
        assert torch.equal(values["stage3.block3.relu"], values["stage3.block2.relu"])
    zeroed = {n for n, p in net.named_parameters() if not p.any() and plain.get_parameter(n).any()}
    assert zeroed == {n for n in dict(net.named_parameters()) if n.endswith("_c_norm.weight") and n.startswith("stage")}
    assert zeroed == {f"{norm.replace('.', '_')}.weight" for norm in norms}

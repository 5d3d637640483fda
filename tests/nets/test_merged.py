"""Networks merged into one pass: the same results as alone, bit for bit, with less to compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archip.core import registry
from archip.core.rng import generator
from archip.ir.graph import GraphBuilder
from archip.nets.build import build_module
from archip.nets.merged import Merged
from archip.nets.supernet import SuperNet
from archip.train.calibration import recalibrate
from archip.train.evaluation import evaluate, evaluate_merged

SPACES = {
    "resnet9": ({"stem": (4, 8), "filters": (4, 8), "skips": (0, 2), "blocks": 2}, (3, 8, 8)),
    "conv1d": ({"depths": (1, 2, 3), "widths": (4, 8)}, (2, 16)),
    "ofa_resnet": ({"filters": (32, 64), "layers": (2, 2), "strides": (1, 2), "stem": 8}, (3, 16, 16)),
    "vit": ({"dims": (8, 16), "heads": (1, 2), "patches": (4,)}, (3, 8, 8)),
}


def networks(name: str, n: int = 8) -> tuple[list, torch.Tensor]:
    options, shape = SPACES[name]
    space = registry.create("spaces", name, options)
    net = SuperNet(space, shape, 5, 0)
    rng = generator(0, "drawn")
    modules = [net.extract(space.sample(rng)) for _ in range(n)]
    return modules, torch.randn(24, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SPACES)
def test_merged_networks_give_what_each_gives_alone(name):
    alone, x = networks(name)
    for module in alone:
        recalibrate(module, x.split(8))
    merged = Merged(networks(name)[0])
    recalibrate(merged, x.split(8))
    assert merged.n_steps < merged.n_alone
    with torch.inference_mode():
        together = merged(x)
        for module, network, output in zip(alone, merged.networks, together, strict=True):
            assert torch.equal(module(x), output)
            assert torch.equal(network(x), output)  # each is whole, with statistics of its own
    y = torch.arange(24) % 5
    each = [evaluate(module, x, y, "classification") for module in alone]
    assert evaluate_merged(merged, x, y, "classification") == each


def chain(width: int, seed: int = 0) -> nn.Module:
    g = GraphBuilder()
    x = g.input("x", (1, 6), "NC")
    x = g.add("linear", x, name="first", out_features=4)
    x = g.add("relu", x, name="relu")
    x = g.add("linear", x, name="second", out_features=width)
    return build_module(g.finish(g.add("linear", x, name="last", out_features=2)), seed)


def test_what_begins_alike_is_computed_once_and_nothing_else():
    same, wider, other = Merged([chain(3), chain(3)]), Merged([chain(3), chain(5)]), Merged([chain(3), chain(3, 1)])
    assert (same.n_steps, same.n_alone) == (4, 8)
    assert wider.n_steps == 2 + 2 * 2
    assert other.n_steps == 8  # the same graph with other weights
    x = torch.randn(3, 6)
    assert [len(output) for output in same(x)] == [3, 3]


def test_layers_that_are_not_torchs_own_stay_apart():
    class Rounded(nn.Linear):
        def forward(self, input):
            return super().forward(input).round()

    a, b = chain(3), chain(3)
    rounded = Rounded(6, 4)
    rounded.load_state_dict(b.first.state_dict())
    b.first = rounded
    x = torch.randn(3, 6)
    expected = [a(x), b(x)]
    merged = Merged([a, b])
    assert merged.n_steps == 8
    assert all(map(torch.equal, merged(x), expected))
    c, d = chain(3), chain(3)
    d.first.register_forward_hook(lambda layer, args, output: 2 * output)
    assert not torch.equal(*Merged([c, d])(x))


def test_values_are_freed_when_nobody_reads_them_any_more():
    merged = Merged([chain(width) for width in range(2, 12)])
    alive, most = {0}, 0
    for step in merged._steps:
        alive = (alive | {step.writes}) - {*step.dead}
        most = max(most, len(alive))
    assert most <= 10 + 3  # the outputs, what all begin with, and one network's own
    assert len(alive) == 10


def test_networks_of_other_inputs_are_refused():
    g = GraphBuilder()
    narrow = build_module(g.finish(g.add("linear", g.input("x", (1, 3), "NC"), name="last", out_features=2)))
    with pytest.raises(ValueError, match="different inputs"):
        Merged([chain(3), narrow])

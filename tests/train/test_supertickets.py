"""SuperTickets: exact sparsity, widths that shrink for good, weights that may come back, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.core.errors import UserError  # noqa: E402
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train import loop  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rule import Scene, Step  # noqa: E402
from archip.train.supertickets import SuperTickets, draw_ticket  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8, 12), skips=(0, 1), blocks=1)
RECIPE = Recipe(epochs=5, batch=24, lr=1e-2, keep="last")


def started(**options):
    net, rule = SuperNet(SPACE, (1, 8, 8), 3, 0), SuperTickets(**options)
    loss = nn.functional.cross_entropy
    rule.start(Scene(net, 4, 4, None, loss, "classification", float, lambda: None))  # pyright: ignore
    return net, rule


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_the_sparsity_of_a_ticket_is_exact(images, sparsity):
    ticket = draw_ticket(SPACE, images, RECIPE, SuperTickets(sparsity=sparsity))
    n = sum(p.numel() for p in ticket.module.parameters() if p.ndim > 1)
    assert ticket.sparsity * n == pytest.approx(round(sparsity * n))
    assert set(ticket.metrics) == {"val", "test"}
    x, y = (torch.from_numpy(a) for a in images.splits["test"])
    with torch.no_grad():
        accuracy = float((ticket.module(x).argmax(1) == y).double().mean())
    assert accuracy == pytest.approx(ticket.metrics["test"]["accuracy"], abs=0.15)  # other batches for the norms


def test_the_smallest_weights_of_the_network_go_and_may_come_back():
    net, rule = started(sparsity=0.5, slimming=0.0, slim=(0.0, 0.0))
    for number in range(4):
        rule.epoch_ended(number, np.random.default_rng(0))
    ticket = dict(rule.evaluated(net).named_parameters())
    whole = dict(net.extract(rule.genotype).named_parameters())
    every = torch.cat([p.flatten() for p in whole.values() if p.ndim > 1]).abs()
    middle = every.median()
    for name, p in whole.items():
        if p.ndim > 1:
            assert torch.equal(ticket[name] != 0, p.abs() > middle)
    gone = {name: p.clone() for name, p in net.named_parameters()}
    x, y = torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    rule.backward(Step(net, x, y, nn.functional.cross_entropy, np.random.default_rng(0), 0.9))
    assert all(p.equal(gone[name]) for name, p in net.named_parameters())  # unpruned weights are still there
    gradients = torch.cat(
        [p.grad[mask == 0] for name, mask in rule._masks.items() if (p := net.get_parameter(name)).grad is not None]
    )
    assert bool((gradients != 0).any())


def test_channels_with_small_scales_go_for_good():
    net, rule = started(slimming=1.0)
    layers = [name for name, p in net.named_parameters() if name.startswith("block1") and p.ndim == 1]
    assert rule.genotype == {"fn0": 8, "fn1": 12, "sk1": 1}
    with torch.no_grad():
        for name in layers:
            net.get_parameter(name)[8:] = 0.0
    rule.epoch_ended(0, np.random.default_rng(0))
    assert rule.genotype == {"fn0": 8, "fn1": 8, "sk1": 1}
    with torch.no_grad():
        for name in layers:
            net.get_parameter(name)[8:] = 5.0
    rule.epoch_ended(1, np.random.default_rng(0))
    assert rule.genotype["fn1"] == 8


def test_the_penalty_is_weighted_by_what_channels_cost():
    net, rule = started(slimming=1.0, slim=(0.0, 1.0))
    weights = {group.gene: group.weight for group in rule._groups}
    cost = {g: net.cost(rule.genotype) - net.cost({**rule.genotype, g: v}) for g, v in (("fn0", 4), ("fn1", 8))}
    assert weights["fn0"] / weights["fn1"] == pytest.approx(cost["fn0"] / cost["fn1"])
    mean = (weights["fn0"] + weights["fn1"]) / 2
    counts = {group.gene: sum(b - a for a, b in group.channels.values()) for group in rule._groups}
    expected = sum(weights[g] * counts[g] for g in weights) / mean  # all scales are 1
    with torch.no_grad():
        assert float(rule._slimming(0.5)) == pytest.approx(expected)
        assert float(rule._slimming(0.125)) == pytest.approx(expected / 2)


def test_a_training_that_stopped_gives_the_same_ticket(images, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    rules = [SuperTickets(sparsity=0.6, slimming=0.5, threshold=0.9) for _ in range(3)]
    nets = [SuperNet(SPACE, images.input_shape, 2, 0) for _ in rules]
    fit(nets[0], images, RECIPE, 0, rule=rules[0])
    with monkeypatch.context() as patch:
        epoch = loop._Training.epoch
        patch.setattr(loop._Training, "epoch", lambda t: stopped() if len(t.history) == 3 else epoch(t))
        with pytest.raises(KeyboardInterrupt):
            fit(nets[1], images, RECIPE, 0, checkpoint=tmp_path / "t.safetensors", rule=rules[1])
    fit(nets[2], images, RECIPE, 0, checkpoint=tmp_path / "t.safetensors", rule=rules[2])
    assert rules[0].genotype == rules[2].genotype != nets[0].largest
    for a, b in zip(rules[0].evaluated(nets[0]).parameters(), rules[2].evaluated(nets[2]).parameters(), strict=True):
        assert a.equal(b)


def stopped():
    raise KeyboardInterrupt


def test_only_supernets_have_tickets(images):
    with pytest.raises(UserError, match="supernet of a space"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), images, RECIPE, 0, rule=SuperTickets())

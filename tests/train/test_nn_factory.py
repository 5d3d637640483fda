"""NN-Factory: limits are kept exactly, gates are hard with a gradient, and the network learns alone first."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archip.core.errors import UserError  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train import loop  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.nn_factory import Factory, NNFactory  # noqa: E402

SPACE = ResNet9(stem=(8,), filters=(8,), skips=(1,), blocks=1)
GENOTYPE = {"fn0": 8, "fn1": 8, "sk1": 1}
RECIPE = Recipe(epochs=4, batch=16, lr=1e-2, keep="last", ema=0.0)


def _factory(images) -> Factory:
    return Factory(SPACE.build(GENOTYPE, images.input_shape, 2, 0), 2, modules=4, hidden=16)


def _four(images):
    """The same images with four classes: halves and brightness."""
    splits = {s: (x, 2 * y + (x.mean((1, 2, 3)) > 0)) for s, (x, y) in images.splits.items()}
    return dataclasses.replace(images, splits=splits, n_classes=4)


def _of_four(images, recipe=RECIPE, **options) -> tuple[Factory, object]:
    data = _four(images)
    factory = Factory(SPACE.build(GENOTYPE, data.input_shape, 4, 0), 4, modules=4, hidden=16)
    return factory, fit(factory, data, recipe, 0, rule=NNFactory(most=3, **options))


def test_a_limit_is_kept_exactly_and_every_group_keeps_a_module(images):
    factory = _factory(images)
    n = len(factory.gated.spans)
    torch.manual_seed(0)
    for scale in (0.0, 1.0, 10.0):
        with torch.no_grad():
            factory.assembler[-1].bias.copy_(scale * torch.randn(n))
        for limit in np.linspace(len(factory.gated.widths) / n, 1, 9):
            gates = factory.assemble([0, 1], float(limit))
            assert set(gates.tolist()) <= {0.0, 1.0}
            assert gates.sum() == int(limit * n + 1e-6)
            assert all(gates[group].any() for group in factory.gated.members)


def test_the_surest_modules_are_on(images):
    factory = _factory(images)
    n = len(factory.gated.spans)
    with torch.no_grad():
        for p in factory.assembler[-1].parameters():
            p.zero_()
        factory.assembler[-1].bias.copy_(torch.arange(n) + 1.0)
    gates = factory.assemble([0], 0.5)
    needed = [group[-1] for group in factory.gated.members]
    others = [i for i in reversed(range(n)) if i not in needed][: n // 2 - len(needed)]
    assert gates.nonzero().flatten().tolist() == sorted([*needed, *others])


def test_the_network_learns_alone_first(images):
    fresh, (alone, _) = Factory(SPACE.build(GENOTYPE, (1, 8, 8), 4, 0), 4, 4, 16), _of_four(images, pretrain=1.0)
    assert all(a.equal(b) for a, b in zip(fresh.assembler.parameters(), alone.assembler.parameters(), strict=True))
    plain = SPACE.build(GENOTYPE, (1, 8, 8), 4, 0)
    fit(plain, _four(images), RECIPE, 0)
    assert all(a.equal(b) for a, b in zip(plain.parameters(), alone.gated.backbone.parameters(), strict=True))
    both, _ = _of_four(images, pretrain=0.5)
    assert not any(a.equal(b) for a, b in zip(fresh.assembler.parameters(), both.assembler.parameters(), strict=True))


def test_gates_are_hard_with_the_gradient_of_their_chance(images):
    rule, rng = NNFactory(), np.random.default_rng(0)
    rule._factory = _factory(images)
    logits = torch.linspace(-3, 3, len(rule._factory.gated.spans)).requires_grad_()
    drawn = torch.stack([rule._gates(logits, rng).detach() for _ in range(400)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    last = [i for group in rule._factory.gated.members[-1:] for i in group]
    torch.testing.assert_close(drawn.mean(0)[last], logits.detach().sigmoid()[last], atol=0.08, rtol=0)
    assert all(drawn[:, group].any(1).all() for group in rule._factory.gated.members)
    rule._gates(logits, rng).sum().backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_at_first_the_limit_is_the_chance_of_every_gate(images):
    factory = _factory(images)
    for p in factory.assembler[-1].parameters():
        torch.nn.init.zeros_(p)
    chances = factory.logits([[0], [1]], 0.3).sigmoid()
    torch.testing.assert_close(chances, torch.full((2, len(factory.gated.spans)), 0.3))
    assert torch.isfinite(factory.logits([[0]], 1.0)).all()


def test_modules_above_the_limit_are_switched_off(images):
    shares = []
    for excess in (0.0, 20.0):
        factory, _ = _of_four(images, dataclasses.replace(RECIPE, epochs=20), pretrain=0.0, excess=excess)
        with torch.no_grad():
            shares.append(float(factory.logits([[0, 1]], 0.5).sigmoid().mean()))
    assert shares[1] < shares[0]


def test_tasks_are_of_the_wanted_sizes(images):
    rule, rng = NNFactory(fewest=2, most=3), np.random.default_rng(0)
    rule._factory = Factory(SPACE.build(GENOTYPE, (1, 8, 8), 6, 0), 6, 4, 16)
    tasks = [rule.task(rng) for _ in range(200)]
    assert {len(task) for task in tasks} == {2, 3}
    assert all(task == sorted(set(task)) for task in tasks)
    assert {c for task in tasks for c in task} == set(range(6))


def test_a_training_that_was_stopped_ends_the_same(images, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    data, path, epoch = _four(images), tmp_path / "factory.safetensors", loop._Training.epoch
    nets = [Factory(SPACE.build(GENOTYPE, data.input_shape, 4, 0), 4, 4, 16) for _ in range(3)]
    history = fit(nets[0], data, RECIPE, 0, rule=NNFactory()).history
    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "epoch", lambda t: _stop() if len(t.history) == 2 else epoch(t))
        with pytest.raises(KeyboardInterrupt):
            fit(nets[1], data, RECIPE, 0, checkpoint=path, rule=NNFactory())
    assert fit(nets[2], data, RECIPE, 0, checkpoint=path, rule=NNFactory()).history == history
    assert all(a.equal(b) for a, b in zip(nets[0].parameters(), nets[2].parameters(), strict=True))


def _stop():
    raise KeyboardInterrupt


def test_what_cannot_be_is_refused(images, masks):
    factory = _factory(images)
    for classes in ([], [2], [0, 0]):
        with pytest.raises(UserError, match=r"some of 0 to 1"):
            factory.assemble(classes, 0.5)
    with pytest.raises(UserError, match=r"groups of channels need one each.*at least 0\.25"):
        factory.assemble([0], 0.1)
    with pytest.raises(UserError, match="a Factory"):
        fit(SPACE.build(GENOTYPE, images.input_shape, 2, 0), images, RECIPE, 0, rule=NNFactory())
    with pytest.raises(UserError, match="sets of classes"):
        fit(factory, masks, RECIPE, 0, rule=NNFactory())

"""Progressive shrinking: its stages, what each may draw, on what networks learn, and that killed trainings go on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.testing.elastic import elastic_net, gradients, scene_of, step_of  # noqa: E402
from archip.train.device import mixed_precision  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.losses import distillation  # noqa: E402
from archip.train.rules.progressive_shrinking import ProgressiveShrinking  # noqa: E402

LARGEST = {"side": 8, "width": 12, "depth": 3, "kernel": 7}


def started(rule=None, module=None, **scene):
    rule = rule or ProgressiveShrinking()
    rule.start(scene_of(module or elastic_net(), **scene))
    return rule


def drawn(rule, number):
    """Values of each gene in draws of a stage."""
    rng = np.random.default_rng(0)
    found = [rule.draw(number, rng) for _ in range(100)]
    return {gene: {g[gene] for g in found} for gene in LARGEST}


def test_stages_free_kernels_then_depths_then_widths():
    rule = started()
    assert [(stage.kind, stage.n_networks) for stage in rule.plan] == [
        (None, 1),
        ("kernel", 1),
        ("depth", 2),
        ("depth", 2),
        ("width", 4),
        ("width", 4),
    ]
    free = {"side": {6, 8}, "width": {12}, "depth": {3}, "kernel": {7}}
    for number, news in enumerate(
        [{"kernel": {3, 5, 7}}, {"depth": {2, 3}}, {"depth": {1, 2, 3}}, {"width": {8, 12}}, {"width": {4, 8, 12}}], 1
    ):
        free |= news
        assert drawn(rule, number) == free


def test_stages_have_the_lengths_and_rates_of_the_paper():
    rule = started()
    assert rule.ends * 590 == pytest.approx([180, 300, 325, 445, 470, 590])
    assert [rule.at(epoch / 590) for epoch in (0, 179, 180, 299, 300, 469, 470, 589.9)] == [0, 0, 1, 1, 2, 4, 5, 5]
    starts = [rule.rate(epoch / 590, 0.3, False) for epoch in (0, 180, 300, 325, 445, 470)]
    assert starts == pytest.approx([1, 1, 1 / 12, 1 / 4, 1 / 12, 1 / 4])
    assert rule.rate(240 / 590, 0.3, False) == pytest.approx(0.5)
    assert rule.rate(0.01, 0.3, True) == 0.3


def test_efficient_tdnn_has_stages_of_equal_length():
    rule = started(ProgressiveShrinking("efficient_tdnn"))
    assert [stage.kind for stage in rule.plan] == [None, "kernel", "depth", "width", "width"]
    assert rule.ends == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert {stage.n_networks for stage in rule.plan} == {1}


def test_stages_that_free_nothing_are_left_out():
    net = SuperNet(ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1, 2), blocks=1), (1, 8, 8), 2, 0)
    assert [(stage.kind, stage.share) for stage in started(module=net).plan] == [
        (None, 1),
        ("depth", 0.5),
        ("depth", 1),
        ("width", 1),
    ]


def test_networks_learn_from_labels_and_the_largest_of_the_first_stage():
    net = elastic_net()
    rule = started(module=net)
    rule.backward(step_of(net, 0.1))
    assert sum(float(g.abs().sum()) for g in gradients(net)) > 0
    with torch.no_grad(), mixed_precision(torch.device("cpu")):
        taught = net(step_of(net, 0.5).x, LARGEST).float()
    step = step_of(net, 0.52, seed=3)  # depths
    rule.backward(step)
    found = gradients(net)
    rng = np.random.default_rng(3)
    for genotype in [rule.draw(2, rng) for _ in range(2)]:
        outputs = net(step.x, genotype)
        (step.loss(outputs, step.y) + distillation(outputs, taught)).backward()
    for a, b in zip(found, gradients(net), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_teacher_is_kept_as_it_was_and_comes_back():
    net, other = elastic_net(), elastic_net(1)
    rule = started(module=net)
    rule.backward(step_of(net, 0.4))
    kept = [p.clone() for p in net.parameters()]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    rule.backward(step_of(net, 0.6))
    resumed = started(module=other)
    resumed.restore(rule.state())
    resumed.backward(step_of(other, 0.6))
    for rules in (rule, resumed):
        assert all(a.equal(b) for a, b in zip(kept, rules.teacher.parameters(), strict=True))


def test_channels_are_sorted_once_when_widths_become_free():
    net, calls = elastic_net(), []
    rule = started(module=net, sort=lambda: calls.append(1))
    seen = []
    for done in (0.1, 0.4, 0.6, 0.77, 0.78, 0.9):
        rule.backward(step_of(net, done))
        seen.append(len(calls))
    assert seen == [0, 0, 0, 1, 1, 1]


def test_an_elastic_network_goes_through_all_stages(images):
    net = elastic_net()
    result = fit(net, images, Recipe(epochs=6, batch=16, lr=5e-3, keep="last"), 0, rule=ProgressiveShrinking())
    assert [set(entry) for entry in result.history] == [{"loss"}] * 6

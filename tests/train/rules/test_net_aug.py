"""NetAug: the tiny network and a wider one around it; what is validated and kept is the tiny one."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.core.errors import UserError  # noqa: E402
from archip.testing.elastic import elastic_net, gradients, scene_of, step_of  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402
from archip.train.rules.net_aug import NetAug  # noqa: E402

BASE = {"side": 8, "width": 8, "depth": 2, "kernel": 3}


def started(net, rule):
    rule.start(scene_of(net))
    return rule


def test_wider_networks_hold_the_tiny_one():
    rule = started(elastic_net(), NetAug(BASE))
    rng = np.random.default_rng(0)
    drawn = [rule.wider(rng) for _ in range(40)]
    assert {g["width"] for g in drawn} == {8, 12}
    assert all({**g, "width": 8} == BASE for g in drawn)
    assert started(elastic_net(), NetAug()).tiny == elastic_net().smallest


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_the_wider_loss_counts_alpha_times(alpha):
    net = elastic_net()
    rule = started(net, NetAug(BASE, alpha))
    step = step_of(net, 0.2, seed=1)
    rule.backward(step)
    found = gradients(net)
    step.loss(net(step.x, BASE), step.y).backward()
    if alpha:
        (alpha * step.loss(net(step.x, rule.wider(np.random.default_rng(1))), step.y)).backward()
    for a, b in zip(found, gradients(net), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_metrics_are_those_of_the_tiny_network(images):
    net, rule = elastic_net(), NetAug(BASE)
    result = fit(net, images, Recipe(epochs=4, batch=16, lr=1e-2), 0, rule=rule)
    tiny = rule.evaluated(net)
    assert sum(p.numel() for p in tiny.parameters()) == net.cost(BASE)
    x, y = images.splits["val"]
    with torch.no_grad():
        hits = (tiny.eval()(torch.from_numpy(x)).argmax(1) == torch.from_numpy(y)).float().mean()
    assert result.metrics["val"]["accuracy"] == pytest.approx(float(hits))


def test_a_base_outside_the_space_is_refused():
    with pytest.raises(UserError, match="one of"):
        started(elastic_net(), NetAug({**BASE, "width": 5}))

"""Topologies of several tasks: stages, limits, and trainings that are continued."""

from __future__ import annotations

import numpy as np
import pytest

from archip.core.errors import UserError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.data._dataset import DataSet  # noqa: E402
from archip.nets.central import CentralNetwork  # noqa: E402
from archip.train import loop  # noqa: E402
from archip.train.dmtl import DynamicTopologies, find_topologies  # noqa: E402
from archip.train.loop import Recipe, fit  # noqa: E402

RECIPE = Recipe(epochs=8, batch=32, lr=1e-2, keep="last", augment=False)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1, 8)).astype(np.float32)
    y = np.stack([x[:, 0, 0] > 0, x[:, 0, 0] * x[:, 0, 1] > 0], 1).astype(np.int64)
    splits = {"train": (x[:240], y[:240]), "val": (x[240:320], y[240:320]), "test": (x[320:], y[320:])}
    return DataSet("signs", "classification", "NCL", 2, splits, digest="signs")


def network():
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Flatten(), nn.Linear(8, 16))
    return CentralNetwork(
        stem,
        lambda: nn.Sequential(nn.Linear(16, 16), nn.ReLU()),
        lambda n: nn.Linear(16, n),
        {"one": 2, "two": 2},
        5,
        3,
    )


def test_every_task_gets_a_network_within_the_limit(data):
    found = find_topologies(network(), data, RECIPE, DynamicTopologies(edges=3))
    assert set(found.topologies) == {"one", "two"}
    for task, topology in found.topologies.items():
        assert 1 <= len(topology.edges) <= 3
        assert topology.read_in < topology.read_out
        assert found.accuracy[task] > 0.6
    whole = network()
    assert 0 < found.n_parameters < sum(p.numel() for p in whole.parameters())


def test_layers_that_both_use_count_once(data):
    found = find_topologies(network(), data, RECIPE, DynamicTopologies(edges=3))
    distinct = {edge for topology in found.topologies.values() for edge in topology.edges}
    assert found.n_parameters == (8 * 16 + 16) + len(distinct) * (16 * 16 + 16) + 2 * (16 * 2 + 2)


def test_the_squeeze_loss_makes_edges_fewer(data):
    left = []
    for squeeze in (0.0, 5.0):
        rule = DynamicTopologies(edges=2, squeeze=squeeze)
        find_topologies(network(), data, RECIPE, rule)
        left.append(float(torch.sigmoid(rule.logits.detach()[:, :9]).sum(1).mean()))
    assert left[1] < left[0] - 0.5


def test_stages_follow_each_other(data, monkeypatch):
    rule, seen = DynamicTopologies(edges=3), []
    gates = DynamicTopologies._gates
    monkeypatch.setattr(
        DynamicTopologies,
        "_gates",
        lambda self, step: (
            seen.append((step.done, bool(self.topologies), self.logits.abs().sum().item() > 0)) or gates(self, step)
        ),
    )
    find_topologies(network(), data, RECIPE, rule)
    assert all(not searched and not decided for done, decided, searched in seen if done <= 0.25)
    assert all(not decided for done, decided, _ in seen if done < 0.75)
    assert all(decided and searched for done, decided, searched in seen if done >= 0.75)


@pytest.mark.parametrize("stop", [4, 7])
def test_an_interrupted_training_ends_with_the_same_topologies_and_weights(data, tmp_path, monkeypatch, stop):
    whole, rule = network(), DynamicTopologies(edges=3)
    fit(whole, data, RECIPE, 0, rule=rule)
    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    epoch = loop._Training.epoch

    def interrupted(self):
        if len(self.history) == stop:
            raise KeyboardInterrupt
        return epoch(self)

    monkeypatch.setattr(loop._Training, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), data, RECIPE, 0, checkpoint=tmp_path / "c", rule=DynamicTopologies(edges=3))
    monkeypatch.setattr(loop._Training, "epoch", epoch)
    continued, again = network(), DynamicTopologies(edges=3)
    fit(continued, data, RECIPE, 0, checkpoint=tmp_path / "c", rule=again)
    assert again.topologies == rule.topologies
    assert torch.equal(again.logits, rule.logits)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), continued.parameters(), strict=True))


def test_wrong_options_and_networks_are_refused(data):
    with pytest.raises(UserError, match="last stage"):
        DynamicTopologies(warmup=0.5, search=0.5)
    with pytest.raises(UserError, match="central network"):
        fit(nn.Linear(8, 2), data, RECIPE, 0, rule=DynamicTopologies())

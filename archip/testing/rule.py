"""RuleContract: what every training rule for shared weights has to keep, also one of another package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archip.core import registry
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.spaces.resnet9 import ResNet9

__all__ = ["RuleContract"]

_SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=2)
_EPOCHS = 4


class RuleContract:
    """Subclass with `rule_name` parametrised, as in `tests/contracts/test_rules.py`."""

    @pytest.fixture
    def data(self) -> DataSet:
        splits = {split: _stripes(n, split) for split, n in (("train", 96), ("val", 32), ("test", 32))}
        return DataSet("stripes", "classification", "NCHW", 2, splits, digest="stripes")

    def test_training_is_repeatable_and_goes_on_where_it_stopped(
        self, rule_name: str, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from archip.train import loop

        monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
        whole, again, cut = (_net(rule_name) for _ in range(3))
        history = self._fit(whole, rule_name, data).history
        assert self._fit(again, rule_name, data).history == history
        path = tmp_path / "training.safetensors"
        with monkeypatch.context() as patch:
            epoch = loop._Training.epoch
            patch.setattr(loop._Training, "epoch", lambda t: _stopped() if len(t.history) == 2 else epoch(t))
            with pytest.raises(KeyboardInterrupt):
                self._fit(cut, rule_name, data, path)
        resumed = _net(rule_name)
        assert self._fit(resumed, rule_name, data, path).history == history
        for a, b, c in zip(whole.parameters(), again.parameters(), resumed.parameters(), strict=True):
            assert a.equal(b)
            assert a.equal(c)

    def test_networks_learn_without_training_of_their_own(self, rule_name: str, data: DataSet) -> None:
        net = _net(rule_name)
        before = _mean_loss(net, data)
        self._fit(net, rule_name, data, epochs=3 * _EPOCHS)
        assert _mean_loss(net, data) < 0.9 * before

    def test_options_are_told_and_state_is_not(self, rule_name: str, data: DataSet) -> None:
        rule = registry.create("train/rules", rule_name)
        told = repr(rule)
        self._fit(_net(rule_name), rule_name, data, epochs=1, rule=rule)
        assert repr(rule) == told
        stands_for_all = rule.evaluated(_net(rule_name))
        assert stands_for_all is None or callable(stands_for_all)

    def _fit(
        self, net: Any, rule_name: str, data: DataSet, path: Path | None = None, epochs: int = _EPOCHS, rule: Any = None
    ) -> Any:
        from archip.train.loop import Recipe, fit

        rule = rule or registry.create("train/rules", rule_name)
        return fit(net, data, Recipe(epochs=epochs, batch=32, lr=1e-2, keep="last"), 0, checkpoint=path, rule=rule)


def _net(rule_name: str) -> Any:
    from archip.nets.supernet import SuperNet

    return registry.create("train/rules", rule_name).network(lambda i: SuperNet(_SPACE, (1, 8, 8), 2, i))


def _stopped() -> Any:
    raise KeyboardInterrupt


def _stripes(n: int, purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Noise with stripes along (class 0) or across (class 1): x [n, 1, 8, 8], y [n]."""
    rng = generator(0, "stripes", purpose)
    x, y = rng.normal(size=(n, 1, 8, 8)).astype(np.float32), rng.integers(2, size=n)
    wave = np.where(np.arange(8) % 4 < 2, 1.0, -1.0).astype(np.float32)
    x += np.where(y[:, None, None, None] == 0, wave[:, None], wave[None, :])
    return x, y


def _mean_loss(net: Any, data: DataSet) -> float:
    """Of eight random networks with their own statistics, on the validation split."""
    import torch

    from archip.train.calibration import recalibrate

    x, y = (torch.from_numpy(a) for a in data.splits["val"])
    losses = []
    for genotype in (_SPACE.sample(generator(0, "judged", i)) for i in range(8)):
        module = net.extract(genotype)
        recalibrate(module, [torch.from_numpy(data.splits["train"][0])])
        with torch.no_grad():
            losses.append(float(torch.nn.functional.cross_entropy(module(x), y)))
    return float(np.mean(losses))

"""NEAS (Chen et al. 2021): two small networks of one supernet beat one of the same cost; diversity counts."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from archip.data._dataset import DataSet
from claims._claim import Observed

EXPECTED = """Residual networks of two blocks on 400 digits, three seeds, a budget of half the largest network's
multiply-accumulates: the pair that evolution finds by its validation accuracy has a higher mean test accuracy than the
single network that it finds by the same number of judgements. Without diversity in the worth of values the mean gain of
the pair over the better of its members, on the test split, is smaller."""
SOURCE = "arXiv:2104.00597, tables 1 and 3; check of the card"


def check() -> Observed:
    data: DataSet = registry.create("data", "digits", {"test": 0.39, "val": 0.63}).load()
    space = registry.create("spaces", "resnet9", {"stem": [4, 8, 16], "filters": [8, 16, 24], "blocks": 2})
    rows = {weight: np.mean([_seed(space, data, weight, seed) for seed in range(3)], axis=0) for weight in (1.0, 0.0)}
    pair, single, gain = rows[1.0]
    text = (
        f"pair {pair:.4f}, single {single:.4f} at one budget; gain over its better member {gain:+.4f} with diversity, "
        f"{rows[0.0][2]:+.4f} without (mean test accuracies of three seeds)"
    )
    return Observed(bool(pair > single and gain > rows[0.0][2]), text)


def _seed(space, data: DataSet, diversity: float, seed: int) -> tuple[float, float, float]:
    """Test accuracy of the pair and of the single network, and the pair's gain over the better of its members."""
    from archip.nets.supernet import SuperNet
    from archip.search.ensemble import best_ensemble
    from archip.train.loop import Recipe, fit

    net = SuperNet(space, data.input_shape, 10, seed)
    rule = registry.create("train/rules", "neas", {"diversity": diversity, "drop": 2})
    fit(net, data, Recipe(epochs=40, batch=32, lr=1e-2, keep="last"), seed, rule=rule)
    budget = net.cost(net.largest) / 2
    pair, single = (
        best_ensemble(net, data, budget, size, rule.allowed, steps=200, population=30, seed=seed) for size in (2, 1)
    )
    members = [_accuracy(member, data) for member in pair.module.get_submodule("members").children()]
    together = _accuracy(pair.module, data)
    return together, _accuracy(single.module, data), together - max(members)


def _accuracy(module, data: DataSet) -> float:
    import torch

    x, y = (torch.from_numpy(a) for a in data.splits["test"])
    with torch.inference_mode():
        return float((module(x).argmax(1) == y).double().mean())

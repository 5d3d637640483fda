"""Few-shot search by gradient matching (Hu et al. 2022): supernets split where gradients disagree rank better."""

from __future__ import annotations

import numpy as np

from archip.core import registry
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.predictors._agreement import kendall
from claims._claim import Observed

EXPECTED = """Cells of NAS-Bench-201 with 4 channels and one cell a stage, on 400 digits: 16 random cells are each
trained alone. With equally many steps the mean Kendall tau over two seeds of the supernet that splits twice is
above that of one supernet that trains one path a step. A supernet with four paths a step, which costs as much as the
split one, is reported beside them."""
SOURCE = "arXiv:2203.15207, abstract; mini table of the card"

_RULES = {
    "split": ("few_shot", {"samples": 4}),
    "one path": ("uniform", {}),
    "four paths": ("uniform", {"n_paths": 4}),
}


def check() -> Observed:
    from archip.nets.supernet import SuperNet
    from archip.train.loop import Recipe, fit

    data: DataSet = registry.create("data", "digits", {"test": 0.39, "val": 0.63}).load()
    space = registry.create("spaces", "nb201", {"channels": 4, "cells": 1})
    networks = [space.sample(generator(0, "cell", i)) for i in range(16)]
    alone = Recipe(epochs=20, batch=32, lr=1e-2, keep="last")
    truth = [fit(space.build(g, data.input_shape, 10, 0), data, alone, 0).metrics["test"]["accuracy"] for g in networks]
    taus: dict[str, list[float]] = {name: [] for name in _RULES}
    for name, (kind, options) in _RULES.items():
        for seed in range(2):
            rule = registry.create("train/rules", kind, options)
            net = rule.network(lambda i, seed=seed: SuperNet(space, data.input_shape, 10, 100 * seed + i))
            fit(net, data, Recipe(epochs=24, batch=32, lr=1e-2, keep="last"), seed, rule=rule)
            taus[name].append(kendall(np.array([_accuracy(net, g, data) for g in networks]), np.array(truth)))
    means = {name: float(np.mean(found)) for name, found in taus.items()}
    text = ", ".join(f"{name} {means[name]:.3f} ({min(t):.2f} to {max(t):.2f})" for name, t in taus.items())
    return Observed(means["split"] > means["one path"], f"tau of {text}; alone {min(truth):.3f} to {max(truth):.3f}")


def _accuracy(net, genotype, data: DataSet) -> float:
    import torch

    from archip.train.calibration import batches, recalibrate
    from archip.train.loop import evaluate

    module = net.extract(genotype)
    recalibrate(module, batches(torch.from_numpy(data.splits["train"][0]), 128, 4, generator(0, "calibration")))
    return evaluate(module, *data.splits["val"], data.task)["accuracy"]

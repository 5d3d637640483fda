"""EfficientTDNN (Wang et al. 2021): progressive stages give time-delay networks of many costs that work as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.data.timeseries import Timeseries
from archip.nets.supernet import SuperNet
from archip.spaces.conv1d import Conv1d
from archip.train.calibration import batches, recalibrate
from archip.train.loop import Recipe, evaluate, fit
from archip.train.rules.progressive_shrinking import ProgressiveShrinking
from claims._claim import Missing, Observed

EXPECTED = """JapaneseVowels (nine speakers), dilated 1-D convolutions of up to 4 layers, the stages of EfficientTDNN in
1,500 steps, 3 seeds: networks drawn from each stage reach, with statistics of their own, at least 90 % of the mean
accuracy of the largest; over 40 random networks, Spearman's rank correlation of multiply-accumulates and mean accuracy
is at least 0.4, so that the dearer half makes fewer errors than the cheaper one."""
SOURCE = "arXiv:2103.13581, figures 3 and 5 (error rate against MACs on VoxCeleb); small form from the card"

SPACE = Conv1d(depths=(2, 3, 4), widths=(8, 12, 16, 24, 32), kernels=(1, 3, 5), dilations=(2,), reduces=("none",))
STEPS = 1500


def check() -> Observed:
    from scipy.stats import spearmanr

    if not Timeseries.place():
        raise Missing("JapaneseVowels comes with the package aeon")
    torch.set_num_threads(1)
    data = Timeseries(name="JapaneseVowels").load()
    rng = generator(0, "judged")
    judged = [SPACE.sample(rng) for _ in range(40)]
    stages, found = [], []
    for seed in range(3):
        net, rule = SuperNet(SPACE, data.input_shape, data.n_outputs, seed), ProgressiveShrinking("efficient_tdnn")
        recipe = Recipe(epochs=max(1, STEPS // 16), batch=64, lr=1e-2, keep="last")
        fit(net, data, recipe, seed, rule=rule)
        drawn = [[rule.draw(i, rng) for _ in range(8)] for i in range(len(rule.plan))]
        stages.append([_accuracy(net, data, some).mean() for some in drawn])
        found.append(_accuracy(net, data, judged))
    by_stage, accuracy = np.mean(stages, axis=0), np.mean(found, axis=0)
    macs = np.array([net.cost(g) for g in judged])  # pyright: ignore[reportPossiblyUnbound]
    correlation = float(spearmanr(macs, accuracy)[0])  # pyright: ignore
    order = macs.argsort()
    errors = 100 * (1 - accuracy[order])
    return Observed(
        bool(by_stage.min() >= 0.9 * by_stage[0]) and correlation >= 0.4,
        f"mean accuracy by stage {', '.join(f'{a:.3f}' for a in by_stage)}; correlation {correlation:.2f}; "
        f"errors of the cheaper half {errors[:20].mean():.1f} %, of the dearer half {errors[20:].mean():.1f} %",
    )


def _accuracy(net: SuperNet, data: DataSet, genotypes: list[dict[str, Any]]) -> np.ndarray:
    found = []
    for genotype in genotypes:
        module = net.extract(genotype)
        inputs = torch.from_numpy(data.splits["train"][0])
        recalibrate(module, batches(inputs, 64, 4, generator(0, "calibration")))
        found.append(evaluate(module, *data.splits["test"], "classification")["accuracy"])
    return np.array(found)

"""NN-Factory (Wen et al. 2023): networks for any classes and budget out of one training, without training them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.nets.gated import Gated
from archip.search.customise import of_classes
from archip.spaces.resnet9 import ResNet9
from archip.train.calibration import batches, recalibrate
from archip.train.evaluation import evaluate
from archip.train.loop import Recipe, fit
from archip.train.nn_factory import Factory, NNFactory
from claims._claim import Observed
from claims._supernets import digits

EXPECTED = """Digits, a residual network whose groups of channels have 8 modules each, tasks of 2 to 5 classes, 12 of
which the training never draws, limits of 30, 50 and 70 % of the modules, two seeds: (1) every network has at most that
share of the modules; (2) the mean test accuracy of 12 drawn tasks is at most 2 points below that of the same number of
modules of the network alone, kept by magnitude and fine-tuned on the task for 100 steps; (3) that of the 12 others is
at most 3 points below that of the drawn ones; (4) with the gates of a task of as many other classes it is lower."""
SOURCE = "arXiv:2308.15003, abstract; limits and thresholds from the card"

_GENOTYPE = {"fn0": 16, "fn1": 32, "sk1": 1, "fn2": 32, "sk2": 1}
_SPACE = ResNet9(stem=(16,), filters=(32,), skips=(1,), blocks=2)
_EPOCHS, _LIMITS, _MODULES = 60, (0.3, 0.5, 0.7), 8


def check() -> Observed:
    torch.set_num_threads(1)
    held, drawn = _tasks(0), _tasks(1)
    rows, is_kept = {"drawn": [], "held out": [], "other gates": [], "fine-tuned": []}, True
    for seed in range(2):
        factory, alone = _trained(held, seed)
        n = len(factory.gated.spans)
        for limit in _LIMITS:
            for name, tasks in (("drawn", drawn), ("held out", held)):
                gates = [factory.assemble(task, limit) for task in tasks]
                is_kept &= all(float(g.sum()) <= limit * n + 1e-6 for g in gates)
                rows[name].append([_accuracy(factory.gated, g, task) for g, task in zip(gates, tasks, strict=True)])
            others = [factory.assemble(_other(task), limit) for task in drawn]
            rows["other gates"].append([_accuracy(factory.gated, g, t) for g, t in zip(others, drawn, strict=True)])
            rows["fine-tuned"].append([_fine_tuned(alone, task, int(limit * n), seed) for task in drawn])
    means = {name: np.mean(found) for name, found in rows.items()}
    holds = (
        is_kept
        and means["drawn"] >= means["fine-tuned"] - 0.02
        and means["held out"] >= means["drawn"] - 0.03
        and means["other gates"] < means["drawn"]
    )
    words = []
    for name, found in rows.items():
        by_limit = np.array(found).reshape(2, len(_LIMITS), -1).mean(axis=(0, 2))
        words.append(f"{name} {means[name]:.4f} ({', '.join(f'{mean:.3f}' for mean in by_limit)})")
    return Observed(bool(holds), f"limits {'kept' if is_kept else 'exceeded'}; {'; '.join(words)} at 30, 50, 70 %")


@dataclass
class _HeldOut(NNFactory):
    """Never draws some tasks."""

    def __post_init__(self) -> None:
        self.held: list[list[int]] = []

    def task(self, rng: np.random.Generator) -> list[int]:
        while True:
            found = super().task(rng)
            if found not in self.held:
                return found


def _tasks(number: int) -> list[list[int]]:
    """12 tasks; those of two numbers differ."""
    rng, found = generator(0, "tasks"), []
    while len(found) < 24:
        task = sorted(rng.choice(10, int(rng.integers(2, 6)), replace=False).tolist())
        found += [] if task in found else [task]
    return found[12 * number : 12 * number + 12]


def _other(task: Sequence[int]) -> list[int]:
    return [c for c in range(10) if c not in task][: len(task)]


def _trained(held: list[list[int]], seed: int) -> tuple[Factory, Gated]:
    """The factory, and its network trained alone for as many steps."""
    recipe = Recipe(epochs=_EPOCHS, batch=64, lr=1e-2, keep="last")
    rule = _HeldOut()
    rule.held = held
    shape = digits().input_shape
    factory = Factory(_SPACE.build(_GENOTYPE, shape, 10, seed), 10, _MODULES, seed=seed)
    fit(factory, digits(), recipe, seed, rule=rule)
    alone = _SPACE.build(_GENOTYPE, shape, 10, seed)
    fit(alone, digits(), recipe, seed)
    return factory, Gated(alone, _MODULES)


def _accuracy(gated: Gated, gates: Tensor, task: Sequence[int]) -> float:
    """On the test samples of the task, with statistics of its training samples."""
    module = gated.cut(gates, task)
    x = torch.from_numpy(of_classes(digits(), "train", task)[0])
    recalibrate(module, batches(x, 128, 2, generator(0, "calibration")))
    return evaluate(module, *of_classes(digits(), "test", task), "classification")["accuracy"]


def _fine_tuned(alone: Gated, task: Sequence[int], n: int, seed: int) -> float:
    """Test accuracy of the `n` modules of largest weights, one at least of each group, after 100 steps."""
    module = alone.cut(_largest(alone, n), task)
    splits = {split: of_classes(digits(), split, task) for split in ("train", "val", "test")}
    data: DataSet = replace(digits(), splits=splits, n_classes=len(task), classes=())
    epochs = max(1, round(100 / max(1, round(len(splits["train"][0]) / 32))))
    result = fit(module, data, Recipe(epochs=epochs, batch=32, lr=3e-3, keep="last"), seed)
    return result.metrics["test"]["accuracy"]


def _largest(alone: Gated, n: int) -> Tensor:
    """Gates of the modules that are read with the largest weights, by the mean over their channels."""
    norms: dict[str, Tensor] = {}
    for _, weight, group, axis in alone.readers():
        read = weight.detach().abs().mean([a for a in range(weight.ndim) if a != axis])
        norms[group] = norms.get(group, 0) + read
    scores = [float(norms[group][first:last].mean()) for group, first, last in alone.spans]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    needed = [max(group, key=lambda i: scores[i]) for group in alone.members]
    chosen = [*needed, *(i for i in order if i not in needed)][:n]
    gates = torch.zeros(len(scores))
    gates[chosen] = 1
    return gates

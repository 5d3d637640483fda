"""Which training rule gives a supernet the best front, at equal numbers of forward and backward passes?

    ARCHIP_DATA=… python -m benchmarks.supernet_rules --minutes 4      goes on where it stopped, until it says so

Progressive shrinking (OFA), sandwich (BigNAS), SortedNet, delayed eps-shrinking (DepS) and uniform paths train elastic
resnet9 of two blocks (243 networks) on 2,000 images of Fashion-MNIST, 14 x 14, three seeds each, with one recipe (AdamW
at 1e-2, batches of 64). A pass is forward and backward of one sub-network of any size on a batch: 1,800 each, whatever
the rule makes of them; a forward pass of a teacher alone counts as a third. Then 83 of the networks, always
the same, get their own batch-norm statistics and are tested on 1,000 images. Hypervolume of error and
multiply-accumulates, against an error of 0.5 and the largest network, is the mark; the mean accuracy and those of the
smallest and largest network stand beside.

Expected before the first run, from the papers: deps >= sandwich >= progressive_shrinking >= uniform in the mean of the
seeds, and sorted_net >= progressive_shrinking. (On digits, uniform was better than sandwich: `rules/uniform.py`.)
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archip.core import registry
from archip.core.pareto import hypervolume, non_dominated_mask
from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.data.fashion_mnist import FashionMnist
from archip.nets.supernet import SuperNet
from archip.spaces.resnet9 import ResNet9
from archip.train.calibration import batches, recalibrate
from archip.train.loop import Recipe, evaluate, fit
from archip.train.recipe import steps_per_epoch
from benchmarks._machine import write_result

SPACE = ResNet9(stem=(4, 8, 16), filters=(8, 16, 32), skips=(0, 1, 2), blocks=2)
PASSES_A_STEP = {  # mean over a training, as counted; epochs follow from them
    "uniform": 1.0,
    "sandwich": 4.0,
    "sorted_net": 4.0,
    "deps": 0.45 * 1 + 0.55 * 4,
    "progressive_shrinking": (180 + (25 + 120) * 2 + (25 + 120) * 4 + 290 / 3) / 470,  # no stage for kernels here
}
SEEDS, PASSES, IMAGES, TESTED = 3, 1800, 2000, 1000
FOLDER = Path("build/supernet_rules")


class Counted(SuperNet):
    """Counts its passes; one without a gradient is a third."""

    passes = 0.0

    def forward(self, x: Tensor, genotype: Any = None) -> Tensor:
        Counted.passes += 1 if torch.is_grad_enabled() else 1 / 3
        return super().forward(x, genotype)


def main(minutes: float, passes: int = PASSES, seeds: int = SEEDS, folder: Path = FOLDER) -> dict[str, Any] | None:
    """Go on for some minutes; the result once everything is measured, else None."""
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    data = pooled(FashionMnist(limit=IMAGES).load())
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PASSES_A_STEP}
    for seed in range(seeds):
        for name, rows in found.items():
            path = folder / f"{name}_{seed}.json"
            if not path.exists():
                if time.monotonic() > end:
                    print(f"seed {seed}, {name} is next; start again to go on")
                    return None
                path.write_text(json.dumps(measured(name, seed, passes, data)))
            rows.append(json.loads(path.read_text()))
            print(f"{seed} {name:22}", {k: round(v, 4) for k, v in rows[-1].items()}, flush=True)
    means = {name: {k: float(np.mean([r[k] for r in rows])) for k in rows[0]} for name, rows in found.items()}
    spread = {name: float(np.std([r["hypervolume"] for r in rows], ddof=1)) for name, rows in found.items()}
    volume = {name: row["hypervolume"] for name, row in means.items()}
    ordered = ("deps", "sandwich", "progressive_shrinking", "uniform")
    pairs = [*itertools.pairwise(ordered), ("sorted_net", "progressive_shrinking")]
    holds = {f"{a} >= {b}": volume[a] >= volume[b] for a, b in pairs}
    return {"passes": passes, "means": means, "deviation_of_hypervolume": spread, "holds": holds, "seeds": found}


def pooled(data: DataSet) -> DataSet:
    """Images of half the sides."""
    halved = {
        split: (np.ascontiguousarray(x.reshape(len(x), 1, 14, 2, 14, 2).mean((3, 5))), y)
        for split, (x, y) in data.splits.items()
    }
    return dataclasses.replace(data, splits=halved, digest=f"{data.digest}/14")


def measured(name: str, seed: int, passes: int, data: DataSet) -> dict[str, float]:
    """Train with one rule, and test all networks."""
    net = Counted(SPACE, data.input_shape, data.n_outputs, seed)
    rule: Any = registry.create("train/rules", name)
    per_epoch = steps_per_epoch(len(data.splits["train"][0]), 64) * PASSES_A_STEP[name]
    recipe = Recipe(epochs=max(1, round(passes / per_epoch)), batch=64, lr=1e-2, keep="last")
    Counted.passes, began = 0.0, time.process_time()
    fit(net, data, recipe, seed, rule=rule)
    taken = {"passes": Counted.passes, "cpu_s": time.process_time() - began}
    judged = [*list(SPACE.enumerate())[1::3], net.smallest, net.largest]
    rows = np.array([[1 - accuracy_of(net, g, data), net.cost(g)] for g in judged])
    rows[:, 1] /= rows[:, 1].max()
    volume = hypervolume(rows[non_dominated_mask(rows)], np.array([0.5, 1.0]))
    smallest, largest = rows[rows[:, 1].argmin(), 0], rows[rows[:, 1].argmax(), 0]
    ends = {"mean": 1 - rows[:, 0].mean(), "smallest": 1 - smallest, "largest": 1 - largest}
    return {"hypervolume": float(volume), **{k: float(v) for k, v in ends.items()}, **taken}


def accuracy_of(net: SuperNet, genotype: dict[str, Any], data: DataSet) -> float:
    """Of a sub-network with statistics of its own, on test images."""
    module = net.extract(genotype)
    recalibrate(module, batches(torch.from_numpy(data.splits["train"][0]), 128, 4, generator(0, "calibration")))
    x, y = (a[:TESTED] for a in data.splits["test"])
    return evaluate(module, x, y, "classification")["accuracy"]


def table(result: dict[str, Any]) -> str:
    """Markdown, best hypervolume first."""
    lines = [
        "| rule | hypervolume | mean | smallest | largest | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ranked = sorted(result["means"].items(), key=lambda entry: -entry[1]["hypervolume"])
    for name, row in ranked:
        spread = result["deviation_of_hypervolume"][name]
        cells = [f"{100 * row[k]:.2f}" for k in ("mean", "smallest", "largest")]
        lines.append(
            f"| `{name}` | {row['hypervolume']:.4f} ± {spread:.4f} | {' | '.join(cells)} | {row['cpu_s']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=4.0)
    minutes = parser.parse_args().minutes
    if result := main(minutes):
        print(table(result), result["holds"], sep="\n")
        print(write_result("supernet_rules", "python -m benchmarks.supernet_rules --minutes 4", result))

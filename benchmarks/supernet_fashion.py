"""Does a supernet rank networks as training them alone does, and are its sub-networks as good as those? Fashion-MNIST.

    ARCHIP_DATA=… python -m benchmarks.supernet_fashion --minutes 5      goes on where it stopped, until it says so

One supernet of elastic resnet9 (2,187 networks), trained with the sandwich rule (BigNAS); 200 random sub-networks,
measured with their own batch-norm statistics; 20 of these, evenly spaced in multiply-accumulates, trained alone for as
many epochs with the same recipe; and the best sub-network (validation) of three budgets, trained alone as well. All
accuracies that are compared are of the 10,000 test images; choices are made on the validation split.

Expected before the first run: the supernet takes at most 40 minutes of one core; Spearman's rank correlation over the
20 is at least 0.8; in each budget the sub-network loses at most 0.5 points to the same network trained alone.
Networks trained alone differ by some 0.3 points from seed to seed, so that neighbours in rank may change places.
Added after the first numbers (sub-networks lose some 3 points, and `supernet_rules` saw uniform paths ahead): a second
supernet with uniform paths and as many passes, 48 epochs of one network a step; expected to lose less.
Added after those (on validation images uniform paths are 3 points ahead): uniform paths for 240 epochs, which is what
40 minutes of one core allow, and networks trained alone three times as long, so that a long training is not compared
with short ones only. Expected of it: at most 0.5 points lost to 12 epochs alone in each budget, and more than that to
36 epochs alone in the cheapest.
Added after those (0.5 points held for 240 epochs with a correlation of .77, .83 for 48 epochs with .6 points lost): 96
epochs. Expected: both at once, at least 0.8 and at most 0.5 points.
Added after those (.87, and .57 points lost to one training alone in the dearest budget): two more trainings alone of
the three networks, with other seeds. What is lost to the mean of the three counts from here on; even chances.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.data.fashion_mnist import FashionMnist
from archip.ir.workload import workload
from archip.nets.supernet import SuperNet
from archip.spaces.resnet9 import ResNet9
from archip.train.calibration import batches, recalibrate
from archip.train.loop import Recipe, evaluate, fit
from archip.train.rule import Rule
from archip.train.rules.sandwich import Sandwich
from archip.train.rules.uniform import Uniform
from benchmarks._clock import trained_until
from benchmarks._machine import write_result

SPACE = ResNet9(stem=(4, 8, 16), filters=(8, 16, 32), skips=(0, 1, 2), blocks=3)
LIMIT, EPOCHS, BATCH, LR = 12_000, 12, 64, 1e-2
SUPERNETS: dict[str, tuple[Rule, int]] = {
    "sandwich": (Sandwich(), EPOCHS),
    "uniform": (Uniform(), 4 * EPOCHS),
    "medium": (Uniform(), 8 * EPOCHS),
    "long": (Uniform(), 20 * EPOCHS),
}
# What a network is trained to alone, as (epochs, seed); those that are not of the budgets to the first only.
ALONE = {"alone": (EPOCHS, 0), "alone_1": (EPOCHS, 1), "alone_2": (EPOCHS, 2), "longer": (3 * EPOCHS, 0)}
CALIBRATION = 50  # batches
N_RANDOM, N_ALONE = 200, 20
BUDGETS = (1.0e6, 3.0e6, 11e6)  # multiply-accumulates
FOLDER = Path("build/supernet_fashion")
Genotype = dict[str, Any]


def main(
    minutes: float, names: Sequence[str] = (*SUPERNETS,), now: bool = False, folder: Path = FOLDER
) -> dict[str, Any] | None:
    """Go on for some minutes; the result once everything is measured, else None.

    Args:
        names: of supernets.
        now: take the networks that are trained alone so far.
    """
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * minutes
    data, nets, seconds = FashionMnist(limit=LIMIT).load(), {}, {}
    for name in names:
        rule, epochs = SUPERNETS[name]
        nets[name] = net = SuperNet(SPACE, data.input_shape, data.n_outputs, 0)
        trained = trained_until(end, net, data, _recipe(epochs), folder / f"supernet{epochs}.safetensors", rule)
        if trained is None:
            return None
        seconds[name] = {"epochs": epochs, "seconds": trained.seconds}
    sampled = _kept(folder / "sampled.json", lambda: _sampled(nets["sandwich"], data))
    rows = _alone_rows(_chosen(sampled), data, end, now, folder)
    if rows is None:
        return None
    setup = {"space": asdict(SPACE), "train_images": len(data.splits["train"][0]), "recipe": _recipe(EPOCHS).to_json()}
    result: dict[str, Any] = {"setup": setup}
    for name, net in nets.items():
        for number, row in enumerate(rows):
            row |= _kept(folder / f"{name}{number}.json", lambda net=net, row=row: _shared(net, data, row))
        result[name] = _judged(rows) | seconds[name]
    return result | {"sampled": sampled}


def _alone_rows(
    rows: list[dict[str, Any]], data: DataSet, end: float, now: bool, folder: Path
) -> list[dict[str, Any]] | None:
    """The networks with what they reach when they are trained alone, those of the budgets also with what longer."""
    for number, row in enumerate(rows):
        for name, (epochs, seed) in (ALONE if "budget" in row else {"alone": ALONE["alone"]}).items():
            path = folder / f"{name}{number}.json"
            if not path.exists() and now:
                continue
            if not path.exists() and time.monotonic() > end:
                print(f"{number} of {len(rows)} trained alone; start again to go on")
                return None
            row |= _kept(path, partial(_alone, data, row, name, epochs, seed))
            print(f"{number:2} {row['macs']:12.0f} {name} {row[name]:.4f}", flush=True)
    return [row for row in rows if "alone" in row]


def _recipe(epochs: int) -> Recipe:
    return Recipe(epochs=epochs, batch=BATCH, lr=LR, keep="last")


def _sampled(net: SuperNet, data: DataSet) -> list[dict[str, Any]]:
    """Random sub-networks, all different, with accuracy on 2,000 validation images."""
    x, y = (a[:2000] for a in data.splits["val"])
    genotypes: list[Genotype] = []
    rng = generator(0, "sampled")
    while len(genotypes) < N_RANDOM:
        drawn = SPACE.sample(rng)
        genotypes += [] if drawn in genotypes else [drawn]
    rows = []
    for genotype in genotypes:
        accuracy = evaluate(_extracted(net, data, genotype), x, y, "classification")["accuracy"]
        rows.append({"genotype": genotype, "macs": net.cost(genotype), "val": accuracy})
    return rows


def _chosen(sampled: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those to train alone: first the best of each budget, then evenly spaced ones."""
    best = [max((r for r in sampled if r["macs"] <= b), key=lambda r: r["val"]) | {"budget": b} for b in BUDGETS]
    ordered = sorted(sampled, key=lambda r: r["macs"])
    spaced = [ordered[i] for i in np.linspace(0, len(ordered) - 1, N_ALONE).round().astype(int)]
    return best + [spaced[7 * i % N_ALONE] for i in range(N_ALONE)]  # the first few are spaced evenly as well


def _alone(data: DataSet, row: dict[str, Any], name: str, epochs: int, seed: int) -> dict[str, float]:
    """Test accuracy of a network trained alone, under the name of the training."""
    module = SPACE.build(row["genotype"], data.input_shape, data.n_outputs, seed)
    assert workload(module.graph).macs == row["macs"]
    began = time.process_time()
    found = fit(module, data, _recipe(epochs), seed)
    return {name: found.metrics["test"]["accuracy"], f"{name}_cpu_s": time.process_time() - began}


def _extracted(net: SuperNet, data: DataSet, genotype: Genotype) -> torch.nn.Module:
    module = net.extract(genotype)
    x = torch.from_numpy(data.splits["train"][0])
    recalibrate(module, batches(x, BATCH, CALIBRATION, generator(0, "calibration")))
    return module


def _shared(net: SuperNet, data: DataSet, row: dict[str, Any]) -> dict[str, float]:
    """Test accuracy of a network with the weights of a supernet."""
    network = _extracted(net, data, row["genotype"])
    return {"shared": evaluate(network, *data.splits["test"], "classification")["accuracy"]}


def _judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows with the accuracies of a supernet beside them, and what follows."""
    for row in rows:
        row["lost_points"] = 100 * (row["alone"] - row["shared"])
    at_budgets, ranked = rows[: len(BUDGETS)], rows[len(BUDGETS) :]
    correlation = float(spearmanr([r["shared"] for r in ranked], [r["alone"] for r in ranked])[0])  # pyright: ignore
    lost = [row["lost_points"] for row in at_budgets]
    lost_to_longer = [100 * (row["longer"] - row["shared"]) for row in at_budgets if "longer" in row]
    lost_to_mean = [
        100 * (float(np.mean([row[name] for name in ("alone", "alone_1", "alone_2")])) - row["shared"])
        for row in at_budgets
        if "alone_2" in row
    ]
    return {
        "n_ranked": len(ranked),
        "spearman": correlation,
        "lost_points": lost,
        "lost_to_mean": lost_to_mean,
        "lost_to_longer": lost_to_longer,
        "mean_lost_points": float(np.mean([row["lost_points"] for row in ranked])),
        "holds": {"spearman": correlation >= 0.8, "budgets": max(lost_to_mean or lost) <= 0.5},
        "rows": [dict(row) for row in rows],
    }


def _kept(path: Path, make: Any) -> Any:
    """What `path` holds; made and written there if it is not there yet."""
    if not path.exists():
        made = make()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(made))
        part.rename(path)
    return json.loads(path.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--supernets", nargs="+", choices=(*SUPERNETS,), default=[*SUPERNETS])
    parser.add_argument("--now", action="store_true", help="with the networks trained alone so far")
    arguments = parser.parse_args()
    if result := main(arguments.minutes, arguments.supernets, arguments.now):
        for name in arguments.supernets:
            shown = (
                "n_ranked",
                "spearman",
                "lost_points",
                "lost_to_mean",
                "lost_to_longer",
                "mean_lost_points",
                "holds",
                "seconds",
            )
            print(name, {key: result[name][key] for key in shown})
        print(write_result("supernet_fashion", "python -m benchmarks.supernet_fashion --minutes 5", result))

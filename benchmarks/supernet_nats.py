"""How well does a supernet rank the networks of NATS-Bench's size space, whose accuracies are published?

    ARCHIP_DATA=… python -m benchmarks.supernet_nats --minutes 10        goes on where it stopped, until it says so

One supernet of the size space (five widths of 8 to 64) on 5,000 images of CIFAR-10, with the rule uniform; then 200
random networks of the table, each measured with its own batch-norm statistics on images that trained nothing, against
their test accuracy in the table (trained alone on 50,000 images for 90 epochs). Beside it what needs no training: the
ranking by multiply-accumulates and by parameters. BossNAS (arXiv:2103.12424, table 5) reports Spearman 0.76 of its
block-wise supernet, trained on all of CIFAR-10 at full scale.

Expected before the first run: Spearman at least 0.5; whether it beats counting parameters is not foreseen.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from scipy.stats import kendalltau, spearmanr

from archip.core.rng import generator
from archip.data.cifar10 import Cifar10
from archip.ir.workload import workload
from archip.nets.supernet import SuperNet
from archip.spaces.nats_size import NATSSize
from archip.spaces.tabular import Tabular
from archip.train.calibration import batches, recalibrate
from archip.train.device import device, mixed_precision
from archip.train.loop import Recipe, evaluate
from archip.train.rules.uniform import Uniform
from benchmarks._clock import trained_until
from benchmarks._machine import write_result
from claims._claim import data_file

N_RANKED, N_JUDGED = 200, 500
FOLDER = Path("build/supernet_nats")


def main(minutes: float, epochs: int, limit: int = 5_000, n_ranked: int = N_RANKED) -> dict[str, Any] | None:
    """Go on for some minutes; the result once everything is measured, else None."""
    torch.set_num_threads(1)
    end, folder = time.monotonic() + 60 * minutes, FOLDER / f"{limit}_{epochs}"
    table = Tabular("nats_size", str(data_file("nats_size_cifar10.csv.gz").parent))
    truth = table.rows.metric("cifar10_test.accuracy")
    space, data = NATSSize(), Cifar10(val=0.1, limit=limit).load()
    recipe = Recipe(epochs=epochs, batch=64, lr=1e-2, keep="last")
    net = SuperNet(space, data.input_shape, data.n_outputs, 0)
    trained = trained_until(end, net, data, recipe, folder / "supernet.safetensors", Uniform())
    if trained is None:
        return None
    x = torch.from_numpy(data.splits["train"][0])
    calibration = batches(x, 64, 4, generator(0, "calibration"))
    judged_x, judged_y = (part[:N_JUDGED] for part in data.splits["test"])
    rng, rows = generator(0, "ranked"), _rows(folder)
    for number, genotype in enumerate(table.sample(rng) for _ in range(n_ranked)):
        if number < len(rows):
            continue
        if time.monotonic() > end:
            return None
        module = net.extract(genotype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        with mixed_precision(device()):
            recalibrate(module, calibration)
            score = evaluate(module, judged_x, judged_y, data.task)["accuracy"]
        work = workload(space.graph(genotype, (3, 32, 32), 10))
        parameters = sum(p.numel() for p in module.parameters())
        rows.append([score, float(truth[table.row(genotype)]), work.macs, parameters])
        (folder / "rows.json").write_text(json.dumps(rows))
    columns = list(zip(*rows, strict=True))
    ranks = {
        name: {"spearman": float(spearmanr(column, columns[1])[0]), "kendall": float(kendalltau(column, columns[1])[0])}  # pyright: ignore
        for name, column in (("supernet", columns[0]), ("macs", columns[2]), ("parameters", columns[3]))
    }
    best, mean = max(columns[0]), sum(columns[0]) / len(rows)
    return {
        "epochs": epochs,
        "train_images": len(x),
        "supernet_s": trained.seconds,
        "accuracy_best": best,
        "accuracy_mean": mean,
        "published": {"BossNAS spearman": 0.76},
        "ranks": ranks,
        "holds": {"spearman at least 0.5": ranks["supernet"]["spearman"] >= 0.5},
        "rows": rows,
    }


def _rows(folder: Path) -> list[list[float]]:
    """What has been measured: accuracy with shared weights, in the table, multiply-accumulates, parameters."""
    path = folder / "rows.json"
    return json.loads(path.read_text()) if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--toy", action="store_true", help="500 images, 1 epoch, 5 networks")
    given = parser.parse_args()
    figures = main(given.minutes, 1, 500, 5) if given.toy else main(given.minutes, given.epochs)
    if figures is None:
        print("not done; the same command goes on")
    else:
        print(json.dumps({k: v for k, v in figures.items() if k != "rows"}, indent=1))
        if not given.toy:
            write_result("supernet_nats", f"python -m benchmarks.supernet_nats --epochs {given.epochs}", figures)

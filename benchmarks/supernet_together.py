"""Does it pay to evaluate sub-networks of a supernet together? What they have in common is computed once.

    python -m benchmarks.supernet_together

Supernets of several spaces as their training begins (weights do not matter here); groups of 4 to 64 networks, either
drawn uniformly or as an evolution has them, mutants of mutants of one network. Each network has its statistics
measured on 2 x 64 samples and is then judged on 1,000, as the evaluator `supernet` does it. Processor seconds a
network, with its extraction, one by one and together; the results have to be equal.

Expected before the first run: the same results; together is never slower by more than 5 %; groups of 64 mutants take
less than half the time.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from archip.core import registry
from archip.core.rng import generator
from archip.nets.merged import Merged
from archip.nets.supernet import SuperNet
from archip.train.calibration import recalibrate
from archip.train.device import device, mixed_precision
from archip.train.evaluation import evaluate, evaluate_merged
from benchmarks._machine import write_result

SPACES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "resnet9": ({"stem": (4, 8, 16), "filters": (8, 16, 32), "skips": (0, 1, 2)}, (1, 28, 28)),
    "conv1d": ({}, (12, 29)),
    "vit": ({}, (3, 16, 16)),
    "nats_size": ({}, (3, 16, 16)),
}
SIZES, SAMPLES = (4, 16, 64), 1000


def main(names: list[str], sizes: tuple[int, ...] = SIZES, samples: int = SAMPLES) -> dict[str, Any]:
    """Seconds by space, kind of population and size of the group."""
    torch.set_num_threads(1)
    rows = []
    for name in names:
        options, shape = SPACES[name]
        space = registry.create("spaces", name, options)
        net = SuperNet(space, shape, 10, 0)
        numbers = torch.Generator().manual_seed(0)
        x, y = torch.randn(samples, *shape, generator=numbers), torch.arange(samples) % 10
        calibration = list(torch.randn(128, *shape, generator=numbers).split(64))
        for kind, n in ((kind, n) for kind in ("uniform", "mutants") for n in sizes):
            genotypes = _population(space, kind, n)
            row = {"space": name, "kind": kind, "n": n, **_timed(net, genotypes, calibration, x, y)}
            rows.append(row)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    ratios = [row["together_s"] / row["alone_s"] for row in rows]
    mutants = [row["together_s"] / row["alone_s"] for row in rows if row["kind"] == "mutants" and row["n"] == 64]
    holds = {
        "equal": all(row["equal"] for row in rows),
        "never 5 % slower": max(ratios) <= 1.05,
        "64 mutants in half the time": bool(mutants) and max(mutants) < 0.5,
    }
    return {"rows": rows, "holds": holds}


def _population(space: Any, kind: str, n: int) -> list[Any]:
    """Networks, all different where the space has as many."""
    rng, found = generator(0, kind, n), [space.sample(generator(0, "first"))]
    for _ in range(20 * n):
        if len(found) < n:
            made = space.sample(rng) if kind == "uniform" else space.mutate(found[rng.integers(len(found))], rng)
            found += [] if made in found else [made]
    return found


def _timed(net: SuperNet, genotypes: list[Any], calibration: list[torch.Tensor], x: Any, y: Any) -> dict[str, Any]:
    with mixed_precision(device()):
        began = time.process_time()
        alone = []
        for genotype in genotypes:
            module = _extracted(net, genotype)
            recalibrate(module, calibration)
            alone.append(evaluate(module, x, y, "classification"))
        middle = time.process_time()
        merged = Merged([_extracted(net, genotype) for genotype in genotypes])
        recalibrate(merged, calibration)
        together = evaluate_merged(merged, x, y, "classification")
        ended = time.process_time()
    n = len(genotypes)
    return {
        "alone_s": (middle - began) / n,
        "together_s": (ended - middle) / n,
        "ratio": (ended - middle) / (middle - began),
        "steps": merged.n_steps / merged.n_alone,
        "equal": alone == together,
    }


def _extracted(net: SuperNet, genotype: Any) -> Any:
    return net.extract(genotype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=[*SPACES])
    result = main(parser.parse_args().spaces)
    print(result["holds"])
    print(write_result("supernet_together", "python -m benchmarks.supernet_together", result))

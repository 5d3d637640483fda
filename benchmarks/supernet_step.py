"""What does a sandwich step cost, beside the steps of its networks trained alone? And in memory?

    python -m benchmarks.supernet_step        under a minute of one core, Linux

Elastic resnet9 for 28 x 28 images, batches of 64. A sandwich step trains the largest, the smallest and two random
networks (fixed ones here) and makes one step of the optimiser and of the average; beside it, each of the four makes a
whole step of its own training. Both go through the one training loop. Steps alternate in one process; medians of
processor seconds. Peak memory is that of a process which does one kind of step only, above what it had before.

Expected before the first run: a sandwich step takes at most 1.2 times the sum of the four.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from archip.core.rng import generator
from archip.data._dataset import DataSet
from archip.nets.supernet import SuperNet
from archip.spaces.resnet9 import ResNet9
from archip.train.loop import Recipe, _Training
from archip.train.rule import Plain, Rule, Scene
from archip.train.rules.sandwich import Sandwich
from benchmarks._machine import write_result

SPACE = ResNet9(stem=(4, 8, 16), filters=(8, 16, 32), skips=(0, 1, 2), blocks=3)
REPEATS, WARM, BATCH = 25, 3, 64
RECIPE = Recipe(epochs=1, batch=BATCH, keep="last")


class Fixed(Sandwich):
    """A sandwich whose random networks are given."""

    genotypes: list[dict[str, Any]]

    def start(self, scene: Scene) -> None:
        drawn = iter(self.genotypes[2:] * 1000)
        space = SimpleNamespace(sample=lambda _: next(drawn))
        self.shared = SimpleNamespace(largest=self.genotypes[0], smallest=self.genotypes[1], space=space)  # pyright: ignore


def main(repeats: int = REPEATS) -> dict[str, Any]:
    """Times of both, and their ratio."""
    torch.set_num_threads(1)
    shared, alone = _supernet(repeats), _alone(repeats)
    times: dict[str, list[float]] = {"sandwich": [], "sum": []}
    for number in range(WARM + repeats):
        both = {"sandwich": _seconds([shared]), "sum": _seconds(alone)}
        for name, seconds in both.items():
            times[name] += [seconds] if number >= WARM else []
    medians = {f"{name}_s": float(np.median(values)) for name, values in times.items()}
    ratio = medians["sandwich_s"] / medians["sum_s"]
    memory = {f"{kind}_bytes": _memory_of(kind) for kind in ("supernet", "largest")}
    return {"n_networks": 4, "batch": BATCH, **medians, "ratio": ratio, "holds": ratio <= 1.2, "peak_memory": memory}


def _data(n_steps: int) -> DataSet:
    rng = generator(0, "data")
    n = BATCH * (WARM + n_steps)
    splits = {
        s: (rng.normal(size=(n, 1, 28, 28)).astype(np.float32), rng.integers(10, size=n)) for s in ("train", "val")
    }
    return DataSet("noise", "classification", "NCHW", 10, splits, augment=("flip", "crop"), digest="noise")


def _genotypes(net: SuperNet) -> list[dict[str, Any]]:
    return [dict(net.largest), dict(net.smallest), *(SPACE.sample(generator(0, "drawn", i)) for i in range(2))]


def _supernet(repeats: int) -> Callable[[], object]:
    net, rule = SuperNet(SPACE, (1, 28, 28), 10, 0), Fixed()
    rule.genotypes = _genotypes(net)
    return _steps(net, rule, repeats)


def _alone(repeats: int) -> list[Callable[[], object]]:
    genotypes = _genotypes(SuperNet(SPACE, (1, 28, 28), 10, 0))
    return [_steps(SPACE.build(genotype, (1, 28, 28), 10, 0), Plain(), repeats) for genotype in genotypes]


def _steps(module: torch.nn.Module, rule: Rule, repeats: int) -> Callable[[], object]:
    steps = _Training(module, _data(repeats), RECIPE, 0, rule)._steps(0)
    return lambda: next(steps)


def _seconds(steps: list[Callable[[], object]]) -> float:
    began = time.process_time()
    for step in steps:
        step()
    return time.process_time() - began


def _memory_of(kind: str) -> int:
    command = [sys.executable, "-m", "benchmarks.supernet_step", "--memory", kind]
    return int(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _peak(kind: str) -> int:
    """Bytes that a training's weights, its optimiser and a few steps add to this process, at most."""
    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = _status("VmRSS")
    step = _supernet(3) if kind == "supernet" else _alone(3)[0]
    for _ in range(3):
        step()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """Bytes that the kernel says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", choices=("supernet", "largest"))
    if kind := parser.parse_args().memory:
        print(json.dumps(_peak(kind)))
    else:
        result = main()
        print(json.dumps(result, indent=1))
        print(write_result("supernet_step", "python -m benchmarks.supernet_step", result))

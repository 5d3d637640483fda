"""What does the exact chip bring on real data? Nested against NASAIC at equal numbers of trained networks, W1 in small.

    ARCHIP_DATA=… python -m benchmarks.w1_codesign            about a quarter of an hour on two processor cores

Two tasks as in NASAIC's W1 (Yang et al. 2020, arXiv:2002.04116): CIFAR-10 and nuclei, on one chip of two cores at most.
Small in everything: CIFAR-10 at 16 x 16 with 560 training images, nuclei at 32 x 32, two epochs, 10 or 20 sets of
networks trained in each search. The numbers compare two searches; they do not say what networks of this kind reach.

Expected before the first run: over the seeds, the mean of nested's best quality within the limits is not below that of
NASAIC; nested trains its sets among fewer proposed sets; NASAIC drops some sets that a chip of the space could have
run (the exact solver says so), which is quality that it never sees.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from archip.core import registry
from archip.core.problem import Plug, Problem
from archip.core.record import Record
from archip.search.loop import search
from archip.search.setup import Setup, prepare
from benchmarks._machine import write_result

PROBLEM = """
name: w1_codesign
tasks:
  cifar:
    data: {npz: {path: cifar10_small.npz, val: 0.3}}
    net: {resnet9: {stem: [8, 16], filters: [16, 32, 48]}}
  nuclei:
    data: {npz: {path: nuclei_small.npz, y: masks, x: images, split: split, task: segmentation, val: 0.3}}
    net: unet
target: {chip: {cores: 2, pes: {total: 2048, step: 128}, bandwidth: {total: 64 GB/s, step: 16 GB/s}}}
limits: {latency: 3e4 cycles, energy: 40 uJ, area: 3 mm2}
objectives: [quality]
strategy: {nested: {outer: {nsga2: {population: 8}}}}
evaluator: {train: {epochs: 2}}
budget: {candidates: 5500, batch: 11}
baselines: [{nasaic: {lr: 0.01}}]
"""
IMAGES = 1000  # of CIFAR-10: train, validation and test


class _Enough(Exception):
    """As many networks are trained as were to be."""


def _pooled(images: np.ndarray, factor: int) -> np.ndarray:
    """[N, H, W, …] means over squares of `factor` pixels."""
    n, height, width, *rest = images.shape
    shape = (n, height // factor, factor, width // factor, factor, *rest)
    return images.reshape(shape).mean(axis=(2, 4))


def _write_data(folder: Path) -> None:
    """The two files of the shared folder, made small."""
    data = Path(os.environ["ARCHIP_DATA"])
    with np.load(data / "cifar10_12k.npz") as file:
        x = _pooled(file["x_train"][:IMAGES], 2).astype(np.uint8)
        np.savez(folder / "cifar10_small.npz", x=x, y=file["y_train"][:IMAGES])
    with np.load(data / "nuclei128.npz") as file:
        images, masks = _pooled(file["images"], 4).astype(np.uint8), _pooled(file["masks"] > 0, 4) >= 0.5
        np.savez(folder / "nuclei_small.npz", images=images, masks=masks.astype(np.uint8), split=file["split"])


def _networks(record: Record) -> str:
    return str(dict(record.candidate.net))


def _searched(setup: Setup, plug: Plug, seed: int, most: int) -> tuple[list[Record], float]:
    """Records up to the last of `most` trained sets of networks, and seconds."""
    records: list[Record] = []
    trained: set[str] = set()
    store = registry.create("store", "memory")

    def seen(batch: Sequence[Record]) -> None:
        for record in batch:
            if len(trained) < most:
                records.append(record)
                if "quality" in record.metrics:
                    trained.add(_networks(record))
        if len(trained) >= most:
            raise _Enough

    began = time.perf_counter()
    problem = setup.problem
    cascade = setup.cascade(store, None)
    with contextlib.suppress(_Enough):
        search(setup.strategy(plug), setup.space, cascade, problem.goals, problem.budget, seed, seen)
    return records, time.perf_counter() - began


def _figures(setup: Setup, plug: Plug, records: list[Record], seconds: float) -> dict[str, Any]:
    goals, designer = setup.problem.goals, setup.space.designer
    assert designer is not None
    proposed = {_networks(r): r.candidate for r in records}
    trained = {_networks(r) for r in records if "quality" in r.metrics}
    dropped = [c for key, c in proposed.items() if key not in trained]
    solvable = 0
    if plug.name == "nasaic":
        ids = [designer(type(c)(c.net), goals, "energy") for c in dropped]
        solvable = sum(goals.violation(metrics) == 0 for metrics in setup.space.screen(ids) if metrics)  # pyright: ignore[reportOptionalCall]
    ok = [r for r in records if goals.feasible(r)]
    best = min(ok, key=goals.key, default=None)
    return {
        "strategy": plug.name,
        "best": None if best is None else {k: best.metrics[k] for k in sorted(best.metrics)},
        "candidate": None if best is None else best.candidate.to_json(),
        "qualities": [round(r.metrics["quality"], 4) for r in ok],
        "candidates": len(records),
        "sets_proposed": len(proposed),
        "sets_trained": len(trained),
        "sets_dropped": len(dropped),
        "dropped_though_a_chip_keeps_the_limits": solvable,
        "seconds": round(seconds, 1),
    }


def _problem(seed: int, folder: Path) -> Problem:
    _write_data(folder)
    value = yaml.safe_load(PROBLEM)
    for task in value["tasks"].values():
        task["data"]["npz"]["path"] = str(folder / task["data"]["npz"]["path"])
    return Problem.from_dict({**value, "seed": seed})


def main(seeds: int, trained: int) -> None:
    """Run all searches; the result is written after each."""
    rows = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            problem = _problem(seed, Path(folder))
            setup = prepare(problem, Path(folder))
            for plug in (problem.strategy, *problem.baselines):
                records, seconds = _searched(setup, plug, seed, trained)
                rows.append({"seed": seed, **_figures(setup, plug, records, seconds)})
                result = {"problem": PROBLEM, "trained": trained, "runs": rows}
                write_result(f"w1_codesign_{trained}", f"python -m benchmarks.w1_codesign --trained {trained}", result)
                print({k: v for k, v in rows[-1].items() if k != "candidate"}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trained", type=int, default=20, help="sets of networks trained in each search")
    main(**vars(parser.parse_args()))

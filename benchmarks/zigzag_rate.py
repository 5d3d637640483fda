"""How many mappings a second does ZigZag cost, and how many do we, of the same layers on the same accelerators?

    python -m benchmarks.zigzag_rate --peer /tmp/zigzag     installs zigzag-dse 3.9.1 there once

Distinct layers of ResNet-50 (`--layers`, the first 4) on ZigZag's `eyeriss_like` and `tpu_like`, with one unrolling
(``mapper_quality.py``). ZigZag: its own search (`loma`, `lpf_limit` 6), of which the processor time inside its cost
model alone is counted. Ours: every cut of every order of five factors, each costed in full by ZigZag's conventions,
nothing pruned; time of the whole search, over all cores, and its processor time, which other work on the machine
disturbs less. Two ratios follow: all our cores against its one process, and core by core.
Expected before the first run: at least 10,000 times as many.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from archip.hardware.instances import load_accelerator
from archip.hardware.mappers.exhaustive import Exhaustive
from benchmarks._machine import write_result
from benchmarks.mapper_quality import ACCELERATORS, ask_peer, fixed_to, install_peer, layers, packed, unrolling

_TARGET = 10_000
_REPEATS = 512  # of each pair: a piece of work for each of two cores


def main(n_layers: int, folder: Path) -> dict[str, Any]:
    """Measure, print, return the figures."""
    python, rows = install_peer(folder), layers()[:n_layers]
    mapper = Exhaustive(0.0, space="cuts", n_factors=5, prunes=False, zigzag=True)
    figures: dict[str, Any] = {"expected": {"times": _TARGET}, "load_before": round(os.getloadavg()[0], 2)}
    rates = []
    for name in ACCELERATORS:
        for row in rows:
            theirs = ask_peer(python, name, row)
            chip, which = fixed_to(load_accelerator(name), unrolling(name, row)), np.zeros((_REPEATS, 2), np.int64)
            mapper.search([chip], packed(row), which[:1])
            began, began_cpu = time.perf_counter(), time.process_time()
            n = float(mapper.search([chip], packed(row), which).n_tried_P.sum())
            ours_s, ours_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
            rate = {
                "accelerator": name,
                "layer": row,
                "zigzag_evaluations": theirs["evaluations"],
                "zigzag_per_cpu_s": round(theirs["evaluations"] / theirs["evaluation_cpu_s"], 1),
                "ours_mappings": n,
                "ours_per_s": round(n / ours_s),
                "ours_per_cpu_s": round(n / ours_cpu_s),
            }
            rates.append(rate)
            print(f"{name} {row}: {rate['zigzag_per_cpu_s']:,.0f}/s and {rate['ours_per_s']:,}/s")
    return figures | {"rates": rates} | _summary(rates)


def _summary(rates: list[dict[str, Any]]) -> dict[str, Any]:
    """Harmonic means, and their ratios: a process against one core, and all cores against as many processes."""
    mean = {key: len(rates) / sum(1 / rate[key] for rate in rates) for key in
            ("zigzag_per_cpu_s", "ours_per_s", "ours_per_cpu_s")}  # fmt: skip
    cores = os.cpu_count() or 1
    times = mean["ours_per_s"] / mean["zigzag_per_cpu_s"]
    each = mean["ours_per_cpu_s"] / mean["zigzag_per_cpu_s"]
    print(f"{times:,.0f} times ZigZag's process with {cores} cores, {each:,.0f} times core by core")
    means = {key: round(value) for key, value in mean.items()}
    return means | {"times": round(times), "times_per_core": round(each), "holds": times >= _TARGET}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--peer", type=Path, metavar="DIR", required=True)
    options = parser.parse_args()
    figures = main(options.layers, options.peer)
    print(write_result("zigzag_rate", "python -m benchmarks.zigzag_rate --peer DIR", figures))

"""How many (accelerator, layer) pairs a second does the cost engine map at their best, and how many mappings cost?

    python -m benchmarks.cost_speed           100 accelerators a template x 300 layers
    python -m benchmarks.cost_speed --toy     5 accelerators a template x 300 layers

Every pair is new: nothing is remembered from earlier. Compilation is counted apart. Other work on the machine lowers
the figures; those per second of processor time hardly depend on it.
Expected before the first run: at least 20,000 pairs a second on two cores.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np

from archip.core import registry
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.models.loopnest import pack_layers
from benchmarks._machine import write_result

_N_LAYERS = 300
_TARGET = 20_000


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    n_accelerators = 5 if toy else 100
    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    layers_L = _layers(rng)
    rates: dict[str, dict[str, float]] = {}
    began = time.perf_counter()
    for name in registry.names("hardware/templates"):
        template = registry.find("hardware/templates", name)
        knobs = zip(rng.integers(1, 129, n_accelerators), rng.integers(1, 9, n_accelerators), strict=True)
        accelerators = [template(pes=32 * int(p), bandwidth=8e9 * int(b)).accelerator() for p, b in knobs]
        Exhaustive().search(accelerators, layers_L, np.zeros((1, 2)))
        if not rates:
            first_s = time.perf_counter() - began
        rates[name] = _rates(accelerators, layers_L)
        pairs, mappings = rates[name]["pairs_per_s"], rates[name]["mappings_per_s"]
        print(f"{name:<12} {pairs:>9,.0f} pairs/s {mappings:>11,.0f} mappings/s")
    mean = len(rates) / sum(1 / rate["pairs_per_s"] for rate in rates.values())
    print(f"{'all':<12} {mean:>9,.0f} pairs/s; first call {first_s:.1f} s (compiles where nothing is on disk)")
    return {
        "expected": {"pairs_per_s": _TARGET},
        "first_call_s": round(first_s, 2),
        "load_before": round(load, 2),
        "pairs_per_s": round(mean),
        "templates": rates,
        "holds": mean >= _TARGET,
    }


def _rates(accelerators: list, layers_L: np.ndarray) -> dict[str, float]:
    which_P2 = np.stack(np.meshgrid(range(len(accelerators)), range(_N_LAYERS)), -1).reshape(-1, 2)
    began, began_cpu = time.perf_counter(), time.process_time()
    found = Exhaustive().search(accelerators, layers_L, which_P2)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    return {
        "pairs_per_s": round(len(which_P2) / seconds),
        "pairs_per_cpu_s": round(len(which_P2) / cpu_seconds),
        "mappings_per_s": round(float(found.n_tried_P.sum()) / seconds),
        "mappings_per_cpu_s": round(float(found.n_tried_P.sum()) / cpu_seconds),
    }


def _layers(rng: np.random.Generator) -> np.ndarray:
    """Convolutions, pointwise ones, depthwise ones and products with the sizes of image networks."""
    n = _N_LAYERS
    kind = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    one = np.ones(n, dtype=np.int64)
    channels, filters = rng.choice([16, 24, 32, 64, 96, 128, 192, 256, 384, 512], (2, n))
    depthwise = kind == 2
    size = np.select([kind == 0, depthwise], [rng.choice([3, 5, 7], n), 3], 1)
    out = np.where(kind == 3, 1, rng.choice([7, 13, 14, 28, 32, 56, 112], n))
    groups, K, C = np.where(depthwise, filters, 1), np.where(depthwise, 1, filters), np.where(depthwise, 1, channels)
    dims_LF = np.stack([one, groups, K, C, out, out, size, size], 1)
    pair = lambda column: np.stack([column, column], 1)  # noqa: E731
    stride = np.where(kind == 3, 1, rng.choice([1, 1, 2], n))
    return pack_layers(dims_LF, pair(stride), pair(size // 2), pair(one), np.full((n, 3), 8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("cost_speed", "python -m benchmarks.cost_speed", figures))

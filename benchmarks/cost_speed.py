"""How many (accelerator, layer) pairs a second does the cost engine map at their best, and how many mappings cost?

    python -m benchmarks.cost_speed           100 accelerators a template x 300 layers
    python -m benchmarks.cost_speed --toy     5 accelerators a template x 300 layers

Every pair is new: nothing is remembered from earlier. Compilation is counted apart. Other work on the machine lowers
the figures; those per second of processor time less so. Costed mappings are those whose latency and energy were worked
out in full; covered are these and the ones that bounds or equality rule out.

The last lines are about costing itself: every cut of every order of five factors, nothing pruned (costed in full), and
the same with bounds (covered). And the time of the front door by layers x accelerators, which should grow in
proportion, with the memory that the process takes at most.
Expected before the first run: at least 20,000 pairs a second, and 10 million mappings a second costed in full, on two
cores; memory below 1 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from typing import Any

import numpy as np

from archip.core import registry
from archip.hardware.cost import layer_costs
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.models.loopnest import pack_layers
from archip.ir.graph import GraphBuilder
from archip.ir.workload import Workload, workload
from benchmarks._machine import write_result

_N_LAYERS = 300
_TARGET = 20_000
_TARGET_MAPPINGS = 10_000_000


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
    costing = _costing(layers_L, rng, 1 if toy else 4)
    growth = _growth(toy)
    mean = len(rates) / sum(1 / rate["pairs_per_s"] for rate in rates.values())
    print(f"{'all':<12} {mean:>9,.0f} pairs/s; first call {first_s:.1f} s (compiles where nothing is on disk)")
    return {
        "expected": {"pairs_per_s": _TARGET, "mappings_per_s": _TARGET_MAPPINGS},
        "first_call_s": round(first_s, 2),
        "load_before": round(load, 2),
        "pairs_per_s": round(mean),
        "templates": rates,
        "costing": costing,
        "growth": growth,
        "max_resident_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "holds": {
            "pairs_per_s": mean >= _TARGET,
            "mappings_per_s": costing["costed_per_s"] >= _TARGET_MAPPINGS,
        },
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
        "covered_per_s": round(float(found.n_covered_P.sum()) / seconds),
    }


def _costing(layers_L: np.ndarray, rng: np.random.Generator, repeats: int) -> dict[str, float]:
    """Rates of the search over every cut, without and with pruning, on chips of all templates."""
    templates = [registry.find("hardware/templates", name) for name in ("eyeriss", "nvdla", "shidiannao")]
    chips = [template(pes=32 * int(rng.integers(1, 33)), bandwidth=8e9).accelerator() for template in templates]
    which_P2 = np.stack(np.meshgrid(range(len(chips)), range(171 * repeats)), -1).reshape(-1, 2) % [
        len(chips),
        _N_LAYERS,
    ]
    figures = {}
    for name, prunes in (("costed", False), ("covered", True)):
        mapper = Exhaustive(space="cuts", n_factors=5, prunes=prunes)
        mapper.search(chips, layers_L, which_P2[:1])
        began, began_cpu = time.perf_counter(), time.process_time()
        found = mapper.search(chips, layers_L, which_P2)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
        n = float((found.n_covered_P if prunes else found.n_tried_P).sum())
        figures |= {f"{name}_per_s": round(n / seconds), f"{name}_per_cpu_s": round(n / cpu_seconds)}
        print(f"{name} {n:,.0f} mappings: {n / seconds:,.0f}/s, {n / cpu_seconds:,.0f} per second of processor time")
    return figures


def _growth(toy: bool) -> list[dict[str, float]]:
    """Time of the front door by the number of accelerators, all new, on one network of 300 distinct layers."""
    work = _network()
    template = registry.find("hardware/templates", "nvdla")
    rows = []
    for n in (4, 8) if toy else (16, 64, 256, 1024):
        chips = [template(pes=32 + i % 64, bandwidth=(1 + n + i // 64) * 1e8).accelerator() for i in range(n)]
        began = time.perf_counter()
        layer_costs(work, chips)
        seconds = time.perf_counter() - began
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append({"pairs": n * len(work), "seconds": round(seconds, 3), "max_resident_gb": round(resident, 2)})
        print(f"front door: {n * len(work):>8,} pairs in {seconds:7.2f} s, at most {resident:.2f} GB")
    return rows


def _network() -> Workload:
    """A chain of 300 pointwise convolutions, no two alike."""
    g = GraphBuilder()
    x = g.input("x", (1, 3, 32, 32), "NCHW")
    for i in range(_N_LAYERS):
        x = g.add("conv", x, name=f"conv{i}", out_channels=16 + i, kernel=(1, 1))
    return workload(g.finish(x))


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

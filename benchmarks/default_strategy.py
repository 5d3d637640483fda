"""Is the default strategy the best, or statistically tied with it, on every table? And within a latency limit?

    python -m benchmarks.default_strategy tables [TABLE ...]     30 seeds, 100 queries, full protocol
    python -m benchmarks.default_strategy limits [DEVICE ...]    100 seeds, 100 queries, NAS-Bench-201 CIFAR-10
    python -m benchmarks.default_strategy --toy                  3 seeds, 20 queries, one table and one device

Needs ARCHIP_DATA. Results are kept table by table; without names, those that are there already are not run again.

Expected before the first run. Tables: against random search, local search and regularised evolution the mean of `auto`
is the best, or Wilcoxon's signed-rank test over the seeds does not tell it from the best (p > 0.05), on every table.
Limits: on each of five devices, with the median latency of all cells as the limit, `auto` ends within 0.1 points of
the best cell that keeps it in at least 90 of 100 seeds, and its answers never break it. Two readings: by the validation
accuracy that a strategy sees, and by the test accuracy that it does not; how far the cell of the best validation
accuracy stays behind in test accuracy is what no strategy can make good.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.problem import Plug
from archip.data._table_spec import table_names
from archip.search._bench_report import p_value
from archip.search.bench import Bench, Curves, Setting, run_bench, setting
from benchmarks._machine import machine

_OTHERS = ("random_search", "local_search", "regularized_evolution")
_DEVICES = ("raspi4", "pixel2", "eyeriss", "titan_rtx_256", "gold_6226")
_NEAR, _SHARE, _LEVEL = 1e-3, 0.9, 0.05
_FILE = Path(__file__).parent / "results" / "default_strategy_2core_202611.json"


def on_table(name: str, n_seeds: int, budget: int) -> dict[str, Any]:
    """`auto` and the others on one table: means, and whether `auto` is best or tied."""
    bench = Bench(name, os.environ.get("ARCHIP_DATA"), budget=budget)
    here = setting(bench)
    found = run_bench(bench, {n: Plug(n) for n in ("auto", *_OTHERS)}, n_seeds, n_jobs=1)
    means = {n: here.goal * float(np.nanmean(curves.values_KTQ[:, 0, -1])) for n, curves in found.items()}
    best = max(means, key=lambda n: means[n])
    p = None if best == "auto" else p_value(found["auto"], found[best])
    return {
        "seeds": n_seeds,
        "queries": budget,
        "rows": here.table.n_rows,
        "optimum": here.optimum,
        "mean": {n: round(here.goal * mean, 6) for n, mean in means.items()},
        "std": {n: round(float(np.nanstd(c.values_KTQ[:, 0, -1], ddof=1)), 6) for n, c in found.items()},
        "overhead_ms": {n: round(c.strategy_ms, 3) for n, c in found.items()},
        "p_auto_against": {n: p_value(found["auto"], found[n]) for n in _OTHERS},
        "best": best,
        "holds": best == "auto" or p is None or p > _LEVEL,
    }


def on_device(device: str, n_seeds: int, budget: int) -> dict[str, Any]:
    """How often `auto` comes near the best cell within the median latency, by validation and by test accuracy."""
    folder = os.environ.get("ARCHIP_DATA")
    metric = f"{device}.latency_s"
    latency_N = setting(Bench("nb201", folder)).table.metric(metric)
    bound = float(np.median(latency_N))
    bench = Bench("nb201", folder, budget=budget, limits=((metric, bound),))
    here = setting(bench)
    found = run_bench(bench, {n: Plug(n) for n in ("auto", *_OTHERS)}, n_seeds, n_jobs=1)
    shown_N = np.where(here.feasible_N, here.shown_N, -np.inf)
    oracle = int(np.argmax(shown_N))
    readings = {n: _readings(here, curves, shown_N) for n, curves in found.items()}
    return {
        "seeds": n_seeds,
        "queries": budget,
        "bound_s": bound,
        "allowed_cells": int(here.feasible_N.sum()),
        "optimum_valid": float(shown_N[oracle]),
        "optimum_test": here.optimum,
        "test_of_best_valid": float(here.test_TN[0, oracle]),
        "broken": int(sum((latency_N[rows] > bound).sum() for c in found.values() for rows in c.rows)),
        "strategies": readings,
        "holds_by_valid": readings["auto"]["near_by_valid"] >= _SHARE * n_seeds,
        "holds_by_test": readings["auto"]["near_by_test"] >= _SHARE * n_seeds,
    }


def _readings(here: Setting, curves: Curves, shown_N: np.ndarray) -> dict[str, Any]:
    best_K = np.array([shown_N[rows].max() for rows in curves.rows])
    test_K = curves.values_KTQ[:, 0, -1]
    return {
        "near_by_valid": int((best_K >= shown_N.max() - _NEAR).sum()),
        "near_by_test": int((test_K >= here.optimum - _NEAR).sum()),
        "mean_valid": round(float(best_K.mean()), 6),
        "mean_test": round(float(test_K.mean()), 6),
        "refused_a_query": round(curves.n_refused / max(sum(map(len, curves.rows)), 1), 2),
    }


def _content() -> dict[str, Any]:
    return json.loads(_FILE.read_text()) if _FILE.exists() else {"command": "python -m benchmarks.default_strategy"}


def kept(part: str, name: str, found: Mapping[str, Any]) -> None:
    """Write one result into the file."""
    content = _content()
    content["machine"] = machine()
    content.setdefault(part, {})[name] = found
    _FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("tables", "limits"), default="tables")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--seeds", type=int)
    arguments = parser.parse_args()
    if arguments.toy:
        print(on_table("nats_size", 3, 20), on_device("raspi4", 3, 20))
        return
    measure = on_table if arguments.part == "tables" else on_device
    seeds = arguments.seeds or (30 if arguments.part == "tables" else 100)
    for name in arguments.names or (table_names() if arguments.part == "tables" else _DEVICES):
        if (done := _content().get(arguments.part, {}).get(name)) and done["seeds"] >= seeds and not arguments.names:
            continue
        found = measure(name, seeds, 100)
        kept(arguments.part, name, found)
        print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

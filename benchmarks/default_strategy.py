"""Is the default strategy the best, or statistically tied with it, on every table? And within a latency limit?

    python -m benchmarks.default_strategy tables [TABLE ...]     30 seeds, 100 queries, full protocol
    python -m benchmarks.default_strategy limits [DEVICE ...]    100 seeds, 100 queries, NAS-Bench-201 CIFAR-10
    python -m benchmarks.default_strategy --toy                  3 seeds, 20 queries, one table and one device

Needs ARCHIP_DATA. Results are kept table by table; without names, those that are there already are not run again. With
--keep FOLDER each search is kept as well, and a command that was stopped goes on (empty it when the code changes).

Expected before the first run. Tables: against random search, local search and regularised evolution (since the second
run also against `predictor_guided` and `mcts`) the mean of `auto` is the best, or Wilcoxon's signed-rank test over the
seeds does not tell it from the best (p > 0.05), on every table. Two readings here, too: by the test metric, and by the
metric that strategies see; where the two disagree, a better search can get a worse answer.
Limits: on each of five devices, with the median latency of all cells as the limit, `auto` ends within 0.1 points of
the best cell that keeps it in at least 90 of 100 seeds, and its answers never break it. Two readings: by the validation
accuracy that a strategy sees, and by the test accuracy that it does not; how far the cell of the best validation
accuracy stays behind in test accuracy is what no strategy can make good.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from archip.core.problem import Plug
from archip.core.record import metric
from archip.data._table_spec import table_names
from archip.search.bench import Bench, Curves, Setting, Trace, curves_of, run_bench, search_table, setting
from benchmarks._machine import machine

_OTHERS = ("random_search", "local_search", "regularized_evolution")
_MODELS = ("predictor_guided", "mcts")  # set beside `auto` on tables only
_DEVICES = ("raspi4", "pixel2", "eyeriss", "titan_rtx_256", "gold_6226")
_NEAR, _SHARE, _LEVEL = 1e-3, 0.9, 0.05
_FILE = Path(__file__).parent / "results" / "default_strategy_2core_202611.json"


def searched(bench: Bench, names: Sequence[str], n_seeds: int, kept_in: Path | None) -> dict[str, Curves]:
    """`run_bench` in this process; with a folder, searches that have ended are read from it."""
    if kept_in is None:
        return run_bench(bench, {n: Plug(n) for n in names}, n_seeds, n_jobs=1)
    here, found = setting(bench), {}
    kept_in.mkdir(parents=True, exist_ok=True)
    for name in names:
        of_what = "-".join([bench.table, *(key for key, _ in bench.limits), str(bench.budget), name])
        file = kept_in / f"{of_what}.jsonl"
        traces = [Trace(*json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
        for seed in range(len(traces), n_seeds):
            traces.append(search_table(here, Plug(name), seed))
            with file.open("a") as out:
                out.write(json.dumps([traces[-1].rows, traces[-1].n_refused, traces[-1].strategy_s]) + "\n")
        found[name] = curves_of(bench, Plug(name), traces[:n_seeds])
    return found


def on_table(name: str, n_seeds: int, budget: int, kept_in: Path | None = None) -> dict[str, Any]:
    """`auto` and the others on one table: means, and whether `auto` is best or tied, by both readings."""
    bench = Bench(name, os.environ.get("ARCHIP_DATA"), budget=budget)
    here = setting(bench)
    found = searched(bench, ("auto", *_OTHERS, *_MODELS), n_seeds, kept_in)
    by_test = {n: curves.values_KTQ[:, 0, -1] for n, curves in found.items()}
    sign = metric(here.shown).goal
    by_shown = {n: np.array([sign * np.nanmax(here.shown_N[rows]) for rows in c.rows]) for n, c in found.items()}
    return {
        "seeds": n_seeds,
        "queries": budget,
        "rows": here.table.n_rows,
        "optimum": here.optimum,
        **_compared(by_test, here.goal),
        "shown": {"optimum": sign * float(np.nanmax(here.shown_N)), **_compared(by_shown, sign)},
        "overhead_ms": {n: round(c.strategy_ms, 3) for n, c in found.items()},
    }


def _compared(values: Mapping[str, np.ndarray], goal: int) -> dict[str, Any]:
    means = {n: float(np.nanmean(values_K)) for n, values_K in values.items()}
    p = {n: _p_value(values["auto"], values_K) for n, values_K in values.items() if n != "auto"}
    better = [n for n in p if goal * means[n] > goal * means["auto"]]
    return {
        "mean": {n: float(f"{mean:.7g}") for n, mean in means.items()},
        "std": {n: float(f"{np.nanstd(values_K, ddof=1):.4g}") for n, values_K in values.items()},
        "p_auto_against": p,
        "best": max(means, key=lambda n: (goal * means[n], n == "auto")),
        "holds": all(p[n] > _LEVEL for n in better),
    }


def _p_value(a_K: np.ndarray, b_K: np.ndarray) -> float:
    differ_K = np.nan_to_num(a_K - b_K)  # a search without an answer counts as no difference
    return float(wilcoxon(differ_K).pvalue) if differ_K.any() else 1.0  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]


def on_device(device: str, n_seeds: int, budget: int, kept_in: Path | None = None) -> dict[str, Any]:
    """How often `auto` comes near the best cell within the median latency, by validation and by test accuracy."""
    data = os.environ.get("ARCHIP_DATA")
    latency = f"{device}.latency_s"
    latency_N = setting(Bench("nb201", data)).table.metric(latency)
    bound = float(np.median(latency_N))
    bench = Bench("nb201", data, budget=budget, limits=((latency, bound),))
    here = setting(bench)
    found = searched(bench, ("auto", *_OTHERS), n_seeds, kept_in)
    shown_N = np.where(here.feasible_N, here.shown_N, -np.inf)
    oracle = int(np.argmax(shown_N))
    readings = {n: _readings(here, curves, shown_N) for n, curves in found.items()}
    return {
        "seeds": n_seeds,
        "queries": budget,
        "bound_s": bound,
        "allowed_cells": int((latency_N <= bound).sum()),
        "allowed_networks": int(here.feasible_N.sum()),
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
    """Write one result into the file, which other processes may be writing as well."""
    folder = os.open(_FILE.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        content = _content()
        content["machine"] = machine()
        content.setdefault(part, {})[name] = found
        new = _FILE.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        new.replace(_FILE)
    finally:
        os.close(folder)  # and with it the lock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("tables", "limits"), default="tables")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--keep", type=Path, help="folder of the searches that have ended")
    arguments = parser.parse_args()
    if arguments.toy:
        print(on_table("nats_size", 3, 20), on_device("raspi4", 3, 20))
        return
    measure = on_table if arguments.part == "tables" else on_device
    seeds = arguments.seeds or (30 if arguments.part == "tables" else 100)
    for name in arguments.names or (table_names() if arguments.part == "tables" else _DEVICES):
        if (done := _content().get(arguments.part, {}).get(name)) and done["seeds"] >= seeds and not arguments.names:
            continue
        found = measure(name, seeds, 100, arguments.keep)
        kept(arguments.part, name, found)
        print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

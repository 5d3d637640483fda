"""How well do the strategies search, and what do they cost? Baselines on NAS-Bench-201, both protocols.

    python -m benchmarks.tabular [STRATEGY ...]     100 seeds, 200 queries; needs ARCHIP_DATA
    python -m benchmarks.tabular --toy              5 seeds, 30 queries

Expected before the first run, early protocol: random search 93.46 / 93.75 / 93.91 on CIFAR-10 after 50 / 100 / 200
queries (recomputed from the table by the card's author, who counts strings, not networks), each within
0.15; evolution's overhead at most 1 ms a candidate.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from archip.core.problem import Plug
from archip.search.bench import Bench, Protocol, run_bench
from benchmarks._machine import write_result

_BASELINES = ("random_search", "local_search", "regularized_evolution", "reinforce")
_EXPECTED = {"50": 93.46, "100": 93.75, "200": 93.91}
_OVERHEAD_MS = 1.0


def main(toy: bool, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Measure, print the tables, return the figures."""
    seeds, budget = (5, 30) if toy else (100, 200)
    names = [*_BASELINES, *(name for name in more if name not in _BASELINES)]
    figures: dict[str, Any] = {"seeds": seeds, "budget": budget, "load_before": round(os.getloadavg()[0], 2)}
    protocols: tuple[Protocol, ...] = ("full", "early")
    for protocol in protocols:
        began = time.perf_counter()
        bench = Bench("nb201", os.environ.get("ARCHIP_DATA"), protocol=protocol, budget=budget)
        found = run_bench(bench, {name: Plug(name) for name in names}, seeds)
        figures[protocol] = {"seconds": round(time.perf_counter() - began, 1)}
        for name, curves in found.items():
            at = [q for q in (30, 50, 100, 200) if q <= budget]
            mean = {str(q): round(100 * float(curves.values_KTQ[:, 0, q - 1].mean()), 3) for q in at}
            std = {str(q): round(100 * float(curves.values_KTQ[:, 0, q - 1].std(ddof=1)), 3) for q in at}
            figures[protocol][name] = {"mean": mean, "std": std, "overhead_ms": round(curves.strategy_ms, 3)}
            print(f"{protocol:<6} {name:<24}", mean, f"{curves.strategy_ms:.3f} ms")
    random = figures["early"]["random_search"]["mean"]
    evolution = figures["early"]["regularized_evolution"]["overhead_ms"]
    near = all(abs(random[q] - value) <= 0.15 for q, value in _EXPECTED.items() if q in random)
    expected = {"random_search": _EXPECTED, "within": 0.15, "evolution_overhead_ms": _OVERHEAD_MS}
    return {"expected": expected, **figures, "holds": near and evolution <= _OVERHEAD_MS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strategy", nargs="*")
    parser.add_argument("--toy", action="store_true")
    arguments = parser.parse_args()
    result = main(arguments.toy, tuple(arguments.strategy))
    if not arguments.toy:
        print(write_result("tabular", "python -m benchmarks.tabular", result))

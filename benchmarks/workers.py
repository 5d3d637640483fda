"""What does the driver cost, does its memory stay small, and what do two Ray workers bring?

    python -m benchmarks.workers              about half an hour; a million candidates
    python -m benchmarks.workers --toy        seconds; what it measures then means nothing

Expected before the first run: at 10,000 candidates at most 2 ms of the driver each; at 1,000,000 records at most 2 GB
of memory and no more time per candidate than at 10,000 (at most 1.5 x); two Ray workers at least 1.8 x as fast as one
on processor-bound candidates; a killed node costs at most one repeated candidate for each worker that it had.

Candidates on Ray take 0.1 s and, since the first runs, 0.5 s of processor time: of 0.1 s a tenth may go to messages and
to Ray's own processes, which share the two cores (1.74 to 1.79 x seen). The expectation is judged by the longer ones.

The driver is a whole search: ask, evaluate (arithmetic), store outcomes and records in SQLite, tell, keep the front.
Sizes run in processes of their own; time per candidate is that of the last tenth, by the wall and by the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from archip.core import registry
from archip.core.problem import Budget
from archip.search.cascade import Cascade
from archip.search.findings import Findings
from archip.search.loop import search
from archip.search.work import Work
from benchmarks._machine import write_result
from benchmarks._synthetic import GOALS, SPACE, TASK, Arithmetic, Call, busy

_BATCH, _LARGE_BATCH = 32, 256  # the default of problem files; and what a run of a million would use
_STRATEGIES = ("random_search", "regularized_evolution", "nsga2")


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the tables, return the figures."""
    sizes = [1000, 2000] if toy else [1_000, 10_000, 100_000, 1_000_000]
    result: dict[str, Any] = {"load_before": os.getloadavg()}
    result["growth"] = [_in_own_process("growth", "random_search", n) for n in sizes]
    result["strategies"] = [_in_own_process("driver", s, sizes[0] if toy else 10_000) for s in _STRATEGIES]
    result["processes"] = _in_own_process("processes", "random_search", sizes[0] if toy else 10_000)
    result["ray short"] = _in_own_process("ray short", "random_search", 4 if toy else 40)
    result["ray"] = _in_own_process("ray", "random_search", 4 if toy else 12)
    result["load_after"] = os.getloadavg()
    for row in [*result["growth"], *result["strategies"], result["processes"], result["ray short"], result["ray"]]:
        print(row, flush=True)
    at = {row["n"]: row for row in result["growth"]}
    result["holds"] = {
        "driver at most 2 ms at 10,000": all(row["ms"] <= 2.0 for row in result["strategies"]),
        "no growth": at[sizes[-1]]["last_tenth_cpu_ms"] <= 1.5 * at[sizes[1]]["last_tenth_cpu_ms"],
        "memory at most 2 GB": at[sizes[-1]]["peak_bytes"] <= 2e9,
        "two workers at least 1.8 x": result["ray"]["ratio"] >= 1.8,
    }
    print(result["holds"])
    return result


def driver(strategy: str, n: int, batch: int, executor: Any = None) -> dict[str, Any]:
    """One search of `n` candidates, `batch` at a time, in a store on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = registry.create("store", "sqlite", {"path": Path(folder) / "records.sqlite"})
        store.begin("bench", {}, GOALS, "key")
        cascade = Cascade([Arithmetic()], GOALS, store, [TASK], work=Work(store, executor, Call))
        found, marks = Findings(GOALS), [(0, time.perf_counter(), time.process_time())]

        def seen(records: Any) -> None:
            store.append("bench", "search", records)
            found.add(records)
            marks.append((found.n, time.perf_counter(), time.process_time()))

        search(
            registry.create("strategies", strategy), SPACE, cascade, GOALS, Budget(candidates=n, batch=batch), 0, seen
        )
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        store.close()
    (last, wall, cpu), (_, wall0, cpu0) = marks[-1], marks[0]
    before = next(mark for mark in reversed(marks) if mark[0] <= 0.9 * last)
    return {
        "what": "driver" if executor is None else f"driver of {executor.n_workers} processes",
        "strategy": strategy,
        "n": last,
        "batch": batch,
        "ms": 1e3 * (wall - wall0) / last,
        "cpu_ms": 1e3 * (cpu - cpu0) / last,
        "last_tenth_ms": 1e3 * (wall - before[1]) / (last - before[0]),
        "last_tenth_cpu_ms": 1e3 * (cpu - before[2]) / (last - before[0]),
        "front": len(found.front),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "store_bytes": size,
        "load": os.getloadavg()[0],
    }


def processes(strategy: str, n: int) -> dict[str, Any]:
    """The same with two local processes: what messages cost."""
    executor = registry.create("distribute", "processes", {"n": 2})
    try:
        return driver(strategy, n, _BATCH, executor)
    finally:
        executor.close()


def on_ray(n: int, seconds: float, repeats: int = 5) -> dict[str, Any]:
    """Processor-bound items on one and on two nodes of a cluster, in turns; then one of two nodes is killed."""
    from archip.testing.ray_nodes import nodes

    with nodes(2) as cluster:
        rows = []
        executor = {k: registry.create("distribute", "ray", {"address": cluster.address, "n": k}) for k in (1, 2)}
        for _ in range(repeats):
            took = {}
            for k in (1, 2):
                list(executor[k].map(busy, [0.0] * k))  # the workers are there
                began = time.perf_counter()
                list(executor[k].map(busy, [seconds] * n))
                took[k] = time.perf_counter() - began
                executor[k].close()
            rows.append({"one_s": took[1], "two_s": took[2], "ratio": took[1] / took[2], "load": os.getloadavg()[0]})
    ratios = [row["ratio"] for row in rows]
    return {"what": "ray", "n": n, "seconds": seconds, "rows": rows, "ratio": statistics.median(ratios)}


def _in_own_process(what: str, strategy: str, n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.workers", "--one", what, strategy, str(n)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, name, count = options.one
        one = {
            "driver": lambda: driver(name, int(count), _BATCH),
            "growth": lambda: driver(name, int(count), _LARGE_BATCH),
            "processes": lambda: processes(name, int(count)),
        }
        print(json.dumps(one[what]() if what in one else on_ray(int(count), 0.1 if what == "ray short" else 0.5)))
    else:
        write_result("workers_toy" if options.toy else "workers", " ".join(sys.orig_argv[1:]), main(options.toy))

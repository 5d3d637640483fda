"""Does the demo keep its promises: time, memory, and a better front than random search at equal budget?

    python -m benchmarks.demo            five seeds, about ten minutes on two cores
    python -m benchmarks.demo --toy      one seed, a tenth of the budget

Every seed is a whole `archip run` in a fresh folder and process. Expected before the first run: search, finish and
report within 180 s; peak memory at most 2 GB; mean hypervolume of nsga2 above that of random search; `import archip`
within 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks._machine import write_result

_EXAMPLE = Path(__file__).parents[1] / "examples/two_tasks.yaml"


def main(toy: bool) -> dict[str, Any]:
    """Run the seeds, print the table, return the figures."""
    rows = [_one(seed, toy) for seed in range(1 if toy else 5)]
    strategies = list(rows[0]["hypervolume"])
    mean = {s: statistics.mean(r["hypervolume"][s] for r in rows) for s in strategies}
    ours, *others = strategies
    import_s = min(_import_seconds() for _ in range(5))
    result = {
        "import_s": import_s,
        "expected": {
            "seconds": 180,
            "peak_bytes": 2 * 2**30,
            "hypervolume": f"{ours} above every baseline, mean of seeds",
        },
        "seeds": rows,
        "mean_hypervolume": mean,
        "wins": {o: sum(r["hypervolume"][ours] > r["hypervolume"][o] for r in rows) for o in others},
        "holds": {
            "seconds": max(r["seconds"] for r in rows) <= 180,
            "memory": max(r["peak_bytes"] for r in rows) <= 2 * 2**30,
            "hypervolume": all(mean[ours] > mean[o] for o in others),
            "import": import_s <= 0.5,
        },
    }
    for row in rows:
        print(row)
    print({k: result[k] for k in ("mean_hypervolume", "wins", "import_s", "holds")})
    return result


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import archip; archip.Problem; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _one(seed: int, toy: bool) -> dict[str, Any]:
    problem = yaml.safe_load(_EXAMPLE.read_text(encoding="utf-8"))
    if toy:
        problem["budget"] = {"candidates": 48, "batch": 16}
        problem["finish"] = {"keep": 1, "epochs": 2}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.yaml"
        file.write_text(yaml.safe_dump(problem), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "archip",
            "run",
            str(file),
            "--out",
            f"{folder}/run",
            "--seed",
            str(seed),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    return {
        "seed": seed,
        "seconds": round(summary["seconds"], 1),
        "stages": {k: round(v, 1) for k, v in summary["stages"].items()},
        "peak_bytes": summary["peak_bytes"],
        "hypervolume": {k: round(v["hypervolume"], 4) for k, v in summary["comparison"].items()},
        "best_quality": {k: v["best_quality"] for k, v in summary["comparison"].items()},
        "test": {k: v["value"] for k, v in summary["tasks"].items()},
        "limits": {r["name"]: [r["value_text"], r["limit_text"], r["ok"]] for r in summary["limits"]},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("demo", "python -m benchmarks.demo", figures))

"""What does a small W1 give on two cores: CIFAR-10 and nuclei segmentation on one chip, under limits, on real data?

    ARCHIP_DATA=… python -m benchmarks.w1            runs examples/w1_small.yaml, about half an hour
    ARCHIP_DATA=… python -m benchmarks.w1 --run DIR  the same figures from a run that is there already

Expected before the first run: all limits kept; CIFAR-10 test accuracy well above the ridge classifier (about 0.36);
IoU above the best threshold (about 0.6); at most 45 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks._machine import write_result

_EXAMPLE = Path(__file__).parents[1] / "examples/w1_small.yaml"


def main(run: Path) -> dict[str, Any]:
    """The figures of a run; runs it first where its summary is missing."""
    if not (run / "summary.json").exists():
        subprocess.run([sys.executable, "-m", "archip", "run", str(_EXAMPLE), "--out", str(run)], check=True)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    tasks = summary["tasks"]
    keys = ("metric", "value", "val", "searched", "baseline", "baseline_is", "params", "macs", "genotype", "splits")
    return {
        "problem": (run / "problem.yaml").read_text(encoding="utf-8"),
        "limits": summary["limits"],
        "tasks": {name: {key: task[key] for key in keys} for name, task in tasks.items()},
        "chip": [
            {k: c[k] for k in ("dataflow", "pes", "bandwidth_bytes_per_s", "area_mm2")}
            for c in summary["chip"]["cores"]
        ],
        "comparison": summary["comparison"],
        "candidates": summary["candidates"],
        "stages": summary["stages"],
        "seconds": summary["seconds"],
        "peak_bytes": summary["peak_bytes"],
        "holds": {
            "limits": all(row["ok"] for row in summary["limits"]),
            **{f"{name} beats its baseline": task["value"] > task["baseline"] for name, task in tasks.items()},
            "time": summary["seconds"] <= 45 * 60,
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/w1_small"))
    where = parser.parse_args().run
    if not os.environ.get("ARCHIP_DATA") and not (where / "summary.json").exists():
        sys.exit("skipped: ARCHIP_DATA names no folder with cifar10_12k.npz and nuclei128.npz")
    figures = main(where)
    print(json.dumps({k: v for k, v in figures.items() if k != "problem"}, indent=1))
    print(write_result("w1_small", "python -m benchmarks.w1", figures))

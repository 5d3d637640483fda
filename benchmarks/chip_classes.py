"""What are unequal sizes, different dataflows and a second core worth on NASAIC's workloads, by exact optima?

    python -m benchmarks.chip_classes

For each workload, cluster rule and area limit the best chip of each class (one core, twins, one dataflow, free) by
latency; by energy within 1.2 times that latency; and by area within both. Every optimum has a certificate. The order
free <= one dataflow <= one core, twins holds by construction; by how much is what is asked.
W1 is ResNet-9 <32,128,2,256,2,256,2> at 32 x 32 and the U-Net of five levels, 16 to 256 filters, at 96 x 96; W3 is that
ResNet-9 and <16,64,1,128,1,256,2>.
Expected before the first run: unequal sizes save latency in every case (twins take over 20 % longer), different
dataflows under 20 % with fixed clusters at 4000 mm2, and in energy no class differs by more than 5 %.
"""

from __future__ import annotations

import argparse
from typing import Any

from archip.hardware.chip.explore import ChipResult
from archip.hardware.chip.search import Metric
from archip.search.chip import cache_folder, chip
from benchmarks._machine import write_result

_LARGE, _SMALL = "resnet9:32,128,2,256,2,256,2@3x32x32", "resnet9:16,64,1,128,1,256,2@3x32x32"
_WORKLOADS = {"W1": [_LARGE, "unet:5,16,32,64,128,256@3x96x96"], "W3": [_LARGE, _SMALL]}
_AREAS = (4000, 1000, 300)


def main(toy: bool) -> dict[str, Any]:
    """Ask every question, print a line for each, return all answers."""
    rows = []
    for name in ("W3",) if toy else _WORKLOADS:
        for mapping in ("fixed", "fastest"):
            for area in (300,) if toy else _AREAS:
                row = {"workload": name, "mapping": mapping, "area_mm2": area}
                row |= _answer(_WORKLOADS[name], {"mapping": mapping, **_toy(toy)}, f"{area} mm2")
                rows.append(row)
                print({key: value for key, value in row.items() if key != "proven"}, flush=True)
    twins = [row["latency"]["worth"]["unequal_sizes"] for row in rows]
    flows = [row["latency"]["worth"]["different_dataflows"] for row in rows]
    at_most = [w for row in rows for w in row["energy"]["worth"].values() if w is not None]
    large = [f for f, row in zip(flows, rows, strict=True) if row["area_mm2"] == 4000 and row["mapping"] == "fixed"]
    holds = min(twins) > 0.2 and max(large, default=0) < 0.2 and max(at_most) <= 0.05 and all(r["proven"] for r in rows)
    return {"rows": rows, "holds": holds}


def _toy(toy: bool) -> dict[str, Any]:
    return {"pes": {"total": 1024, "step": 128}} if toy else {}


def _answer(models: list[str], spec: dict[str, Any], area: str) -> dict[str, Any]:
    """Latency within the area; energy within 1.2 x the least latency, too; area within that latency and energy."""
    first = chip(models, spec, {"area": area}, minimise="latency", cache=cache_folder(), classes=True)
    latency = f"{1.2 * first.front[0].latency_cycles} cycles"
    second = chip(models, spec, {"area": area, "latency": latency}, cache=cache_folder(), classes=True)
    told: dict[str, Any] = {}
    answers: dict[Metric, ChipResult] = {"latency": first, "energy": second, "area": second}
    for metric, asked in answers.items():
        told[metric] = {
            "best": {kind: None if of.chip is None else _chip(of.chip) for kind, of in asked.classes[metric].items()},
            "above_free": {kind: _rounded(of.above_free) for kind, of in asked.classes[metric].items()},
            "worth": {name: _rounded(share) for name, share in asked.worth[metric].items()},
        }
    found = [of for asked in (first, second) for by in asked.classes.values() for of in by.values()]
    told["proven"] = all(of.certificate is not None and of.certificate.gap == 0 for of in found)
    return told


def _chip(found: Any) -> dict[str, Any]:
    cores = [f"{core['dataflow']} {core['pes']} {core['bandwidth'] // 10**9} GB/s" for core in found.cores]
    metrics = {name: getattr(found, name) for name in ("latency_cycles", "energy_j", "area_mm2")}
    return {"cores": cores, **metrics}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="one case on a small chip, to try")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("chip_classes", "python -m benchmarks.chip_classes", figures))

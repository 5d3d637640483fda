"""For which input sizes are NASAIC's workloads feasible at all within its limits, and what binds where they are not?

    python -m benchmarks.nasaic_feasibility

W1 is CIFAR-10 classification with cell segmentation (8e5 cycles, 2e9 nJ, 4e9 um2), W2 CIFAR-10 with STL-10 (1e6, 3.5e9,
4e9), W3 CIFAR-10 twice (4e5, 1e9, 4e9). The paper prints neither the sizes of the images nor how buffers were sized. So
each workload is asked for several sizes, with the smallest and the largest networks of its spaces, and with those of
best accuracy where they are published, over all 1,027,584 chips. A workload is feasible at all if its smallest networks
are. Every answer has a certificate. Cost model: MAESTRO with 1 nJ a MAC; clusters as shipped, or the fastest per layer.
Source: Yang et al. 2020, arXiv:2002.04116, section V; the specs of W2 and W3 are recalled, not printed there.
Expected before the first run: W1 with its published networks infeasible from 96 x 96 on by the chain bound alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from archip.core import registry
from archip.hardware.chip.explore import METRICS, ChipResult
from archip.ir.workload import Workload, workload
from archip.search.chip import cache_folder, chip
from benchmarks._machine import write_result

_LIMITS = {
    "W1": {"latency": "8e5 cycles", "energy": "2 J", "area": "4000 mm2"},
    "W2": {"latency": "1e6 cycles", "energy": "3.5 J", "area": "4000 mm2"},
    "W3": {"latency": "4e5 cycles", "energy": "1 J", "area": "4000 mm2"},
}
_SIZES = {"W1": (32, 64, 96, 128, 256), "W2": (28, 48, 64, 96), "W3": (32,)}  # of the second task's images
_CIFAR = ("resnet9", {"stem": [8, 16, 32, 64], "filters": [32, 64, 128, 256]})
_SECOND = {
    "W1": ("unet", {"top": [4, 8, 16], "max_height": 5}),
    "W2": (
        "resnet9",
        {"blocks": 5, "stem": [8, 16, 32, 64], "filters": [32, 64, 128, 256, 512], "skips": [0, 1, 2, 3]},
    ),
    "W3": _CIFAR,
}
_BEST = {"fn0": 32, "fn1": 128, "sk1": 2, "fn2": 256, "sk2": 2, "fn3": 256, "sk3": 2}  # 94.17 % on CIFAR-10
_FIELDS = {"latency": "latency_cycles", "energy": "energy_j", "area": "area_mm2"}


def main(toy: bool) -> dict[str, Any]:
    """Ask every question, print a line for each, return all answers."""
    rows = []
    for name in ("W3",) if toy else _LIMITS:
        for size in _SIZES[name]:
            for networks in ("smallest", "largest") if name == "W2" else ("smallest", "best", "largest"):
                for mapping in ("fixed", "fastest"):
                    row = {"workload": name, "size": size, "networks": networks, "mapping": mapping}
                    row |= _answer(_networks(name, size, networks), mapping, _LIMITS[name], toy)
                    rows.append(row)
                    print(" ".join(f"{key}={value}" for key, value in row.items() if key != "certificate"), flush=True)
    of_w1 = [r for r in rows if (r["workload"], r["networks"]) == ("W1", "best") and r["size"] >= 96]
    holds = all(not r["feasible"] and r["binds"] == "chain" for r in of_w1)
    return {"limits": _LIMITS, "rows": rows, "holds": holds}


def _networks(name: str, size: int, which: str) -> dict[str, Workload]:
    second, options = _SECOND[name]
    return {
        "cifar": _network(*_CIFAR, which, (3, 32, 32), 10),
        "second": _network(second, options, which, (3, size, size), 1 if second == "unet" else 10),
    }


def _network(space: str, options: dict[str, Any], which: str, shape: tuple[int, int, int], n_outputs: int) -> Workload:
    """The network of the least or the greatest value of every gene; `best` is the greatest where none is published."""
    made: Any = registry.create("spaces", space, options)
    if which == "best" and space == "resnet9":
        return workload(made.graph(_BEST, shape, n_outputs))
    genes: dict[str, Any] = {}
    for name, knob in made.knobs.items():
        if made.is_active(name, genes):
            genes[name] = (min if which == "smallest" else max)(knob.values)
    return workload(made.graph(genes, shape, n_outputs))


def _answer(networks: dict[str, Workload], mapping: str, limits: dict[str, str], toy: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"mapping": mapping, "mac_energy": "1 nJ"}
    if toy:
        spec["pes"] = {"total": 1024, "step": 256}

    def ask(within: Mapping[str, str], minimise: Any) -> ChipResult:
        return chip(networks, spec, within, minimise=minimise, cache=cache_folder())

    asked = ask(limits, "energy")
    within_others: dict[str, float | None] = {}
    alone: dict[str, float] = {}
    for metric in METRICS:
        front = ask({m: text for m, text in limits.items() if m != metric}, metric).front
        within_others[metric] = getattr(front[0], _FIELDS[metric]) if front else None
        alone[metric] = getattr(ask({}, metric).front[0], _FIELDS[metric])
    return {
        "feasible": bool(asked.front),
        "binds": asked.last_bound,
        "least_within_the_other_limits": within_others,
        "least_without_limits": alone,
        "certificate": asked.certificate.as_json(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="W3 on a small chip, to try")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("nasaic_feasibility", "python -m benchmarks.nasaic_feasibility", figures))

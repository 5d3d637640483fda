"""How long does the proven best chip take for NASAIC's workloads over its million chips, and how long the exact front?

    python -m benchmarks.chip           W1 and W3, fixed and fastest clusters
    python -m benchmarks.chip --toy     a chip of at most 1024 PEs, W3 only

W1 is ResNet-9 <32,128,2,256,2,256,2> at 32 x 32 and the U-Net of five levels, 16 to 256 filters, at 96 x 96; W3 is that
ResNet-9 and <16,64,1,128,1,256,2>. The chip: two cores, three dataflows, 4096 PEs in steps of 32, 64 GB/s in steps of
8. Times are from the networks to the certificate, compilation apart; other work on the machine raises the wall clock,
the processor's time hardly.
Expected before the first run: best chip within limits in 1 s, least latency in 5 s, the exact Pareto set in 5 min.
Also told, without an expectation: the best chips of three and four cores (2.6 billion chips), without the Pareto set.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

from archip.hardware.chip.explore import ChipResult
from archip.search.chip import chip
from benchmarks._machine import write_result

_LARGE, _SMALL = "resnet9:32,128,2,256,2,256,2@3x32x32", "resnet9:16,64,1,128,1,256,2@3x32x32"
_WORKLOADS = {"W3": [_LARGE, _SMALL], "W1": [_LARGE, "unet:5,16,32,64,128,256@3x96x96"]}
_AREAS = ("4000 mm2", "1000 mm2", "300 mm2")
_TOY = {"total": 1024, "step": 128}
_EXPECTED_S = {"best": 1.0, "latency": 5.0, "front": 300.0}


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    load = os.getloadavg()[0]
    _timed(lambda: _asked(_WORKLOADS["W3"], {"pes": {"total": 256, "step": 64}}, None, "latency"))
    _timed(lambda: _asked(_WORKLOADS["W3"], {"pes": {"total": 256, "step": 64}}, None, None))
    rows: dict[str, Any] = {}
    for name in ("W3",) if toy else _WORKLOADS:
        for mapping in ("fixed", "fastest"):
            spec = {"mapping": mapping, **({"pes": _TOY} if toy else {})}
            rows[f"{name} {mapping}"] = _row(_WORKLOADS[name], spec)
            print(f"{name} {mapping}: {rows[f'{name} {mapping}']}", flush=True)
    many = {
        f"{name} {cores} cores": _best_rows(_WORKLOADS[name], {"cores": cores, **({"pes": _TOY} if toy else {})})
        for name in (("W3",) if toy else _WORKLOADS)
        for cores in (3, 4)
    }
    print(many, flush=True)
    worst = {kind: max(row[f"{kind}_s"] for row in rows.values()) for kind in _EXPECTED_S}
    holds = all(worst[kind] <= limit for kind, limit in _EXPECTED_S.items())
    return {
        "expected_s": _EXPECTED_S,
        "worst_s": worst,
        "load_before": round(load, 2),
        "rows": rows,
        "many": many,
        "holds": holds,
    }


def _row(models: list[str], spec: dict[str, Any]) -> dict[str, Any]:
    """The slowest of the best chips and of the least latencies over three areas, and the front."""
    front, front_s, cpu_s = _timed(lambda: _asked(models, spec, None, None))
    return {
        **_best_rows(models, spec),
        "front_s": round(front_s, 1),
        "front_cpu_s": round(cpu_s, 1),
        "points": len(front.front),
        "chips": len({str(found.cores) for found in front.front}),
        "certificate": front.certificate.as_json(),
    }


def _best_rows(models: list[str], spec: dict[str, Any]) -> dict[str, Any]:
    """The slowest of the best chips and of the least latencies over three areas."""
    latency, best = [], []  # (seconds on the wall clock, seconds of the processor)
    for area in _AREAS:
        found, *seconds = _timed(lambda area=area: _asked(models, spec, f"area={area}", "latency"))
        latency.append(seconds)
        if found.front:
            limits = f"area={area},latency={1.2 * found.front[0].latency_cycles} cycles"
            best.append(_timed(lambda limits=limits: _asked(models, spec, limits, "energy"))[1:])
    return {
        "best_s": round(max(wall for wall, _ in best), 3),
        "best_cpu_s": round(max(cpu for _, cpu in best), 3),
        "latency_s": round(max(wall for wall, _ in latency), 3),
        "latency_cpu_s": round(max(cpu for _, cpu in latency), 3),
    }


def _asked(models: list[str], spec: dict[str, Any], limits: str | None, minimise: Any) -> ChipResult:
    return chip(models, spec, limits, minimise=minimise)


def _timed(question: Callable[[], ChipResult]) -> tuple[ChipResult, float, float]:
    """Answer, seconds on the wall clock, seconds of the processor."""
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = question()
    return answer, time.perf_counter() - began, time.process_time() - began_cpu


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("chip", "python -m benchmarks.chip", figures))

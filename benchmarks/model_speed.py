"""How many layers a second do the models of MAESTRO and SCALE-Sim cost?

    python -m benchmarks.model_speed           a million rows a dataflow, in batches of 65,536
    python -m benchmarks.model_speed --toy     one batch

One evaluation is one layer on one configuration with all columns that the models return. The layers are drawn from the
shapes of common networks; configurations differ row by row. Compilation is not counted. Other work on the machine
lowers the first figure; evaluations per second of processor time hardly depend on it.
Expected before the first run: at least a million evaluations a second on two cores, every dataflow.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from archip.hardware.models import maestro, systolic
from archip.ir.layer_table import LayerTable
from benchmarks._machine import write_result

_BATCH = 1 << 16
_TARGET = 1e6


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    n_batches = 1 if toy else 16
    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    table = _layers(rng)
    pes, cluster = rng.choice([64, 168, 256, 1024], _BATCH), rng.choice([8, 16, 64], _BATCH)
    noc, offchip = rng.choice([16, 64, 1000], _BATCH), rng.choice([50, 1_000_000], _BATCH)
    side = rng.choice([8, 16, 32, 128], (2, _BATCH))

    def run_maestro(dataflow: str, corrected: bool = False) -> object:
        return maestro.costs(
            table,
            dataflow,
            pes=pes,
            cluster=cluster,
            noc_bandwidth=noc,
            offchip_bandwidth=offchip,
            corrected=corrected,
        )

    cases: dict[str, Callable[[], object]] = {
        f"maestro {name}": partial(run_maestro, name) for name in maestro.DATAFLOWS
    }
    cases["maestro kcp_ws, corrected"] = partial(run_maestro, "kcp_ws", True)
    for name in ("ws", "os", "is"):
        cases[f"systolic {name}"] = partial(systolic.costs, table, name, rows=side[0], cols=side[1])
    began = time.perf_counter()
    run_maestro("kcp_ws")
    first_s = time.perf_counter() - began
    print(f"first call {first_s:.1f} s (with compilation where no compiled kernels were on disk)")
    rates = {name: _rates(evaluate, n_batches) for name, evaluate in cases.items()}
    for name, (rate, per_cpu) in rates.items():
        print(f"{name:<26} {rate / 1e6:6.2f} million layers/s, {per_cpu / 1e6:6.2f} million per CPU second")
    return {
        "expected": {"evaluations_per_s": _TARGET},
        "first_call_s": round(first_s, 2),
        "load_before": round(load, 2),
        "evaluations_per_s": {name: round(rate) for name, (rate, _) in rates.items()},
        "evaluations_per_cpu_s": {name: round(per_cpu) for name, (_, per_cpu) in rates.items()},
        "holds": {name: rate >= _TARGET for name, (rate, _) in rates.items()},
    }


def _layers(rng: np.random.Generator) -> LayerTable:
    """Convolutions, pointwise ones, depthwise ones and products with the sizes of image networks."""
    kind = rng.choice(4, _BATCH, p=[0.4, 0.3, 0.2, 0.1])
    channels, filters = rng.choice([16, 24, 32, 64, 96, 128, 192, 256, 384, 512], (2, _BATCH))
    size = np.select([kind == 0, kind == 2], [rng.choice([3, 5, 7], _BATCH), 3], 1)
    outputs = np.where(kind == 3, 1, rng.choice([7, 13, 14, 28, 32, 56, 112], _BATCH))
    depthwise = kind == 2
    return LayerTable.of(
        {
            "K": filters,
            "C": np.where(depthwise, filters, channels),
            "OY": outputs,
            "OX": outputs,
            "FY": size,
            "FX": size,
            "stride": rng.choice([1, 1, 2], _BATCH),
            "groups": np.where(depthwise, filters, 1),
        }
    )


def _rates(evaluate: Callable[[], object], n_batches: int) -> tuple[float, float]:
    """Evaluations a second, and a second of processor time."""
    evaluate()
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(n_batches):
        evaluate()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    return n_batches * _BATCH / seconds, n_batches * _BATCH / cpu_seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("model_speed", "python -m benchmarks.model_speed", figures))

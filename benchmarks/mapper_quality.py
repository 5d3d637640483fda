"""Are our mappings of ResNet-50 as good as ZigZag's, and how much faster are they found?

    python -m benchmarks.mapper_quality                        ours alone
    python -m benchmarks.mapper_quality --peer /tmp/zigzag     installs zigzag-dse 3.9.1 there once, and runs it as well
    python -m benchmarks.mapper_quality --peer DIR --layers 4  the first 4 distinct layers only

Every distinct layer of ResNet-50 (224 x 224) on ZigZag's `eyeriss_like` and `tpu_like`, one unrolling for both tools:
K and C 32 x 32 on the TPU; on Eyeriss OY 14 and, beside FY, as much of C as 12 units hold. ZigZag searches by latency
(`loma`, uneven mapping, `lpf_limit` 6). Both answers are judged by ZigZag's conventions, which our model follows to the
last digit (``tests/hardware/test_zigzag.py``): first latency, then energy. Ours: every order of the same factors, each
cut in three ways.
Expected before the first run: never slower, nor of more energy at the same latency; at least 100 times faster.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archip.hardware.accelerator import Accelerator, Dataflow
from archip.hardware.instances import load_accelerator
from archip.hardware.mappers.divisor_lattice import DivisorLattice
from archip.hardware.mappers.exhaustive import Exhaustive
from archip.hardware.models.loopnest import pack_layers
from benchmarks._machine import write_result

_PEER = ("zigzag-dse==3.9.1", "six")  # which it needs but does not name
_ACCELERATORS = ("eyeriss_like", "tpu_like")


def layers() -> list[dict[str, int]]:
    """Distinct layers of ResNet-50, the stride of a stage in its 3x3 convolution (torchvision's)."""
    rows = [{"K": 64, "C": 3, "OY": 112, "F": 7, "stride": 2, "padding": 3}]
    inputs, size = 64, 56
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):  # the others of a stage repeat the second
            stride = 2 if stage and not block else 1
            out = size // stride
            rows.append({"K": width, "C": inputs, "OY": size, "F": 1, "stride": 1, "padding": 0})
            rows.append({"K": width, "C": width, "OY": out, "F": 3, "stride": stride, "padding": 1})
            rows.append({"K": 4 * width, "C": width, "OY": out, "F": 1, "stride": 1, "padding": 0})
            if not block:
                rows.append({"K": 4 * width, "C": inputs, "OY": out, "F": 1, "stride": stride, "padding": 0})
            inputs, size = 4 * width, out
    rows.append({"K": 1000, "C": 2048, "OY": 1, "F": 1, "stride": 1, "padding": 0})
    return list({tuple(row.items()): row for row in rows}.values())


def unrolling(accelerator: str, row: dict[str, int]) -> dict[str, dict[str, int]]:
    """What both tools unroll, by array dimension, cut to the layer."""
    if accelerator == "tpu_like":
        return {"D1": {"K": min(32, row["K"])}, "D2": {"C": min(32, row["C"])}}
    return {"D1": {"OY": min(14, row["OY"])}, "D2": {"FY": row["F"], "C": min(12 // row["F"], row["C"])}}


def main(n_layers: int | None, peer: Path | None) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    rows = layers()[:n_layers]
    ours = {name: [_ours(name, row) for row in rows] for name in _ACCELERATORS}
    theirs = _theirs(rows, peer) if peer else {}
    figures: dict[str, Any] = {"expected": {"never_worse": True, "times_faster": 100}, "layers": len(rows)}
    for name in _ACCELERATORS:
        figures[name] = _compare(name, rows, ours[name], theirs.get(name))
    return figures


def _ours(name: str, row: dict[str, int]) -> dict[str, float]:
    """Best of all orders of six factors by ZigZag's conventions; and the walk, by our own."""
    chip = _fixed(load_accelerator(name), unrolling(name, row))
    dims = [1, 1, row["K"], row["C"], row["OY"], row["OY"] if row["OY"] > 1 else 1, row["F"], row["F"]]
    packed = pack_layers(
        np.array([dims]),
        np.array([[row["stride"]] * 2]),
        np.array([[row["padding"]] * 2]),
        np.ones((1, 2)),
        np.full((1, 3), 8),
    )
    mapper, which = Exhaustive(0.0, space="orders", zigzag=True), np.zeros((1, 2), np.int64)
    mapper.search([chip], packed, which)  # compiled, and caches warm
    began = time.perf_counter()
    found = mapper.search([chip], packed, which)
    seconds = time.perf_counter() - began
    walk = DivisorLattice(0.0, zigzag=True).search([chip], packed, which)
    return {
        "latency": int(found.cycles_P[0]),
        "energy": float(found.energy_j_P[0]),
        "seconds": seconds,
        "covered": float(found.n_covered_P[0]),
        "walk_latency": int(walk.cycles_P[0]),
    }


def _fixed(chip: Accelerator, asked: dict[str, dict[str, int]]) -> Accelerator:
    """The chip with one unrolling and no more units than this asks for; energies in the file's units."""
    used = {d: int(np.prod(list(loops.values()))) for d, loops in zip(chip.array, asked.values(), strict=True)}
    flow = Dataflow((tuple(tuple(loops) for loops in asked.values()),), ("K C OX OY FX FY G B",))
    return replace(chip, array=used, dataflow=flow)


def _compare(
    name: str, rows: list[dict[str, int]], ours: list[dict[str, float]], theirs: list[dict[str, float]] | None
) -> dict[str, Any]:
    seconds = sum(one["seconds"] for one in ours)
    gain = float(np.exp(np.mean([np.log(one["walk_latency"] / one["latency"]) for one in ours])))
    print(f"{name}: {len(rows)} layers in {seconds:.3f} s; the walk's latency is {gain:.4f} of it (geometric mean)")
    figures: dict[str, Any] = {"seconds": round(seconds, 4), "walk_latency_ratio": round(gain, 4), "layers": ours}
    if theirs is None:
        return figures
    unit = 1e-12  # their files count in nominal pJ
    worse = 0
    for row, one, other in zip(rows, ours, theirs, strict=True):
        is_tie = one["latency"] == other["latency"]
        worse += one["latency"] > other["latency"] or (is_tie and one["energy"] > other["energy"] * unit * (1 + 1e-6))
        ratios = one["latency"] / other["latency"], one["energy"] / unit / other["energy"]
        print(f"  {row!s:<74} latency {ratios[0]:.4f} energy {ratios[1]:.4f} of theirs; {other['seconds']:.1f} s")
    faster = sum(other["seconds"] for other in theirs) / seconds
    print(f"  worse on {worse} layers; {faster:,.0f} times faster")
    return figures | {"zigzag": theirs, "worse": int(worse), "times_faster": round(faster)}


def _theirs(rows: list[dict[str, int]], folder: Path) -> dict[str, list[dict[str, float]]]:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *_PEER], check=True)
    asked = {name: [unrolling(name, row) for row in rows] for name in _ACCELERATORS}
    told = json.dumps({"rows": rows, "asked": asked})
    script = Path(__file__).with_name("_zigzag_peer.py")
    done = subprocess.run([python, script], input=told, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        sys.exit(f"ZigZag failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--peer", type=Path, metavar="DIR")
    options = parser.parse_args()
    figures = main(options.layers, options.peer)
    if options.peer:
        print(write_result("mapper_quality", "python -m benchmarks.mapper_quality --peer DIR", figures))

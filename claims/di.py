"""Jha and Mittal, DI (2020): weighing activations more than weights makes intensity follow energy efficiency.

The paper measured 25 networks on two GPUs. Here alpha is fitted on half of the networks and judged on the other half,
where nothing makes it better than plain intensity: 27 networks costed with the best mapping of every layer on an
NVDLA-like core, and 795 cells of NAS-Bench-201 whose energy was measured on a Raspberry Pi 5. On neither is it: on the
core weights are the dearer ones, for they come from DRAM for every layer, while activations find a buffer of 64 KiB.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from archip.hardware.cost import layer_costs
from archip.hardware.models.di import Di
from archip.hardware.templates.nvdla import NVDLA
from archip.ir.workload import Workload
from claims._claim import Observed, data_file
from claims._convnets import Conv, alexnet, convolutions, mobilenet_v1, scaled, vgg16

EXPECTED = """On networks that alpha was not fitted on, DI with the fitted alpha correlates better (Pearson) with MAC/J
than arithmetic intensity does, and so does DI with the paper's 0.8."""
SOURCE = """arXiv:2008.02565; card DI, check 3, made stricter by held-out networks; energies of the Raspberry Pi 5 from
HW-NAS-Bench-360 (ONNX Runtime, 32 x 32 images)"""


def check() -> Observed:
    both = {"NVDLA-like core": _correlations(*_simulated()), "Raspberry Pi 5": _correlations(*_measured())}
    holds = all(min(found["fitted"], found["paper"]) > found["ai"] for found in both.values())
    text = "; ".join(
        f"{name}: AI {found['ai']:.3f}, DI({found['alpha']:.2f}) as fitted {found['fitted']:.3f}, DI(0.80)"
        f" {found['paper']:.3f}"
        for name, found in both.items()
    )
    return Observed(holds, f"held-out correlation with MAC/J: {text}")


def _correlations(works: Sequence[Workload], efficiency: np.ndarray) -> dict[str, float]:
    fitted, paper = Di.fit(works[::2], efficiency[::2]), Di(alpha=0.8).networks(works)
    columns = {"ai": paper["ai"], "fitted": fitted.networks(works)["di"], "paper": paper["di"]}
    found = {name: float(np.corrcoef(column[1::2], efficiency[1::2])[0, 1]) for name, column in columns.items()}
    return found | {"alpha": fitted.alpha}


def _simulated() -> tuple[list[Workload], np.ndarray]:
    works = [
        convolutions(scaled(rows, width, size))
        for rows in (alexnet(), vgg16(), mobilenet_v1())
        for width in (0.25, 0.5, 1.0)
        for size in (0.5, 0.75, 1.0)
    ]
    chip = NVDLA(pes=256, bandwidth=16e9).accelerator()
    return works, np.array([work.macs / layer_costs(work, [chip]).energy_AL.sum() for work in works])


def _measured() -> tuple[list[Workload], np.ndarray]:
    """Every eighth of the distinct cells with a convolution; below 0.5 ms their input does not reach the output."""
    with gzip.open(data_file("nb201.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        cells = {row["arch_index"]: [int(row[f"op{i}"]) for i in range(6)] for row in csv.DictReader(file)}
    with gzip.open(data_file("nb201_hw360.csv.gz"), "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["arch_index"] == row["rep_index"]]
    rows = [row for row in rows if {2, 3} & set(cells[row["arch_index"]])]
    rows = [row for row in rows if float(row["lat_ms_pi5_onnx_cifar100"] or 0) > 0.5][::8]
    frame = convolutions(_frame())
    works = [_with_cells(frame, cells[row["arch_index"]]) for row in rows]
    energy_j = np.array([float(row["energy_mj_pi5_onnx_cifar100"]) * 1e-3 for row in rows])
    return works, np.array([work.macs for work in works]) / energy_j


def _frame() -> list[Conv]:
    """What all networks of NAS-Bench-201 have, and last a convolution of each stage and kind, for cells to count."""
    rows = [Conv("stem", 3, 16, 32, 3)]
    for width, size in ((32, 32), (64, 16)):
        rows += [Conv(f"a{width}", width // 2, width, size, 3, stride=2), Conv(f"b{width}", width, width, size // 2, 3)]
        rows += [Conv(f"short{width}", width // 2, width, size // 2, 1)]
    return rows + [Conv(f"{k}x{k}.{c}", c, c, s, k) for c, s in ((16, 32), (32, 16), (64, 8)) for k in (1, 3)]


def _with_cells(frame: Workload, ops: list[int]) -> Workload:
    """Five cells a stage; a pool moves what a convolution moves."""
    fixed = len(frame) - 6
    copies = np.array([5 * ops.count(2), 5 * ops.count(3)] * 3)
    dims, moved = frame.dims_LD.copy(), frame.moved_LO.copy()
    dims[fixed:, 0] *= copies
    moved[fixed:] *= copies[:, None]
    moved[fixed::2, 1:] += 5 * ops.count(4) * frame.moved_LO[fixed::2, 1:]
    return replace(frame, dims_LD=dims, moved_LO=moved)

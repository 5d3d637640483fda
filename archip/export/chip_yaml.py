"""Chip files: the designed chip as ``chip.yaml`` and ``floor.svg``, and what it does when as ``schedule.json``.

The numbers are those of the candidate's metrics: layer costs at their best mapping, and the schedule built on them.
``energy_parts_j`` of a row is its energy at each memory, and of the multiplications with their additions.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from archip.core.files import write_text
from archip.evaluators.cost import ChipPlan
from archip.export._floor import floor_sketch
from archip.hardware.accelerator import Accelerator, Memory
from archip.hardware.mapping import Mapping
from archip.hardware.models.loopnest import Loopnest, pack_layers

__all__ = ["ChipYaml"]


@dataclass(frozen=True)
class Written:
    """What was written and where; `schedule` has one row for each layer that takes time or energy."""

    chip: dict[str, Any]
    schedule: list[dict[str, Any]]
    chip_path: Path
    schedule_path: Path
    floor_path: Path | None


@dataclass(frozen=True)
class ChipYaml:
    """Writes ``chip.yaml``, ``schedule.json`` and, where the areas are stated, ``floor.svg``."""

    def write(self, plan: ChipPlan, folder: Path) -> Written:
        return write_chip(*describe(plan), plan.networks, folder)


def describe(plan: ChipPlan) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The chip, and the rows of its schedule."""
    return _chip(plan), _schedule(plan)


def write_chip(chip: dict[str, Any], schedule: list[dict[str, Any]], networks: Sequence[str], folder: Path) -> Written:
    """Write the files of a chip that is described already."""
    chip_path, schedule_path = folder / "chip.yaml", folder / "schedule.json"
    heading = f"# Chip designed by archip for: {', '.join(networks)}. SI units, areas in mm2.\n"
    write_text(chip_path, heading + yaml.safe_dump(chip, sort_keys=False, width=120))
    write_text(schedule_path, json.dumps(schedule, indent=1) + "\n")
    floor_path = folder / "floor.svg" if "area_mm2" in chip else None
    if floor_path is not None:
        write_text(floor_path, floor_sketch(chip))
    return Written(chip, schedule, chip_path, schedule_path, floor_path)


def _chip(plan: ChipPlan) -> dict[str, Any]:
    return {
        **plan.metrics,
        "clock_hz": plan.clock_hz,
        "technology": plan.technology,
        "source_of_constants": _source(plan.technology),
        "cores": [_core(plan, a) for a in range(len(plan.accelerators))],
    }


def _source(technology: str) -> str:
    """What the technology table says of its own sources; an accelerator that is given brings its own numbers."""
    if not technology:
        return "the accelerator's own file"
    module = importlib.import_module(f"archip.hardware.technology.nm{technology.removesuffix('nm')}")
    return " ".join((module.__doc__ or "").split())


def _core(plan: ChipPlan, a: int) -> dict[str, Any]:
    accelerator, genes = plan.accelerators[a], plan.design[a]
    busy = int(plan.cycles_L[plan.core_L == a].sum())
    return {
        "name": accelerator.name,
        "dataflow": genes.dataflow,
        "pes": genes.pes,
        "bandwidth_bytes_per_s": genes.bandwidth,
        "array": dict(accelerator.array),
        "area_mm2": accelerator.area_mm2,
        "area_parts_mm2": dict(accelerator.area_parts),
        "buffers": [_memory(accelerator, memory) for memory in accelerator.memories[:-1]],
        "off_chip": _memory(accelerator, accelerator.off_chip) | {"bytes": None},  # as large as need be
        "multiply_j": accelerator.multiply_j,
        "add_j": accelerator.add_j,
        "multiplier_bits": accelerator.multiplier_bits,
        "partial_bits": accelerator.partial_bits,
        "busy_cycles": busy,
        "busy_share": busy / max(1, plan.schedule.makespan),
    }


def _memory(accelerator: Accelerator, memory: Memory) -> dict[str, Any]:
    """One memory; the numbers of bytes and the energies are of one instance."""
    instances = 1
    for dimension, size in accelerator.array.items():
        instances *= 1 if dimension in memory.serves else size
    told = asdict(memory)
    told["bytes"] = told.pop("bits") / 8
    return {**told, "width_bits": list(memory.width_bits), "serves": list(memory.serves), "instances": instances}


def _schedule(plan: ChipPlan) -> list[dict[str, Any]]:
    """Rows in the order of networks and layers; operators that are free stand with the layer that applies them."""
    rows: list[dict[str, Any]] = []
    applied_by: dict[int, dict[str, Any]] = {}  # row of the workload → row of the schedule
    mappings = {i: m for i, core in enumerate(plan.core_L) if (m := plan.costs.mapping(int(core), i)) is not None}
    parts = _energies_at_loops(plan, mappings)
    for i, name in enumerate(plan.workload.names):
        core = int(plan.core_L[i])
        bottleneck = str(plan.costs.bottleneck_AL[core, i])
        if bottleneck == "free":
            applied_by[i] = applied_by[plan.workload.predecessors[i][0]]
            applied_by[i]["fused"].append(name)
            continue
        start, cycles = int(plan.start_L[i]), int(plan.cycles_L[i])
        rows.append(
            {
                "network": plan.networks[plan.network_L[i]],
                "layer": name,
                "core": core,
                "start_cycle": start,
                "end_cycle": start + cycles,
                "cycles": cycles,
                "energy_j": float(plan.costs.energy_AL[core, i]),
                "energy_parts_j": parts[i] if i in parts else _energies_of_moving(plan, core, i),
                "utilisation": float(plan.costs.utilisation_AL[core, i]),
                "bottleneck": bottleneck,
                "mapping": str(mappings.get(i, "moves data only")),
                "fused": [],
            }
        )
        applied_by[i] = rows[-1]
    return rows


def _energies_at_loops(plan: ChipPlan, mappings: dict[int, Mapping]) -> dict[int, dict[str, float]]:
    """J of each layer with loops at each memory and in its arithmetic."""
    rows, work = list(mappings), plan.workload
    nests = pack_layers(
        work.dims_LD[rows],
        work.stride_L2[rows],
        work.padding_L2[rows],
        work.dilation_L2[rows],
        work.bits_LO[rows],
        work.density_LO[rows],
    )
    which_M2 = np.stack([plan.core_L[rows], np.arange(len(rows))], 1)
    costs = Loopnest(zigzag=plan.costs.mapper.zigzag).costs(plan.accelerators, nests, which_M2, list(mappings.values()))
    parts: dict[int, dict[str, float]] = {}
    for m, row in enumerate(rows):
        parts[row] = {"arithmetic": float(costs.mac_energy_j_M[m])}
        for access in costs.breakdown(m):
            name = str(access["memory"])
            parts[row][name] = parts[row].get(name, 0.0) + float(access["energy_j"])
    return parts


def _energies_of_moving(plan: ChipPlan, core: int, i: int) -> dict[str, float]:
    """J of an operator that only moves data, off-chip and in the buffer behind it."""
    off_chip = plan.accelerators[core].off_chip
    bits_O = plan.workload.moved_LO[i] * plan.workload.bits_LO[i]
    outside = bits_O[:2].sum() * off_chip.read_j + bits_O[2] * off_chip.write_j
    outside_j = float(outside / off_chip.width_bits[1])
    return {off_chip.name: outside_j, "buffers": float(plan.costs.energy_AL[core, i]) - outside_j}

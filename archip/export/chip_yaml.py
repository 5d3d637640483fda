"""Chip files: the designed chip as ``chip.yaml``, and which core computes which layer when as ``schedule.json``.

The numbers are those of the candidate's metrics: layer costs at their best mapping, and the schedule built on them.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from archip.core.files import write_text
from archip.evaluators.cost import ChipPlan
from archip.hardware.accelerator import Accelerator, Memory

__all__ = ["ChipYaml"]


@dataclass(frozen=True)
class Written:
    """What was written and where; `schedule` has one row for each layer that takes time or energy."""

    chip: dict[str, Any]
    schedule: list[dict[str, Any]]
    chip_path: Path
    schedule_path: Path


@dataclass(frozen=True)
class ChipYaml:
    """Writes ``chip.yaml`` and ``schedule.json``."""

    def write(self, plan: ChipPlan, folder: Path) -> Written:
        written = Written(_chip(plan), _schedule(plan), folder / "chip.yaml", folder / "schedule.json")
        heading = f"# Chip designed by archip for: {', '.join(plan.networks)}. SI units, areas in mm2.\n"
        write_text(written.chip_path, heading + yaml.safe_dump(written.chip, sort_keys=False, width=120))
        write_text(written.schedule_path, json.dumps(written.schedule, indent=1) + "\n")
        return written


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
    for i, name in enumerate(plan.workload.names):
        core = int(plan.core_L[i])
        bottleneck = str(plan.costs.bottleneck_AL[core, i])
        if bottleneck == "free":
            applied_by[i] = applied_by[plan.workload.predecessors[i][0]]
            applied_by[i]["fused"].append(name)
            continue
        start, cycles = int(plan.start_L[i]), int(plan.cycles_L[i])
        mapping = plan.costs.mapping(core, i)
        rows.append(
            {
                "network": plan.networks[plan.network_L[i]],
                "layer": name,
                "core": core,
                "start_cycle": start,
                "end_cycle": start + cycles,
                "cycles": cycles,
                "energy_j": float(plan.costs.energy_AL[core, i]),
                "utilisation": float(plan.costs.utilisation_AL[core, i]),
                "bottleneck": bottleneck,
                "mapping": "moves data only" if mapping is None else str(mapping),
                "fused": [],
            }
        )
        applied_by[i] = rows[-1]
    return rows

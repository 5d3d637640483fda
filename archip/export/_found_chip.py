"""Chips that `archip chip` found, in the words of ``chip.yaml`` and ``schedule.json``.

An exploration keeps of a chip its cores, who runs what, and three numbers; here its layers are priced once more, part
by part. The schedule is that of the exploration; a point of a front of chains has none, and gets one of its latency.
Where cores share DRAM, a layer lasts as long as its bytes take, and a row has the share of the bandwidth that it holds
meanwhile (``dram_share``); where the mapping is free, every layer runs at the cluster that the exploration chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from archip.evaluators.cost import ChipPlan
from archip.export.chip_yaml import describe
from archip.hardware.chip._layer_prices import CLUSTERS
from archip.hardware.chip.explore import FoundChip
from archip.hardware.chip.extras import extras_of
from archip.hardware.chip.space import MAESTRO_DATAFLOWS, ChipSpec, CoreDesign
from archip.hardware.chip.table import accelerator_of, unit_rows
from archip.hardware.chip.totals import quantity
from archip.hardware.cost import LayerCosts, layer_costs
from archip.hardware.models import maestro
from archip.hardware.schedule._jobs import FULL
from archip.hardware.schedule._label_dp import NEVER
from archip.hardware.schedule._schedule import Schedule
from archip.hardware.schedule.cp_sat import CpSat
from archip.ir.layer_table import LayerTable
from archip.ir.workload import Workload
from archip.spaces.chip import Core

__all__ = ["described"]

Description = tuple[dict[str, Any], list[dict[str, Any]]]
_TENSORS, _WAYS = ("input", "weight", "output"), ("read", "write")


def described(networks: Mapping[str, Workload], spec: ChipSpec, found: FoundChip) -> Description:
    """The chip and the rows of its schedule, in the order of the assignment (`loopnest`: with the vector rows)."""
    of_model = {"loopnest": _of_loopnest, "maestro": _of_maestro}[spec.cost_model]
    chip, schedule = of_model(networks, spec, found, [CoreDesign(**core) for core in found.cores])
    if spec.dram is not None:
        chip["dram_bytes_per_s"] = quantity(spec.dram, "dram", "bandwidth")
    return {"cost_model": spec.cost_model} | chip, schedule


def _of_loopnest(
    networks: Mapping[str, Workload], spec: ChipSpec, found: FoundChip, designs: list[CoreDesign]
) -> Description:
    works = list(networks.values())
    first_U = np.concatenate([unit_rows(w) + sum(map(len, works[:n])) for n, w in enumerate(works)])
    network_L = np.repeat(np.arange(len(works)), [len(w) for w in works])
    accelerators = [accelerator_of(spec, design) for design in designs]
    costs = layer_costs(Workload.concat(works), accelerators)
    cycles_KU, share_U = _on_dram(networks, spec, found, np.add.reduceat(costs.cycles_AL, first_U, axis=1))
    costs = _waiting(costs, first_U, cycles_KU)
    plan = ChipPlan(
        networks=tuple(networks),
        network_L=network_L,
        workload=costs.workload,
        design=[Core(design.dataflow, design.pes, design.bandwidth) for design in designs],
        accelerators=accelerators,
        costs=costs,
        first_U=first_U,
        schedule=_scheduled(found, cycles_KU, network_L[first_U]),
        clock_hz=spec.clock_hz,
        technology=spec.technology or "65nm",
    )
    chip, rows = describe(plan)
    if share_U is not None:
        unit_of = {
            (plan.networks[network_L[i]], name): int(np.searchsorted(first_U, i, side="right")) - 1
            for i, name in enumerate(plan.workload.names)
        }
        for row in rows:
            row["dram_share"] = float(share_U[unit_of[row["network"], row["layer"]]])
    return chip, rows


def _on_dram(
    networks: Mapping[str, Workload], spec: ChipSpec, found: FoundChip, cycles_KU: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Cycles with the wait for shared DRAM, and the share of its bandwidth that each unit holds; -1: cannot run."""
    if spec.dram is None:
        return cycles_KU, None
    can_KU = cycles_KU >= 0
    extras = extras_of(networks, spec, np.where(can_KU, cycles_KU, NEVER)[None], np.zeros_like(cycles_KU)[None])
    share_U = extras.shares_MDL[0, found.assignment, np.arange(cycles_KU.shape[1])] / FULL
    return np.where(can_KU, extras.cycles_MDL[0], -1), share_U


def _waiting(costs: LayerCosts, first_U: np.ndarray, cycles_KU: np.ndarray) -> LayerCosts:
    """The costs with the cycles of each unit as given: its layer with loops waits for DRAM in those it had not."""
    more_KU = np.maximum(0, cycles_KU - np.add.reduceat(costs.cycles_AL, first_U, axis=1))
    if not more_KU.any():
        return costs
    loops_U = np.flatnonzero([kind != "vector" for kind in costs.workload.kinds])
    cycles_AL, bottleneck_AL = costs.cycles_AL.copy(), costs.bottleneck_AL.astype(object)
    cycles_AL[:, loops_U] += more_KU
    bottleneck_AL[:, loops_U] = np.where(more_KU > 0, "shared DRAM", bottleneck_AL[:, loops_U])
    utilisation_AL = costs.utilisation_AL * costs.cycles_AL / np.maximum(1, cycles_AL)
    return replace(costs, cycles_AL=cycles_AL, bottleneck_AL=bottleneck_AL, utilisation_AL=utilisation_AL)


def _scheduled(found: FoundChip, cycles_KL: np.ndarray, chain_L: np.ndarray) -> Schedule:
    """The chip's own schedule, or, where the exploration kept none, one within its latency on the same cores."""
    core_L = np.array(found.assignment)
    if found.start_cycles is None:
        only_KL = np.where(np.arange(len(cycles_KL))[:, None] == core_L, cycles_KL, -1)
        start_L = CpSat().schedule(only_KL, np.zeros(only_KL.shape), chain_L, found.latency_cycles).start_L
    else:
        start_L = np.array(found.start_cycles)
    end_L = start_L + cycles_KL[core_L, np.arange(len(core_L))]
    return Schedule(core_L, start_L, end_L, int(end_L.max()), found.energy_j)


def _of_maestro(
    networks: Mapping[str, Workload], spec: ChipSpec, found: FoundChip, designs: list[CoreDesign]
) -> Description:
    tables = [LayerTable.of_workload(work) for work in networks.values()]
    layers = LayerTable(*(np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(LayerTable)))
    cluster_L = None if found.clusters is None else np.array(found.clusters)
    costs = [_priced(layers, spec, design, cluster_L) for design in designs]
    chain_L = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    cycles_KL = np.stack([np.where(cost["mapped"], cost["runtime_cycles"], -1) for cost in costs])
    cycles_KL, share_L = _on_dram(networks, spec, found, cycles_KL)
    schedule = _scheduled(found, cycles_KL, chain_L)
    names = [name for work in networks.values() for name, kind in zip(work.names, work.kinds, strict=True)
             if kind != "vector"]  # fmt: skip
    rows = [
        {
            "network": list(networks)[chain_L[i]],
            "layer": names[i],
            "core": core,
            "start_cycle": int(schedule.start_L[i]),
            "end_cycle": int(schedule.end_L[i]),
            "cycles": int(cycles_KL[core, i]),
            "energy_j": sum(parts.values()),
            "energy_parts_j": parts,
            "cluster": int(costs[core]["cluster"][i]),
        }
        | ({} if share_L is None else {"dram_share": float(share_L[i])})
        for i, core in enumerate(found.assignment)
        for parts in [_energies_j(costs[core], i, spec.mac_j)]
    ]
    chip = {
        "latency_cycles": float(found.latency_cycles),
        "latency_s": found.latency_cycles / spec.clock_hz,
        "energy_j": found.energy_j,
        "area_mm2": found.area_mm2,
        "clock_hz": spec.clock_hz,
        "source_of_constants": "MAESTRO's hardware modules (28 nm); energies in MACs",
        "cores": [_core(d, cost, a, schedule) for a, (d, cost) in enumerate(zip(designs, costs, strict=True))],
    }
    return chip, rows


def _priced(
    layers: LayerTable, spec: ChipSpec, design: CoreDesign, cluster_L: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The model's columns, every layer at the cluster that the cost table takes, or at the one that was chosen.

    With ``cluster``, ``bandwidth``, and ``l1`` and ``l2``: elements of the buffers. These suit every layer at its
    cluster; where clusters are chosen layer by layer, at all of them.
    """
    dataflow, shipped = MAESTRO_DATAFLOWS[design.dataflow]
    width = int(design.bandwidth // spec.clock_hz)
    is_free = spec.mapping in ("fastest", "free") and dataflow != "rs"
    clusters = np.array(CLUSTERS if is_free else (shipped,))
    sizes = {"pes": design.pes, "noc_bandwidth": width, "corrected": spec.corrected}
    tables = [maestro.costs(layers, dataflow, cluster=int(cluster), **sizes) for cluster in clusters]
    all_ML = {name: np.stack([t[name] for t in tables]) for name in tables[0]}
    if spec.mapping == "free" and cluster_L is not None:
        best_L = np.argmax(clusters[:, None] == cluster_L, axis=0)  # of layers on other cores any will do
    else:
        keys = [np.where(all_ML["mapped"], all_ML[c], np.inf) for c in ("energy_total_mac_units", "runtime_cycles")]
        best_L = np.lexsort(keys, axis=0)[0]
    at = (best_L, np.arange(len(layers)))
    columns = {name: table_ML[at] for name, table_ML in all_ML.items()}
    held = all_ML if spec.mapping == "free" else columns
    buffers = {level: np.where(held["mapped"], held[f"{level}_req_elems"], 0).max() for level in ("l1", "l2")}
    return columns | buffers | {"cluster": clusters[best_L], "bandwidth": np.array(width)}


def _energies_j(cost: Mapping[str, np.ndarray], i: int, mac_j: float) -> dict[str, float]:
    at_l2, at_l1 = (
        sum(int(cost[f"{tensor}_{level}_{way}"][i]) for tensor in _TENSORS for way in _WAYS) for level in ("l2", "l1")
    )
    macs = {
        "arithmetic": 1.0 * int(cost["num_macs"][i]),
        "L1": maestro.L1_ACCESS * at_l1,
        "L2": maestro.L2_ACCESS * at_l2,
    }
    return {name: n * mac_j for name, n in macs.items()}


def _core(design: CoreDesign, cost: Mapping[str, np.ndarray], a: int, schedule: Schedule) -> dict[str, Any]:
    """As large as the neediest layer of all networks requires, whoever runs it."""
    l1, l2 = int(cost["l1"]), int(cost["l2"])
    parts = maestro.area_parts_um2(design.pes, int(cost["bandwidth"]), l1, l2)
    on_core_L = schedule.core_L == a
    busy = int((schedule.end_L - schedule.start_L)[on_core_L].sum())
    return {
        "name": f"{design.dataflow}-{design.pes}",
        "dataflow": design.dataflow,
        "pes": design.pes,
        "bandwidth_bytes_per_s": design.bandwidth,
        "array": {},
        "area_mm2": float(sum(parts.values())) * 1e-6,
        "area_parts_mm2": {name: float(um2) * 1e-6 for name, um2 in parts.items()},
        "buffers": [
            {"name": "L1", "bytes": l1, "instances": design.pes},
            {"name": "L2", "bytes": l2, "instances": 1},
        ],
        "busy_cycles": busy,
        "busy_share": busy / max(1, schedule.makespan),
    }

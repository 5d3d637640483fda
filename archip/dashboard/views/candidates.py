"""Candidate: everything about one, for its page: metrics, genes, networks with their layers, chip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archip.core.objectives import Goals
from archip.core.record import Record
from archip.dashboard.book import Entry, NotHere
from archip.dashboard.views.designs import Design, design
from archip.dashboard.views.drawing import drawing
from archip.dashboard.views.quantities import Scale, quantity, text, title, typeset
from archip.ir.memory import activation_bytes

__all__ = ["candidate_page", "record_of"]


def record_of(entry: Entry, candidate_id: str) -> Record:
    """The record of a candidate of this run.

    Raises:
        NotHere: there is none.
    """
    record = entry.run.record(candidate_id)
    if record is None:
        raise NotHere("there is no such candidate in this run", candidate_id[:40])
    return record


def candidate_page(entry: Entry, candidate_id: str) -> dict[str, Any]:
    """What the page shows; the figures come by themselves."""
    record = record_of(entry, candidate_id)
    made = design(entry, record.candidate)
    return {
        "candidate": _about(entry, record),
        "untold": made.untold,
        "chip": None if made.chip is None else _chip(made.chip),
        "networks": [_network(made, name) for name in made.graphs],
        "figures": f"{entry.url}/candidates/{candidate_id}/figures/",
    }


def _about(entry: Entry, record: Record) -> dict[str, Any]:
    goals: Goals = entry.run.problem.goals
    on_front = {r.candidate.id for r in entry.front()}
    return {
        "id": record.candidate.id,
        "number": record.number,
        "search": _search_of(entry, record),
        "status": str(record.status),
        "reason": record.reason,
        "seconds_text": quantity(record.seconds, "time"),
        "on_front": record.candidate.id in on_front,
        "metrics": [_metric(goals, name, value) for name, value in record.metrics.items()],
        "parts": [{"name": name, "genes": _genes(genotype)} for name, genotype in record.candidate.parts.items()],
    }


def _search_of(entry: Entry, record: Record) -> str:
    """The search that told this record."""
    n = record.number
    for search in entry.run.searches():
        if any(r.candidate.id == record.candidate.id for r in entry.run.records(search, n, n + 1)):
            return search
    return ""


def _metric(goals: Goals, name: str, value: float) -> dict[str, Any]:
    bounds = [limit for limit in goals.limits if limit.metric == name]
    told = {"key": name, "title": title(name), "value": value, "text": text(name, value), "limit": "", "ok": True}
    if bounds:
        told["limit"] = "limit " + text(name, bounds[0].bound)
        told["ok"] = all(bound.violation(value) == 0.0 for bound in bounds)
    return told


def _genes(genotype: Any) -> list[dict[str, str]]:
    if not isinstance(genotype, Mapping):
        return [{"name": "genotype", "value": json.dumps(genotype)}]
    return [{"name": str(name), "value": _gene(str(name), value)} for name, value in genotype.items()]


def _gene(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return quantity(value, "bandwidth") if name.endswith("bandwidth") else f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value)


def _chip(chip: Mapping[str, Any]) -> dict[str, Any]:
    from archip.export._floor import floor_sketch

    columns = [
        {"key": "core", "title": "core", "row_head": True},
        {"key": "dataflow", "title": "dataflow"},
        {"key": "pes", "title": "PEs", "number": True},
        {"key": "bandwidth", "title": "bandwidth", "number": True},
        {"key": "area", "title": "area", "number": True},
        {"key": "busy", "title": "busy", "number": True},
    ]
    states_area = "area_mm2" in chip
    rows = [
        {
            "core": {"text": str(i)},
            "dataflow": {"text": core["dataflow"]},
            "pes": {"text": f"{core['pes']:,}", "value": core["pes"]},
            "bandwidth": {"text": quantity(core["bandwidth_bytes_per_s"], "bandwidth")},
            "area": {"text": quantity(core["area_mm2"], "area") if states_area else "not stated"},
            "busy": {"text": f"{100 * core['busy_share']:.0f} %", "value": core["busy_share"]},
        }
        for i, core in enumerate(chip["cores"])
    ]
    area = f", {quantity(chip['area_mm2'], 'area')}" if states_area else ""
    clock = quantity(chip["clock_hz"], "frequency")
    about = f"{len(rows)} cores at {clock}, {chip['technology'] or 'technology as its file says'}{area}."
    return {"cores": {"columns": columns, "rows": rows}, "about": about,
            "floor": typeset(floor_sketch(chip)) if states_area else None}  # fmt: skip


def _network(made: Design, name: str) -> dict[str, Any]:
    graph, work = made.graphs[name], made.workloads[name]
    live = activation_bytes(graph, made.bits[name].get("activation_bits", 8))
    where = graph.nodes[live.index(max(live))].name
    axes = " × ".join(made.axes[name][1:])
    return {
        "name": name,
        "about": f"{len(graph.nodes)} operators, {work.params:,} parameters, {work.macs:,} multiply-accumulates.",
        "axes": f"Axes {axes}. Norms and activations stand with the layer that they follow.",
        "memory": f"At most {quantity(max(live), 'size')}, while {where} runs; weights are not counted.",
        "drawing": drawing(graph),
        "layers": _layers(made, name),
    }


def _layers(made: Design, name: str) -> dict[str, Any]:
    """One row a layer; with a chip, those that cost something on it."""
    work, graph = made.workloads[name], made.graphs[name]
    scheduled = {row["layer"]: row for row in made.schedule if row["network"] == name}
    index = {layer: i for i, layer in enumerate(work.names)}
    shown = [layer for layer in work.names if layer in scheduled] if scheduled else list(work.names)
    most_macs = max(1, int(work.macs_L.max(initial=1)))
    rows = []
    for layer in shown:
        i = index[layer]
        macs = int(work.macs_L[i])
        rows.append(
            {
                "layer": {"text": layer},
                "operator": {"text": work.ops[i]},
                "shape": {"text": " × ".join(map(str, graph.shapes[layer][1:]))},
                "macs": {"text": f"{macs:,}", "value": macs, "bar": macs / most_macs},
                "params": {"text": f"{int(work.params_L[i]):,}", "value": int(work.params_L[i])},
                "bits": {"text": " / ".join(str(int(b)) for b in work.bits_LO[i])},
            }
        )
    columns = [
        {"key": "layer", "title": "layer", "row_head": True},
        {"key": "operator", "title": "operator"},
        {"key": "shape", "title": "output", "number": True},
        {"key": "macs", "title": "MACs", "number": True},
        {"key": "params", "title": "parameters", "number": True},
        {"key": "bits", "title": "bits W / I / O", "number": True},
    ]
    if scheduled:
        columns += _add_costs(rows, [scheduled[layer] for layer in shown])
    return {"columns": columns, "rows": rows}


def _add_costs(rows: list[dict[str, Any]], scheduled: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds what the chip takes for each row; gives the columns."""
    energy = Scale.of("energy_j", [row["energy_j"] for row in scheduled])
    most_cycles = max((row["cycles"] for row in scheduled), default=0) or 1
    most_energy = max((row["energy_j"] for row in scheduled), default=0.0) or 1.0
    for row, cost in zip(rows, scheduled, strict=True):
        joule, cycles = cost["energy_j"], cost["cycles"]
        row["core"] = {"text": str(cost["core"]), "value": cost["core"]}
        row["cycles"] = {"text": f"{cycles:,}", "value": cycles, "bar": cycles / most_cycles}
        row["energy"] = {"text": energy.text(joule), "value": joule, "bar": joule / most_energy}
        row["busy"] = {"text": f"{100 * cost['utilisation']:.0f} %", "value": cost["utilisation"]}
        row["waits"] = {"text": cost["bottleneck"]}
    return [
        {"key": "core", "title": "core", "number": True},
        {"key": "cycles", "title": "cycles", "number": True},
        {"key": "energy", "title": "energy", "unit": energy.unit, "number": True},
        {"key": "busy", "title": "array busy", "number": True},
        {"key": "waits", "title": "waits for"},
    ]

"""A run as one HTML page that needs nothing else: front, limits, networks, chip, schedule, baselines, bill.

Every number on it stands in ``summary.json`` or in the records; plotly's own JavaScript is put into the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archip.core.pareto import front
from archip.core.problem import Problem
from archip.core.record import Record
from archip.export._chip_figures import LAYOUT, chip_figures
from archip.export._floor import floor_sketch
from archip.export._page import page

__all__ = ["Report"]

_COLOURS = {"search": "#2f6fdf", "front": "#0b3d91", "baseline": "#e08a1e", "chosen": "#c2185b", "limit": "#b00020"}
# Metric → (factor to the unit of the axis, title of the axis)
_AXES = {
    "latency_cycles": (1.0, "latency [cycles]"),
    "latency_s": (1e3, "latency [ms]"),
    "energy_j": (1e6, "energy [µJ]"),
    "area_mm2": (1.0, "area [mm²]"),
    "flash_bytes": (1 / 1024, "flash [KiB]"),
    "sram_bytes": (1 / 1024, "SRAM [KiB]"),
    "memory_bytes": (1 / 1024, "memory [KiB]"),
    "params": (1.0, "parameters"),
    "macs": (1e-6, "million MACs"),
}


@dataclass
class Report:
    """Writes ``report.html``."""

    def write(
        self,
        path: Path,
        problem: Problem,
        summary: Mapping[str, Any],
        records: Sequence[Record],
        others: Mapping[str, Sequence[Record]],
    ) -> Path:
        """Write the page of one run.

        Args:
            records: those of the search itself, in order; of very many a sample, with the whole front.
            others: baseline name → its records at equal budget, or a sample of them.
        """
        chip = summary.get("chip")
        figures = dict(self._figures(problem, summary, records, others))
        counts = summary.get("counts") or _counts(problem, records)
        about = {"s": summary, "problem": problem.to_yaml(), "counts": counts}
        floor = floor_sketch(chip) if chip and "area_mm2" in chip else None
        path.write_text(page("report.html.j2", figures, **about, floor=floor), encoding="utf-8")
        return path

    def _figures(self, problem, summary, records, others):
        for objective in problem.goals.objectives[1:]:
            yield f"front-{objective.metric}", _front_figure(problem, objective.metric, summary, records, others)
        yield "progress", _progress_figure(problem, {problem.strategy.name: records, **others})
        for name, task in summary["tasks"].items():
            yield f"network-{name}", _network_figure(name, task)
        for name, found in (summary.get("ranking") or {}).items():
            yield f"ranking-{name}", _ranking_figure(name, found["rows"])
        if summary.get("chip"):
            yield from chip_figures(summary["chip"], summary["schedule"], list(summary["tasks"]))


def _axis(name: str) -> tuple[float, str]:
    """(factor, title) of a metric's axis; a table has metrics of several devices, whose names stand before theirs."""
    before, _, kind = name.rpartition(".")
    factor, title = _AXES.get(kind, (1.0, kind))
    return factor, f"{before} {title}".strip()


def _counts(problem: Problem, records: Sequence[Record]) -> dict[str, int]:
    feasible = sum(problem.goals.feasible(r) for r in records)
    return {"all": len(records), "feasible": feasible, "failed": sum(r.status == "failed" for r in records)}


def _points(records: Sequence[Record], name: str, colour: str, x: str, size: int, opacity: float) -> dict[str, Any]:
    factor = _axis(x)[0]
    return {
        "type": "scattergl" if len(records) > 2000 else "scatter",
        "mode": "markers",
        "name": name,
        "x": [r.metrics[x] * factor for r in records],
        "y": [r.metrics["quality"] for r in records],
        "text": [json.dumps(r.candidate.to_json(), sort_keys=True)[:400] for r in records],
        "marker": {"color": colour, "size": size, "opacity": opacity},
    }


def _front_figure(problem, x, summary, records, others):
    """Quality over one cost: all feasible candidates, the front, the chosen ones as measured, and the limit."""
    factor, title = _axis(x)
    feasible = [r for r in records if problem.goals.feasible(r)]
    data = [
        _points([r for r in rows if problem.goals.feasible(r)], f"{name}", _COLOURS["baseline"], x, 5, 0.35)
        for name, rows in others.items()
    ]
    data.append(_points(feasible, problem.strategy.name, _COLOURS["search"], x, 6, 0.5))
    data.append(_points(front(records, problem.goals), "front", _COLOURS["front"], x, 8, 0.95))
    finalists = summary.get("finalists", [])
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "trained in full (validation)",
            "x": [f["metrics"][x] * factor for f in finalists],
            "y": [f["quality"] for f in finalists],
            "marker": {"color": _COLOURS["chosen"], "size": 13, "symbol": "star"},
        }
    )
    limits = [limit.bound * factor for limit in problem.goals.limits if limit.metric == x]
    lines = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": v, "x1": v, "y0": 0, "y1": 1,
         "line": {"color": _COLOURS["limit"], "dash": "dash"}}
        for v in limits
    ]  # fmt: skip
    return {
        "data": data,
        "layout": _layout(xaxis={"title": {"text": title}}, yaxis={"title": {"text": "quality"}}, shapes=lines),
    }


def _progress_figure(problem: Problem, searches: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Best feasible quality so far over candidates, for the search and each baseline at the same budget."""
    data = []
    for i, (name, records) in enumerate(searches.items()):
        best, line = None, []
        for record in records:
            if problem.goals.feasible(record):
                quality = record.metrics["quality"]
                best = quality if best is None else max(best, quality)
            line.append(best)
        colour = _COLOURS["search"] if i == 0 else _COLOURS["baseline"]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [record.number for record in records],
                "y": line,
                "line": {"color": colour, "shape": "hv"},
            }
        )
    axes = {"xaxis": {"title": {"text": "candidates"}}, "yaxis": {"title": {"text": "best feasible quality"}}}
    return {"data": data, "layout": _layout(**axes)}


def _network_figure(name: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """MACs of every layer, in order."""
    layers = [row for row in task["layers"] if row[2]]
    bars = {"type": "bar", "x": [row[0] for row in layers], "y": [row[2] for row in layers], "name": "MACs"}
    axes = {"xaxis": {"tickangle": -40, "automargin": True}, "yaxis": {"title": {"text": "MACs"}}}
    return {
        "data": [bars | {"marker": {"color": _COLOURS["search"]}}],
        "layout": _layout(title={"text": f"{name}: multiply-accumulates of each layer"}, **axes),
    }


def _ranking_figure(name: str, rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Scores after training alone over those that the search saw."""
    seen, trained = zip(*rows, strict=True) if rows else ((), ())
    points = {"type": "scatter", "mode": "markers", "x": list(seen), "y": list(trained), "name": name}
    axes = {"xaxis": {"title": {"text": f"{name}: in search"}}, "yaxis": {"title": {"text": "trained alone"}}}
    return {"data": [points | {"marker": {"color": _COLOURS["search"], "size": 9}}], "layout": _layout(**axes)}


def _layout(**more: Any) -> dict[str, Any]:
    return {**LAYOUT, **more}

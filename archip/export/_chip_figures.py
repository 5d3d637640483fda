"""Figures of a chip for plotly, made of what ``chip.yaml`` and ``schedule.json`` say: Gantt chart, areas, energies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["LAYOUT", "chip_figures"]

LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 60, "r": 20, "t": 60, "b": 50},
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#808895"},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
}
_NETWORK_COLOURS = ("#2f6fdf", "#e08a1e", "#2e9e6b", "#8e44ad", "#c2185b", "#607d8b")
_UJ = 1e6
Path = tuple[str, ...]
Figure = dict[str, Any]


def chip_figures(
    chip: Mapping[str, Any], schedule: Sequence[Mapping[str, Any]], networks: Sequence[str]
) -> Iterator[tuple[str, Figure]]:
    """Name and figure: schedule, areas (where the chip states them), energies."""
    yield "gantt", _gantt(schedule, networks)
    if "area_mm2" in chip:
        yield "area", _area_tree(chip)
    yield "energy", _energy_tree(schedule)


def _gantt(schedule: Sequence[Mapping[str, Any]], networks: Sequence[str]) -> Figure:
    """Which core computes which layer when."""
    data = []
    for i, network in enumerate(networks):
        rows = [row for row in schedule if row["network"] == network]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": network,
                "y": [f"core {row['core']}" for row in rows],
                "base": [row["start_cycle"] for row in rows],
                "x": [row["end_cycle"] - row["start_cycle"] for row in rows],
                "text": [row["layer"] for row in rows],
                "textposition": "inside",
                "textangle": 0,
                "insidetextanchor": "middle",
                "hovertemplate": "%{text}: from cycle %{base}, %{x} cycles<extra></extra>",
                "marker": {"color": _NETWORK_COLOURS[i % len(_NETWORK_COLOURS)], "line": {"width": 1, "color": "#fff"}},
            }
        )
    axes = {
        "xaxis": {"title": {"text": "cycle"}},
        "yaxis": {"categoryorder": "category ascending", "autorange": "reversed"},
    }
    text = {"uniformtext": {"mode": "hide", "minsize": 9}}
    return {"data": data, "layout": {**LAYOUT, "barmode": "overlay", **axes, **text}}


def _area_tree(chip: Mapping[str, Any]) -> Figure:
    """Chip → cores → parts, in mm²."""
    leaves = [
        ((f"core {a}: {core['dataflow']}", part), mm2)
        for a, core in enumerate(chip["cores"])
        for part, mm2 in core["area_parts_mm2"].items()
    ]
    return _tree("area", leaves, "%{value:,.3~r} mm²")


def _energy_tree(schedule: Sequence[Mapping[str, Any]]) -> Figure:
    """Networks → layers → memories and arithmetic, in µJ."""
    leaves = [
        ((row["network"], row["layer"], part), joule * _UJ)
        for row in schedule
        for part, joule in row["energy_parts_j"].items()
    ]
    return _tree("energy", leaves, "%{value:,.3~r} µJ")


def _tree(root: str, leaves: Iterable[tuple[Path, float]], text: str) -> Figure:
    """A treemap; the value of a branch is the sum of its leaves."""
    values: dict[Path, float] = {(): 0.0}
    for path, value in leaves:
        for depth in range(1, len(path)):
            values.setdefault(path[:depth], 0.0)
        values[path] = values.get(path, 0.0) + value
    ids = {path: "/".join((root, *path)) for path in values}
    trace = {
        "type": "treemap",
        "branchvalues": "remainder",  # branches have no value of their own: sums of floats need not match to the bit
        "ids": list(ids.values()),
        "labels": [path[-1] if path else root for path in values],
        "parents": [ids[path[:-1]] if path else "" for path in values],
        "values": list(values.values()),
        "texttemplate": f"%{{label}}<br>{text}",
        "hovertemplate": f"%{{id}}<br>{text}, %{{percentRoot:.1%}} of all<extra></extra>",
        "marker": {"line": {"width": 1, "color": "#fff"}},
    }
    return {"data": [trace], "layout": {**LAYOUT, "margin": {"l": 8, "r": 8, "t": 28, "b": 8}}}

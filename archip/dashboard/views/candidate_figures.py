"""Figures of a candidate's page: schedule, energies, roofline, and memory over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from archip.dashboard.book import NotHere
from archip.dashboard.views.designs import Design
from archip.dashboard.views.quantities import Scale, quantity
from archip.export._chip_figures import chip_figures
from archip.ir.memory import activation_bytes

__all__ = ["candidate_figure"]

_N_COLOURS = 6
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


def candidate_figure(made: Design, name: str) -> dict[str, Any]:
    """A figure by name: ``gantt``, ``energy``, ``area``, ``roofline``, ``memory-<network>``.

    Raises:
        NotHere: there is none of that name.
    """
    figures: dict[str, Callable[[], dict[str, Any]]] = {
        f"memory-{network}": lambda network=network: _memory(made, network) for network in made.graphs
    }
    if made.chip is not None:
        drawn = dict(chip_figures(made.chip, made.schedule, list(made.graphs)))
        figures |= {key: lambda key=key: _recoloured(drawn[key]) for key in drawn}
        figures["roofline"] = lambda: _roofline(made, made.chip or {})
    if name not in figures:
        raise NotHere("there is no such figure", name[:40])
    return figures[name]()


def _recoloured(figure: Mapping[str, Any]) -> dict[str, Any]:
    """The figure of a report in the colours of the page."""
    data = []
    for i, trace in enumerate(figure["data"]):
        marker = {**trace["marker"], "line": {"width": 1, "color": "--card"}}
        if trace["type"] == "bar":
            marker["color"] = f"--c{1 + i % _N_COLOURS}"
        data.append({**trace, "marker": marker})
    colours = [f"--c{1 + i}" for i in range(_N_COLOURS)]
    layout = {k: v for k, v in figure["layout"].items() if k not in ("font", "legend", "margin")}
    margin = {"margin": {"l": 8, "r": 8, "t": 28, "b": 8}} if data[0]["type"] == "treemap" else {}
    return {"data": data, "layout": {**layout, **margin, "treemapcolorway": colours}}


def _memory(made: Design, network: str) -> dict[str, Any]:
    graph = made.graphs[network]
    live = activation_bytes(graph, made.bits[network].get("activation_bits", 8))
    scale = Scale.of("memory_bytes", [max(live)])
    names = [f"{node.name} ({node.op})" for node in graph.nodes]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": network,
        "x": list(range(len(live))),
        "y": [n / scale.factor for n in live],
        "text": [escape(f"{name}: {quantity(n, 'size')}") for name, n in zip(names, live, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"shape": "hvh", "color": "--c1", "width": 2},
        "fill": "tozeroy",
    }
    axes = {
        "xaxis": {"title": {"text": "operator, in the order in which they run"}},
        "yaxis": {"title": {"text": f"alive [{scale.unit}]"}, "rangemode": "tozero"},
    }
    return {"data": [trace], "layout": axes}


def _roofline(made: Design, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Attained multiplications a second over multiplications per byte, with the roof of each core."""
    points = [point for row in made.schedule if (point := _attained(made, row, chip["clock_hz"])) is not None]
    data = []
    for a, core in enumerate(chip["cores"]):
        peak, bandwidth = core["pes"] * chip["clock_hz"], core["bandwidth_bytes_per_s"]
        mine = [p for p in points if p["core"] == a]
        ends = [p["intensity"] for p in mine] + [peak / bandwidth]
        roof = [min(ends) / 2, peak / bandwidth, max(ends) * 2]
        colour = f"--c{1 + a % _N_COLOURS}"
        heights = [min(peak, x * bandwidth) for x in roof]
        line = {"type": "scatter", "mode": "lines", "name": f"roof of core {a}", "x": roof, "y": heights}
        data.append(line | {"line": {"color": colour, "width": 2}, "hoverinfo": "skip"})
        for n, network in enumerate(made.graphs):
            own = [p for p in mine if p["network"] == network]
            if own:
                data.append(_layer_points(f"core {a}, {network}", own, colour, _SYMBOLS[n % len(_SYMBOLS)]))
    log = {"type": "log", "dtick": 1, "exponentformat": "SI"}
    axes = {
        "xaxis": {**log, "title": {"text": "MACs per byte moved off the chip"}},
        "yaxis": {**log, "title": {"text": "MACs per second"}},
    }
    return {"data": data, "layout": axes}


def _attained(made: Design, row: Mapping[str, Any], clock_hz: float) -> dict[str, Any] | None:
    """The point of a row with multiplications; its operands cross the off-chip link once at least."""
    work = made.workloads[row["network"]]
    i = work.names.index(row["layer"])
    macs, n_bytes = int(work.macs_L[i]), float((work.moved_LO[i] * work.bits_LO[i]).sum() / 8)
    if not macs or not row["cycles"] or not n_bytes:
        return None
    told = {"core": row["core"], "network": row["network"], "layer": row["layer"], "waits": row["bottleneck"]}
    return {**told, "intensity": macs / n_bytes, "rate": macs * clock_hz / row["cycles"]}


def _layer_points(name: str, points: list[dict[str, Any]], colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        "x": [p["intensity"] for p in points],
        "y": [p["rate"] for p in points],
        "text": [escape(f"{p['layer']}, waits for {p['waits']}") for p in points],
        "hovertemplate": "%{text}<br>%{x:.3s} MACs/byte, %{y:.3s} MACs/s<extra></extra>",
        "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1, "color": "--card"}},
    }

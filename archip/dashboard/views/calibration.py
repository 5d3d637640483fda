"""Calibration: what the search believed of the finalists, beside what was measured of them at the end."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from statistics import median
from typing import Any, NamedTuple

from archip.dashboard.book import Entry
from archip.dashboard.views.quantities import Scale, text, title

__all__ = ["calibration", "calibration_figure"]


class _Pair(NamedTuple):
    metric: str
    candidate: str
    predicted: float
    measured: float


def calibration(entry: Entry) -> dict[str, Any]:
    """Pairs, their agreement by metric, and the plots there are."""
    pairs = _pairs(entry)
    names = list(dict.fromkeys(pair.metric for pair in pairs))
    plots = [
        {"url": f"{entry.url}/figures/calibration-{name}.json", "title": title(name), "about": "A point is a finalist."}
        for name in names
    ]
    return {"pairs": _pair_table(entry, pairs), "agreement": _agreement(pairs, names), "plots_of": plots}


def calibration_figure(entry: Entry, name: str) -> dict[str, Any]:
    """Predicted across, measured up, and the diagonal."""
    pairs = [pair for pair in _pairs(entry) if pair.metric == name]
    values = [v for pair in pairs for v in (pair.predicted, pair.measured)]
    scale = Scale.of(name, values)
    ends = [min(values, default=0.0) / scale.factor, max(values, default=1.0) / scale.factor]
    room = 0.05 * (ends[1] - ends[0]) or 0.05 * abs(ends[1]) or 1.0
    ends = [ends[0] - room, ends[1] + room]
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "finalists",
        "x": [pair.predicted / scale.factor for pair in pairs],
        "y": [pair.measured / scale.factor for pair in pairs],
        "customdata": [f"{entry.url}/candidates/{pair.candidate}" for pair in pairs],
        "text": [escape(pair.candidate) for pair in pairs],
        "hovertemplate": "%{text}<br>predicted %{x}, measured %{y}<extra></extra>",
        "marker": {"color": "--chosen", "size": 11, "symbol": "diamond"},
    }
    line = {"color": "--soft", "dash": "dash", "width": 1.5}
    diagonal = {"type": "scatter", "mode": "lines", "name": "agreement", "x": ends, "y": ends, "line": line}
    unit = f" [{scale.unit}]" if scale.unit else ""
    axes = {"xaxis": {"title": {"text": f"predicted{unit}"}}, "yaxis": {"title": {"text": f"measured{unit}"}}}
    return {"data": [diagonal | {"hoverinfo": "skip"}, points], "layout": axes}


def _pairs(entry: Entry) -> list[_Pair]:
    summary = entry.run.summary or {}
    pairs = []
    for finalist in summary.get("finalists", []):
        record = entry.run.record(finalist["id"]) if "id" in finalist else None
        if record is None:
            continue
        for name, measured in finalist.get("metrics", {}).items():
            is_quality = name == "quality" or "." in name  # costs of the chip are the same number in both
            if is_quality and name in record.metrics and measured is not None:
                pairs.append(_Pair(name, finalist["id"], record.metrics[name], measured))
    winner = next((f["id"] for f in summary.get("finalists", []) if "id" in f), "")
    for row in (summary.get("device") or {}).get("rows", []):
        if row["predicted"] is not None and row["measured"] is not None:
            pairs.append(_Pair(row["metric"], winner, row["predicted"], row["measured"]))
    return pairs


def _agreement(pairs: Iterable[_Pair], names: list[str]) -> dict[str, Any]:
    rows = []
    for name in names:
        mine = [pair for pair in pairs if pair.metric == name]
        errors = [abs(p.predicted - p.measured) / abs(p.measured) for p in mine if p.measured]
        tau = _kendall(mine)
        rows.append(
            {
                "metric": {"text": title(name)},
                "n": {"text": str(len(mine)), "value": len(mine)},
                "error": {"text": f"{100 * median(errors):.1f} %" if errors else "–"},
                "tau": {"text": "–" if tau is None else f"{tau:.2f}", "value": tau},
            }
        )
    columns = [
        {"key": "metric", "title": "metric", "row_head": True},
        {"key": "n", "title": "pairs", "number": True},
        {"key": "error", "title": "median relative error", "number": True},
        {"key": "tau", "title": "Kendall's τ", "number": True},
    ]
    return {"columns": columns, "rows": rows}


def _kendall(pairs: list[_Pair]) -> float | None:
    """Rank correlation τ-b; None where there are fewer than three pairs."""
    if len(pairs) < 3:
        return None
    import numpy as np

    from archip.predictors._agreement import kendall

    return kendall(np.array([p.predicted for p in pairs]), np.array([p.measured for p in pairs]))


def _pair_table(entry: Entry, pairs: list[_Pair]) -> dict[str, Any]:
    columns = [
        {"key": "candidate", "title": "candidate", "row_head": True},
        {"key": "metric", "title": "metric"},
        {"key": "predicted", "title": "predicted", "number": True},
        {"key": "measured", "title": "measured", "number": True},
        {"key": "difference", "title": "difference", "number": True},
    ]
    rows = [
        {
            "candidate": {"text": pair.candidate, "url": f"{entry.url}/candidates/{pair.candidate}"},
            "metric": {"text": title(pair.metric)},
            "predicted": {"text": text(pair.metric, pair.predicted), "value": pair.predicted},
            "measured": {"text": text(pair.metric, pair.measured), "value": pair.measured},
            "difference": {"text": _percent(pair), "value": pair.predicted - pair.measured},
        }
        for pair in pairs
    ]
    return {"columns": columns, "rows": rows}


def _percent(pair: _Pair) -> str:
    return f"{100 * (pair.predicted - pair.measured) / abs(pair.measured):+.1f} %" if pair.measured else "–"

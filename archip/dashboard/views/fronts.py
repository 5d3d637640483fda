"""Front: the page's table, exact, and its plot: the front among a sample of the other candidates, and the limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from archip.core.problem import Problem
from archip.core.record import Record
from archip.dashboard.book import Entry
from archip.dashboard.views.quantities import Scale, dimension, text, title

__all__ = ["axes", "chosen_axes", "figure", "metric_names"]

_MOST, _MOST_OTHERS = 1500, 800  # candidates drawn; SVG stays quick, and WebGL would need eval


def metric_names(problem: Problem, records: Iterable[Record]) -> list[str]:
    """Objectives, limits, then whatever else these records have."""
    first = [o.metric for o in problem.goals.objectives] + [limit.metric for limit in problem.goals.limits]
    return list(dict.fromkeys([*first, *(name for r in records for name in r.metrics)]))


def axes(entry: Entry) -> list[dict[str, str]]:
    """What a plot may have across and up."""
    names = metric_names(entry.run.problem, entry.front()[:1])
    return [{"key": n, "title": title(n) + (" in cycles" if dimension(n) == "cycles" else "")} for n in names]


def chosen_axes(entry: Entry, asked: Mapping[str, str]) -> tuple[str, str]:
    """(x, y): as asked, where these are metrics of the run; else the first cost, and the first objective."""
    known = [axis["key"] for axis in axes(entry)]
    y = asked.get("y") if asked.get("y") in known else known[0]
    default = known[1] if len(known) > 1 else known[0]
    x = asked.get("x") if asked.get("x") in known else default
    return str(x), str(y)


def figure(entry: Entry, x: str, y: str) -> dict[str, Any]:
    """The plot for plotly; colours are names of the style sheet's."""
    run, problem = entry.run, entry.run.problem
    front = [r for r in entry.front() if x in r.metrics and y in r.metrics]
    own = problem.strategy.name
    drawn = {name: _drawable(entry, name, _MOST if name == own else _MOST_OTHERS, x, y) for name in run.searches()}
    finalists = [f for f in (run.summary or {}).get("finalists", []) if x in f["metrics"] and y in f["metrics"]]
    everything = [*front, *(r for rows in drawn.values() for r in rows)]
    scales = [Scale.of(name, [r.metrics[name] for r in everything]) for name in (x, y)]
    data = [
        _points(entry, name, rows, (x, y), scales, _mark("--search" if name == own else "--other", name == own))
        for name, rows in reversed(drawn.items())
    ]
    front.sort(key=lambda r: r.metrics[x])
    marks = {"color": "--front", "size": 9, "symbol": "diamond"}
    data.append(_points(entry, "front", front, (x, y), scales, marks))
    if finalists:
        data.append(_finalists(entry, finalists, (x, y), scales))
    layout = {
        "xaxis": {"title": {"text": scales[0].axis(x)}},
        "yaxis": {"title": {"text": scales[1].axis(y)}},
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout | _limits(problem, (x, y), scales)}


def _drawable(entry: Entry, search: str, most: int, x: str, y: str) -> list[Record]:
    goals = entry.run.problem.goals
    records = entry.kept(("sample", search, most), lambda: entry.run.sample(search, most))
    return [r for r in records if goals.feasible(r) and x in r.metrics and y in r.metrics]


def _mark(colour: str, is_own: bool) -> dict[str, Any]:
    return {"color": colour, "size": 6, "opacity": 0.5, "symbol": "circle" if is_own else "triangle-up"}


def _points(
    entry: Entry,
    name: str,
    records: Sequence[Record],
    metrics: tuple[str, str],
    scales: Sequence[Scale],
    mark: dict[str, Any],
) -> dict[str, Any]:
    x, y = metrics
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        "x": [r.metrics[x] / scales[0].factor for r in records],
        "y": [r.metrics[y] / scales[1].factor for r in records],
        "customdata": [f"{entry.url}/candidates/{r.candidate.id}" for r in records],
        "text": [_hover(r, name) for r in records],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": mark,
    }


def _hover(record: Record, name: str) -> str:
    lines = [f"{title(m)} {text(m, value)}" for m, value in record.metrics.items()]
    return "<br>".join(map(escape, [f"{name}, number {record.number}", *lines[:10]]))


def _finalists(entry: Entry, rows: Sequence[Any], metrics: tuple[str, str], scales: Sequence[Scale]) -> dict[str, Any]:
    x, y = metrics
    lines = [[f"{title(m)} {text(m, v)}" for m, v in row["metrics"].items()][:10] for row in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "trained in full",
        "x": [row["metrics"][x] / scales[0].factor for row in rows],
        "y": [row["metrics"][y] / scales[1].factor for row in rows],
        "customdata": [f"{entry.url}/candidates/{row['id']}" for row in rows],
        "text": ["<br>".join(map(escape, ["trained in full", *part])) for part in lines],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": "--chosen", "size": 14, "symbol": "star"},
    }


def _limits(problem: Problem, metrics: tuple[str, str], scales: Sequence[Scale]) -> dict[str, Any]:
    """Dashed lines with what they bound."""
    shapes, notes = [], []
    for axis, (name, scale) in enumerate(zip(metrics, scales, strict=True)):
        for limit in problem.goals.limits:
            if limit.metric != name:
                continue
            at, along = limit.bound / scale.factor, "xy"[axis]
            across = "xy"[1 - axis]
            line = {"color": "--limit", "dash": "dash", "width": 1.5}
            ends = {f"{along}0": at, f"{along}1": at, f"{across}0": 0, f"{across}1": 1, f"{across}ref": "paper"}
            shapes.append({"type": "line", "line": line, f"{along}ref": along, **ends})
            place = {along: at, across: 1, f"{along}ref": along, f"{across}ref": "paper"}
            anchor = {"xanchor": "right", "yanchor": "top"} if axis == 0 else {"xanchor": "right", "yanchor": "bottom"}
            told = {"text": f"limit {text(name, limit.bound)}", "showarrow": False, "font": {"color": "--limit"}}
            notes.append(place | anchor | told)
    return {"shapes": shapes, "annotations": notes}

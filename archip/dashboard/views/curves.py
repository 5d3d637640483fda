"""Searches compared while they run: best so far and hypervolume over the number of candidates.

Up to 20,000 records of a search are read in full. Beyond, a sample spread evenly over the numbers stands for them,
together with the exact front, so that the ends of the curves are right and the way there is a lower bound.
The hypervolume is the share of 4,096 random points of the box (best to worst feasible value of every objective, over
all searches) that some candidate dominates; the points are the same for all searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from archip.core.objectives import Goals
from archip.core.pareto import non_dominated_mask
from archip.core.record import Record
from archip.dashboard.book import Entry
from archip.dashboard.views.quantities import Scale, text, title

__all__ = ["comparison", "curve_figure"]

_ALL, _SAMPLE = 20_000, 4_000  # records of a search that are read
_POINTS, _STEPS = 4_096, 48
_DASHES = ("solid", "dash", "dot", "dashdot")


def comparison(entry: Entry) -> dict[str, Any]:
    """The table of searches, and what the curves are made of."""
    run, goals = entry.run, entry.run.problem.goals
    shares = {name: ys[-1] if ys else 0.0 for name, (_, ys) in _hypervolumes(entry).items()}
    stated = {f"baseline {n}": row for n, row in (run.summary or {}).get("comparison", {}).items()}
    stated |= {n.removeprefix("baseline "): row for n, row in stated.items()}
    first = goals.objectives[0]
    rows = []
    for name in run.searches():
        counts, front = run.counts(name), entry.front(name)
        values = [first.goal * r.metrics[first.metric] for r in front if first.metric in r.metrics]
        best = first.goal * max(values) if values else None
        share = stated[name]["hypervolume"] if name in stated else shares.get(name, 0.0)
        rows.append(
            {
                "search": {"text": name},
                **{
                    key: {"text": f"{counts[key]:,}", "value": counts[key]} for key in ("records", "feasible", "failed")
                },
                "front": {"text": f"{len(front):,}", "value": len(front)},
                "best": {"text": text(first.metric, best), "value": best},
                "hypervolume": {"text": f"{share:.4f}", "value": share},
            }
        )
    names = ("search", "records", "feasible", "failed", "front", "best", "hypervolume")
    titles = (
        "search",
        "candidates",
        "within limits",
        "failed",
        "on its front",
        f"best {title(first.metric)}",
        "hypervolume",
    )
    columns: list[dict[str, Any]] = [
        {"key": key, "title": name, "number": True} for key, name in zip(names, titles, strict=True)
    ]
    columns[0] |= {"row_head": True, "number": False}
    how = "all records" if all(run.n_records(n) <= _ALL for n in run.searches()) else "a sample and the exact front"
    return {
        "compared": {"columns": columns, "rows": rows},
        "about": {
            "best": f"Best {title(first.metric)} within all limits, by number of candidates; from {how}.",
            "hypervolume": f"Share of the box of feasible values that is dominated, ± 1 %; from {how}.",
        },
    }


def curve_figure(entry: Entry, name: str) -> dict[str, Any]:
    """The figure ``best`` or ``hypervolume``."""
    first = entry.run.problem.goals.objectives[0]
    curves = _best(entry) if name == "best" else _hypervolumes(entry)
    scale = Scale("", 1.0, 4)
    if name == "best":
        scale = Scale.of(first.metric, [y for _, ys in curves.values() for y in ys])
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": escape(search),
            "x": xs,
            "y": [y / scale.factor for y in ys],
            "line": {"shape": "hv", "color": f"--c{1 + i % 6}", "dash": _DASHES[i % len(_DASHES)], "width": 2},
        }
        for i, (search, (xs, ys)) in enumerate(curves.items())
    ]
    up = scale.axis(first.metric) if name == "best" else "hypervolume"
    layout = {"xaxis": {"title": {"text": "candidates"}, "rangemode": "tozero"}, "yaxis": {"title": {"text": up}}}
    return {"data": data, "layout": layout}


def _feasible(entry: Entry, search: str) -> list[Record]:
    """The feasible records by number: all, or a sample with the front."""
    run, goals = entry.run, entry.run.problem.goals
    if run.n_records(search) <= _ALL:
        rows: Sequence[Record] = run.records(search)
    else:
        rows = sorted([*run.sample(search, _SAMPLE), *entry.front(search)], key=lambda r: r.number)
    return [r for r in rows if goals.feasible(r)]


def _all_feasible(entry: Entry) -> Mapping[str, list[Record]]:
    return entry.kept("feasible", lambda: {name: _feasible(entry, name) for name in entry.run.searches()})


def _best(entry: Entry) -> dict[str, tuple[list[int], list[float]]]:
    """Search → (numbers, best value of the first objective so far); a point where it grew, and one at the end."""
    first = entry.run.problem.goals.objectives[0]
    curves = {}
    for name, records in _all_feasible(entry).items():
        xs: list[int] = []
        ys: list[float] = []
        for record in records:
            value = record.metrics.get(first.metric)
            if value is not None and (not ys or first.goal * value > first.goal * ys[-1]):
                xs.append(record.number + 1)
                ys.append(value)
        if ys:
            xs.append(entry.run.n_records(name))
            ys.append(ys[-1])
        curves[name] = (xs, ys)
    return curves


def _hypervolumes(entry: Entry) -> dict[str, tuple[list[int], list[float]]]:
    return entry.kept("hypervolumes", lambda: _computed(entry, entry.run.problem.goals))


def _computed(entry: Entry, goals: Goals) -> dict[str, tuple[list[int], list[float]]]:
    feasible = _all_feasible(entry)
    losses = {name: goals.losses(records) for name, records in feasible.items()}
    known = [rows[np.isfinite(rows).all(1)] for rows in losses.values()]
    box = np.concatenate(known) if known else np.zeros((0, len(goals.objectives)))
    if not len(box):
        return {name: ([], []) for name in feasible}
    low, high = box.min(0), box.max(0)
    points = low + (high - low) * np.random.default_rng(0).random((_POINTS, len(low)))
    return {name: _curve(losses[name], feasible[name], points, entry.run.n_records(name)) for name in feasible}


def _curve(
    losses: np.ndarray, records: Sequence[Record], points: np.ndarray, n_records: int
) -> tuple[list[int], list[float]]:
    """The share of the points that are dominated after so many candidates."""
    xs: list[int] = []
    ys: list[float] = []
    left = points
    for rows in np.array_split(np.arange(len(losses)), min(_STEPS, max(1, len(losses)))):
        new = losses[rows][non_dominated_mask(losses[rows])] if len(rows) else losses[rows]
        for loss in new:
            left = left[~(loss <= left).all(1)]
        if len(rows):
            xs.append(records[rows[-1]].number + 1)
            ys.append(1.0 - len(left) / len(points))
    if xs and xs[-1] < n_records:
        xs.append(n_records)
        ys.append(ys[-1])
    return xs, ys

"""Card: one run at a glance, from counts and front, which the store keeps; no record is scanned."""

from __future__ import annotations

from typing import Any

from archip.core.objectives import Goals
from archip.core.record import Record, metric
from archip.dashboard.book import Entry
from archip.dashboard.views.quantities import text, title, typeset

__all__ = ["TABS", "best", "card", "limit_rows"]

# Path and title of each page of a run.
TABS = (
    ("overview", "Front"),
    ("candidates", "Candidates"),
    ("comparison", "Comparison"),
    ("calibration", "Calibration"),
    ("files", "Files"),
    ("log", "Log"),
)


def card(entry: Entry) -> dict[str, Any]:
    """What the list of runs and the top of every page of a run say.

    Raises:
        UserError: the run cannot be read.
    """
    run, problem = entry.run, entry.run.problem
    counts, front = run.counts(), entry.front()
    budget = problem.budget.candidates
    state = run.state
    is_over = state == "done"
    return {
        "key": entry.key,
        "url": entry.url,
        "name": problem.name if run.name == entry.where else run.name,
        "where": entry.where,
        "state": state,
        "strategy": problem.strategy.name,
        "seed": problem.seed,
        "problem": problem.id,
        "searches": run.searches(),
        "n_records": counts["records"],
        "n_text": f"{counts['records']:,}",
        "budget": budget,
        "budget_text": f"{budget:,}",
        "progress": 1.0 if is_over else min(1.0, counts["records"] / budget),
        "n_feasible": counts["feasible"],
        "n_failed": counts["failed"],
        "n_failed_text": f"{counts['failed']:,}",
        "n_front": len(front),
        "best": best(front, problem.goals),
        "limits": [{"name": name, "bound": typeset(str(bound))} for name, bound in problem.limits.items()],
        "per_second": entry.per_second() if state == "running" else None,
    }


def best(front: list[Record], goals: Goals) -> dict[str, Any]:
    """The best value of the first objective on the front."""
    objective = goals.objectives[0]
    values = [r.metrics[objective.metric] for r in front if objective.metric in r.metrics]
    value = max(values, key=lambda v: objective.goal * v, default=None)
    named = {"metric": objective.metric, "title": title(objective.metric)}
    return {**named, "value": value, "text": text(objective.metric, value)}


def limit_rows(entry: Entry, front: list[Record]) -> list[dict[str, Any]]:
    """Each limit with its bound, the best value on the front, and what the finished result has."""
    problem, summary = entry.run.problem, entry.run.summary or {}
    results = {row["name"]: row for row in summary.get("limits", [])}
    rows = []
    for name, limit in zip(problem.limits, problem.goals.limits, strict=True):
        values = [r.metrics[limit.metric] for r in front if limit.metric in r.metrics]
        value = (max if metric(limit.metric).goal > 0 else min)(values, default=None)
        result = results.get(name, {})
        row = {"name": name, "metric": limit.metric, "bound": text(limit.metric, limit.bound)}
        told = {"best": text(limit.metric, value), "result": typeset(result.get("value_text", "–"))}
        rows.append(row | told | {"ok": result.get("ok")})
    return rows

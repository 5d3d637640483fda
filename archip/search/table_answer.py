"""The end of a run on a table: finalists are looked up in full, the best is set against the best of the table.

Finalists are chosen by the metric that the search saw, the answer among them by the metric after a full training, and
its test metrics are only reported, as in a run that trains.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.files import make_folder, write_text
from archip.core.objectives import Goals
from archip.core.pareto import front
from archip.core.record import Record, metric
from archip.core.units import format_quantity
from archip.search.bench import limit_kept
from archip.search.finish import choose
from archip.search.setup import Setup

__all__ = ["table_answer"]


def table_answer(setup: Setup, records: Sequence[Record], folder: Path) -> dict[str, Any]:
    """What the summary says of the answer; its genotype is written under ``artifacts/``.

    Args:
        records: of the search; some are feasible.
    """
    problem, task = setup.problem, setup.run.tasks[0]
    table = task.space.rows
    evaluator = registry.create("evaluators", problem.evaluator.name, problem.evaluator.options)
    search = table.search(evaluator.metric)[1]
    goal, full_N = metric(search.full).goal, table.metric(search.full)
    chosen = _chosen(records, problem.goals, problem.finish.keep)
    finalists = [_looked_up(record, task.space, search, task.name) for record in chosen]
    finalists.sort(key=lambda f: -f["quality"] if f["quality"] is not None else np.inf)
    feasible_N = np.zeros(table.n_rows, bool)
    feasible_N[task.space.distinct_N] = True
    for limit in problem.goals.limits:
        if limit.metric in table.metrics:
            feasible_N &= limit_kept(table, limit)
    test_N = table.metric(search.test[0])
    optimum = goal * float(np.nanmax(np.where(feasible_N, goal * test_N, np.nan)))
    winner = finalists[0]
    path = make_folder(folder / "artifacts") / f"{task.name}.json"
    write_text(path, json.dumps({"table": table.name, "genotype": winner["genotype"]}, indent=2))
    return {
        "tasks": {},
        "chip": None,
        "schedule": None,
        "device": None,
        "artifacts": {task.name: str(path.relative_to(folder))},
        "metrics": winner["metrics"],
        "candidate": {"net": {task.name: winner["genotype"]}},
        "finalists": finalists,
        "table": {
            "name": table.name,
            "title": table.spec.title,
            "source": table.spec.source,
            "shown": evaluator.shown(table),
            "full": search.full,
            "tests": search.test,
            "optimum": optimum,
            "optimum_text": _text(search.test[0], optimum),
            "regret": goal * (optimum - winner["test"][search.test[0]]),
            "better": int((feasible_N & (goal * full_N > goal * winner["full"])).sum()),
            "rows": int(feasible_N.sum()),
            "finalists": [_row(f, search) for f in finalists],
        },
    }


def _chosen(records: Sequence[Record], goals: Goals, keep: int) -> list[Record]:
    """The best of the front, and if that has too few, the best behind it."""
    first = choose(front(records, goals), goals, keep)
    seen = {r.candidate.id for r in first}
    behind = [r for r in records if goals.feasible(r) and r.candidate.id not in seen]
    return [*first, *choose(behind, goals, keep - len(first))]


def _looked_up(record: Record, space: Any, search: Any, task: str) -> dict[str, Any]:
    """A finalist in numbers; its quality is the one after a full training, None where the table has none."""
    row = space.row(record.candidate.net[task])
    full = float(space.rows.metric(search.full)[row])
    return {
        "id": record.candidate.id,
        "genotype": space.genotype(row),
        "searched": record.metrics["quality"],
        "quality": None if np.isnan(full) else metric(search.full).goal * full,
        "full": full,
        "test": {name: float(space.rows.metric(name)[row]) for name in search.test},
        "metrics": dict(record.metrics),
    }


def _row(finalist: dict[str, Any], search: Any) -> dict[str, Any]:
    """The same as text."""
    costs = {k: v for k, v in finalist["metrics"].items() if metric(k).goal < 0}
    return {
        "genotype": finalist["genotype"],
        "full": _text(search.full, finalist["full"]),
        "tests": [_text(name, value) for name, value in finalist["test"].items()],
        "costs": ", ".join(f"{name} {_text(name, value)}" for name, value in costs.items()),
    }


def _text(name: str, value: float) -> str:
    about = metric(name)
    return f"{100 * value:.2f} %" if about.name in ("accuracy", "iou") else format_quantity(value, about.dimension)

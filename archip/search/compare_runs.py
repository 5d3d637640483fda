"""Runs compared: hypervolume on one reference point, best feasible value, evaluations, time, and what is significant.

Runs that differ in their seed only are repeats of one method. Methods with two repeats or more are compared by the
Mann-Whitney U test (two-sided, exact for few repeats), corrected for the number of pairs, beside the chance that a run
of the one is better than a run of the other.

Sources: Mann, Whitney 1947; Holm 1979 (correction); Vargha, Delaney 2000 (the chance, A12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from archip.core.candidate import digest
from archip.core.errors import UserError
from archip.core.objectives import Goals
from archip.core.pareto import hypervolume
from archip.search.runs import Run

__all__ = ["Search", "compare_runs", "searches_of"]

_MARGIN = 0.1  # the reference lies this share of the fronts' extent behind their worst values


@dataclass(frozen=True)
class Search:
    """One search of one run.

    Attributes:
        method: digest of its problem without the seed, and of the search's name.
        losses: [F, objectives] of its front.
    """

    run: str
    name: str
    method: str
    seed: int
    counts: dict[str, int]
    seconds: float | None
    goals: Goals
    losses: np.ndarray


def searches_of(run: Run, baselines: bool = False) -> list[Search]:
    """The strategy's own search of a run, and those of its baselines.

    Raises:
        UserError: the run was last written before records were kept.
    """
    stored = run.stored
    if stored is None:
        raise UserError("the run's records are not kept yet", run.name, "archip resume writes them")
    problem = dict(stored.problem)
    seed = int(problem.pop("seed", 0))
    for key in ("name", "store", "workers", "finish"):
        problem.pop(key, None)
    own, *others = run.searches() or [""]
    found = []
    for name in [own, *others] if baselines else [own]:
        stages = (stored.summary or {}).get("stages", {})
        method = digest([{k: v for k, v in problem.items() if k != "baselines"}, name])
        seconds = stages.get("search") if name == own else None
        counts = dict(run.counts(name))
        losses = stored.goals.losses(run.front(name))
        found.append(Search(run.name, name, method, seed, counts, seconds, stored.goals, losses))
    return found


def compare_runs(searches: Sequence[Search]) -> dict[str, Any]:
    """Rows by search, and tests by pair of methods, as JSON.

    Raises:
        UserError: the searches have other objectives or limits than the first.
    """
    goals = searches[0].goals
    for search in searches:
        if search.goals != goals:
            raise UserError(
                f"{search.run} has other objectives or limits than {searches[0].run}",
                right="compare runs of one question",
            )
    reference = _reference([s.losses for s in searches])
    labels = _labels(searches)
    rows = [_row(s, labels[s.method], reference) for s in searches]
    signs = [-o.goal for o in goals.objectives]
    return {
        "objectives": [o.metric for o in goals.objectives],
        "reference": None
        if reference is None
        else [sign * float(r) for sign, r in zip(signs, reference[1], strict=True)],
        "rows": rows,
        "tests": _tests(rows, goals.objectives[0].goal),
    }


def _reference(losses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """The best values of all fronts, and the reference point behind the worst; None if all are empty."""
    points = np.concatenate(losses)
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return None
    low, high = points.min(0), points.max(0)
    extent = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return low, high + _MARGIN * extent


def _labels(searches: Sequence[Search]) -> dict[str, str]:
    """Method → its search's name, numbered where several methods share it."""
    by_name: dict[str, list[str]] = {}
    for search in searches:
        methods = by_name.setdefault(search.name, [])
        if search.method not in methods:
            methods.append(search.method)
    return {
        method: name if len(methods) == 1 else f"{name} #{i}"
        for name, methods in by_name.items()
        for i, method in enumerate(methods, 1)
    }


def _row(search: Search, label: str, reference: tuple[np.ndarray, np.ndarray] | None) -> dict[str, Any]:
    volume = 0.0
    if reference is not None and len(search.losses):
        low, high = reference
        volume = hypervolume((search.losses - low) / (high - low), np.ones(len(low)))
    first = search.goals.objectives[0]
    best = -first.goal * float(search.losses[:, 0].min()) if len(search.losses) else None
    about = {"run": search.run, "method": label, "seed": search.seed, **search.counts, "front": len(search.losses)}
    return about | {"best": best, "hypervolume": volume, "seconds": search.seconds}


def _tests(rows: Sequence[dict[str, Any]], goal: int) -> list[dict[str, Any]]:
    """Each pair of methods with repeats, by hypervolume and by the best value."""
    from scipy.stats import mannwhitneyu

    tests = []
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for quantity, sign in (("hypervolume", 1), ("best", goal)):
        part = []
        for a, b in combinations(methods, 2):
            x, y = ([row[quantity] for row in rows if row["method"] == m and row[quantity] is not None] for m in (a, b))
            if min(len(x), len(y)) >= 2:
                u, p = mannwhitneyu(sign * np.array(x), sign * np.array(y))
                part.append({"quantity": quantity, "methods": [a, b], "repeats": [len(x), len(y)],
                             "medians": [float(np.median(x)), float(np.median(y))],
                             "chance_better": float(u) / (len(x) * len(y)), "p": float(p)})  # fmt: skip
        tests += _corrected(part)
    return tests


def _corrected(tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Holm's correction of the p values of one family."""
    least = 0.0
    for rank, test in enumerate(sorted(tests, key=lambda t: t["p"])):
        least = max(least, min(1.0, test["p"] * (len(tests) - rank)))
        test["p_corrected"] = least
    return tests

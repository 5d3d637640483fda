"""What a bench found, as JSON, Markdown and HTML.

Legend: K seeds, T test metrics, Q queries, S strategies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.files import make_folder, write_text
from archip.core.record import metric
from archip.search.bench import Curves, Setting

__all__ = ["BASELINES", "as_json", "markdown", "summary_rows", "write_report"]

BASELINES = ("random_search", "local_search")
_LEAST_SEEDS = 3  # fewer say nothing about which strategy is better
_COLOURS = (
    "#2f6fdf",
    "#e08a1e",
    "#2e9e6b",
    "#8e44ad",
    "#c2185b",
    "#607d8b",
    "#0b3d91",
    "#b00020",
    "#16a2b8",
    "#7a6a00",
)


def as_json(here: Setting, found: Mapping[str, Curves]) -> dict[str, Any]:
    """Curves in the units of the report (accuracies in %), None where no seed has an answer yet."""
    queries = list(range(1, here.bench.budget + 1))
    strategies = {}
    for name, curves in found.items():
        mean_TQ, std_TQ = _mean(curves.values_KTQ), _std(curves.values_KTQ)
        strategies[name] = {
            "queries": queries,
            "mean": _numbers(here, mean_TQ[0]),
            "std": _numbers(here, std_TQ[0]),
            "also": {
                test: {"mean": _numbers(here, mean_TQ[t], t), "std": _numbers(here, std_TQ[t], t)}
                for t, test in enumerate(here.tests)
                if t
            },
            "overhead_ms": round(curves.strategy_ms, 4),
        }
    return {
        "table": here.table.name,
        "metric": here.search_name,
        "protocol": here.bench.protocol,
        "shown": here.shown,
        "test": here.tests[0],
        "unit": _unit(here.tests[0])[1],
        "optimum": _scaled(here, here.optimum),
        "average": _scaled(here, here.average),
        "limits": dict(here.bench.limits),
        "seeds": len(next(iter(found.values())).values_KTQ),
        "strategies": strategies,
    }


def summary_rows(here: Setting, found: Mapping[str, Curves], marks: list[int]) -> list[dict[str, Any]]:
    """One row a strategy: values at some numbers of queries, regret, RI, rank, significance, time.

    RI is the relative improvement over the average architecture, 100 (value - average) / average, of Yang et al. 2020,
    arXiv:1912.12522. Significance is Wilcoxon's signed-rank test on the final values, seed by seed, two-sided. Ranks
    and significance need three seeds.
    """
    ranks = mean_ranks(here, found)
    rows = []
    for name, curves in found.items():
        last_K = curves.values_KTQ[:, 0, -1]
        value = float(np.nanmean(last_K)) if np.isfinite(last_K).any() else math.nan
        rows.append(
            {
                "strategy": name,
                "at": {q: _shown(here, curves.values_KTQ[:, 0, q - 1]) for q in marks},
                "also": {test: _shown(here, curves.values_KTQ[:, t, -1], t) for t, test in enumerate(here.tests) if t},
                "regret": _scaled(here, abs(here.optimum - value)),
                "ri": 100 * here.goal * (value - here.average) / here.average,
                "rank": float(ranks[name][-1]) if name in ranks else None,
                "p": {other: p_value(curves, found[other]) for other in BASELINES if other in found},
                "overhead_ms": curves.strategy_ms,
                "refused": curves.n_refused,
            }
        )
    return rows


def mean_ranks(here: Setting, found: Mapping[str, Curves]) -> dict[str, np.ndarray]:
    """Strategy → [Q] its rank among all, mean over seeds; 1 is best, ties share. Nothing of fewer than three seeds."""
    from scipy.stats import rankdata

    values_SKQ = np.stack([curves.values_KTQ[:, 0] for curves in found.values()])
    if values_SKQ.shape[1] < _LEAST_SEEDS or len(found) < 2:
        return {}
    loss_SKQ = np.nan_to_num(-here.goal * values_SKQ, nan=np.inf)
    return dict(zip(found, rankdata(loss_SKQ, axis=0).mean(1), strict=True))


def p_value(one: Curves, other: Curves) -> float | None:
    """Chance that two strategies differ so much at the end by luck; None where that cannot be said."""
    from scipy.stats import wilcoxon

    a_K, b_K = one.values_KTQ[:, 0, -1], other.values_KTQ[:, 0, -1]
    known = np.isfinite(a_K) & np.isfinite(b_K)
    if one is other or known.sum() < _LEAST_SEEDS:
        return None
    if (a_K[known] == b_K[known]).all():
        return 1.0
    return float(wilcoxon(a_K[known], b_K[known])[1])  # pyright: ignore[reportArgumentType, reportIndexIssue]


def markdown(here: Setting, found: Mapping[str, Curves], marks: list[int]) -> str:
    """The report as text."""
    bench, unit = here.bench, _unit(here.tests[0])[1]
    n_seeds = len(next(iter(found.values())).values_KTQ)
    also = here.tests[1:]
    head = ["strategy", *(f"{q} queries" for q in marks), *(_short(t) for t in also), "regret", "RI %", "rank",
            *(f"p vs {b}" for b in BASELINES), "ms a candidate"]  # fmt: skip
    lines = [f"# {here.table.spec.title}", "", *_facts(here, n_seeds), ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in summary_rows(here, found, marks):
        cells = [
            row["strategy"],
            *row["at"].values(),
            *row["also"].values(),
            f"{row['regret']:.3f}",
            f"{row['ri']:.2f}",
        ]
        cells += ["-" if row["rank"] is None else f"{row['rank']:.2f}"]
        cells += [_p_text(row["p"].get(b)) for b in BASELINES] + [f"{row['overhead_ms']:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    in_unit = f", in {unit}" if unit else ""
    notes = [
        f"Values are mean ± standard deviation over seeds{in_unit}; regret is to the best row within the limits"
        f" ({_scaled(here, here.optimum):.3f}); RI is over the average row ({_scaled(here, here.average):.3f});"
        " p is Wilcoxon's signed-rank test on the final values."
    ]
    if n_seeds < _LEAST_SEEDS:
        notes.append(f"{n_seeds} seeds are too few to rank strategies.")
    if bench.limits:
        notes.append("Proposals refused by a limit: " + ", ".join(f"{n} {c.n_refused}" for n, c in found.items()) + ".")
    lines += ["", *notes, "", f"Source of the table: {here.table.spec.source}.", ""]
    return "\n".join(lines)


def _facts(here: Setting, n_seeds: int) -> list[str]:
    bench = here.bench
    limits = "; ".join(map(str, here.goals.limits)) or "none"
    until = f"{bench.budget} queries" + (f" or {bench.seconds:g} s of training" if bench.seconds is not None else "")
    answer = "the best by the metric shown"
    if bench.promote > 1:
        answer = f"the best of {bench.promote} promoted to full training, paid with queries"
    return [
        f"Search: {here.search_name}. Shown to strategies: {here.shown}. Answer: {here.tests[0]} of {answer}.",
        f"Protocol: {bench.protocol}. Until: {until}. Seeds: {n_seeds}. Limits: {limits}.",
    ]


def write_report(folder: Path, here: Setting, found: Mapping[str, Curves], marks: list[int]) -> None:
    """``report.md``, ``report.html`` and ``curves.json``."""
    make_folder(folder)
    write_text(folder / "report.md", markdown(here, found, marks))
    write_text(folder / "curves.json", json.dumps(as_json(here, found)) + "\n")
    write_text(folder / "report.html", _html(here, found, marks))


def _html(here: Setting, found: Mapping[str, Curves], marks: list[int]) -> str:
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader("archip.search"), autoescape=True)
    rows = [line for line in markdown(here, found, marks).splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    text = [line for line in markdown(here, found, marks).splitlines()[1:] if line and line[0] not in "|"]
    return environment.get_template("bench.html.j2").render(
        title=here.table.spec.title,
        text=text,
        head=table[0],
        rows=table[1:],
        figures={name: json.dumps(f).replace("<", "\\u003c") for name, f in _figures(here, found).items()},
        plotly=get_plotlyjs(),
    )


def _figures(here: Setting, found: Mapping[str, Curves]) -> dict[str, Any]:
    queries = list(range(1, here.bench.budget + 1))
    unit = f" [{_unit(here.tests[0])[1]}]" if _unit(here.tests[0])[1] else ""
    figures = {}
    values = {name: _mean(c.values_KTQ)[0] for name, c in found.items()}
    regrets = {name: np.abs(here.optimum - v) for name, v in values.items()}
    figures["test"] = _lines(queries, {n: _numbers(here, v) for n, v in values.items()}, f"{here.tests[0]}{unit}")
    figures["regret"] = _lines(queries, {n: _numbers(here, v) for n, v in regrets.items()}, f"regret{unit}", log=True)
    ranks = {name: rank_Q.tolist() for name, rank_Q in mean_ranks(here, found).items()}
    if ranks:
        figures["rank"] = _lines(queries, ranks, "mean rank (1 is best)")
    last = {name: _numbers(here, c.values_KTQ[:, 0, -1]) for name, c in found.items()}
    boxes = [
        {"type": "box", "name": n, "y": y, "marker": {"color": _colour(i)}} for i, (n, y) in enumerate(last.items())
    ]
    figures["spread"] = {"data": boxes, "layout": _layout("", f"final {here.tests[0]}{unit}", False)}
    return figures


def _lines(x: list[int], ys: Mapping[str, list[float | None]], title: str, log: bool = False) -> dict[str, Any]:
    data = [
        {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": {"color": _colour(i)}}
        for i, (name, y) in enumerate(ys.items())
    ]
    return {"data": data, "layout": _layout("queries", title, log)}


def _layout(x: str, y: str, log: bool) -> dict[str, Any]:
    axis = {"title": {"text": y}, "type": "log" if log else "linear"}
    return {"xaxis": {"title": {"text": x}}, "yaxis": axis, "margin": {"l": 60, "r": 20, "t": 30, "b": 50}}


def _colour(i: int) -> str:
    return _COLOURS[i % len(_COLOURS)]


def _unit(name: str) -> tuple[float, str]:
    """(factor from SI, unit) in which a metric is reported."""
    kind = name.rpartition(".")[2]
    if kind in ("accuracy", "iou"):
        return 100.0, "%"
    return {"time": (1e3, "ms"), "energy": (1e3, "mJ")}.get(metric(name).dimension, (1.0, ""))


def _scaled(here: Setting, value: float, t: int = 0) -> float:
    return _unit(here.tests[t])[0] * value


def _numbers(here: Setting, values_Q: np.ndarray, t: int = 0) -> list[float | None]:
    return [round(_scaled(here, v, t), 6) if math.isfinite(v) else None for v in values_Q.tolist()]


def _shown(here: Setting, values_K: np.ndarray, t: int = 0) -> str:
    known = values_K[np.isfinite(values_K)]
    if not len(known):
        return "-"
    std = known.std(ddof=1) if len(known) > 1 else 0.0
    return f"{_scaled(here, known.mean(), t):.3f} ± {_scaled(here, std, t):.3f}"


def _mean(values_KTQ: np.ndarray) -> np.ndarray:
    """[T, Q] mean over the seeds that have an answer; NaN where none has."""
    known = np.isfinite(values_KTQ)
    n_TQ = known.sum(0)
    return np.divide(np.where(known, values_KTQ, 0).sum(0), n_TQ, out=np.full(n_TQ.shape, np.nan), where=n_TQ > 0)


def _std(values_KTQ: np.ndarray) -> np.ndarray:
    """[T, Q] standard deviation over the seeds that have an answer (n - 1); 0 for one seed, NaN where none has."""
    known = np.isfinite(values_KTQ)
    n_TQ = known.sum(0)
    squares_TQ = np.where(known, (values_KTQ - _mean(values_KTQ)) ** 2, 0).sum(0)
    std_TQ = np.sqrt(squares_TQ / np.maximum(n_TQ - 1, 1))
    return np.where(n_TQ > 0, std_TQ, np.nan)


def _short(name: str) -> str:
    return name.rpartition(".")[0] or name


def _p_text(p: float | None) -> str:
    return "-" if p is None else f"{p:.2g}"

"""How far from the exact joint front do co-search methods end, over evaluations, on NAS-Bench-201 x NASAIC's chips?

    python -m benchmarks.joint --build          the exact fronts alone, of all data sets, with their times
    python -m benchmarks.joint                  fronts, then 20 seeds of every method; needs ARCHIP_DATA
    python -m benchmarks.joint --again nasaic   one method alone, into the results of the last run
    python -m benchmarks.joint --toy            2 seeds, 20 evaluations, a chip of at most 512 PEs

An evaluation is a look at the CIFAR-10 test accuracy of a network that was not looked at before; costs are free, but
counted: a search ends at 200 evaluations or 2,200 candidates priced, what NASAIC prices for 200 networks. Settings:

* tight, loose: the most accurate network within limits on latency, energy and area, which are the 35 % and 90 %
  quantiles of the exact front. Regret is to the exact optimum, in points of accuracy.
* front: accuracy, latency, energy and area at once, no limits; the gap is the share of the exact front's volume, below
  the loose limits and above 50 % accuracy, that what was visited does not dominate. Every network that was looked at
  counts with all schedules on every chip that it was tried on.

Expected before the first run: nested has the least regret within tight limits, as it never prices a chip that is not
the best; nasaic and random search mostly find nothing feasible there; in volume joint (nsga2) beats nested, which
tries two chips a network only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from archip.core.files import make_folder, write_text
from archip.core.objectives import Goals, Limit, Objective
from archip.core.problem import Plug
from archip.core.registry import validate
from archip.hardware.chip.space import ChipSpec
from archip.search.joint import JointFront, joint_front, load_joint, volume
from archip.search.joint_bench import JointBench, search_joint
from archip.spaces.tabular import Tabular
from benchmarks._machine import result_path, write_result

_SEARCHES = ("cifar10", "cifar100", "in16")
_STRATEGIES = ("nested", "joint", "alternating", "local_search", "random_search", "nasaic")
_QUANTILES = {"tight": 0.35, "loose": 0.9}
_FLOOR = 0.5
_SEEDS, _VOLUMES_AT = 20, (10, 20, 50, 100, 200)
_COLOURS = ("#2f6fdf", "#e08a1e", "#2e9e6b", "#8e44ad", "#c2185b", "#607d8b", "#b00020")


@dataclass(frozen=True)
class Plan:
    """What is run; the same for all methods."""

    front: str
    seeds: int
    budget: int
    most_candidates: int
    volumes_at: tuple[int, ...]


@lru_cache(maxsize=1)
def _front(path: str) -> JointFront:
    return load_joint(Path(path))


def _limits(front: JointFront, share: float) -> dict[str, float]:
    return {
        "latency_cycles": float(np.floor(np.quantile(front.cycles_N, share))),
        "energy_j": float(np.quantile(front.energy_N, share)) * front.energy_unit_j,
        "area_mm2": float(np.quantile(front.area_N, share)) / 1e6,
    }


def _reference(front: JointFront) -> np.ndarray:
    """Of the volume: the accuracy that counts nothing, then the loose limits in units of the front."""
    columns = (front.cycles_N, front.energy_N, front.area_N)
    return np.array([_FLOOR, *(np.floor(np.quantile(column, _QUANTILES["loose"])) for column in columns)])


def _goals(front: JointFront, setting: str) -> Goals:
    quality = Objective("quality", 1)
    if setting == "front":
        return Goals((quality, *(Objective.of(m) for m in ("latency_cycles", "energy_j", "area_mm2"))))
    return Goals((quality,), tuple(Limit(m, b) for m, b in _limits(front, _QUANTILES[setting]).items()))


@lru_cache(maxsize=1)
def _bench(path: str, setting: str) -> JointBench:
    front = _front(path)
    table = Tabular(front.about["table"], os.environ.get("ARCHIP_DATA"))
    return JointBench(table, front.about["search"], front.spec, _goals(front, setting))


def _searched(plan: Plan, setting: str, strategy: str, seeds: range) -> list[dict[str, Any]]:
    """Some searches, as JSON."""
    if strategy == "nasaic":
        import torch

        torch.set_num_threads(1)  # kernels set it to all cores, which makes steps of a small LSTM 50 times slower
    bench, told = _bench(plan.front, setting), []
    for seed in seeds:
        is_front = setting == "front"
        trace = search_joint(
            bench,
            Plug(strategy),
            seed,
            plan.budget,
            plan.most_candidates,
            volumes_at=plan.volumes_at if is_front else (),
            reference_4=_reference(_front(plan.front)) if is_front else None,
        )
        told.append(vars(trace) | {"seed": seed})
    return told


def _told(plan: Plan, setting: str, traces: list[dict[str, Any]], whole: float, optimum: float) -> dict[str, Any]:
    """Means over seeds: regret by evaluations, or gap in volume."""
    told: dict[str, Any] = {
        "evaluations": round(float(np.mean([len(t["best_Q"]) for t in traces])), 1),
        "candidates": round(float(np.mean([t["n_candidates"] for t in traces])), 1),
        "seconds_cpu": round(float(np.mean([t["seconds"] for t in traces])), 2),
        "strategy_cpu": round(float(np.mean([t["strategy_s"] for t in traces])), 2),
    }
    if setting == "front":
        gaps = {
            q: [1 - t["volumes"][max(v for v in t["volumes"] if v <= q)] / whole for t in traces if t["volumes"]]
            for q in plan.volumes_at
        }
        return told | {
            "gap": {str(q): [round(float(np.mean(v)), 4), round(float(np.std(v, ddof=1)), 4)] for q, v in gaps.items()}
        }
    values_KQ = np.full((len(traces), plan.budget), np.nan)
    for k, trace in enumerate(traces):
        best = trace["best_Q"]
        if best:
            values_KQ[k] = best[-1]
            values_KQ[k, : len(best)] = best
    found = np.isfinite(values_KQ[:, -1])
    regret_KQ = 100 * (optimum - values_KQ[found])
    none = [None] * plan.budget
    return told | {
        "nothing_feasible": int((~found).sum()),
        "found_optimum": int((regret_KQ[:, -1] <= 1e-9).sum()) if found.any() else 0,
        "regret": np.round(regret_KQ.mean(axis=0), 4).tolist() if found.any() else none,
        "std": np.round(regret_KQ.std(axis=0, ddof=min(1, len(regret_KQ) - 1)), 4).tolist() if found.any() else none,
    }


def build(folder: Path, spec: ChipSpec, searches: Sequence[str] = _SEARCHES) -> tuple[Path, dict[str, Any]]:
    """The exact fronts, saved; path of the first one, and what is known of each."""
    table, told, first = Tabular("nb201", os.environ.get("ARCHIP_DATA")), {}, folder / f"nb201_{_SEARCHES[0]}.npz"
    for search in searches:
        began = time.perf_counter()
        front = joint_front(table, search, spec)
        path = folder / f"nb201_{search}.npz"
        front.save(path)
        about = {key: value for key, value in front.about.items() if key != "spec"}
        told[search] = about | {"wall_s": round(time.perf_counter() - began, 1), "bytes": path.stat().st_size}
        print(search, told[search], flush=True)
    return first, told


def main(toy: bool, only_build: bool, folder: Path, jobs: int, out: Path | None) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    spec = validate(ChipSpec, {"pes": {"total": 512, "step": 64}} if toy else {})
    path, fronts = build(folder, spec)
    figures: dict[str, Any] = {"fronts": fronts, "load_before": round(os.getloadavg()[0], 2)}
    if only_build:
        return figures
    plan = Plan(str(path), 2, 20, 300, (10, 20)) if toy else Plan(str(path), _SEEDS, 200, 2200, _VOLUMES_AT)
    figures |= {"seeds": plan.seeds, "budget": plan.budget, "most_candidates": plan.most_candidates, "settings": {}}
    _measure(plan, figures, _STRATEGIES, jobs, folder / "joint_partial.json")
    if out is not None:
        write_text(make_folder(out) / "joint.html", html(figures))
    return figures


def again(names: list[str], seeds: int, folder: Path, jobs: int) -> dict[str, Any]:
    """The figures of the last whole run, with these methods measured anew."""
    path = folder / f"nb201_{_SEARCHES[0]}.npz"
    if not path.exists():
        build(folder, validate(ChipSpec, {}), _SEARCHES[:1])
    figures = json.loads(result_path("joint").read_text(encoding="utf-8"))
    plan = Plan(str(path), seeds, figures["budget"], figures["most_candidates"], _VOLUMES_AT)
    _measure(plan, figures, names, jobs, folder / "joint_partial.json")
    done = {f"{setting}: {n}" for n in names for setting in figures["settings"]}
    figures["not_run"] = [what for what in figures.get("not_run", []) if what not in done]
    return {key: value for key, value in figures.items() if key not in ("command", "machine")}


def _measure(plan: Plan, figures: dict[str, Any], names: Sequence[str], jobs: int, partial: Path) -> None:
    """All seeds of these methods in all settings, put into the figures."""
    front = _front(plan.front)
    points = np.column_stack([front.score_N, front.cycles_N, front.energy_N, front.area_N]).astype(float)
    whole = volume(points, _reference(front))
    wanted = [(setting, name) for name in names for setting in ("tight", "loose", "front")]  # the slow one last
    half = max(1, plan.seeds // 2)
    parts: dict[tuple[str, str], list[dict[str, Any]]] = {key: [] for key in wanted}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = {
            pool.submit(_searched, plan, setting, name, range(at, min(at + half, plan.seeds))): (setting, name)
            for setting, name in wanted
            for at in range(0, plan.seeds, half)
        }
        for future in as_completed(futures):
            setting, name = futures[future]
            parts[setting, name] += future.result()
            if len(parts[setting, name]) < plan.seeds:
                continue
            best = None if setting == "front" else front.best(_limits(front, _QUANTILES[setting]))
            here = figures["settings"].setdefault(setting, {"methods": {}})
            if best is not None:
                here |= {"limits": _limits(front, _QUANTILES[setting]), "optimum": best.score, "row": best.row}
            row = _told(plan, setting, parts[setting, name], whole, best.score if best else 0.0)
            here["methods"][name] = row | ({} if plan.seeds == figures["seeds"] else {"seeds": plan.seeds})
            brief = {key: value for key, value in row.items() if key not in ("regret", "std")}
            print(setting, name, brief, "" if setting == "front" else row["regret"][-1], flush=True)
            write_text(partial, json.dumps(figures))


def html(figures: dict[str, Any]) -> str:
    """Regret and gap over evaluations as a page of its own."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    plots, rows = {}, []
    for setting, here in figures["settings"].items():
        lines = []
        for name in filter(here["methods"].__contains__, _STRATEGIES):
            row, colour = here["methods"][name], _COLOURS[_STRATEGIES.index(name)]
            if setting == "front":
                x = [int(q) for q in row["gap"]]
                y, std = ([v[i] for v in row["gap"].values()] for i in (0, 1))
                last = f"{100 * y[-1]:.1f} %"
            else:
                x, y, std = list(range(1, len(row["regret"]) + 1)), row["regret"], row["std"]
                last = "-" if y[-1] is None else f"{y[-1]:.3f} points"
            line = {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": {"color": colour}}
            lines.append(line | {"error_y": {"type": "data", "array": std}} if setting == "front" else line)
            none = row.get("nothing_feasible", 0)
            rows.append([setting, name, last, row["evaluations"], row["candidates"], none, row["seconds_cpu"]])
        axis = {"title": {"text": "share of the volume missed" if setting == "front" else "regret [points]"}}
        axis |= {} if setting == "front" else {"type": "log"}
        plots[setting] = {"data": lines, "layout": {"xaxis": {"title": {"text": "evaluations"}}, "yaxis": axis}}
    environment = Environment(loader=PackageLoader("archip.search"), autoescape=True)
    return environment.get_template("bench.html.j2").render(
        title="Co-search methods against the exact joint front",
        text=[
            f"{figures['seeds']} seeds; a search ends at {figures['budget']} evaluations or"
            f" {figures['most_candidates']} candidates."
        ],
        head=[
            "setting",
            "method",
            "regret or gap at the end",
            "evaluations",
            "candidates",
            "seeds without any",
            "CPU s",
        ],
        rows=rows,
        figures={name: json.dumps(plot).replace("<", "\\u003c") for name, plot in plots.items()},
        plotly=get_plotlyjs(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--build", action="store_true", help="the fronts only")
    parser.add_argument("--folder", type=Path, default=Path("runs/joint"), help="where the fronts are kept")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder of the page with the plots")
    parser.add_argument("--again", nargs="+", choices=_STRATEGIES, help="measure these alone, into the last results")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="of --again")
    given = parser.parse_args()
    if given.again:
        result = again(given.again, given.seeds, given.folder, given.jobs)
    else:
        result = main(given.toy, given.build, given.folder, given.jobs, given.out)
    if not given.toy:
        name = "joint_fronts" if given.build else "joint"
        print(write_result(name, "python -m benchmarks.joint" + (" --build" if given.build else ""), result))

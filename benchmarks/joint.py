"""How far from the exact joint front do co-search methods end, over evaluations, on a table x NASAIC's chips?

    python -m benchmarks.joint --build                  the exact fronts alone, of all tables, with their times
    python -m benchmarks.joint --build --tables nb101   of some, into the last results
    python -m benchmarks.joint                          NAS-Bench-201: 20 seeds of every method; needs ARCHIP_DATA
    python -m benchmarks.joint --tables nb101           another table; goes on where it was stopped
    python -m benchmarks.joint --again nasaic           one method alone, into the results of the last run
    python -m benchmarks.joint --toy                    2 seeds, 20 evaluations, a chip of at most 512 PEs

An evaluation is a look at the accuracy (of the table's first search) of a network that was not looked at before; costs
are free, but counted: a search ends at 200 evaluations or 2,200 candidates priced, what NASAIC prices for 200 networks.
Settings:

* tight, loose: the most accurate network within limits on latency, energy and area, which are the 35 % and 90 %
  quantiles of the exact front. Regret is to the exact optimum, in points of accuracy.
* front: accuracy, latency, energy and area at once, no limits; the gap is the share of the exact front's volume, below
  the loose limits and above 50 % accuracy (40 % on TransNAS), that what was visited does not dominate. Every network
  that was looked at counts with all schedules on every chip that it was tried on.

Expected before the first run: nested has the least regret within tight limits, as it never prices a chip that is not
the best; nasaic and random search mostly find nothing feasible there; in volume joint (nsga2) beats nested, which
tries two chips a network only. Expected before the first run on NAS-Bench-101 and TransNAS: the same order.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
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
from archip.search.joint import joint_front
from archip.search.joint_bench import JointBench, search_joint
from archip.search.joint_front import JointFront, load_joint, volume
from archip.spaces.tabular import Tabular
from benchmarks._machine import result_path, write_result

_TABLES = {
    "nb201": ("cifar10", "cifar100", "in16"),
    "nb101": ("cifar10",),
    "transnas_macro": (
        "class_object",
        "class_scene",
        "room_layout",
        "jigsaw",
        "segmentsemantic",
        "autoencoder",
        "normal",
    ),
}
_STRATEGIES = ("nested", "joint", "alternating", "local_search", "random_search", "nasaic")
_SETTINGS = ("tight", "loose", "front")
_QUANTILES = {"tight": 0.35, "loose": 0.9}
_FLOORS = {"nb201": 0.5, "nb101": 0.5, "transnas_macro": 0.4}
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
    return np.array(
        [_FLOORS[front.about["table"]], *(np.floor(np.quantile(column, _QUANTILES["loose"])) for column in columns)]
    )


def _goals(front: JointFront, setting: str) -> Goals:
    quality = Objective("quality", 1)
    if setting == "front":
        return Goals((quality, *(Objective.of(m) for m in ("latency_cycles", "energy_j", "area_mm2"))))
    return Goals((quality,), tuple(Limit(m, b) for m, b in _limits(front, _QUANTILES[setting]).items()))


@lru_cache(maxsize=1)
def _any_bench(path: str) -> JointBench:
    front = _front(path)
    table = Tabular(front.about["table"], os.environ.get("ARCHIP_DATA"))
    return JointBench(table, front.about["search"], front.spec, _goals(front, "front"))


@lru_cache(maxsize=len(_SETTINGS))
def _bench(path: str, setting: str) -> JointBench:
    return _any_bench(path).with_goals(_goals(_front(path), setting))


def _searched(plan: Plan, setting: str, strategy: str, seed: int) -> dict[str, Any]:
    """One search, as JSON."""
    if strategy == "nasaic":
        import torch

        torch.set_num_threads(1)  # kernels set it to all cores, which makes steps of a small LSTM 50 times slower
    is_front = setting == "front"
    trace = search_joint(
        _bench(plan.front, setting),
        Plug(strategy),
        seed,
        plan.budget,
        plan.most_candidates,
        volumes_at=plan.volumes_at if is_front else (),
        reference_4=_reference(_front(plan.front)) if is_front else None,
    )
    return vars(trace) | {"seed": seed}


def _told(plan: Plan, setting: str, traces: list[dict[str, Any]], whole: float, optimum: float) -> dict[str, Any]:
    """Means over seeds: regret by evaluations, or gap in volume."""
    told: dict[str, Any] = {
        "evaluations": round(float(np.mean([len(t["best_Q"]) for t in traces])), 1),
        "candidates": round(float(np.mean([t["n_candidates"] for t in traces])), 1),
        "seconds_cpu": round(float(np.mean([t["seconds"] for t in traces])), 2),
        "strategy_cpu": round(float(np.mean([t["strategy_s"] for t in traces])), 2),
    }
    if setting == "front":
        volumes = [{int(q): v for q, v in t["volumes"].items()} for t in traces if t["volumes"]]
        gaps = {q: [1 - v[max(at for at in v if at <= q)] / whole for v in volumes] for q in plan.volumes_at}
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


def build(folder: Path, spec: ChipSpec, table: str, searches: Sequence[str]) -> dict[str, Any]:
    """The exact fronts of a table, saved; what is known of each."""
    space, told = Tabular(table, os.environ.get("ARCHIP_DATA")), {}
    for search in searches:
        began, busy = time.perf_counter(), time.process_time()
        front, path = joint_front(space, search, spec), front_path(folder, table, search)
        front.save(path)
        about = {key: value for key, value in front.about.items() if key not in ("spec", "question")}
        seconds = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - busy}
        about |= {name: round(value, 1) for name, value in seconds.items()}
        told[f"{table} {search}"] = about | {
            "bytes": path.stat().st_size,
            "accuracies": len(np.unique(front.score_N)),
            "load": round(os.getloadavg()[0], 2),
        }
        print(search, told[f"{table} {search}"], flush=True)
    return told


def front_path(folder: Path, table: str, search: str) -> Path:
    return folder / f"{table}_{search}.npz"


def fronts(tables: Sequence[str], searches: Sequence[str], folder: Path) -> dict[str, Any]:
    """The fronts of some tables (of these searches, if any are given), beside those of the last results."""
    known, path = {}, result_path("joint_fronts")
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))["fronts"]
    for table in tables:
        known |= build(folder, ChipSpec(), table, [s for s in _TABLES[table] if not searches or s in searches])
    return {"fronts": known}


def main(toy: bool, table: str, seeds: int, folder: Path, jobs: int, out: Path | None) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    spec = validate(ChipSpec, {"pes": {"total": 512, "step": 64}} if toy else {})
    path = front_path(folder, table, _TABLES[table][0])
    if toy or not path.exists():
        build(folder, spec, table, _TABLES[table][:1])
    plan = Plan(str(path), 2, 20, 300, (10, 20)) if toy else Plan(str(path), seeds, 200, 2200, _VOLUMES_AT)
    figures: dict[str, Any] = {"table": table, "seeds": plan.seeds, "budget": plan.budget}
    figures |= {"most_candidates": plan.most_candidates, "settings": {}}
    _measure(plan, figures, _STRATEGIES, jobs, None if toy else folder / f"joint_searches_{table}.json")
    if out is not None:
        write_text(make_folder(out) / "joint.html", html(figures))
    return figures


def again(names: list[str], seeds: int, table: str, folder: Path, jobs: int) -> dict[str, Any]:
    """The figures of the last whole run, with these methods measured anew."""
    path = front_path(folder, table, _TABLES[table][0])
    if not path.exists():
        build(folder, ChipSpec(), table, _TABLES[table][:1])
    figures = json.loads(result_path(_result(table)).read_text(encoding="utf-8"))
    plan = Plan(str(path), seeds, figures["budget"], figures["most_candidates"], _VOLUMES_AT)
    _measure(plan, figures, names, jobs, None)
    return {key: value for key, value in figures.items() if key not in ("command", "machine")}


def _result(table: str) -> str:
    return "joint" if table == "nb201" else f"joint_{table}"


def _measure(plan: Plan, figures: dict[str, Any], names: Sequence[str], jobs: int, keep: Path | None) -> None:
    """All seeds of these methods in all settings, put into the figures; searches in the file are not made again."""
    front, known = _front(plan.front), {}
    if keep is not None and keep.exists():
        known = json.loads(keep.read_text(encoding="utf-8"))
    is_done = {(key, trace["seed"]) for key, traces in known.items() for trace in traces}
    wanted = [
        (setting, name, seed)
        for seed in range(plan.seeds)
        for name in names
        for setting in _SETTINGS
        if (f"{setting} {name}", seed) not in is_done
    ]
    for setting, name, trace in _traces(plan, wanted, jobs):
        known.setdefault(f"{setting} {name}", []).append(trace)
        print(setting, name, trace["seed"], round(trace["seconds"], 1), "s", flush=True)
        if keep is not None:
            write_text(keep, json.dumps(known))
    points = np.column_stack([front.score_N, front.cycles_N, front.energy_N, front.area_N]).astype(float)
    whole = volume(points, _reference(front))
    for setting, name in ((setting, name) for name in names for setting in _SETTINGS):
        traces = [trace for trace in known[f"{setting} {name}"] if trace["seed"] < plan.seeds]
        best = None if setting == "front" else front.best(_limits(front, _QUANTILES[setting]))
        here = figures["settings"].setdefault(setting, {"methods": {}})
        if best is not None:
            here |= {"limits": _limits(front, _QUANTILES[setting]), "optimum": best.score, "row": best.row}
        row = _told(plan, setting, traces, whole, best.score if best else 0.0)
        here["methods"][name] = row | ({} if plan.seeds == figures["seeds"] else {"seeds": plan.seeds})
        brief = {key: value for key, value in row.items() if key not in ("regret", "std")}
        print(setting, name, brief, "" if setting == "front" else row["regret"][-1], flush=True)


def _traces(plan: Plan, wanted: Sequence[tuple[str, str, int]], jobs: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Setting, method and a search, as they end."""
    if jobs == 1:
        for setting, name, seed in wanted:
            yield setting, name, _searched(plan, setting, name, seed)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        futures = {pool.submit(_searched, plan, *search): search for search in wanted}
        for future in as_completed(futures):
            yield *futures[future][:2], future.result()


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
    parser.add_argument("--tables", nargs="+", choices=list(_TABLES), help="by default all of --build, else nb201")
    parser.add_argument("--searches", nargs="+", default=(), help="of the tables, the fronts to --build; else all")
    parser.add_argument("--folder", type=Path, default=Path("runs/joint"), help="where the fronts are kept")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder of the page with the plots")
    parser.add_argument("--again", nargs="+", choices=_STRATEGIES, help="measure these alone, into the last results")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="fewer make a quicker run")
    given = parser.parse_args()
    command = "python -m benchmarks.joint"
    if given.build:
        figures = fronts(given.tables or list(_TABLES), given.searches, given.folder)
        print(write_result("joint_fronts", f"{command} --build", figures))
    for table in () if given.build else given.tables or ["nb201"]:
        if given.again:
            figures = again(given.again, given.seeds, table, given.folder, given.jobs)
        else:
            figures = main(given.toy, table, given.seeds, given.folder, given.jobs, given.out)
        if not given.toy:
            print(write_result(_result(table), f"{command} --tables {table}", figures))

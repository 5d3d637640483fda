"""How far from the best chip does NASAIC's controller end, in its full 500 x 11 samples, networks and cost model equal?

    python -m benchmarks.nasaic_regret           W1 to W3, 5 seeds, six questions each; goes on where it was stopped
    python -m benchmarks.nasaic_regret --toy     W3, a chip of at most 512 PEs, 1 seed, 20 x 11 samples

W1 and W3 as in `benchmarks.chip`, fixed clusters; the paper does not print W2's networks, so the first one of W1 stands
with a middle one of the space for STL-10, at 96 x 96. A0 is an area, T0 the least latency within it, E0 the least
energy.
Questions: least energy (latency <= f T0, area <= A0), least latency (energy <= g E0, area <= A0), least area (latency
<= f T0, energy at most g times the least within that latency and A0); loose f = 2, g = 1.2, tight f = 1.1, g = 1.02.
The controller is rewarded as in NASAIC, by its penalty alone: it is given the limits and, for what is to be least, the
exact optimum as one more limit, so that it always has a reason to go on. Its chips are scheduled by HAP. Beside it: as
many chips drawn uniformly. For both, what counts is the best of all their chips, once as HAP schedules them and once
scheduled exactly, which is the most that could be made of them. Regret is the excess over the exact answer.
Expected before the first run: no design is better than the exact answer; of uniform chips, scheduled exactly, energy is
0-2.7 % off on average and up to a quarter of the seeds find nothing feasible under tight limits, least latency 0.2-13 %
(figures of a trial with other limits: orientation only).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate
from archip.core.files import make_folder, write_text
from archip.core.knobs import Choice, Knob, KnobSpace
from archip.core.objectives import Goals, Limit, Objective
from archip.core.record import Record, Status
from archip.core.registry import validate
from archip.core.rng import generator
from archip.hardware.chip.bounds import ChipLimits, no_limits
from archip.hardware.chip.search import Metric, best_chip
from archip.hardware.chip.space import ChipSpec, CoreDesign
from archip.hardware.chip.table import CostTable, cost_table
from archip.hardware.schedule._exact import cheapest, fastest
from archip.hardware.schedule._schedule import Policy
from archip.ir.graph import Graph
from archip.search.chip import read_networks
from archip.spaces.chip import Chip
from archip.spaces.product import ProductSpace
from benchmarks._machine import write_result

_LARGE, _SMALL = "resnet9:32,128,2,256,2,256,2@3x32x32", "resnet9:16,64,1,128,1,256,2@3x32x32"
_STL_SPACE = {"blocks": 5, "stem": [8, 16, 32, 64], "filters": [32, 64, 128, 256, 512], "skips": [0, 1, 2, 3]}
_STL = {
    "fn0": 32,
    "fn1": 64,
    "sk1": 1,
    "fn2": 128,
    "sk2": 1,
    "fn3": 128,
    "sk3": 1,
    "fn4": 256,
    "sk4": 1,
    "fn5": 256,
    "sk5": 1,
}
_WORKLOADS = {"W3": [_LARGE, _SMALL], "W1": [_LARGE, "unet:5,16,32,64,128,256@3x96x96"], "W2": [_LARGE, "stl"]}
_AREA_MM2 = 1000.0
_LOOSENESS = {"loose": (2.0, 1.2), "tight": (1.1, 1.02)}
_EPISODES, _PHI, _SEEDS = 500, 10, 5
_METRICS = {"latency": "latency_cycles", "energy": "energy_j", "area": "area_mm2"}
_PLACE = {"latency": 0, "energy": 1, "area": 2}


@dataclass(frozen=True)
class Question:
    """What is to be least, within which limits, and the exact answer in units of the table."""

    minimise: Metric
    limits: ChipLimits
    answer: int


class _Given(KnobSpace):
    """The networks, of which there is one choice: a controller has something to begin its episodes with."""

    @cached_property
    def knobs(self) -> Mapping[str, Knob]:
        return {"networks": Choice(("given",))}


class Bench:
    """One workload: its cost table, and chips of it as HAP and as exact schedules have them."""

    def __init__(self, models: list[str | Graph], options: dict[str, Any]) -> None:
        self.spec: ChipSpec = validate(ChipSpec, options)
        self.chips: Chip = validate(Chip, {k: v for k, v in options.items() if k != "mapping"})
        self.table: CostTable = cost_table(read_networks(models), self.spec)
        self.place = {tuple(design)[:3]: i for i, design in enumerate(self.spec.designs)}
        self.network_L = np.repeat(np.arange(len(self.table.first_C) - 1), np.diff(self.table.first_C))
        self.hap: Policy = registry.create("hardware/schedule", "hap")
        self._by_hap: dict[tuple[tuple[int, ...], int], tuple[int, int, int]] = {}

    def rows(self, candidate: Candidate) -> tuple[int, ...]:
        cores = self.chips.design(candidate.hw)  # pyright: ignore[reportArgumentType]
        return tuple(self.place[CoreDesign(*core)[:3]] for core in cores)

    def by_hap(self, rows: tuple[int, ...], limits: ChipLimits) -> tuple[int, int, int]:
        """Cycles, energy, area."""
        if (rows, limits.cycles) not in self._by_hap:
            self._by_hap[rows, limits.cycles] = self._scheduled(rows, limits)
        return self._by_hap[rows, limits.cycles]

    def _scheduled(self, rows: tuple[int, ...], limits: ChipLimits) -> tuple[int, int, int]:
        table = self.table
        cycles, energy = table.cycles_DL[list(rows)], table.energy_DL[list(rows)]
        plan = self.hap.schedule(cycles, energy.astype(float), self.network_L, limits.cycles)
        return int(plan.makespan), round(plan.energy_j), int(table.area_D[list(rows)].sum())

    def questions(self, area_mm2: float) -> dict[str, Question]:
        free = no_limits(self.table)._replace(area=int(area_mm2 * 1e6))
        least = {"latency": self._least(free, "latency"), "energy": self._least(free, "energy")}
        found: dict[str, Question] = {}
        for name, (f, g) in _LOOSENESS.items():
            fast, frugal = (
                free._replace(cycles=int(f * least["latency"])),
                free._replace(energy=int(g * least["energy"])),
            )
            small = fast._replace(energy=int(g * self._least(fast, "energy")))
            asked: tuple[tuple[Metric, ChipLimits], ...] = (("energy", fast), ("latency", frugal), ("area", small))
            for metric, limits in asked:
                found[f"{metric}, {name}"] = Question(metric, limits, self._least(limits, metric))
        return found

    def _least(self, limits: ChipLimits, metric: Metric) -> int:
        best = best_chip(self.table, limits, metric)
        assert best.point is not None, "the limits are made so that a chip keeps them"
        assert best.certificate.gap == 0
        return int((best.point.cycles, best.point.energy, best.point.area)[_PLACE[metric]])

    def exactly(self, chips: set[tuple[int, ...]], question: Question) -> int | None:
        """The least that any of these chips has within the limits, scheduled exactly."""
        table, limits = self.table, question.limits
        bounded = sorted((self.bounds(rows), rows) for rows in chips)
        bounded.sort(key=lambda item: item[0][_PLACE[question.minimise]])
        best: int | None = None
        for bounds, rows in bounded:
            if any(bound > most for bound, most in zip(bounds, limits, strict=True)):
                continue
            if best is not None and bounds[_PLACE[question.minimise]] >= best:
                break
            cycles, energy = limits.cycles, limits.energy
            if best is not None and question.minimise == "latency":
                cycles = best - 1
            if best is not None and question.minimise == "energy":
                energy = best - 1
            cycles_KL, price_KL = table.cycles_DL[list(rows)], table.prices_DL[list(rows)]
            n_sums, n_layers = len(table.first_C) - 1 + len(rows), len(table.layers)
            solve = fastest if question.minimise == "latency" else cheapest
            _, span, spent, _ = solve(
                cycles_KL, price_KL, table.first_C, cycles, float(energy), np.zeros(n_sums),
                np.full(n_sums, 1.0 / n_sums), np.zeros(n_layers, np.int64), np.zeros(n_layers, np.int64),
            )  # fmt: skip
            if spent < np.inf:
                best = (int(span), int(spent), bounds[2])[_PLACE[question.minimise]]
        return best

    def bounds(self, rows: tuple[int, ...]) -> tuple[int, int, int]:
        """Least cycles (of the longest chain), least energy, area."""
        table = self.table
        fast_L, cheap_L = table.cycles_DL[list(rows)].min(axis=0), table.prices_DL[list(rows)].min(axis=0)
        longest = max(int(fast_L[a:b].sum()) for a, b in zip(table.first_C[:-1], table.first_C[1:], strict=True))
        spent = cheap_L.sum()
        return longest, int(min(spent, 2**62)), int(table.area_D[list(rows)].sum())


def _goals(bench: Bench, question: Question) -> Goals:
    """The limits as NASAIC's specs; the exact answer is the spec of what is to be least."""
    bounds = question.limits._replace(
        **{{"latency": "cycles"}.get(question.minimise, question.minimise): question.answer}
    )
    units = (1.0, bench.table.energy_unit_j, 1e-6)
    specs = tuple(
        Limit(metric, bound * unit) for metric, bound, unit in zip(_METRICS.values(), bounds, units, strict=True)
    )
    return Goals((Objective("quality", 1),), specs)


def controller(bench: Bench, question: Question, seed: int, episodes: int) -> list[tuple[tuple[int, ...], Any]]:
    """Every chip that NASAIC's controller proposes, with its costs by HAP."""
    goals = _goals(bench, question)
    strategy = registry.create("strategies", "nasaic", {"phi": _PHI})
    strategy.start(ProductSpace({"net.all": _Given(), "hw": bench.chips}), goals)
    seen: list[tuple[tuple[int, ...], Any]] = []
    for episode in range(episodes):
        records = []
        for candidate in strategy.ask(_PHI + 1, generator(seed, "ask", episode)):
            rows = bench.rows(candidate)
            costs = bench.by_hap(rows, question.limits)
            seen.append((rows, costs))
            units = (1.0, bench.table.energy_unit_j, 1e-6)
            metrics = {m: c * u for m, c, u in zip(_METRICS.values(), costs, units, strict=True)}
            is_kept = goals.violation(metrics) == 0.0
            # The networks are fixed, so their quality says nothing.
            told = metrics | ({"quality": 1.0} if is_kept else {})
            records.append(Record(candidate, told, Status.OK if is_kept else Status.INFEASIBLE))
        strategy.tell(records)
    return seen


def uniform(bench: Bench, question: Question, seed: int, n: int) -> list[tuple[tuple[int, ...], Any]]:
    """As many chips, each drawn as the space samples; those that no schedule brings within the limits have bounds."""
    rng = generator(seed, "uniform")
    chips = [bench.rows(Candidate(hw=bench.chips.sample(rng))) for _ in range(n)]
    bounds = [bench.bounds(rows) for rows in chips]
    hopeless = [any(b > most for b, most in zip(of, question.limits, strict=True)) for of in bounds]
    limits = question.limits
    return [
        (rows, of if is_over else bench.by_hap(rows, limits))
        for rows, of, is_over in zip(chips, bounds, hopeless, strict=True)
    ]


def _judged(bench: Bench, question: Question, seen: list[tuple[tuple[int, ...], Any]]) -> tuple[Any, Any]:
    """Regret as shares of the exact answer, by HAP and exactly; None where nothing is feasible."""
    kept = [c for _, c in seen if all(v <= most for v, most in zip(c, question.limits, strict=True))]
    by_hap = min((c[_PLACE[question.minimise]] for c in kept), default=None)
    exact = bench.exactly({rows for rows, _ in seen}, question)
    for value in (by_hap, exact):
        assert value is None or value >= question.answer, "a design is better than the exact answer"
    assert by_hap is None or (exact is not None and exact <= by_hap), "HAP is better than the exact schedule"
    regrets = [None if value is None else value / question.answer - 1 for value in (by_hap, exact)]
    return regrets[0], regrets[1]


def _row(values: list[float | None]) -> dict[str, Any]:
    known = [v for v in values if v is not None]
    told = {"mean_percent": None, "worst_percent": None} if not known else {
        "mean_percent": round(100 * float(np.mean(known)), 2), "worst_percent": round(100 * max(known), 2)
    }  # fmt: skip
    return told | {"nothing_feasible": sum(v is None for v in values), "seeds": len(values)}


def _answered(bench: Bench, question: Question, episodes: int, seed: int) -> dict[str, list[float | None]]:
    """Regrets of one seed, of both: by HAP and exactly."""
    tried = controller(bench, question, seed, episodes)
    drawn = uniform(bench, question, seed, len(tried))
    return {"nasaic": [*_judged(bench, question, tried)], "uniform": [*_judged(bench, question, drawn)]}


def _told(question: Question, results: list[dict[str, list[float | None]]]) -> dict[str, Any]:
    told: dict[str, Any] = {"exact": question.answer, "limits": question.limits._asdict()}
    for who in ("nasaic", "uniform"):
        for i, how in enumerate(("HAP", "scheduled exactly")):
            told[f"{who}, {how}"] = _row([result[who][i] for result in results])
    return told


def _models(name: str) -> list[str | Graph]:
    nets = registry.create("spaces", "resnet9", _STL_SPACE)
    return [nets.graph(_STL, (3, 96, 96), 10) if model == "stl" else model for model in _WORKLOADS[name]]


def _workload(name: str, options: dict[str, Any], episodes: int, seeds: int, keep: Path | None) -> dict[str, Any]:
    """All questions of one workload, seed after seed; what is done is kept in a file and not done again."""
    began, bench = time.process_time(), Bench(_models(name), options)
    questions = bench.questions(_AREA_MM2)
    known: dict[str, list[dict[str, list[float | None]]]] = {asked: [] for asked in questions}
    if keep is not None and keep.exists():
        known = json.loads(keep.read_text(encoding="utf-8"))
    for seed in range(seeds):
        for asked, question in questions.items():
            if len(known[asked]) <= seed:
                known[asked].append(_answered(bench, question, episodes, seed))
                print(name, asked, seed, known[asked][-1], round(time.process_time() - began), "s", flush=True)
                if keep is not None:
                    write_text(keep, json.dumps(known))
    return {asked: _told(question, known[asked]) for asked, question in questions.items()}


def main(toy: bool, names: list[str], seeds: int, folder: Path, jobs: int) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    episodes, seeds = (20, 1) if toy else (_EPISODES, seeds)
    options: dict[str, Any] = {"pes": {"total": 512, "step": 64}} if toy else {}
    rows: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        keeps = {name: None if toy else make_folder(folder) / f"{name}.json" for name in names}
        done = {n: pool.submit(_workload, n, options, episodes, seeds, keeps[n]) for n in names}
        for name, future in done.items():
            rows[name] = future.result()
            for question, row in rows[name].items():
                print(name, question, row)
    # What `_judged` asserts held in all of them.
    return {"episodes": episodes, "phi": _PHI, "area_mm2": _AREA_MM2, "workloads": rows, "holds": True}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--workloads", nargs="+", choices=list(_WORKLOADS), default=list(_WORKLOADS))
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="0: only tell what is kept")
    parser.add_argument("--folder", type=Path, default=Path("runs/nasaic_regret"), help="where it goes on from")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one a workload at most")
    given = parser.parse_args()
    figures = main(given.toy, ["W3"] if given.toy else given.workloads, given.seeds, given.folder, given.jobs)
    if not given.toy:
        print(write_result("nasaic_regret", "python -m benchmarks.nasaic_regret", figures))

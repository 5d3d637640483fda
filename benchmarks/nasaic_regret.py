"""How far from the best chip does NASAIC's controller end, in its full 500 x 11 samples, networks and cost model equal?

    python -m benchmarks.nasaic_regret           W1 and W3, 5 seeds, six questions each
    python -m benchmarks.nasaic_regret --toy     W3, a chip of at most 512 PEs, 1 seed, 20 x 11 samples

W1 and W3 as in `benchmarks.chip`, fixed clusters. A0 is an area, T0 the least latency within it, E0 the least energy.
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
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate
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
from archip.search.chip import read_networks
from archip.spaces.chip import Chip
from archip.spaces.product import ProductSpace
from benchmarks._machine import write_result

_LARGE, _SMALL = "resnet9:32,128,2,256,2,256,2@3x32x32", "resnet9:16,64,1,128,1,256,2@3x32x32"
_WORKLOADS = {"W3": [_LARGE, _SMALL], "W1": [_LARGE, "unet:5,16,32,64,128,256@3x96x96"]}
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

    def __init__(self, models: list[str], options: dict[str, Any]) -> None:
        self.spec: ChipSpec = validate(ChipSpec, options)
        self.chips: Chip = validate(Chip, {k: v for k, v in options.items() if k != "mapping"})
        self.table: CostTable = cost_table(read_networks(models), self.spec)
        self.place = {tuple(design)[:3]: i for i, design in enumerate(self.spec.designs)}
        self.network_L = np.repeat(np.arange(len(self.table.first_C) - 1), np.diff(self.table.first_C))
        self.hap: Policy = registry.create("hardware/schedule", "hap")

    def rows(self, candidate: Candidate) -> tuple[int, ...]:
        cores = self.chips.design(candidate.hw)  # pyright: ignore[reportArgumentType]
        return tuple(self.place[CoreDesign(*core)[:3]] for core in cores)

    def by_hap(self, rows: tuple[int, ...], limits: ChipLimits) -> tuple[int, int, int]:
        """Cycles, energy, area."""
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
        bounded = sorted((self._bounds(rows), rows) for rows in chips)
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

    def _bounds(self, rows: tuple[int, ...]) -> tuple[int, int, int]:
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
    """As many chips, each drawn as the space samples."""
    rng = generator(seed, "uniform")
    chips = [bench.rows(Candidate(hw=bench.chips.sample(rng))) for _ in range(n)]
    return [(rows, bench.by_hap(rows, question.limits)) for rows in chips]


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


def _answered(name: str, options: dict[str, Any], asked: str, episodes: int, seeds: int) -> dict[str, Any]:
    """One question of one workload: what `main` tells of it."""
    import torch

    torch.set_num_threads(1)  # the kernels set it to all cores, which makes steps of a small LSTM 50 times slower
    began, bench = time.perf_counter(), Bench(_WORKLOADS[name], options)
    question = bench.questions(_AREA_MM2)[asked]
    found: dict[str, list[tuple[Any, Any]]] = {"nasaic": [], "uniform": []}
    for seed in range(seeds):
        tried = controller(bench, question, seed, episodes)
        found["nasaic"].append(_judged(bench, question, tried))
        found["uniform"].append(_judged(bench, question, uniform(bench, question, seed, len(tried))))
    told: dict[str, Any] = {"exact": question.answer, "limits": question.limits._asdict()}
    for who, results in found.items():
        for i, how in enumerate(("HAP", "scheduled exactly")):
            told[f"{who}, {how}"] = _row([regrets[i] for regrets in results])
    return told | {"seconds": round(time.perf_counter() - began, 1)}


def main(toy: bool) -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    episodes, seeds = (20, 1) if toy else (_EPISODES, _SEEDS)
    options: dict[str, Any] = {"pes": {"total": 512, "step": 64}} if toy else {}
    names = ("W3",) if toy else tuple(_WORKLOADS)
    asked = [f"{metric}, {how}" for how in ("tight", "loose") for metric in ("energy", "latency", "area")]
    rows: dict[str, dict[str, Any]] = {name: {} for name in names}
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        jobs = {pool.submit(_answered, n, options, a, episodes, seeds): (n, a) for a in asked for n in names}
        for job in as_completed(jobs):
            name, question = jobs[job]
            rows[name][question] = job.result()
            print(name, question, rows[name][question], flush=True)
    # What `_judged` asserts held in all of them.
    return {"episodes": episodes, "phi": _PHI, "area_mm2": _AREA_MM2, "workloads": rows, "holds": True}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    figures = main(toy)
    if not toy:
        print(write_result("nasaic_regret", "python -m benchmarks.nasaic_regret", figures))

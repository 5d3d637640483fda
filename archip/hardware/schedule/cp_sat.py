"""CP-SAT: the optimal schedule, or the best one found with the gap that is left.

Choose it where the optimum or a proof is worth milliseconds to seconds, or as the judge of other policies. It takes
chains, graphs and DRAM contention alike. Time limits are on the wall clock: an answer with gap 0 is the same on every
machine, one that ran into the limit need not be.
Source: the disjunctive model with optional intervals, Laborie et al. 2018, "IBM ILOG CP optimizer for scheduling",
solved by OR-Tools' CP-SAT. HAP's schedule is the first solution. Energies are rounded to 2^-30 of their sum; a limit
on energy may be exceeded by as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from archip.hardware.schedule._jobs import FULL, Jobs, start_cycles
from archip.hardware.schedule._schedule import Limits, Policy, Solution
from archip.hardware.schedule.hap import Hap

__all__ = ["CpSat"]

Quantity = Literal["cycles", "energy"]


@dataclass(frozen=True)
class CpSat(Policy):
    """Minimises the makespan or the energy exactly, then the other one at the same value of the first.

    Where the time does not suffice for the first, the second is left as it is; where not even a solution within the
    limits was found, the answer is HAP's and proves nothing.
    """

    time_limit_s: Annotated[float, Field(gt=0)] = 10.0  # of the solver
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=1)] = 1

    def solve(self, jobs: Jobs, limits: Limits) -> Solution:
        weight_LK, unit_j = _whole_energies(jobs.energy_LK)
        guess = Hap().solve(jobs, limits)
        caps: dict[Quantity, int] = {}
        first: Quantity = "cycles"
        if limits.cycles is not None:
            caps, first = {"cycles": limits.cycles}, "energy"
        elif limits.energy_j is not None:
            slack = len(weight_LK) / 2  # of rounding
            caps = {"energy": math.floor(limits.energy_j / unit_j + slack)}
        question = _Question(jobs, weight_LK, self.seed, self.workers)
        answer = question.minimise(first, caps, guess, self.time_limit_s)
        left_s = self.time_limit_s - answer.seconds
        if answer.is_impossible:  # the limit gives way: what it limits is minimised
            first = "energy" if first == "cycles" else "cycles"
            caps = {}
            answer = question.minimise(first, caps, guess, left_s)
            left_s -= answer.seconds
        if answer.core_L is None:
            return guess
        if answer.gap == 0:
            second: Quantity = "energy" if first == "cycles" else "cycles"
            better = question.minimise(second, {**caps, first: answer.value}, answer, left_s)
            if better.core_L is not None:
                answer = better._replace(gap=0.0)
        return _begun_early(jobs, answer)


class _Answer(NamedTuple):
    """What the solver found; `value` is of the minimised quantity, in cycles or in units of energy."""

    core_L: np.ndarray | None = None
    start_L: np.ndarray | None = None
    gap: float | None = None
    value: int = 0
    is_impossible: bool = False
    seconds: float = 0.0


class _Question(NamedTuple):
    jobs: Jobs
    weight_LK: np.ndarray
    seed: int
    workers: int

    def minimise(
        self, quantity: Quantity, caps: dict[Quantity, int], guess: Solution | _Answer, seconds: float
    ) -> _Answer:
        """The least of one quantity within the caps.

        Args:
            guess: where to begin; it need not keep the caps.
            seconds: for the solver.
        """
        from ortools.sat.python import cp_model

        if seconds <= 0:
            return _Answer()
        model, runs_LK, start_L, amount = self._model(caps)
        model.minimize(amount[quantity])
        assert guess.core_L is not None
        assert guess.start_L is not None
        for layer, (core, start) in enumerate(zip(guess.core_L.tolist(), guess.start_L.tolist(), strict=True)):
            model.add_hint(start_L[layer], start)
            for k, runs in runs_LK[layer].items():
                model.add_hint(runs, int(k == core))
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.random_seed = self.seed
        solver.parameters.num_workers = self.workers
        status = solver.solve(model)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return _Answer(is_impossible=status == cp_model.INFEASIBLE, seconds=solver.wall_time)
        value, bound = round(solver.objective_value), math.ceil(solver.best_objective_bound - 1e-6)
        return _Answer(
            core_L=np.array([next(k for k, runs in row.items() if solver.value(runs)) for row in runs_LK]),
            start_L=np.array([solver.value(start) for start in start_L]),
            gap=0.0 if status == cp_model.OPTIMAL else (value - bound) / value,
            value=value,
            seconds=solver.wall_time,
        )

    def _model(self, caps: dict[Quantity, int]) -> tuple[Any, list[dict[int, Any]], list[Any], dict[Quantity, Any]]:
        """The model, whether each layer runs on each core that can run it, the starts, cycles and energy of all."""
        from ortools.sat.python import cp_model

        jobs, model = self.jobs, cp_model.CpModel()
        n_layers, n_cores = jobs.cycles_LK.shape
        horizon = int(jobs.cycles_LK.max(axis=1).sum())
        span = model.new_int_var(0, min(horizon, caps.get("cycles", horizon)), "span")
        runs_LK: list[dict[int, Any]] = []
        start_L, end_L, intervals, shares = [], [], [], []
        lanes: list[list[Any]] = [[] for _ in range(n_cores)]
        for layer, cycles_K in enumerate(jobs.cycles_LK.tolist()):
            runs = {k: model.new_bool_var(f"{layer} on {k}") for k in range(n_cores) if cycles_K[k] >= 0}
            model.add_exactly_one(runs.values())
            start = model.new_int_var(0, horizon, f"start {layer}")
            end = start + sum(cycles_K[k] * runs[k] for k in runs)
            model.add(end <= span)
            for k in runs:
                whole = model.new_optional_fixed_size_interval_var(start, cycles_K[k], runs[k], f"{layer} on {k}")
                lanes[k].append(whole)
                if jobs.share_LK[layer, k] > 0:
                    intervals.append(whole)
                    shares.append(int(jobs.share_LK[layer, k]))
            runs_LK.append(runs)
            start_L.append(start)
            end_L.append(end)
        for layer in range(n_layers):
            for later in jobs.next_S[jobs.first_L[layer] : jobs.first_L[layer + 1]].tolist():
                model.add(start_L[later] >= end_L[layer])
        for k, lane in enumerate(lanes):
            model.add_no_overlap(lane)
            model.add(span >= sum(int(jobs.cycles_LK[i, k]) * runs[k] for i, runs in enumerate(runs_LK) if k in runs))
        if intervals:
            model.add_cumulative(intervals, shares, FULL)
            work_LK = jobs.share_LK * jobs.cycles_LK
            model.add(FULL * span >= sum(int(work_LK[i, k]) * runs[k] for i, runs in enumerate(runs_LK) for k in runs))
        energy = sum(int(self.weight_LK[i, k]) * runs[k] for i, runs in enumerate(runs_LK) for k in runs)
        if "energy" in caps:
            model.add(energy <= caps["energy"])
        return model, runs_LK, start_L, {"cycles": span, "energy": energy}


def _whole_energies(energy_LK: np.ndarray) -> tuple[np.ndarray, float]:
    """Energies as whole numbers, and their unit: the power of two that makes their sum about 2^30."""
    total = float(np.nan_to_num(energy_LK).max(axis=1).sum())
    unit = 2.0 ** (math.frexp(total)[1] - 30) if total > 0 else 1.0
    return np.rint(np.nan_to_num(energy_LK) / unit).astype(np.int64), unit


def _begun_early(jobs: Jobs, answer: _Answer) -> Solution:
    """List scheduling leaves no needless pauses; the solver's times are taken where they are shorter."""
    assert answer.core_L is not None
    assert answer.start_L is not None
    listed_L = start_cycles(jobs, answer.core_L)
    cycles_L = jobs.cycles_LK[np.arange(len(listed_L)), answer.core_L]
    is_shorter = (answer.start_L + cycles_L).max() < (listed_L + cycles_L).max()
    return Solution(answer.core_L, answer.start_L if is_shorter else listed_L, answer.gap)

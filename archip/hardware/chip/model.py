"""One chip as a constraint model: layers of graphs on cores, each in one of several ways, with shared DRAM.

Exact: the optimum, or proof that there is none, or the best found and a bound when time runs out. Everything is whole
numbers. Source: the disjunctive model with optional intervals, Laborie et al. 2018, "IBM ILOG CP optimizer for
scheduling", solved by OR-Tools' CP-SAT.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from archip.hardware.schedule._jobs import FULL
from archip.hardware.schedule._label_dp import NEVER

__all__ = ["Answer", "Quantity", "Question"]

Quantity = Literal["cycles", "energy"]
_NO_LIMIT_S = 1e9


class Answer(NamedTuple):
    """A schedule, None where there is none or none was found; `bound`: what was minimised is at least this.

    `is_decided`: the schedule is optimal, or there is none.
    """

    is_decided: bool
    bound: int
    cycles: int = 0
    energy: int = 0
    core_L: np.ndarray | None = None
    way_L: np.ndarray | None = None
    start_L: np.ndarray | None = None


class Question(NamedTuple):
    """Axes: M ways to run on a core, K cores, L layers. cycles_MKL has NEVER where the core cannot run the layer so."""

    cycles_MKL: np.ndarray
    energy_MKL: np.ndarray
    shares_MKL: np.ndarray
    before: tuple[tuple[int, ...], ...]

    def minimise(self, quantity: Quantity, most: dict[Quantity, int], seconds: float) -> Answer:
        """The least cycles or energy within `most` of both."""
        from ortools.sat.python import cp_model

        if seconds <= 0:
            return Answer(False, 0)
        model, runs_L, starts, amounts = self._model(most)
        model.minimize(amounts[quantity])
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = min(seconds, _NO_LIMIT_S)
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        status = solver.solve(model)
        if status == cp_model.INFEASIBLE:
            return Answer(True, most[quantity] + 1)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Answer(False, 0)
        chosen = [next(way for way, runs in ways.items() if solver.value(runs)) for ways in runs_L]
        return Answer(
            is_decided=status == cp_model.OPTIMAL,
            bound=math.ceil(solver.best_objective_bound - 1e-6),
            cycles=int(solver.value(amounts["cycles"])),
            energy=int(solver.value(amounts["energy"])),
            core_L=np.array([core for _, core in chosen]),
            way_L=np.array([way for way, _ in chosen]),
            start_L=np.array([solver.value(start) for start in starts]),
        )

    def _ways(self, layer: int) -> list[tuple[int, int]]:
        """(way, core) of a layer; of the ways on a core those that no other one meets or beats."""
        found = []
        for core in range(self.cycles_MKL.shape[1]):
            costs = np.stack([t[:, core, layer] for t in (self.cycles_MKL, self.energy_MKL, self.shares_MKL)], axis=1)
            can = [m for m in range(len(costs)) if costs[m, 0] < NEVER]
            kept: list[int] = []
            for m in sorted(can, key=lambda m: (costs[m].tolist(), m)):
                if not any((costs[other] <= costs[m]).all() for other in kept):
                    kept.append(m)
            found += [(m, core) for m in kept]
        return found

    def _model(self, most: dict[Quantity, int]) -> tuple[Any, list[dict[tuple[int, int], Any]], list[Any], dict]:
        """Model, whether each layer runs in each way, starts, cycles and energy of all."""
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        n_cores, n_layers = self.cycles_MKL.shape[1:]
        span = model.new_int_var(0, most["cycles"], "cycles")
        runs_L, starts, ends, energies, shared, rates, moved = [], [], [], [], [], [], []
        lanes: list[list[Any]] = [[] for _ in range(n_cores)]
        loads: list[list[Any]] = [[] for _ in range(n_cores)]
        for layer in range(n_layers):
            runs = {way: model.new_bool_var("") for way in self._ways(layer)}
            model.add_exactly_one(runs.values())
            start = model.new_int_var(0, most["cycles"], "")
            end = start
            for (m, core), runs_so in runs.items():
                cycles, share = int(self.cycles_MKL[m, core, layer]), int(self.shares_MKL[m, core, layer])
                interval = model.new_optional_fixed_size_interval_var(start, cycles, runs_so, "")
                lanes[core].append(interval)
                loads[core].append(cycles * runs_so)
                energies.append(int(self.energy_MKL[m, core, layer]) * runs_so)
                end = end + cycles * runs_so
                if share:
                    shared.append(interval)
                    rates.append(share)
                    moved.append(share * cycles * runs_so)
            model.add(end <= span)
            for earlier in self.before[layer]:
                model.add(start >= ends[earlier])
            runs_L.append(runs)
            starts.append(start)
            ends.append(end)
        for lane, load in zip(lanes, loads, strict=True):
            model.add_no_overlap(lane)
            model.add(span >= sum(load))
        if shared:
            model.add_cumulative(shared, rates, FULL)
            model.add(FULL * span >= sum(moved))
        energy = sum(energies)
        model.add(energy <= most["energy"])
        return model, runs_L, starts, {"cycles": span, "energy": energy}

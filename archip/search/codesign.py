"""Codesign: the best chip for given networks, exactly, for strategies that search the networks outside of it.

It answers with the numbers of the cost stage: layers at their best mapping on every core design of the chip space,
each network a chain, and `hardware/chip` chooses the chip. What a layer costs on all cores is remembered, so that
networks that share layers share their prices; then one network takes milliseconds (small spaces) to some tenths of a
second (4096 PEs in steps of 32 and 64 GB/s in steps of 8).

The cost stage schedules for least energy within a limit on latency, otherwise for least latency. `least` is what a chip
is chosen by, and only what the schedules then are made for makes sense: energy under a limit on latency, latency
without one, area always.

Legend: D core designs, L rows of a workload, U units (a layer with the vector rows behind it).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np

from archip.core.candidate import Candidate, canonical_json
from archip.core.errors import CandidateError
from archip.core.objectives import Goals
from archip.core.protocols import RunContext
from archip.evaluators.cost import limit_cycles
from archip.hardware.accelerator import Accelerator
from archip.hardware.chip.bounds import ChipLimits, no_limits, surveyed
from archip.hardware.chip.dominance import undominated_cores
from archip.hardware.chip.extras import unit_rows
from archip.hardware.chip.search import Metric, best_chip
from archip.hardware.chip.space import ChipSpec, CoreDesign
from archip.hardware.chip.table import CostTable, accelerator_of
from archip.hardware.cost import layer_costs
from archip.hardware.schedule._label_dp import NEVER
from archip.ir.workload import Workload, workload
from archip.spaces.chip import Chip, Core

__all__ = ["ChipDesigner"]

_FJ = 1e-15  # unit of energies, as in `hardware/chip/table.py` under loopnest
_REMEMBERED = 4096  # workloads and designs


class ChipDesigner:
    """Networks → the candidate with the best chip of the run's space (`core/protocols.py: Designer`)."""

    def __init__(self, run: RunContext) -> None:
        self.tasks = run.tasks
        self.chip: Chip = run.target
        self.spec = _spec(run.target)
        self._prices: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}  # of a row: cycles_D, energy_D
        self._units = lru_cache(_REMEMBERED)(self._make_units)
        self._designed = lru_cache(_REMEMBERED)(self._design)

    @cached_property
    def _accelerators(self) -> list[Accelerator]:
        return [accelerator_of(self.spec, design) for design in self.spec.designs]

    @cached_property
    def _area_D(self) -> np.ndarray:
        """um^2, rounded up."""
        return np.ceil(np.array([a.area_mm2 for a in self._accelerators]) * 1e6).astype(np.int64)

    def __call__(self, networks: Candidate, goals: Goals, least: str) -> Candidate:
        """The candidate of these networks with the chip that has the least of `least` within the limits.

        Where no chip keeps them, one of at most two cores that misses them by little: by the cheap bounds of
        `hardware/chip`, not by its schedule. Where a layer runs on no core, a chip that shows it.
        """
        texts = tuple(canonical_json(networks.net[task.name]) for task in self.tasks)
        return replace(networks, hw=self._designed(texts, goals, cast("Metric", least)))

    def table(self, networks: Candidate) -> CostTable:
        """Costs of all units on all core designs; the same numbers as `hardware.chip.table.cost_table`.

        Raises:
            CandidateError: a network that cannot be built.
        """
        return self._table(tuple(canonical_json(networks.net[task.name]) for task in self.tasks))

    def _design(self, texts: tuple[str, ...], goals: Goals, least: Metric) -> dict[str, Any]:
        first = self.chip.genotype([Core(*self.spec.designs[0][:3])] * self.chip.min_cores)
        try:
            table = self._table(texts)
        except CandidateError:
            return first  # the cost stage says why
        if (table.cycles_DL == NEVER).all(axis=0).any():
            return first
        limits = chip_limits(goals, table)
        best = best_chip(table, limits, least)
        designs = _near(table, limits) if best.point is None else [best.table.designs[d] for d in best.point.designs]
        return self.chip.genotype([Core(*design[:3]) for design in designs])

    def _table(self, texts: tuple[str, ...]) -> CostTable:
        parts = [self._units(i, text) for i, text in enumerate(texts)]
        cycles_DL, energy_DL = (np.concatenate([part[k] for part in parts], axis=1) for k in (0, 1))
        first_C = np.cumsum([0, *(part[0].shape[1] for part in parts)])
        names = [f"{task.name}.{name}" for task, part in zip(self.tasks, parts, strict=True) for name in part[2]]
        return CostTable(
            designs=self.spec.designs,
            use_DR=np.array([(d.pes, d.bandwidth) for d in self.spec.designs], np.int64),
            totals_R=self.spec.totals_R,
            min_cores=self.spec.min_cores,
            cores=self.spec.cores,
            cycles_DL=np.ascontiguousarray(cycles_DL),
            energy_DL=np.ascontiguousarray(energy_DL),
            area_D=self._area_D,
            first_C=first_C.astype(np.int64),
            layers=tuple(names),
            energy_unit_j=_FJ,
            clock_hz=self.spec.clock_hz,
        )

    def _make_units(self, number: int, text: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """cycles_DU, energy_DU and names of the units of one network."""
        task = self.tasks[number]
        data = task.load()
        work = workload(task.space.graph(json.loads(text), data.input_shape, data.n_outputs))
        rows, keys = self._priced(work)
        zero_D = np.zeros(len(self._accelerators), np.int64)
        priced = [self._prices[keys[i]] if i in rows else (zero_D, zero_D) for i in range(len(work))]
        cycles_DL, energy_DL = (np.stack([p[k] for p in priced], axis=1) for k in (0, 1))
        first_U = unit_rows(work)
        runs_DU = np.logical_and.reduceat(cycles_DL != NEVER, first_U, axis=1)
        known_DL = np.where(cycles_DL == NEVER, 0, cycles_DL)
        cycles_DU = np.where(runs_DU, np.add.reduceat(known_DL, first_U, axis=1), NEVER)
        energy_DU = np.where(runs_DU, np.add.reduceat(energy_DL, first_U, axis=1), 0)
        return cycles_DU, energy_DU, tuple(work.names[i] for i in first_U)

    def _priced(self, work: Workload) -> tuple[set[int], list[bytes]]:
        """Rows that cost something, and the key of every row; what is new is priced, each row by itself."""
        sample = layer_costs(work, self._accelerators[:1])
        rows = {i for i, why in enumerate(sample.bottleneck_AL[0]) if why != "free"}  # the others are fused
        keys = _row_keys(work)
        new = {keys[i]: i for i in sorted(rows) if keys[i] not in self._prices}
        if new:
            alone = Workload.concat([work.select([i]) for i in new.values()])
            costs = layer_costs(alone, self._accelerators)
            energy_DL = np.rint(np.nan_to_num(costs.energy_AL) / _FJ).astype(np.int64)
            cycles_DL = np.where(costs.feasible_AL, costs.cycles_AL, NEVER)
            self._prices |= {key: (cycles_DL[:, n], energy_DL[:, n]) for n, key in enumerate(new)}
        return rows, keys


def _spec(chip: Chip) -> ChipSpec:
    """The space of `hardware/chip` that holds the chips of a run's space, priced as its cost stage prices them."""
    return ChipSpec(
        cores=chip.cores,
        min_cores=chip.min_cores,
        dataflows=chip.dataflows,
        pes=chip.pes,
        bandwidth=chip.bandwidth,
        clock=chip.clock,
        cost_model="loopnest",
        technology=chip.technology,
    )


def chip_limits(goals: Goals, table: CostTable) -> ChipLimits:
    """The run's limits in the table's units, half a unit of rounding for each layer on the safe side."""
    limits = no_limits(table)
    cycles = limit_cycles(goals, table.clock_hz)
    if cycles is not None:
        limits = limits._replace(cycles=min(limits.cycles, cycles))
    for limit in goals.limits:
        if limit.metric == "energy_j":
            most = math.floor(limit.bound / table.energy_unit_j) - math.ceil(len(table.layers) / 2)
            limits = limits._replace(energy=min(limits.energy, most))
        elif limit.metric == "area_mm2":
            limits = limits._replace(area=min(limits.area, math.floor(limit.bound * 1e6)))
    return limits


def _near(table: CostTable, limits: ChipLimits) -> list[CoreDesign]:
    """The chip, of at most two cores if it may, whose bounds exceed the limits by the least sum of shares."""
    cores = undominated_cores(table)
    cores = replace(cores, cores=max(cores.min_cores, min(2, cores.cores)))
    chips = surveyed(cores, no_limits(cores))
    most_3 = np.array([limits.area, limits.cycles, limits.energy])
    short_N = np.maximum(chips.bounds_N3 / most_3 - 1, 0).sum(axis=1)
    return [cores.designs[d] for d in chips.chips_NK[short_N.argmin()] if d >= 0]


def _row_keys(work: Workload) -> list[bytes]:
    """What the price of each row by itself depends on."""
    columns = (work.dims_LD, work.stride_L2, work.padding_L2, work.dilation_L2, work.bits_LO, work.moved_LO)
    numbers = np.hstack([np.array([[kind == "vector"] for kind in work.kinds]), *columns]).astype(np.int64)
    return [a.tobytes() + b.tobytes() for a, b in zip(numbers, work.density_LO, strict=True)]

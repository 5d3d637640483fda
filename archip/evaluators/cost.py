"""Cost: latency, energy and area of the chip with its schedule, parameters and MACs of the networks; no training.

It is the first stage of every run. Layers are priced on every core of the candidate's chip with their best mapping, the
layers of each network form a chain, and a scheduling policy assigns them to the cores under the run's latency limit.
Vector rows (activations, pooling, sums) run on the core of the layer before them, whose result they work on.
An accelerator that is given is a chip of one core. A device (measured, predicted, or a microcontroller) answers for
itself. Without a target only parameters and MACs are counted.
Source: Yang et al. 2020, arXiv:2002.04116, section III (evaluator: cost model, then mapping and scheduling).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from archip.core import registry
from archip.core.candidate import Candidate, bits_of, canonical_json
from archip.core.errors import CandidateError, UserError
from archip.core.objectives import Goals
from archip.core.protocols import Progress, RunContext, Stage
from archip.core.record import Outcome, Status
from archip.evaluators._device import DeviceStage
from archip.evaluators._networks import about
from archip.hardware.accelerator import Accelerator
from archip.hardware.compile import compile_kernels
from archip.hardware.cost import LayerCosts, layer_costs
from archip.hardware.devices._device import Device
from archip.hardware.devices.accelerator import FixedAccelerator
from archip.hardware.schedule._schedule import Policy, Schedule, policies
from archip.ir.workload import Workload, workload
from archip.spaces.chip import Core

__all__ = ["Cost"]


@dataclass(frozen=True)
class Cost:
    """Prices candidates. `schedule` is the policy that assigns layers to cores, if not the run's own."""

    schedule: str | None = None  # policy that assigns layers to cores; None: the run's own

    def __post_init__(self) -> None:
        if self.schedule is None:
            return
        try:
            policy = registry.find("hardware/schedule", self.schedule)
        except UserError as error:
            raise error.at("schedule") from None
        if not issubclass(policy, Policy):
            known = "one of: " + ", ".join(policies())
            raise UserError(f"{self.schedule!r} does not put layers on cores", "schedule", known)

    def stages(self, run: RunContext) -> list[Stage]:
        if isinstance(run.target, Device):
            return [DeviceStage(run, run.target)]
        return [_CostStage(run, self.schedule or run.schedule)]


@dataclass(frozen=True, eq=False)
class ChipPlan:
    """The chip of one candidate and what it does when: the numbers behind the metrics. A cores, L rows, U units.

    A unit is a layer with the vector rows that follow it; units are what is scheduled.

    Attributes:
        networks: task names.
        network_L: number of the network of each row.
        workload: the rows of all networks, one network after the other.
        design: dataflow, PEs and bandwidth of each core, in the order of `accelerators`.
        first_U: first row of each unit.
        schedule: of units.
    """

    networks: tuple[str, ...]
    network_L: np.ndarray
    workload: Workload
    design: list[Core]
    accelerators: list[Accelerator]
    costs: LayerCosts
    first_U: np.ndarray
    schedule: Schedule
    clock_hz: float
    technology: str

    @property
    def metrics(self) -> dict[str, float]:
        known = {
            "latency_cycles": float(self.schedule.makespan),
            "latency_s": self.schedule.makespan / self.clock_hz,
            "energy_j": self.schedule.energy_j,
        }
        states_area = all(accelerator.area_parts for accelerator in self.accelerators)
        return known | ({"area_mm2": float(np.sum(self.costs.area_mm2_A))} if states_area else {})

    @cached_property
    def core_L(self) -> np.ndarray:
        """The core of each row."""
        return np.repeat(self.schedule.core_L, np.diff(self.first_U, append=len(self.workload)))

    @cached_property
    def cycles_L(self) -> np.ndarray:
        """Cycles of each row on its core."""
        return self.costs.cycles_AL[self.core_L, np.arange(len(self.workload))]

    @cached_property
    def start_L(self) -> np.ndarray:
        """First cycle of each row; the rows of a unit run one after the other."""
        before_L = np.cumsum(self.cycles_L) - self.cycles_L
        unit_L = np.repeat(np.arange(len(self.first_U)), np.diff(self.first_U, append=len(self.workload)))
        return self.schedule.start_L[unit_L] + before_L - before_L[self.first_U][unit_L]


def plan(candidate: Candidate, run: RunContext) -> ChipPlan:
    """Chip, layer costs and schedule of one candidate, with the same numbers as its metrics.

    Raises:
        CandidateError: a network cannot be built, or one of its layers runs on no core.
    """
    return _CostStage(run, run.schedule).plan(candidate)


class _CostStage:
    """Cost, made ready for one run."""

    name = "cost"

    def __init__(self, run: RunContext, schedule: str) -> None:
        self.run = run
        self.policy = registry.create("hardware/schedule", schedule)
        is_given = isinstance(run.target, FixedAccelerator)
        nets, bits = ([f"{kind}.{task.name}" for task in run.tasks] for kind in ("net", "compress"))
        self.reads = (*nets, *([] if run.target is None or is_given else ["hw"]), *bits)
        self.key: Mapping[str, Any] = {"tasks": {task.name: about(task) for task in run.tasks}}
        self.limit: int | None = None
        self.limit_energy_j: float | None = None
        if run.target is not None:
            chip = run.target
            self.limit = limit_cycles(run.goals, chip.clock_hz)
            hardware = {"clock_hz": chip.clock_hz, "technology": chip.technology}
            self.key = self.key | hardware | {"schedule": schedule, "limit_cycles": self.limit}
            if is_given:
                self.key = self.key | {"accelerator": chip.accelerator.digest}
            energies = [limit.bound for limit in run.goals.limits if limit.metric == "energy_j"]
            if energies and self.limit is None:  # within a limit on cycles the energy is minimised anyway
                self.limit_energy_j = min(energies)
                self.key = self.key | {"limit_energy_j": self.limit_energy_j}
        self._task_workload = lru_cache(maxsize=4096)(self._make_workload)

    def prepare(self, progress: Progress | None) -> None:
        """Compile the kernels where the disk does not have them: half a minute, once on a machine."""
        if self.run.target is None:
            return
        handle = progress.start("compile the cost model (once)", 1) if progress else None
        compile_kernels()
        if progress:
            progress.advance(handle)
            progress.finish(handle)

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        return [self._outcome(candidate) for candidate in candidates]

    def plan(self, candidate: Candidate) -> ChipPlan:
        works = self._workloads(candidate)
        work = Workload.concat(works)
        network_L = np.repeat(np.arange(len(works)), [len(w) for w in works])
        first_U = _first_rows(work, network_L)
        accelerators = self.run.target.accelerators(candidate.hw)
        costs = layer_costs(work, accelerators)
        _check_that_all_run(costs, work)
        runs_AU = np.logical_and.reduceat(costs.feasible_AL, first_U, axis=1)
        cycles_AU = np.where(runs_AU, np.add.reduceat(costs.cycles_AL, first_U, axis=1), -1)
        energy_AU = np.add.reduceat(costs.energy_AL, first_U, axis=1)
        return ChipPlan(
            networks=tuple(task.name for task in self.run.tasks),
            network_L=network_L,
            workload=work,
            design=self.run.target.design(candidate.hw),
            accelerators=accelerators,
            costs=costs,
            first_U=first_U,
            schedule=self.policy.schedule(
                cycles_AU, energy_AU, network_L[first_U], self.limit, limit_energy_j=self.limit_energy_j
            ),
            clock_hz=self.run.target.clock_hz,
            technology=self.run.target.technology,
        )

    def _outcome(self, candidate: Candidate) -> Outcome:
        began = time.perf_counter()
        try:
            works = self._workloads(candidate)
            metrics = {"params": float(sum(w.params for w in works)), "macs": float(sum(w.macs for w in works))}
            if self.run.target is not None:
                metrics |= self.plan(candidate).metrics
        except CandidateError as error:
            return Outcome({}, Status.FAILED, str(error), time.perf_counter() - began)
        return Outcome(metrics, seconds=time.perf_counter() - began)

    def _workloads(self, candidate: Candidate) -> list[Workload]:
        """The workload of each task's network, at the bits of its compression if there is one."""
        texts = [
            (canonical_json(candidate.net[task.name]), canonical_json(bits_of(candidate.compress.get(task.name, {}))))
            for task in self.run.tasks
        ]
        return [self._task_workload(i, *pair) for i, pair in enumerate(texts)]

    def _make_workload(self, number: int, genotype: str, bits: str) -> Workload:
        task = self.run.tasks[number]
        data = task.load()
        graph = task.space.graph(json.loads(genotype), data.input_shape, data.n_outputs)
        return workload(graph, **json.loads(bits))


def limit_cycles(goals: Goals, clock_hz: float) -> int | None:
    """The tightest latency limit in whole cycles, if there is one."""
    cycles = [int(limit.bound) for limit in goals.limits if limit.metric == "latency_cycles"]
    for limit in goals.limits:
        if limit.metric == "latency_s":
            near = int(limit.bound * clock_hz)  # rounding may be off by one either way
            cycles.append(max(n for n in (near - 1, near, near + 1) if n / clock_hz <= limit.bound))
    return min(cycles, default=None)


def _first_rows(work: Workload, network_L: np.ndarray) -> np.ndarray:
    """First row of each unit: of each network, and of each layer with loops but the first one of a network."""
    has_loops_L = np.array(work.kinds) != "vector"
    n_before_L = np.cumsum(has_loops_L) - has_loops_L
    begins_L = np.diff(network_L, prepend=-1) > 0
    is_first_L = n_before_L == n_before_L[begins_L][network_L]
    return np.flatnonzero(begins_L | (has_loops_L & ~is_first_L))


def _check_that_all_run(costs: LayerCosts, work: Workload) -> None:
    """Raises CandidateError for a layer that no core can run."""
    homeless = np.flatnonzero(~costs.feasible_AL.any(axis=0))
    if homeless.size:
        layer = int(homeless[0])
        reasons = "; ".join(f"core {a}: {costs.reason(a, layer)}" for a in range(len(costs.feasible_AL)))
        raise CandidateError(f"layer {work.names[layer]} runs on no core ({reasons})")

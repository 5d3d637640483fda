"""What all scheduling policies share: the question, the schedule, and what makes a schedule valid.

Layers of several networks run on several cores. The layers of one network form a chain, or a graph where
`predecessors` are given. A core runs one layer at a time, whole; tensors go through shared memory, so that any core can
run the next layer. DRAM contention is an option; `_jobs.py` states its model. Cycles are integers.

Without limits the makespan is minimised, then the energy. Within a limit on cycles it is the energy, then the makespan.
Within a limit on energy alone it is the makespan, then the energy. Where a limit cannot be kept, what it limits is
minimised. Axes: K cores, L layers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from archip.core import registry
from archip.core.errors import UserError
from archip.hardware.schedule._jobs import Dram, Jobs, Predecessors, make_jobs

__all__ = ["Dram", "Limits", "Policy", "Schedule", "Solution", "flaws", "policies"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Core, first cycle and end (first cycle after) of every layer; makespan in cycles, energy of all layers in J.

    `gap` is proven: what was minimised is at most this share above the least possible. 0 is the optimum, None says
    that the policy proves nothing.
    """

    core_L: np.ndarray
    start_L: np.ndarray
    end_L: np.ndarray
    makespan: int
    energy_j: float
    gap: float | None = None


class Limits(NamedTuple):
    """What a schedule has to keep; None where there is no limit."""

    cycles: int | None
    energy_j: float | None


class Solution(NamedTuple):
    """What a policy finds: core and first cycle of each layer; the gap as in `Schedule`."""

    core_L: np.ndarray
    start_L: np.ndarray
    gap: float | None = None


class Policy(ABC):
    """A way to assign layers to cores and times.

    One that knows chains only sets `takes_graphs` to False, one that knows no DRAM contention `takes_dram`; such
    questions are then refused.
    """

    takes_graphs: ClassVar[bool] = True
    takes_dram: ClassVar[bool] = True

    @abstractmethod
    def solve(self, jobs: Jobs, limits: Limits) -> Solution:
        """Core and first cycle of each layer, in the order of `jobs`."""

    def schedule(
        self,
        cycles_KL: np.ndarray,
        energy_KL: np.ndarray,
        chain_L: np.ndarray,
        limit_cycles: int | None = None,
        *,
        limit_energy_j: float | None = None,
        predecessors: Predecessors | None = None,
        dram: Dram | None = None,
    ) -> Schedule:
        """A schedule of all layers; it may miss the limits.

        Args:
            cycles_KL: integers; negative where the core cannot run the layer.
            energy_KL: J.
            chain_L: number of the network of each layer; without `predecessors` its layers run in order.
            limit_cycles: the makespan to keep, if there is one.
            limit_energy_j: the energy to keep, if there is one.
            predecessors: for each layer the layers that must end before it begins; they replace the chains.
            dram: traffic of the layers, where they wait for each other's.

        Raises:
            CandidateError: a layer that no core can run.
            UserError: predecessors that do not exist or wait for each other; a question that the policy does not take.
        """
        if predecessors is not None and not self.takes_graphs:
            raise UserError(f"{type(self).__name__} schedules chains, not graphs", "predecessors", "hap or cp_sat")
        if dram is not None and not self.takes_dram:
            raise UserError(f"{type(self).__name__} knows no DRAM contention", "dram", "hap or cp_sat")
        jobs = make_jobs(cycles_KL, energy_KL, chain_L, predecessors, dram)
        found = self.solve(jobs, Limits(limit_cycles, limit_energy_j))
        place_L = np.argsort(jobs.order_L)  # from the order of jobs back to the caller's
        rows_L = np.arange(len(place_L))
        end_L = found.start_L + jobs.cycles_LK[rows_L, found.core_L]
        return Schedule(
            core_L=found.core_L[place_L],
            start_L=found.start_L[place_L],
            end_L=end_L[place_L],
            makespan=int(end_L.max(initial=0)),
            energy_j=float(jobs.energy_LK[rows_L, found.core_L].sum()),
            gap=found.gap,
        )


def policies() -> list[str]:
    """Names of the methods of this folder that put layers on cores; the others answer questions of their own."""
    names = registry.names("hardware/schedule")
    return [name for name in names if issubclass(registry.find("hardware/schedule", name), Policy)]


def flaws(
    plan: Schedule,
    cycles_KL: np.ndarray,
    energy_KL: np.ndarray,
    chain_L: np.ndarray,
    predecessors: Predecessors | None = None,
    dram: Dram | None = None,
) -> list[str]:
    """What is wrong with a schedule, in words; empty where it is valid. Arguments as of `Policy.schedule`."""
    layers = range(len(chain_L))
    span = {i: (int(plan.start_L[i]), int(plan.end_L[i])) for i in layers}
    found = []
    for i, (k, (start, end)) in enumerate(zip(plan.core_L.tolist(), span.values(), strict=True)):
        cycles = int(cycles_KL[k, i])
        if dram is not None:
            cycles = max(cycles, math.ceil(dram.bytes_KL[k, i] / dram.bytes_per_cycle))
        if cycles_KL[k, i] < 0:
            found.append(f"layer {i} is on core {k}, which cannot run it")
        elif start < 0 or end - start != cycles:
            found.append(f"layer {i} runs from {start} to {end}, but takes {cycles} cycles")
    for i in layers:
        earlier = [j for j in range(i) if chain_L[j] == chain_L[i]] if predecessors is None else predecessors[i]
        found += [f"layer {i} begins before layer {j} ends" for j in earlier if span[i][0] < span[j][1]]
        for j in range(i):
            together = span[i][0] < span[j][1] and span[j][0] < span[i][1]
            if together and plan.core_L[i] == plan.core_L[j]:
                found.append(f"layers {j} and {i} overlap on core {plan.core_L[i]}")
    if plan.makespan != max((end for _, end in span.values()), default=0):
        found.append(f"the makespan is not {plan.makespan}")
    if not math.isclose(plan.energy_j, sum(energy_KL[k, i] for i, k in enumerate(plan.core_L)), rel_tol=1e-9):
        found.append(f"the energy is not {plan.energy_j}")
    return found + (_overdrawn(plan, dram) if dram is not None else [])


def _overdrawn(plan: Schedule, dram: Dram) -> list[str]:
    """The begins of layers at which those that run together draw more than the bandwidth."""
    found = []
    for now in sorted(set(plan.start_L.tolist())):
        running = np.flatnonzero((plan.start_L <= now) & (now < plan.end_L))
        rate = sum(
            dram.bytes_KL[plan.core_L[i], i] / max(1, int(plan.end_L[i] - plan.start_L[i])) for i in running.tolist()
        )
        if rate > dram.bytes_per_cycle * (1 + 1e-9):
            found.append(f"layers {running.tolist()} together need {rate:.6g} bytes a cycle at cycle {now}")
    return found

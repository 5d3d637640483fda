"""What all scheduling policies share: the schedule, the list scheduler, and the way from a cost table to a schedule.

The layers of one network form a chain and run in order; a core runs one layer at a time; chains are independent.
Cycles are integers. Axes: K cores, L layers, C chains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numba import njit

from archip.core.errors import CandidateError

__all__ = ["Policy", "Schedule", "earliest_end", "list_schedule"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Core, first cycle and end (first cycle after) of every layer; makespan in cycles, energy of all layers in J."""

    core_L: np.ndarray
    start_L: np.ndarray
    end_L: np.ndarray
    makespan: int
    energy_j: float


class Policy(ABC):
    """A way to assign layers to cores; the times follow by list scheduling."""

    @abstractmethod
    def assign(self, cycles_LK: np.ndarray, energy_LK: np.ndarray, first_C: np.ndarray, limit: int) -> np.ndarray:
        """The core of each layer, int64 [L].

        Args:
            cycles_LK: int64; negative where the core cannot run the layer. Layers of a chain stand together, in order.
            energy_LK: J.
            first_C: [C + 1] chain c is the layers first_C[c] to first_C[c + 1].
            limit: the makespan to keep; 0 where as short a makespan as possible is wanted.
        """

    def schedule(
        self, cycles_KL: np.ndarray, energy_KL: np.ndarray, chain_L: np.ndarray, limit_cycles: int | None = None
    ) -> Schedule:
        """A schedule of all layers; it may miss the limit.

        Args:
            cycles_KL: integers; negative where the core cannot run the layer.
            energy_KL: J.
            chain_L: number of the chain (network) of each layer; the layers of a chain are in order.
            limit_cycles: the makespan to keep, if there is one.

        Raises:
            CandidateError: a layer that no core can run.
        """
        order_L = np.argsort(chain_L, kind="stable")
        sizes_C = np.unique(chain_L, return_counts=True)[1]
        first_C = np.concatenate(([0], np.cumsum(sizes_C)))
        cycles_LK = np.ascontiguousarray(np.asarray(cycles_KL, dtype=np.int64).T[order_L])
        energy_LK = np.ascontiguousarray(np.asarray(energy_KL, dtype=np.float64).T[order_L])
        homeless = np.flatnonzero((cycles_LK < 0).all(axis=1))
        if homeless.size:
            raise CandidateError(f"layer {order_L[homeless[0]]} can run on no core")
        core_L = self.assign(cycles_LK, energy_LK, first_C, limit_cycles or 0)
        start_L = np.empty_like(core_L)
        makespan = list_schedule(cycles_LK, core_L, first_C, np.iinfo(np.int64).max, start_L)
        place_L = np.argsort(order_L)  # from chain order back to the caller's order
        rows_L = np.arange(len(core_L))
        return Schedule(
            core_L=core_L[place_L],
            start_L=start_L[place_L],
            end_L=(start_L + cycles_LK[rows_L, core_L])[place_L],
            makespan=int(makespan),
            energy_j=float(energy_LK[rows_L, core_L].sum()),
        )


@njit(cache=True)
def list_schedule(cycles_LK, core_L, first_C, cutoff, start_L):
    """Makespan of an assignment: always start the layer that can start first, of equals the one with the longest rest.

    Gives up as soon as the makespan is sure to exceed `cutoff`, and then returns cutoff + 1. Fills `start_L`.
    """
    n_chains, n_cores = len(first_C) - 1, cycles_LK.shape[1]
    next_C = first_C[:-1].copy()
    ready_C = np.zeros(n_chains, np.int64)  # end of the chain's last started layer
    rest_C = np.zeros(n_chains, np.int64)  # cycles of the chain's layers not yet started
    free_K = np.zeros(n_cores, np.int64)  # end of the core's last started layer
    load_K = np.zeros(n_cores, np.int64)
    for c in range(n_chains):
        for layer in range(first_C[c], first_C[c + 1]):
            rest_C[c] += cycles_LK[layer, core_L[layer]]
            load_K[core_L[layer]] += cycles_LK[layer, core_L[layer]]
    for k in range(n_cores):
        if load_K[k] > cutoff:
            return cutoff + 1
    makespan = 0
    for _ in range(len(core_L)):
        chosen, start = -1, 0
        for c in range(n_chains):
            if next_C[c] < first_C[c + 1]:
                at = max(ready_C[c], free_K[core_L[next_C[c]]])
                if chosen < 0 or at < start or (at == start and rest_C[c] > rest_C[chosen]):
                    chosen, start = c, at
        if start + rest_C[chosen] > cutoff:
            return cutoff + 1
        layer = next_C[chosen]
        duration = cycles_LK[layer, core_L[layer]]
        start_L[layer] = start
        next_C[chosen] += 1
        rest_C[chosen] -= duration
        ready_C[chosen] = free_K[core_L[layer]] = start + duration
        makespan = max(makespan, start + duration)
    return makespan


@njit(cache=True)
def earliest_end(cycles_LK, energy_LK, first_C):
    """[L] cores: the layer that can start first goes to the core where it ends first, of equals to the cheapest."""
    n_layers, n_cores = cycles_LK.shape
    n_chains = len(first_C) - 1
    core_L = np.zeros(n_layers, np.int64)
    next_C = first_C[:-1].copy()
    ready_C, rest_C = np.zeros(n_chains, np.int64), np.zeros(n_chains, np.int64)
    free_K = np.zeros(n_cores, np.int64)
    fastest_L = _fastest(cycles_LK)
    for c in range(n_chains):
        rest_C[c] = fastest_L[first_C[c] : first_C[c + 1]].sum()
    for _ in range(n_layers):
        chosen, core, start = -1, 0, 0
        for c in range(n_chains):
            if next_C[c] < first_C[c + 1]:
                k = _core_ofearliest_end(cycles_LK[next_C[c]], energy_LK[next_C[c]], ready_C[c], free_K)
                at = max(ready_C[c], free_K[k])
                if chosen < 0 or at < start or (at == start and rest_C[c] > rest_C[chosen]):
                    chosen, core, start = c, k, at
        layer = next_C[chosen]
        core_L[layer] = core
        next_C[chosen] += 1
        rest_C[chosen] -= fastest_L[layer]
        ready_C[chosen] = free_K[core] = start + cycles_LK[layer, core]
    return core_L


@njit(cache=True)
def _fastest(cycles_LK):
    """Least cycles of each layer over the cores that can run it."""
    fastest_L = np.full(len(cycles_LK), np.iinfo(np.int64).max)
    for layer in range(len(cycles_LK)):
        for cycles in cycles_LK[layer]:
            if 0 <= cycles < fastest_L[layer]:
                fastest_L[layer] = cycles
    return fastest_L


@njit(cache=True)
def _core_ofearliest_end(cycles_K, energy_K, ready, free_K):
    best, best_end = -1, 0
    for k in range(len(cycles_K)):
        if cycles_K[k] >= 0:
            end = max(ready, free_K[k]) + cycles_K[k]
            if best < 0 or end < best_end or (end == best_end and energy_K[k] < energy_K[best]):
                best, best_end = k, end
    return best

"""Jobs: layers, what must run before what, and the list schedulers; the compiled part of all scheduling policies.

A core runs one layer at a time; layers run whole, tensors go through shared memory. DRAM contention, where it is
wanted: a layer moves its bytes at an even rate while it runs, and layers run side by side only while their rates fit
into the bandwidth together. A layer that alone needs more takes the whole bandwidth and as long as its bytes take.

Axes: K cores, L layers in an order in which what must run before a layer stands before it, S successors of all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from archip.core.errors import CandidateError, UserError

__all__ = ["FULL", "Dram", "Jobs", "Predecessors", "earliest_end", "list_schedule", "make_jobs", "start_cycles"]

FULL = 1000  # shares of the bandwidth are in thousandths, rounded up
_NEVER = np.iinfo(np.int64).max - 1

Predecessors = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class Dram:
    """What the layers of all cores share: bytes between a core and DRAM for each layer, and the bandwidth."""

    bytes_KL: np.ndarray
    bytes_per_cycle: float


class Jobs(NamedTuple):
    """Layers to schedule, ready for the compiled kernels.

    Attributes:
        cycles_LK: negative where the core cannot run the layer.
        energy_LK: J.
        share_LK: thousandths of the DRAM bandwidth; all zero without contention.
        first_L: [L + 1] the successors of layer l are next_S[first_L[l] : first_L[l + 1]].
        n_before_L: number of layers that must end before this one begins.
        network_L: number of the network, from 0.
        order_L: the caller's number of each layer.
    """

    cycles_LK: np.ndarray
    energy_LK: np.ndarray
    share_LK: np.ndarray
    first_L: np.ndarray
    next_S: np.ndarray
    n_before_L: np.ndarray
    network_L: np.ndarray
    order_L: np.ndarray


def make_jobs(
    cycles_KL: np.ndarray,
    energy_KL: np.ndarray,
    chain_L: np.ndarray,
    predecessors: Predecessors | None = None,
    dram: Dram | None = None,
) -> Jobs:
    """The layers in an order that respects precedence; arguments as of `Policy.schedule`.

    Raises:
        CandidateError: a layer that no core can run.
        UserError: predecessors that do not exist or wait for each other.
    """
    cycles_KL, share_KL = _with_dram(np.asarray(cycles_KL, dtype=np.int64), dram)
    homeless = np.flatnonzero((cycles_KL < 0).all(axis=0))
    if homeless.size:
        raise CandidateError(f"layer {homeless[0]} can run on no core")
    chain_L = np.asarray(chain_L)
    before = _chains(chain_L) if predecessors is None else [sorted(set(layers)) for layers in predecessors]
    order_L = np.argsort(chain_L, kind="stable") if predecessors is None else np.array(_order(before, len(chain_L)))
    place_L = np.argsort(order_L)
    after: list[list[int]] = [[] for _ in order_L]
    for layer, layers in enumerate(before):
        for earlier in layers:
            after[place_L[earlier]].append(int(place_L[layer]))
    return Jobs(
        cycles_LK=np.ascontiguousarray(cycles_KL.T[order_L]),
        energy_LK=np.ascontiguousarray(np.asarray(energy_KL, dtype=np.float64).T[order_L]),
        share_LK=np.ascontiguousarray(share_KL.T[order_L]),
        first_L=np.cumsum([0, *map(len, after)]),
        next_S=np.array([layer for layers in after for layer in layers], dtype=np.int64),
        n_before_L=np.array([len(before[layer]) for layer in order_L], dtype=np.int64),
        network_L=np.unique(chain_L, return_inverse=True)[1].reshape(-1)[order_L].astype(np.int64),
        order_L=order_L.astype(np.int64),
    )


def _with_dram(cycles_KL: np.ndarray, dram: Dram | None) -> tuple[np.ndarray, np.ndarray]:
    """Cycles, stretched where DRAM is slower than the core, and shares of the bandwidth."""
    if dram is None:
        return cycles_KL, np.zeros_like(cycles_KL)
    alone_KL = np.asarray(dram.bytes_KL) / dram.bytes_per_cycle
    cycles_KL = np.where(cycles_KL < 0, -1, np.maximum(cycles_KL, np.ceil(alone_KL))).astype(np.int64)
    share_KL = np.ceil(FULL * alone_KL / np.maximum(1, cycles_KL) - 1e-9)  # rounding makes 1000.0000001 of 1000
    return cycles_KL, np.where(cycles_KL < 0, 0, share_KL).astype(np.int64)


def _chains(chain_L: np.ndarray) -> list[list[int]]:
    """The layer before each one in its chain, if there is one."""
    last: dict[int, int] = {}
    before = []
    for layer, chain in enumerate(chain_L.tolist()):
        before.append([last[chain]] if chain in last else [])
        last[chain] = layer
    return before


def _order(before: list[list[int]], n_layers: int) -> list[int]:
    """Layers with those that must run before them first, otherwise in the caller's order."""
    if len(before) != n_layers or any(not 0 <= e < n_layers for layers in before for e in layers):
        raise UserError(f"predecessors are not of {n_layers} layers", right="a tuple of layer numbers for each layer")
    order: list[int] = []
    done: set[int] = set()
    while len(order) < n_layers:
        ready = [layer for layer in range(n_layers) if layer not in done and done.issuperset(before[layer])]
        if not ready:
            waiting = ", ".join(str(layer) for layer in range(n_layers) if layer not in done)
            raise UserError(f"the predecessors of layers {waiting} wait for each other", right="no cycles")
        order += ready
        done.update(ready)
    return order


def start_cycles(jobs: Jobs, core_L: np.ndarray) -> np.ndarray:
    """First cycle of each layer when an assignment is list-scheduled."""
    start_L = np.empty(len(core_L), np.int64)
    list_schedule(jobs, core_L, _NEVER, start_L)
    return start_L


@njit(cache=True, nogil=True)
def list_schedule(jobs, core_L, cutoff, start_L):
    """Makespan of an assignment: always start the layer that can start first, of equals the one with the longest rest.

    The rest of a layer is the longest path from its start to the end. Gives up as soon as the makespan is sure to
    exceed `cutoff`, and then returns cutoff + 1. Fills `start_L`.
    """
    cycles_LK, share_LK, first_L, next_S = jobs.cycles_LK, jobs.share_LK, jobs.first_L, jobs.next_S
    n_layers, n_cores = cycles_LK.shape
    free_K, share_K = np.zeros(n_cores, np.int64), np.zeros(n_cores, np.int64)
    rest_L = np.empty(n_layers, np.int64)
    for layer in range(n_layers - 1, -1, -1):
        longest = 0
        for s in range(first_L[layer], first_L[layer + 1]):
            longest = max(longest, rest_L[next_S[s]])
        duration = cycles_LK[layer, core_L[layer]]
        rest_L[layer] = longest + duration
        free_K[core_L[layer]] += duration
        if free_K[core_L[layer]] > cutoff or rest_L[layer] > cutoff:
            return cutoff + 1
    free_K[:] = 0
    open_L = np.empty(n_layers, np.int64)
    waits_L = jobs.n_before_L.copy()
    n_open = 0
    for layer in range(n_layers):
        if waits_L[layer] == 0:
            open_L[n_open] = layer
            n_open += 1
    start_L[:] = 0  # until a layer begins: when the last of its predecessors ends
    now, makespan = 0, 0
    for _ in range(n_layers):
        chosen, start = -1, 0
        for i in range(n_open):
            layer = open_L[i]
            at = max(now, start_L[layer], free_K[core_L[layer]])
            if share_LK[layer, core_L[layer]] > 0:
                at = _when_dram_allows(at, share_LK[layer, core_L[layer]], free_K, share_K)
            if chosen < 0 or at < start or (at == start and _goes_first(rest_L, layer, open_L[chosen])):
                chosen, start = i, at
        layer, now = open_L[chosen], start
        if start + rest_L[layer] > cutoff:
            return cutoff + 1
        core = core_L[layer]
        end = start + cycles_LK[layer, core]
        start_L[layer] = start
        free_K[core], share_K[core] = end, share_LK[layer, core]
        makespan = max(makespan, end)
        n_open = _open_successors(first_L, next_S, layer, end, chosen, open_L, n_open, waits_L, start_L)
    return makespan


@njit(cache=True, nogil=True)
def earliest_end(jobs):
    """[L] cores: the layer that can start first goes to the core where it ends first, of equals to the cheapest."""
    n_layers, n_cores = jobs.cycles_LK.shape
    core_L, ready_L = np.zeros(n_layers, np.int64), np.zeros(n_layers, np.int64)
    free_K, share_K = np.zeros(n_cores, np.int64), np.zeros(n_cores, np.int64)
    rest_L = _fastest(jobs.cycles_LK)
    for layer in range(n_layers - 1, -1, -1):
        longest = 0
        for s in range(jobs.first_L[layer], jobs.first_L[layer + 1]):
            longest = max(longest, rest_L[jobs.next_S[s]])
        rest_L[layer] += longest
    waits_L, open_L = jobs.n_before_L.copy(), np.empty(n_layers, np.int64)
    n_open = 0
    for layer in range(n_layers):
        if waits_L[layer] == 0:
            open_L[n_open] = layer
            n_open += 1
    for _ in range(n_layers):
        chosen, core, start = -1, 0, 0
        for i in range(n_open):
            k, at = _core_of_earliest_end(jobs, open_L[i], ready_L[open_L[i]], free_K, share_K)
            if chosen < 0 or at < start or (at == start and _goes_first(rest_L, open_L[i], open_L[chosen])):
                chosen, core, start = i, k, at
        layer = open_L[chosen]
        core_L[layer] = core
        free_K[core], share_K[core] = start + jobs.cycles_LK[layer, core], jobs.share_LK[layer, core]
        n_open = _open_successors(
            jobs.first_L, jobs.next_S, layer, free_K[core], chosen, open_L, n_open, waits_L, ready_L
        )
    return core_L


@njit(cache=True, nogil=True)
def _goes_first(rest_L, layer, other):
    return rest_L[layer] > rest_L[other] or (rest_L[layer] == rest_L[other] and layer < other)


@njit(cache=True, nogil=True)
def _open_successors(first_L, next_S, layer, end, place, open_L, n_open, waits_L, ready_L):
    """Take `layer` out of the open ones, put in those that waited for it only; their number."""
    n_open -= 1
    open_L[place] = open_L[n_open]
    for s in range(first_L[layer], first_L[layer + 1]):
        later = next_S[s]
        ready_L[later] = max(ready_L[later], end)
        waits_L[later] -= 1
        if waits_L[later] == 0:
            open_L[n_open] = later
            n_open += 1
    return n_open


@njit(cache=True, nogil=True)
def _when_dram_allows(at, share, free_K, share_K):
    """The first cycle from `at` on at which the last layers begun on the cores leave `share` of the bandwidth."""
    while True:
        used, wake = 0, _NEVER
        for k in range(len(free_K)):
            if free_K[k] > at and share_K[k] > 0:
                used += share_K[k]
                wake = min(wake, free_K[k])
        if used + share <= FULL:
            return at
        at = wake


@njit(cache=True, nogil=True)
def _fastest(cycles_LK):
    """Least cycles of each layer over the cores that can run it."""
    fastest_L = np.full(len(cycles_LK), np.iinfo(np.int64).max)
    for layer in range(len(cycles_LK)):
        for cycles in cycles_LK[layer]:
            if 0 <= cycles < fastest_L[layer]:
                fastest_L[layer] = cycles
    return fastest_L


@njit(cache=True, nogil=True)
def _core_of_earliest_end(jobs, layer, ready, free_K, share_K):
    """Core and start."""
    best, best_start, best_end = -1, 0, 0
    for k in range(len(free_K)):
        if jobs.cycles_LK[layer, k] >= 0:
            start = max(ready, free_K[k])
            if jobs.share_LK[layer, k] > 0:
                start = _when_dram_allows(start, jobs.share_LK[layer, k], free_K, share_K)
            end = start + jobs.cycles_LK[layer, k]
            is_cheaper = end == best_end and jobs.energy_LK[layer, k] < jobs.energy_LK[layer, best]
            if best < 0 or end < best_end or is_cheaper:
                best, best_start, best_end = k, start, end
    return best, best_start

"""Any number of chains on any number of cores, exactly where memory allows: the label programme in its general form.

A label stands for the layers begun so far: when each chain and each core is free, and the energy. Layers are begun in
the order of time; every schedule in which no layer can begin earlier is made so. A label goes if another one with the
same begun layers is at least as good in everything, or if a relaxation shows that it cannot be finished within limit
and budget (`_label_dp`, which is far faster for two chains on two cores).

Axes: L layers (chain by chain), K cores, C chains.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.schedule._label_dp import _TIGHT_CYCLES

__all__ = ["solve_many"]


@njit(cache=True, nogil=True)
def solve_many(
    cycles_KL, energy_KL, first_C, limit, budget, for_time, beam, energy_m, time_m, most_labels, core_L, start_L
):
    """The schedule of least energy within `limit` cycles, of equal ones the shortest; or the other way round.

    Arguments and result as of `_label_dp.solve`, for K cores and C chains. `beam` is the number of labels kept for each
    number of begun layers of every chain; `most_labels` the room: status -1 where it does not suffice.
    """
    n_cores, n_layers = cycles_KL.shape
    n_chains = len(first_C) - 1
    rests = _rests(cycles_KL, energy_KL, first_C, energy_m, time_m)
    radix_C = np.ones(n_chains + 1, np.int64)  # a node is the number of begun layers of each chain, in mixed radix
    for c in range(n_chains):
        radix_C[c + 1] = radix_C[c] * (first_C[c + 1] - first_C[c] + 1)
    n_nodes = radix_C[n_chains]
    room = min(most_labels, 1 << 14)
    energies, free = np.zeros(room), np.zeros((room, n_chains + n_cores + 1), np.int64)
    links = np.full((room, 3), -1, np.int64)  # parent, next of its node, chain x K + core
    head = np.full(n_nodes, -1, np.int64)
    now, then = np.zeros(1, np.int64), np.zeros(0, np.int64)
    head[0] = 0
    n, exact = 1, True
    at_C, trial = np.zeros(n_chains, np.int64), np.zeros(n_chains + n_cores + 1, np.int64)
    for _ in range(n_layers):
        then = np.empty(len(now) * n_chains, np.int64)
        n_then = 0
        for node in now:
            for c in range(n_chains):
                at_C[c] = node // radix_C[c] % (first_C[c + 1] - first_C[c] + 1)
            order = _undominated(energies, free, links, head[node])
            if 0 < beam < len(order):
                order = _best(energies, free, order, beam, limit, at_C, first_C, rests, energy_m, time_m, for_time)
                exact = False
            for label in order:
                if n + n_chains * n_cores > len(energies):
                    if 2 * len(energies) > most_labels:
                        return -1, 0, 0.0, False
                    energies = np.concatenate((energies, np.empty_like(energies)))
                    free = np.concatenate((free, np.empty_like(free)))
                    links = np.concatenate((links, np.empty_like(links)))
                for c in range(n_chains):
                    layer = first_C[c] + at_C[c]
                    if layer == first_C[c + 1]:
                        continue
                    at_C[c] += 1
                    for k in range(n_cores):
                        if not _append(free[label], trial, c, k, n_chains, cycles_KL[k, layer], at_C, first_C):
                            continue
                        energy = energies[label] + energy_KL[k, layer]
                        by_energy, by_time = _lower(trial, energy, limit, at_C, first_C, rests, energy_m, time_m)
                        if energy > budget or by_energy > budget or by_time > _TIGHT_CYCLES:
                            continue
                        child = node + radix_C[c]
                        if head[child] < 0:
                            then[n_then] = child
                            n_then += 1
                        energies[n] = energy
                        free[n] = trial
                        links[n, 0], links[n, 1], links[n, 2] = label, head[child], c * n_cores + k
                        head[child] = n
                        n += 1
                    at_C[c] -= 1
        now = then[:n_then]
    best = _best_end(energies, free, links, head[n_nodes - 1], n_chains, for_time)
    if best < 0:
        return 0, 0, 0.0, exact
    makespan, energy = free[best, n_chains:-1].max(), energies[best]
    left = first_C[1:].copy()
    while links[best, 0] >= 0:
        chain, core = divmod(links[best, 2], n_cores)
        left[chain] -= 1
        core_L[left[chain]], start_L[left[chain]] = core, free[best, -1]
        best = links[best, 0]
    return 1, makespan, energy, exact


@njit(cache=True, nogil=True)
def _rests(cycles_KL, energy_KL, first_C, energy_m, time_m):
    """Of the layers from each one to the end of its chain: relaxed energy, relaxed cycles, least cycles; [3, L + C]."""
    n_chains = len(first_C) - 1
    rests = np.zeros((3, first_C[-1] + n_chains))
    for c in range(n_chains):
        for layer in range(first_C[c + 1] - 1, first_C[c] - 1, -1):
            by_energy, by_time, shortest = np.inf, np.inf, np.inf
            for k in range(len(cycles_KL)):
                t = float(cycles_KL[k, layer])
                by_energy = min(by_energy, energy_KL[k, layer] + (energy_m[c] + energy_m[n_chains + k]) * t)
                by_time = min(by_time, (time_m[c] + time_m[n_chains + k]) * t)
                shortest = min(shortest, t)
            place = layer + c
            rests[0, place] = rests[0, place + 1] + by_energy
            rests[1, place] = rests[1, place + 1] + by_time
            rests[2, place] = rests[2, place + 1] + shortest
    return rests


@njit(cache=True, nogil=True)
def _append(free, trial, c, k, n_chains, cycles, at_C, first_C):
    """Begin the next layer of chain `c` on core `k`: fills `trial`; False if that is before the last one began."""
    start = max(free[c], free[n_chains + k])
    if start < free[-1]:
        return False
    for i in range(len(trial)):
        trial[i] = max(free[i], start)
    trial[c] = trial[n_chains + k] = start + cycles
    trial[-1] = start
    for chain in range(n_chains):
        if first_C[chain] + at_C[chain] == first_C[chain + 1]:
            trial[chain] = 0
    return True


@njit(cache=True, nogil=True)
def _lower(free, energy, limit, at_C, first_C, rests, energy_m, time_m):
    """(energy bound, excess of the bound on cycles over the limit) of a label; excess inf where a chain is too long."""
    n_chains = len(at_C)
    by_energy, by_time = energy, 0.0
    for c in range(n_chains):
        place = first_C[c] + at_C[c] + c
        if first_C[c] + at_C[c] < first_C[c + 1]:
            left = float(limit - free[c])
            if rests[2, place] > left:
                return np.inf, np.inf
            by_energy += rests[0, place] - energy_m[c] * left
            by_time += rests[1, place] - time_m[c] * left
    for i in range(n_chains, len(free) - 1):
        left = float(limit - free[i])
        if left < 0.0:
            return np.inf, np.inf
        by_energy -= energy_m[i] * left
        by_time -= time_m[i] * left
    return by_energy, by_time


@njit(cache=True, nogil=True)
def _undominated(energies, free, links, label):
    """The labels of a node that no other one meets or beats in energy and in all times but the last start."""
    count, first = 0, label
    while label >= 0:
        count += 1
        label = links[label, 1]
    every = np.empty(count, np.int64)
    label = first
    for place in range(count):
        every[place] = label
        label = links[label, 1]
    every = every[np.argsort(energies[every], kind="mergesort")]
    n_kept = 0
    for label in every:
        is_beaten = False
        for place in range(n_kept):
            is_beaten = True
            for i in range(free.shape[1] - 1):
                if free[every[place], i] > free[label, i]:
                    is_beaten = False
                    break
            if is_beaten:
                break
        if not is_beaten:
            every[n_kept] = label
            n_kept += 1
    return every[:n_kept]


@njit(cache=True, nogil=True)
def _best(energies, free, order, beam, limit, at_C, first_C, rests, energy_m, time_m, for_time):
    """The `beam` labels of least bound."""
    keys = np.empty(len(order))
    for place in range(len(order)):
        label = order[place]
        by_energy, by_time = _lower(free[label], energies[label], limit, at_C, first_C, rests, energy_m, time_m)
        keys[place] = by_time if for_time else by_energy
    return order[np.argsort(keys)[:beam]]


@njit(cache=True, nogil=True)
def _best_end(energies, free, links, label, n_chains, for_time):
    """The best of the labels at which all layers are done; -1 if there is none."""
    best, best_time = -1, 0
    while label >= 0:
        time = free[label, n_chains:-1].max()
        if best < 0:
            best, best_time = label, time
        else:
            saves, gains = energies[label] - energies[best], time - best_time
            if (gains < 0 or (gains == 0 and saves < 0)) if for_time else (saves < 0 or (saves == 0 and gains < 0)):
                best, best_time = label, time
        label = links[label, 1]
    return best

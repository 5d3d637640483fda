"""Chips of three and more cores by branch and bound over their cores: a set that is not complete is bounded, too.

Cores are taken in the order of falling PEs. Of the cores that are still to come only the room is known: the one that
comes s-th has at most the PEs of the last one, and at most 1/s of the PEs that are left; all have at most the bandwidth
that is left. So each layer takes at least the least cycles (energy) of any design within this room. If the chosen cores
with such ideal ones break a limit, no completion keeps it, and all of them go at once, counted by a table.

Legend: D core designs, L layers, K cores of a chip, C chains, W weights, P and B units of PEs and bandwidth, Q areas,
S steps of a staircase.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from archip.hardware.chip._kernels import step_at
from archip.hardware.schedule._label_dp import NEVER

__all__ = ["completions", "ideals", "survey_partial"]

WITHIN, AREA, CHAIN, LOAD, ENERGY, CORNER = 0, 1, 2, 3, 4, 5


@njit(cache=True, nogil=True)
def completions(spots_D2, sizes_2, most):
    """[most + 1, D + 1, P, B]: sets of exactly r designs from number d on (repeats allowed) within that room."""
    n_designs = len(spots_D2)
    out = np.zeros((most + 1, n_designs + 1, sizes_2[0], sizes_2[1]), np.int64)
    out[0] = 1
    for r in range(1, most + 1):
        for d in range(n_designs - 1, -1, -1):
            pes, width = spots_D2[d]
            out[r, d] = out[r, d + 1]
            for p in range(pes, sizes_2[0]):
                for b in range(width, sizes_2[1]):
                    out[r, d, p, b] += out[r - 1, d, p - pes, b - width]
    return out


@njit(cache=True, nogil=True)
def ideals(cycles_DL, energy_DL, spots_D2, sizes_2):
    """Least cycles and energy [P, B, L] of each layer on any design within that room."""
    n_layers = cycles_DL.shape[1]
    cycles_PBL = np.full((sizes_2[0], sizes_2[1], n_layers), NEVER, np.int64)
    energy_PBL = np.full((sizes_2[0], sizes_2[1], n_layers), np.inf)
    for d in range(len(spots_D2)):
        pes, width = spots_D2[d]
        if pes < sizes_2[0] and width < sizes_2[1]:
            for i in range(n_layers):
                cycles_PBL[pes, width, i] = min(cycles_PBL[pes, width, i], cycles_DL[d, i])
                energy_PBL[pes, width, i] = min(energy_PBL[pes, width, i], energy_DL[d, i])
    for p in range(sizes_2[0]):
        for b in range(sizes_2[1]):
            for i in range(n_layers):
                if p > 0:
                    cycles_PBL[p, b, i] = min(cycles_PBL[p, b, i], cycles_PBL[p - 1, b, i])
                    energy_PBL[p, b, i] = min(energy_PBL[p, b, i], energy_PBL[p - 1, b, i])
                if b > 0:
                    cycles_PBL[p, b, i] = min(cycles_PBL[p, b, i], cycles_PBL[p, b - 1, i])
                    energy_PBL[p, b, i] = min(energy_PBL[p, b, i], energy_PBL[p, b - 1, i])
    return cycles_PBL, energy_PBL


@njit(cache=True, nogil=True)
def survey_partial(
    first, n_cores, cycles_DL, energy_DL, area_D, spots_D2, sizes_2, first_C, weights_WK, limits, budget,
    ideal_t, ideal_e, n_completions, levels_Q, stairs_QS2, n_steps_Q, out, counts
):  # fmt: skip
    """Every chip of `n_cores` cores of which design `first` has the most PEs, against limits and known points.

    Args:
        spots_D2: units of PEs and bandwidth, PEs falling; sizes_2: units of the chip, plus one.
        limits: most cycles, most um^2. budget: most energy.
        levels_Q, stairs_QS2, n_steps_Q: rising areas, and what is known of chips up to each of them.
        out: int64 [N, n_cores + 3], filled with cores, area, bound on cycles and bound on energy of the survivors.
        counts: [within the totals, area, chain, load, energy, corner], added to.

    Returns:
        Survivors; -1 where `out` is too small.
    """
    n_designs, n_layers = cycles_DL.shape
    least_spots = np.array([spots_D2[:, 0].min(), spots_D2[:, 1].min()])
    least_area = area_D.min()
    chip = np.zeros(n_cores, np.int64)
    chip[0] = first
    least_t = np.full((n_cores + 1, n_layers), NEVER, np.int64)
    least_e = np.full((n_cores + 1, n_layers), np.inf)
    load = np.full((n_cores + 1, len(weights_WK), n_layers), np.inf)
    room = np.empty((n_cores + 1, 2), np.int64)
    room[0] = sizes_2 - 1
    areas = np.zeros(n_cores + 1, np.int64)
    n, depth = 0, 0
    while depth >= 0:
        core = chip[depth]
        if core == n_designs or (depth == 0 and core != first):
            depth -= 1
            if depth >= 0:
                chip[depth] += 1
            continue
        room[depth + 1] = room[depth] - spots_D2[core]
        left = n_cores - depth - 1
        if (room[depth + 1] < left * least_spots).any():
            chip[depth] += 1
            continue
        n_sets = n_completions[left, core, room[depth + 1, 0], room[depth + 1, 1]]
        if n_sets == 0:
            chip[depth] += 1
            continue
        areas[depth + 1] = areas[depth] + area_D[core]
        area = areas[depth + 1] + left * least_area
        _extend(depth, cycles_DL[core], energy_DL[core], weights_WK, least_t, least_e, load)
        why, longest, spent = AREA, 0, 0.0
        if area <= limits[1]:
            why, longest, spent = _bounded(
                depth + 1, left, spots_D2[core, 0], room[depth + 1], least_spots, least_t, least_e, load, first_C,
                weights_WK, ideal_t, ideal_e, limits[0], budget
            )  # fmt: skip
            if why == WITHIN and _is_known(area, longest, spent, levels_Q, stairs_QS2, n_steps_Q):
                why = CORNER
        if why != WITHIN:
            counts[WITHIN] += n_sets
            counts[why] += n_sets
            chip[depth] += 1
            continue
        if left > 0:
            depth += 1
            chip[depth] = core
            continue
        counts[WITHIN] += 1
        if n == len(out):
            return -1
        out[n, :n_cores] = chip
        out[n, n_cores], out[n, n_cores + 1], out[n, n_cores + 2] = area, longest, int(spent)
        n += 1
        chip[depth] += 1
    return n


@njit(cache=True, nogil=True)
def _extend(depth, cycles_L, energy_L, weights_WK, least_t, least_e, load):
    """Minima over the cores chosen so far, with one more."""
    for i in range(len(cycles_L)):
        least_t[depth + 1, i] = min(least_t[depth, i], cycles_L[i])
        least_e[depth + 1, i] = min(least_e[depth, i], energy_L[i])
        for w in range(len(weights_WK)):
            load[depth + 1, w, i] = min(load[depth, w, i], weights_WK[w, depth] * cycles_L[i])


@njit(cache=True, nogil=True)
def _bounded(
    n, left, last, room, least_spots, least_t, least_e, load, first_C, weights_WK, ideal_t, ideal_e, limit, budget
):
    """(bound that excludes, bound on cycles, bound on energy) of `n` chosen cores with `left` ideal ones."""
    width = room[1] - max(0, left - 1) * least_spots[1]
    largest = min(last, room[0] - max(0, left - 1) * least_spots[0])
    longest = 0
    for c in range(len(first_C) - 1):
        total = 0
        for i in range(first_C[c], first_C[c + 1]):
            t = least_t[n, i]
            if left > 0:
                t = min(t, ideal_t[largest, width, i])
            total += t
        longest = max(longest, total)
    if longest > limit:
        return CHAIN, longest, 0.0
    at_least = 0.0
    for w in range(len(weights_WK)):
        shared = 0.0
        for i in range(least_t.shape[1]):
            t = load[n, w, i]
            for slot in range(1, left + 1):
                pes = min(last, (room[0] - (left - slot) * least_spots[0]) // slot)
                t = min(t, weights_WK[w, n + slot - 1] * ideal_t[pes, width, i])
            shared += t
        at_least = max(at_least, shared)
    at_least = np.ceil(at_least * (1 - 1e-12) - 1e-6)
    if at_least > limit:
        return LOAD, longest, 0.0
    spent = 0.0
    for i in range(least_e.shape[1]):
        e = least_e[n, i]
        if left > 0:
            e = min(e, ideal_e[largest, width, i])
        spent += e
    return ENERGY if spent > budget else WITHIN, max(longest, int(at_least)), spent


@njit(cache=True, nogil=True)
def _is_known(area, cycles, energy, levels_Q, stairs_QS2, n_steps_Q):
    """Whether a known point meets or beats these bounds."""
    level = np.searchsorted(levels_Q, area, side="right") - 1
    if level < 0:
        return False
    step = step_at(stairs_QS2[level], n_steps_Q[level], cycles)
    return step >= 0 and stairs_QS2[level, step, 1] <= energy
